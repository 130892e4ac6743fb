// Servers that speak NATS to harm the client: before TLS, during it, and with a valid certificate after it. Each counts what it sent and
// which connections are still open, so that a test can wait until the client has ended them.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import type { NatsSettings } from '../../../src/evidence/nats/dial.js';
import { endBefore, type Owner, openFolder } from '../plain/folder.js';
import { listenHere } from '../plain/free-ports.js';
import { makeAuthority } from './certificates.js';

/** What is wrong with a server. */
export interface Misdeed {
  /** What a client says of it. */
  readonly shows?: RegExp;
  /** Instead of the first line and TLS. */
  readonly greet?: (socket: Socket) => void;
  /** So many connections are greeted as by a real server first. */
  readonly sane?: number;
  /** Follows the first line, in the same write. */
  readonly appended?: string;
  /** More of the first line. */
  readonly info?: Readonly<Record<string, unknown>>;
  /** How it speaks TLS. */
  readonly tls?: SecureContextOptions;
  /** Instead of TLS, after the first line. */
  readonly handshake?: (socket: Socket) => void;
  /** Instead of the answer to the login. */
  readonly login?: (socket: Socket) => void;
  /** After the login. */
  readonly after?: (socket: Socket) => void;
  /** For each request: its subject, and where the answer goes. */
  readonly answer?: (socket: Socket, reply: string, sid: number) => void;
}

export interface HostileServer {
  readonly port: number;
  /** Of the authority of its certificate. */
  readonly caFile: string;
  /** Connections that were taken, and those of them that are not closed yet. */
  readonly connections: { readonly taken: number; readonly open: number };
}

export interface HostileNats extends Omit<HostileServer, 'caFile'> {
  readonly settings: NatsSettings;
}

const first = {
  server_id: 'H',
  server_name: 'hostile',
  version: '2.10.27',
  proto: 1,
  headers: true,
  max_payload: 1_048_576,
  tls_required: true,
};

/** Writes as fast as the other end takes it, until the connection ends. */
export function flood(socket: Socket, chunk: Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', more);
  more();
}

/** One byte every 20 ms. */
export function drip(socket: Socket, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) return clearInterval(timer);
    socket.write(bytes.subarray(at % bytes.length, (at % bytes.length) + 1));
    at += 1;
  }, 20);
}

/** A server on this machine that hands its connections to `serve`, with a certificate of an authority of its own. Ends with its owner. */
export async function openHostileServer(
  owner: Owner,
  serve: (socket: Socket, taken: number, secureContext: SecureContext) => void,
  options: SecureContextOptions = {},
): Promise<HostileServer> {
  const folder = openFolder(owner);
  const authority = makeAuthority({ name: 'authority of a hostile server' });
  const { certificatePem, keyPem } = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, authority.certificatePem);
  const secureContext = createSecureContext({ cert: certificatePem, key: keyPem, ...options });
  const sockets = new Set<Socket>();
  let taken = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    taken += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, taken, secureContext);
  });
  const port = await listenHere(server);
  endBefore(folder, async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), 'close');
  });
  return {
    port,
    caFile,
    get connections() {
      return { taken, open: sockets.size };
    },
  };
}

/** Ends with the test. */
export async function openHostileNats(owner: Owner, misdeed: Misdeed): Promise<HostileNats> {
  const server = await openHostileServer(
    owner,
    (socket, taken, secureContext) => {
      if (misdeed.greet !== undefined && taken > (misdeed.sane ?? 0)) {
        socket.resume();
        return misdeed.greet(socket);
      }
      socket.write(`INFO ${JSON.stringify({ ...first, ...misdeed.info })}\r\n${misdeed.appended ?? ''}`);
      if (misdeed.handshake !== undefined) {
        socket.resume();
        return misdeed.handshake(socket);
      }
      speak(new TLSSocket(socket, { isServer: true, secureContext }), misdeed);
    },
    misdeed.tls,
  );
  const { port, caFile } = server;
  const settings = { servers: [{ host: '127.0.0.1', port }], caFile, name: 'test' };
  return {
    port,
    settings,
    get connections() {
      return server.connections;
    },
  };
}

/** The protocol as a real server has it, as far as a client needs it to log in and ask. */
function speak(socket: TLSSocket, { login, after, answer }: Misdeed): void {
  let text = '';
  let isKnown = false;
  const sids: { readonly pattern: string; readonly sid: number }[] = [];
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    for (;;) {
      const end = text.indexOf('\r\n');
      if (end < 0) return;
      const [verb = '', ...words] = text.slice(0, end).split(' ');
      const bytes = verb === 'PUB' || verb === 'HPUB' ? Number(words.at(-1)) + 2 : 0;
      if (text.length < end + 2 + bytes) return;
      text = text.slice(end + 2 + bytes);
      if (verb === 'SUB') sids.push({ pattern: words[0] ?? '', sid: Number(words.at(-1)) });
      if (bytes > 0 && answer !== undefined) {
        const reply = words[1] ?? '';
        const sub = sids.find(({ pattern }) => reply.startsWith(pattern.replace(/[*>]$/, '')));
        answer(socket, reply, sub?.sid ?? 0);
      }
      if (verb !== 'PING') continue;
      if (!isKnown && login !== undefined) return login(socket);
      if (!isKnown) setImmediate(() => after?.(socket));
      isKnown = true;
      socket.write('PONG\r\n');
    }
  });
}

