// Receivers of syslog that harm the sender: before TLS, during it, and with a valid certificate after it.

import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { makeAuthority } from './certificates.js';
import { endBefore, type Owner, openFolder } from './folder.js';
import { drip, flood } from './hostile-nats.js';

/** What is wrong with a receiver. */
export interface SyslogMisdeed {
  /** Instead of TLS. */
  readonly handshake?: (socket: Socket) => void;
  /** After the handshake. */
  readonly after?: (socket: TLSSocket) => void;
  readonly maxVersion?: 'TLSv1.2';
}

export interface HostileSyslog {
  readonly port: number;
  readonly caFile: string;
  /** Connections that were taken. */
  readonly taken: number;
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
export async function openHostileSyslog(owner: Owner, misdeed: SyslogMisdeed): Promise<HostileSyslog> {
  const folder = openFolder(owner);
  const authority = makeAuthority({ name: 'authority of a hostile receiver' });
  const { certificatePem, keyPem } = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, authority.certificatePem);
  const { maxVersion } = misdeed;
  const secureContext = createSecureContext({
    cert: certificatePem,
    key: keyPem,
    ...(maxVersion !== undefined && { maxVersion }),
  });
  const sockets = new Set<Socket>();
  let taken = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    taken += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    if (misdeed.handshake !== undefined) return misdeed.handshake(socket);
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    secure.on('error', () => undefined);
    secure.once('secure', () => {
      if (misdeed.after === undefined) secure.resume();
      else misdeed.after(secure);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  endBefore(folder, async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  });
  const bound = server.address();
  if (typeof bound !== 'object' || bound === null) throw new Error('it does not listen');
  return {
    port: bound.port,
    caFile,
    get taken() {
      return taken;
    },
  };
}
