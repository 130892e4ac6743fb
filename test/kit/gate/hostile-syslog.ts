// Receivers of syslog that harm the sender: before TLS, during it, and with a valid certificate after it.

import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Owner } from '../plain/folder.js';
import { drip, flood, type HostileServer, openHostileServer } from './hostile-nats.js';

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
