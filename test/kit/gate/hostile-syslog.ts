// Receivers of syslog that harm the sender: before TLS, during it, and with a valid certificate after it.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import { endBefore, type Owner, openFolder } from '../plain/folder.js';
import { listenHere } from '../plain/free-ports.js';
import { makeAuthority } from './certificates.js';

export interface HostileServer {
  readonly port: number;
  /** Of the authority of its certificate. */
  readonly caFile: string;
  /** Connections that were taken, and those of them that are not closed yet. */
  readonly connections: { readonly taken: number; readonly open: number };
}

/** Writes as fast as the other end takes it, until the connection ends. */
function flood(socket: Socket, chunk: Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', more);
  more();
}

/** One byte every 20 ms. */
function drip(socket: Socket, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.destroyed) return clearInterval(timer);
    socket.write(bytes.subarray(at % bytes.length, (at % bytes.length) + 1));
    at += 1;
  }, 20);
}

/** A server on this machine that hands its connections to `serve`, with a certificate of an authority of its own. Ends with its owner. */
async function openHostileServer(
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

/** What is wrong with a receiver. */
export interface SyslogMisdeed {
  /** Instead of TLS. */
  readonly handshake?: (socket: Socket) => void;
  /** After the handshake. */
  readonly after?: (socket: TLSSocket) => void;
  readonly maxVersion?: 'TLSv1.2';
}

/** Records of TLS with one byte each: two writes that wait would become one record. */
function crumble(socket: Socket): void {
  const more = (): void => {
    socket.write('x', (error) => {
      if (error === undefined || error === null) setImmediate(more);
    });
  };
  for (let at = 0; at < 8; at += 1) more();
}

/** By name. */
export const syslogMisdeeds: Readonly<Record<string, SyslogMisdeed>> = {
  'no byte of TLS': { handshake: (socket) => void socket.resume() },
  'TLS byte by byte': {
    handshake(socket) {
      socket.resume();
      drip(socket, Buffer.from([22, 3, 3, 64, 0, 2, 0, 63, 252]));
    },
  },
  'a flood instead of TLS': {
    handshake(socket) {
      socket.resume();
      socket.once('data', () => flood(socket, Buffer.alloc(65_536, 22)));
    },
  },
  'a reset at once': { handshake: (socket) => void socket.resetAndDestroy() },
  'an end after the handshake': {
    after(socket) {
      socket.resume();
      socket.end();
    },
  },
  'a flood after the handshake': { after: (socket) => flood(socket, Buffer.alloc(65_536, 'x')) },
  'TLS records of one byte': { after: crumble },
  'new handshakes without end': {
    maxVersion: 'TLSv1.2',
    after(socket) {
      const again = (): void => {
        socket.renegotiate({}, (error) => {
          if (error === null) setImmediate(again);
        });
      };
      again();
      socket.resume();
    },
  },
  'nothing is read': { after: (socket) => void socket.pause() },
  'a byte is read at a time': {
    after(socket) {
      socket.pause();
      const timer = setInterval(() => socket.read(1), 100);
      socket.once('close', () => clearInterval(timer));
    },
  },
};

/** Ends with the test. */
export function openHostileSyslog(owner: Owner, misdeed: SyslogMisdeed): Promise<HostileServer> {
  const { handshake, after, maxVersion } = misdeed;
  const serve = (socket: Socket, _taken: number, secureContext: SecureContext): void => {
    if (handshake !== undefined) return handshake(socket);
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    secure.on('error', () => undefined);
    secure.once('secure', () => {
      if (after === undefined) secure.resume();
      else after(secure);
    });
  };
  return openHostileServer(owner, serve, maxVersion === undefined ? {} : { maxVersion });
}
