// The page over real sockets: what of HTTP it takes, how long it waits for whom, and who gives way to whom.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { bindTcp } from '../../../src/host/net/listen.js';
import { jsonReply, type PageReply } from '../../../src/page/http/page-request.js';
import {
  openPageServer,
  type PageCall,
  type PageServerOptions,
  pageAddress,
  pageConnectionsMax,
  pagePlace,
} from '../../../src/page/http/page-server.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { createFakeClock, type FakeClock } from '../../kit/plain/fake-clock.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { askRaw, HttpCut, openRawHttp } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';

const host = 'Host: localhost\r\n';
/** A request without a body. */
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\n${host}${more}\r\n`;
const post = `POST /api/login HTTP/1.1\r\n${host}`;
const script = Buffer.from('let x;\n'.repeat(100));

const streamOf = (pieces: AsyncIterable<string>): PageReply => ({
  status: 200,
  type: 'text/event-stream',
  pieces,
});

async function open(
  t: TestContext,
  answer: (call: PageCall) => Promise<PageReply> = () => Promise.resolve(jsonReply(200, {})),
  clock: FakeClock | typeof systemClock = systemClock,
  secure?: PageServerOptions['secure'],
) {
  const [port = 0] = await freePorts(1);
  const refused: string[] = [];
  const errors: string[] = [];
  const server = await openPageServer({
    clock,
    place: { hasTls: secure !== undefined, isOwnName: (name) => name === 'localhost' },
    ...(secure && { secure }),
    bind: (acceptor) => bindTcp(acceptor, { host: '127.0.0.1', port }, assert.fail),
    files: {
      find: (path) =>
        path === '/x.js'
          ? { body: script, gzip: gzipSync(script), headers: { 'content-type': 'text/javascript' } }
          : undefined,
    },
    answer,
    answerOwner: () => Promise.resolve(jsonReply(200, { owner: true })),
    onRefused: (why, peer, what) => void refused.push(`${why} ${peer.address} ${what}`),
    onError: (text) => void errors.push(text),
  });
  t.after(() => server.close());
  return { port, refused, errors, server };
}

void test('requests that are no such request, too large or too many for one', async (t) => {
  const calls: PageCall[] = [];
  const { port, refused } = await open(t, (call) => {
    calls.push(call);
    return Promise.resolve(jsonReply(200, {}));
  });
  const ask = async (text: string): Promise<number> =>
    askRaw({ port }, text).then(
      ({ status }) => status,
      (fault: unknown) => (fault instanceof HttpCut ? 0 : assert.fail()),
    );
  const cases: readonly (readonly [number, string])[] = [
    [200, get('/api/me')],
    [400, 'GET /api/me HTTP/1.1\r\n\r\n'],
    [400, get('/api/me', host)],
    [400, `GET /api/me HTTP/1.1\r\n${host}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n`],
    [421, 'GET /api/me HTTP/1.0\r\n\r\n'],
    [421, 'GET /api/me HTTP/1.1\r\nHost: evil.example\r\n\r\n'],
    [400, get('http://evil.example/api/me')],
    [400, `OPTIONS * HTTP/1.1\r\n${host}\r\n`],
    [431, get('/api/me', `X: ${'x'.repeat(8_300)}\r\n`)],
    // Two lengths, a length and chunks, a length that is none: what a proxy might read otherwise.
    [400, `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
    [400, `${post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    [400, `${post}Content-Length: +2\r\n\r\n{}`],
    [400, get('/api/me', 'X : y\r\n')],
    [400, `GET /api/me HTTP/1.1\n${host}\n\n`],
    [0, `CONNECT localhost:1 HTTP/1.1\r\n${host}\r\n`],
    [404, get('/api/nothing')],
    [405, `POST /api/me HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`],
    [405, `DELETE /x.js HTTP/1.1\r\n${host}\r\n`],
    [404, get('/other')],
  ];
  for (const [status, text] of cases) assert.equal(await ask(text), status, text.slice(0, 200));
  const addresses = calls.map(({ peer }) => peer.address);
  assert.deepEqual(addresses, ['127.0.0.1']);
  const whys = refused.map((each) => each.split(' ', 1).join()).join(' ');
  assert.equal(whys, 'malformed malformed wrong-host wrong-host malformed malformed');
  assert.ok(refused[3]?.endsWith('GET host=evil.example'));
});

void test('what is no path, or too long to be read, is answered with what is wrong', async (t) => {
  const { port } = await open(t);
  const cases: readonly (readonly [string, number, RegExp])[] = [
    [`OPTIONS * HTTP/1.1\r\n${host}\r\n`, 400, /a path/],
    [get(`/trail?q=${'x'.repeat(8_300)}`), 431, /8 KiB/],
    [get('/x.js', 'X : y\r\n'), 400, /HTTP/],
  ];
  for (const [request, status, said] of cases) {
    const reply = await askRaw({ port }, request);
    assert.equal(reply.status, status);
    assert.match(reply.body.toString(), /^\{"text":".*"\}\n$/);
    assert.match(reply.body.toString(), said);
    assert.equal(reply.header('X-Content-Type-Options'), 'nosniff');
    assert.match(reply.header('Content-Security-Policy') ?? '', /^default-src 'none'/);
  }
});

void test('a body is read by who asks for it, to its limit; what is left of it ends the connection', async (t) => {
  const { port } = await open(t, async ({ readBody, endpoint }) =>
    endpoint === 'kill' ? jsonReply(403, {}) : jsonReply(200, { body: (await readBody())?.length ?? -1 }),
  );
  const sent = (path: string, bytes: number): string =>
    `POST ${path} HTTP/1.1\r\n${host}Content-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`;
  const bodyOf = async (text: string) => {
    const reply = await askRaw({ port }, text);
    return [reply.status, reply.body.toString().trim(), reply.header('Connection')];
  };
  const ask = { login: 65_536, check: 786_432 };
  for (const [name, bytes] of Object.entries(ask)) {
    const path = `/api/${name}`;
    assert.deepEqual(await bodyOf(sent(path, bytes)), [200, `{"body":${bytes}}`, 'keep-alive']);
    assert.deepEqual(await bodyOf(sent(path, bytes + 1)), [200, '{"body":-1}', 'close']);
  }
  assert.deepEqual(await bodyOf(sent('/api/kill/X', 10)), [403, '{}', 'close']);
  const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n`;
  assert.deepEqual((await bodyOf(chunked)).slice(0, 2), [200, '{"body":5}']);
});