const kilobytes = (text: string): Buffer => Buffer.from(text.repeat(Math.ceil(65_536 / text.length)));
const forged = '\u001b]0;owned\u0007\u001b[2J\n{"level":30,"event":"audit-checkpoint","msg":"forged"}\r\n';

/** By name. */
export const misdeeds: Readonly<Record<string, Misdeed>> = {
  'a first line without end': {
    greet(socket) {
      socket.write('INFO {"a":"');
      flood(socket, Buffer.alloc(65_536, 'x'));
    },
  },
  'a first line without end, at the second connection': {
    sane: 1,
    greet(socket) {
      socket.write('INFO {"a":"');
      flood(socket, Buffer.alloc(65_536, 'x'));
    },
  },
  'a first line of 16 MiB': {
    greet: (socket) => void socket.write(`INFO {"tls_required":true,"a":"${'x'.repeat(16 << 20)}"}\r\n`),
  },
  'a first line with other types': {
    shows: /its INFO is not that of a NATS server/,
    info: { version: { toString: 1 }, max_payload: 'x', nonce: [] },
  },
  'plain text after the first line': {
    shows: /sent more than its first line without TLS/,
    appended: 'MSG a 1 4294967295\r\n',
  },
  'no byte of TLS': {
    shows: /no handshake and login within 5 s/,
    handshake: () => undefined,
  },
  'TLS byte by byte': { handshake: (socket) => drip(socket, Buffer.from([22, 3, 3, 64, 0, 2, 0, 63, 252])) },
  'a flood instead of TLS': {
    handshake: (socket) => void socket.once('data', () => flood(socket, Buffer.alloc(65_536, 22))),
  },
  'a login without an answer': { login: () => undefined },
  'a line without end': {
    shows: /a line of more than 65536 bytes came/,
    after(socket) {
      socket.write('MSG ');
      flood(socket, Buffer.alloc(65_536, 'x'));
    },
  },
  'a flood of PING': {
    shows: /more came than was asked for/,
    after: (socket) => flood(socket, kilobytes('PING\r\n')),
  },
  'a flood of PONG': {
    shows: /more came than was asked for/,
    after: (socket) => flood(socket, kilobytes('PONG\r\n')),
  },
  'a flood of INFO': {
    shows: /more came than was asked for/,
    after: (socket) => flood(socket, kilobytes(`INFO ${JSON.stringify(first)}\r\n`)),
  },
  'a flood of errors': {
    after: (socket) =>
      flood(socket, kilobytes(`-ERR 'Permissions Violation for Publish to "${forged.slice(0, 20)}"'\r\n`)),
  },
  'a message of 4 GB': {
    shows: /a message of 4294967295 bytes was announced, and 1048576 are permitted/,
    after(socket) {
      socket.write('MSG _INBOX.a 1 4294967295\r\n');
      flood(socket, Buffer.alloc(65_536, 'x'));
    },
  },
  'max_payload of 4 GB, and such a message': {
    shows: /and 8388608 are permitted/,
    info: { max_payload: 4_294_967_295 },
    after(socket) {
      socket.write('MSG _INBOX.a 1 4294967294\r\n');
      flood(socket, Buffer.alloc(65_536, 'x'));
    },
  },
  'headers longer than their message': {
    shows: /not the protocol of NATS/,
    after: (socket) => void socket.write('HMSG a 1 10 5\r\n0123456789'),
  },
  'messages for nobody': {
    shows: /more came than was asked for/,
    after: (socket) => flood(socket, kilobytes('MSG a 4711 4\r\nabcd\r\n')),
  },
  'what is not the protocol': { after: (socket) => void socket.write(forged) },
  'escape sequences in an error': {
    login: (socket) => void socket.end(`-ERR '${forged.replaceAll('\n', '')}'\r\n`),
  },
  'TLS records of one byte': {
    shows: /more came than was asked for/,
    after(socket) {
      socket.write('MSG _INBOX.a 1 1000000\r\n');
      // Two writes that wait would become one record.
      const more = (): void => {
        socket.write('x', (error) => {
          if (error === undefined || error === null) setImmediate(more);
        });
      };
      more();
    },
  },
  'TLS that carries little': {
    shows: /more came in TLS itself than it carried/,
    // 85 bytes around each one, and fewer a second than pieces are permitted.
    tls: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384' },
    after(socket) {
      socket.write('MSG _INBOX.a 1 1000000\r\n');
      const more = (left: number): void => {
        if (left > 0 && !socket.destroyed) socket.write('x', () => setImmediate(more, left - 1));
      };
      const timer = setInterval(() => {
        if (socket.destroyed) clearInterval(timer);
        else more(40);
      }, 20);
    },
  },
  'a message byte by byte': {
    after(socket) {
      socket.write('MSG _INBOX.a 1 1000000\r\n');
      drip(socket, Buffer.alloc(1000, 'x'));
    },
  },
  'nothing is read': {
    after(socket) {
      socket.pause();
      // Its end shows only where it is read.
      setTimeout(() => socket.resume(), 12_000).unref();
    },
  },
  'answers that are none': {
    answer: (socket, reply, sid) =>
      void socket.write(`HMSG ${reply} ${sid} 30 34\r\nNATS/1.0 x y\r\n\u001b[2J bad: \r\r\n{}{}\r\n`),
  },
  'a flood of answers': {
    answer: (socket, reply, sid) => flood(socket, kilobytes(`MSG ${reply} ${sid} 2\r\n{}\r\n`)),
  },
};
