// Connections of the page: how long each may take, who gives way to whom, and what is told of their end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { systemClock } from '../../../src/adapters/host/clock.js';
import { jsonReply, type PageReply } from '../../../src/adapters/page/page-request.js';
import {
  openPageServer,
  type PageCall,
  type PageServerOptions,
  pageConnectionsMax,
} from '../../../src/adapters/page/page-server.js';
import { makeAuthority } from '../../kit/certificates.js';
import { createEventWait } from '../../kit/event-wait.js';

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

interface Opened {
  readonly port: number;
  readonly calls: PageCall[];
  readonly changed: ReturnType<typeof createEventWait>;
  /** A connection that keeps what it reads. */
  readonly dial: () => Promise<{
    readonly socket: Socket;
    readonly text: () => string;
    readonly isOver: () => boolean;
  }>;
}

async function open(
  t: TestContext,
  answer: (call: PageCall) => Promise<PageReply>,
  more: Partial<PageServerOptions> = {},
): Promise<Opened> {
  const calls: PageCall[] = [];
  const changed = createEventWait();
  let port = 0;
  const server = await openPageServer({
    clock: systemClock,
    place: { hasTls: false, isOwnName: () => false },
    async bind(acceptor: Server) {
      acceptor.listen(0, '127.0.0.1');
      await once(acceptor, 'listening');
      const address = acceptor.address();
      assert.ok(address !== null && typeof address === 'object');
      ({ port } = address);
      return {
        close: async () => void acceptor.close(),
      };
    },
    files: { find: () => undefined },
    bodyBytesMax: 1024,
    answer(call) {
      calls.push(call);
      call.signal.addEventListener('abort', () => changed.wake());
      changed.wake();
      return answer(call);
    },
    onRefused: () => undefined,
    onError: (text) => assert.fail(text),
    ...more,
  });
  t.after(() => server.close());
  return {
    port,
    calls,
    changed,
    async dial() {
      const socket = connect(port, '127.0.0.1');
      t.after(() => socket.destroy());
      let read = '';
      let isOver = false;
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        read += bytes.toString('latin1');
        changed.wake();
      });
      socket.once('close', () => {
        isOver = true;
        changed.wake();
      });
      await once(socket, 'connect');
      return { socket, text: () => read, isOver: () => isOver };
    },
  };
}

const never = (): Promise<PageReply> => new Promise(() => undefined);

void test('a request behind one that is not answered yet: the end of the connection is told for both', async (t) => {
  const { calls, changed, dial } = await open(t, never);
  const { socket } = await dial();
  socket.write(get('/api/now') + get('/api/me'));
  await changed.until(
    () => calls.length === 2,
    () => 'two calls',
    60_000,
  );
  socket.destroy();
  await changed.until(
    () => calls.every(({ signal }) => signal.aborted),
    () => `the end, told: ${calls.map(({ signal }) => signal.aborted).join(' ')}`,
    60_000,
  );
});

void test('one person with many connections takes none of another', async (t) => {
  const { calls, changed, dial } = await open(t, (call) => {
    call.known(call.token ?? '');
    return Promise.resolve(jsonReply(200, {}));
  });
  const ask = async (token: string) => {
    const made = await dial();
    made.socket.write(get('/api/me', `Authorization: Bearer ${token}\r\n`));
    await changed.until(
      () => made.isOver() || made.text().includes('{}'),
      () => 'an answer',
      60_000,
    );
    return made;
  };
  const own = await ask('oncall');
  for (let count = 0; count < pageConnectionsMax + 20; count += 1) await ask('carol');
  const another = await ask('oncall');
  assert.match(another.text(), /^HTTP\/1.1 200 /);
  assert.ok(!own.isOver(), 'the connection of another person was closed');
  assert.equal(calls.length, pageConnectionsMax + 22);
});

/** A server that runs TLS over what it accepts. */
function withTls(): Partial<PageServerOptions> {
  const issued = makeAuthority({ name: 'page' }).issue({ names: ['localhost'] });
  const secureContext = createSecureContext({ cert: issued.certificatePem, key: issued.keyPem });
  return {
    place: { hasTls: true, isOwnName: () => false },
    secure: (plain) =>
      new Promise((resolve) => {
        const socket = new TLSSocket(plain, { isServer: true, secureContext });
        socket.on('error', () => undefined);
        socket.once('secure', () => resolve({ socket, peer: undefined }));
      }),
  };
}

void test('within TLS as well, the end of the connection is told for each request', async (t) => {
  const { calls, changed, port } = await open(t, never, withTls());
  const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.write(get('/api/now') + get('/api/me'));
  await changed.until(
    () => calls.length === 2,
    () => 'two calls',
    60_000,
  );
  assert.deepEqual(
    calls.map(({ peer }) => peer.address),
    ['127.0.0.1', '127.0.0.1'],
  );
  socket.destroy();
  await changed.until(
    () => calls.every(({ signal }) => signal.aborted),
    () => `the end, told: ${calls.map(({ signal }) => signal.aborted).join(' ')}`,
    60_000,
  );
});

// bounds.pageHandshakeMs
void test('within TLS a request has to come in time as well, and to its end', async (t) => {
  const { port } = await open(t, async (call) => jsonReply(200, { body: await call.readBody() }), withTls());
  const sent = [
    '',
    'GET /api/me HTTP/1.1\r\nHost: local',
    'POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{',
  ];
  await Promise.all(
    sent.map(async (bytes) => {
      const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      t.after(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.resume();
      await once(socket, 'secureConnect');
      socket.write(bytes);
      await Promise.race([
        once(socket, 'close'),
        new Promise((_resolve, reject) => {
          setTimeout(() => reject(new Error(`still open after ${JSON.stringify(bytes)}`)), 60_000).unref();
        }),
      ]);
    }),
  );
});