void test('files: zipped where that is taken, with their headers; nothing is kept of data', async (t) => {
  const { port } = await open(t);
  const ask = (path: string, more = '') => askRaw({ port }, get(path, more));
  const plain = await ask('/x.js');
  assert.deepEqual(plain.body, script);
  assert.equal(plain.header('Content-Encoding'), undefined);
  const zipped = await ask('/x.js?y', 'Accept-Encoding: br, gzip\r\n');
  assert.equal(zipped.header('Content-Encoding'), 'gzip');
  assert.deepEqual(zipped.body, gzipSync(script));
  assert.equal((await ask('/x.js', 'Accept-Encoding: gzip;q=0\r\n')).header('Content-Encoding'), undefined);
  const head = await askRaw({ port }, `HEAD /x.js HTTP/1.1\r\n${host}\r\n`);
  assert.equal(head.header('Content-Length'), String(script.length));
  const data = await ask('/api/me');
  assert.equal(data.header('Cache-Control'), 'no-store');
  assert.match(data.header('Content-Security-Policy') ?? '', /^default-src 'none'/);
  for (const reply of [plain, data, await ask('/nothing')]) {
    assert.equal(reply.header('X-Content-Type-Options'), 'nosniff');
    assert.equal(reply.header('Referrer-Policy'), 'no-referrer');
    assert.equal(reply.header('Cross-Origin-Opener-Policy'), 'same-origin');
    assert.equal(reply.header('Set-Cookie'), undefined);
  }
});

void test('a stream: its pieces as they come; whoever leaves ends it', async (t) => {
  const given: string[] = [];
  let isEnded = false;
  let wake: () => void = () => undefined;
  async function* pieces(signal: AbortSignal): AsyncGenerator<string> {
    try {
      for (const piece of ['one', 'two', 'three']) {
        given.push(piece);
        yield `data: ${piece}\n\n`;
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
        if (signal.aborted) return;
      }
    } finally {
      isEnded = true;
    }
  }
  const { port } = await open(t, ({ signal }) => Promise.resolve(streamOf(pieces(signal))));
  const client = await openRawHttp({ port });
  await client.write(get('/api/now'));
  await until(() => client.received().includes('data: one'), 'the first piece');
  wake();
  await until(() => client.received().includes('data: two'), 'the second piece');
  client.reset();
  await until(() => isEnded, 'the end');
  assert.deepEqual(given, ['one', 'two']);
});

