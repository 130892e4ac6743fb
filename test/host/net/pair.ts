// Two ends of a real connection within this process: a socket of Node's in the hands of the test, and ours as a transport or bare.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';
import { wrapSocket } from '../../../src/host/net/transport.js';
import type { Transport } from '../../../src/host/ports/transport.js';
import type { KeyPairPem } from '../../kit/gate/certificates.js';
import { createEventWait } from '../../kit/plain/event-wait.js';
import { createFakeClock, type FakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

/** What a connection goes over. */
export type Kind = 'tcp' | 'unix';

/** The far end, with all that came to it. */
export interface Far {
  readonly socket: Socket;
  received(): Buffer;
  readonly hasEnded: boolean;
  /** Code of the error that it saw. */
  readonly error: string | undefined;
  readonly isClosed: boolean;
  /** Resolves as soon as it holds. */
  until(isTrue: () => boolean, what: string): Promise<void>;
}

/** Records what comes to a socket; it flows unless it is paused. */
export function recordFar(socket: Socket): Far {
  const wait = createEventWait();
  const chunks: Buffer[] = [];
  let hasEnded = false;
  let isClosed = false;
  let error: string | undefined;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    wait.wake();
  });
  socket.on('end', () => {
    hasEnded = true;
    wait.wake();
  });
  socket.on('error', (cause) => {
    error = 'code' in cause ? String(cause.code) : cause.message;
    wait.wake();
  });
  socket.on('close', () => {
    isClosed = true;
    wait.wake();
  });
  return {
    socket,
    received: () => Buffer.concat(chunks),
    get hasEnded() {
      return hasEnded;
    },
    get error() {
      return error;
    },
    get isClosed() {
      return isClosed;
    },
    until: (isTrue, what) => wait.until(isTrue, what),
  };
}

/** Listens on a free port of loopback, or in a folder of its own. */
export async function listen(t: TestContext, kind: Kind): Promise<Server> {
  const server = createServer({ allowHalfOpen: true });
  if (kind === 'tcp') server.listen(0, '127.0.0.1');
  else server.listen(join(openFolder(t), 's'));
  await once(server, 'listening');
  t.after(() => void server.close());
  return server;
}

/** A connection to a server of this process: ours and the far one, both half-open. */
export async function openSockets(t: TestContext, kind: Kind): Promise<{ near: Socket; far: Socket }> {
  const server = await listen(t, kind);
  const address = server.address();
  const near =
    typeof address === 'object' && address !== null
      ? connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true })
      : connect({ path: String(address), allowHalfOpen: true });
  const accepted: Promise<Socket[]> = once(server, 'connection');
  await once(near, 'connect');
  const [far] = await accepted;
  if (far === undefined) throw new Error('nothing was accepted');
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return { near, far };
}

/** A connection of which our end is a transport, with a clock turned by hand. */
export async function openPair(
  t: TestContext,
  kind: Kind,
): Promise<{ transport: Transport; far: Far; clock: FakeClock }> {
  const clock = createFakeClock();
  const { near, far } = await openSockets(t, kind);
  return { transport: wrapSocket(near, clock), far: recordFar(far), clock };
}

/** Makes the far end the server's side of TLS. */
export function serveTls(
  far: Socket,
  certificate: KeyPairPem,
  more: { ALPNProtocols?: Buffer; requestCert?: boolean } = {},
): TLSSocket {
  const secureContext = createSecureContext({ cert: certificate.certificatePem, key: certificate.keyPem });
  return new TLSSocket(far, { isServer: true, secureContext, ...more });
}