// bounds.pageUnreadMs
void test('a client that does not read is closed, and no more than one piece waits for it', async (t) => {
  const clock = createFakeClock();
  let given = 0;
  let isEnded = false;
  async function* pieces(): AsyncGenerator<string> {
    try {
      for (;;) {
        given += 1;
        yield await Promise.resolve('x'.repeat(256 * 1024));
      }
    } finally {
      isEnded = true;
    }
  }
  const { port } = await open(t, () => Promise.resolve(streamOf(pieces())), clock);
  const client = await openRawHttp({ port });
  client.setStopped(true);
  await client.write(get('/api/now'));
  let before = -1;
  await until(async () => {
    before = given;
    // Turns, not only time: a process that had no processor for a while finds its timer before what the kernel has for it.
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setTimeout(resolve, 20));
    return given > 0 && given === before;
  }, 'the kernel takes no more');
  await clock.advance(9_999);
  assert.equal(given, before);
  assert.equal(clock.timers, 1);
  await clock.advance(1);
  await until(() => isEnded, 'the end of it');
  assert.equal(clock.timers, 0);
  assert.equal(given, before);
  client.close();
});

void test('a bug in an answer is told, and the answer is never whole', async (t) => {
  async function* broken(): AsyncGenerator<string> {
    yield await Promise.resolve('half');
    throw new Error('a bug');
  }
  const { port, errors } = await open(t, ({ endpoint }) =>
    endpoint === 'now' ? Promise.resolve(streamOf(broken())) : Promise.reject(new Error('another bug')),
  );
  await assert.rejects(askRaw({ port }, get('/api/now')), HttpCut);
  const { status, body } = await askRaw({ port }, get('/api/me'));
  assert.equal(status, 500);
  assert.doesNotMatch(body.toString(), /bug/);
  assert.deepEqual(errors, ['/api/now: a bug', '/api/me: another bug']);
});

void test('requests that do not wait for answers end the connection', async (t) => {
  let running = 0;
  const { port } = await open(t, () => {
    running += 1;
    return new Promise(() => undefined);
  });
  const client = await openRawHttp({ port });
  await client.write(get('/api/me').repeat(50)).catch(() => undefined);
  await client.readEnd();
  assert.ok(running <= 50);
  const other = await openRawHttp({ port });
  await other.write(get('/api/me').repeat(3));
  const before = running;
  await until(() => running === before + 3, 'three at once');
  other.close();
});

// bounds.pageConnections
void test('strangers who fill all places give way to others, and never take the place of a person', async (t) => {
  const { port } = await open(t, (call) => {
    call.known('anna');
    return Promise.resolve(jsonReply(200, {}));
  });
  const person = await openRawHttp({ port });
  const ask = get('/api/me');
  await person.write(ask);
  assert.equal((await person.readAnswer()).status, 200);
  const silent: Socket[] = [];
  let closed = 0;
  for (let count = 0; count < pageConnectionsMax + 20; count += 1) {
    const socket = connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume();
    socket.once('close', () => (closed += 1));
    silent.push(socket);
  }
  t.after(() => {
    for (const socket of silent) socket.destroy();
  });
  await until(() => closed >= 21, 'the oldest strangers are closed');
  await person.write(ask);
  assert.equal((await person.readAnswer()).status, 200);
  assert.equal((await askRaw({ port }, ask)).status, 200, 'a new one gets in');
  // Silent ones are closed after some seconds.
  await until(() => closed === silent.length, 'all of them are closed');
  person.close();
});

/** TLS over what the server accepts. */
function tlsOf(): NonNullable<PageServerOptions['secure']> {
  const issued = makeAuthority({ name: 'page' }).issue({ names: ['localhost'] });
  const secureContext = createSecureContext({ cert: issued.certificatePem, key: issued.keyPem });
  return async (plain) => {
    const socket = new TLSSocket(plain, { isServer: true, secureContext }).on('error', () => undefined);
    await once(socket, 'secure');
    return { socket, peer: undefined };
  };
}

async function dialTls(t: TestContext, port: number): Promise<Socket> {
  const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  t.after(() => socket.destroy());
  await once(
    socket.on('error', () => undefined),
    'secureConnect',
  );
  return socket;
}

void test('half a request, and one that comes byte by byte, have their time, within TLS as well', async (t) => {
  const answer = async (call: PageCall) => jsonReply(200, { body: await call.readBody() });
  const secured = await open(t, answer, systemClock, tlsOf());
  const sent = [
    '',
    'GET /api/me HTTP/1.1\r\nHost: local',
    `POST /api/login HTTP/1.1\r\n${host}Content-Length: 9\r\n\r\n{`,
  ];
  const closed = sent.map(async (bytes) => {
    const socket = await dialTls(t, secured.port);
    socket.resume().write(bytes);
    await once(socket, 'close');
  });
  const { port } = await open(t, answer);
  const [half, slow] = [await openRawHttp({ port }), await openRawHttp({ port })];
  const idle = connect({ port, host: '127.0.0.1' });
  idle.write(get('/api/me'));
  const isClosed = new Promise((resolve) => idle.resume().once('close', resolve));
  await half.write(`GET /api/me HTTP/1.1\r\n${host}`);
  const timer = setInterval(() => void slow.write('X').catch(() => undefined), 200);
  t.after(() => clearInterval(timer));
  await slow.write(`GET /api/me HTTP/1.1\r\n${host}X-`);
  for (const each of [half, slow]) assert.equal((await each.readAnswer()).status, 408);
  half.close();
  slow.close();
  await isClosed;
  await Promise.all(closed);
});

for (const isTls of [false, true])
  void test(`a request behind one that is not answered yet: the end is told for both${isTls ? ', within TLS' : ''}`, async (t) => {
    const calls: PageCall[] = [];
    const { port } = await open(
      t,
      (call) => {
        calls.push(call);
        return new Promise(() => undefined);
      },
      systemClock,
      isTls ? tlsOf() : undefined,
    );
    const socket = isTls ? await dialTls(t, port) : connect(port, '127.0.0.1');
    socket.write(get('/api/now') + get('/api/me'));
    await until(() => calls.length === 2, 'two calls');
    for (const { peer } of calls) assert.equal(peer.address, '127.0.0.1');
    socket.destroy();
    await until(() => calls.every(({ signal }) => signal.aborted), 'the end of both');
  });

void test('which names are ours, and the address that people are told', () => {
  const authority = makeAuthority({ name: 'names' });
  let chain = authority.issue({ names: ['gate.example.com', '*.example.org'] }).certificatePem;
  const place = pagePlace('0.0.0.0', true, () => chain);
  for (const name of ['gate.example.com', 'a.example.org', '0.0.0.0']) assert.ok(place.isOwnName(name), name);
  for (const name of ['example.com', 'a.b.example.org', 'evil.example'])
    assert.ok(!place.isOwnName(name), name);
  chain = authority.issue({ names: ['other.example.com'] }).certificatePem;
  assert.ok(!place.isOwnName('gate.example.com'), 'the certificate was replaced');
  assert.ok(place.isOwnName('other.example.com'));
  assert.ok(!pagePlace('localhost', false, () => chain).isOwnName('other.example.com'), 'not without TLS');
  for (const [name, hasTls, address] of [
    ['::1', false, 'http://[::1]:9147'],
    ['127.0.0.1', false, 'http://127.0.0.1:9147'],
    ['0.0.0.0', true, 'https://gate:9147'],
    ['::', true, 'https://gate:9147'],
    ['gate.example.com', true, 'https://gate.example.com:9147'],
  ] as const)
    assert.equal(pageAddress({ host: name, port: 9147 }, hasTls, 'gate'), address);
});

// bounds.pageHeadFields
test('a head of more fields than are read is refused, whatever stands in the last one', async (t) => {
  const { port } = await open(t);
  const withFields = async (count: number): Promise<number> =>
    (await askRaw({ port }, get('/api/me', 'X: y\r\n'.repeat(count - 1)))).status;
  assert.equal(await withFields(bounds.pageHeadFields), 200);
  assert.equal(await withFields(bounds.pageHeadFields + 1), 431);
});
