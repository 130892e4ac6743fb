// Makes TCP sockets: for a server that takes what it accepts itself, and for one whose clients become transports. It does not
// know what is spoken there, or who may come: that an address is one of this machine only is for the configuration to say.

import type { AddressInfo, Server } from 'node:net';
import type { Clock } from '../../ports/clock.js';
import {
  type Accept,
  type BoundListener,
  backlog,
  createAcceptor,
  ListenFault,
  type SocketQuestions,
} from './listen.js';

/** Where to listen. */
export interface TcpPlace {
  /** A name or an address without brackets. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** A bound socket, and the port that it got. */
export interface BoundTcp extends Pick<BoundListener, 'close'> {
  readonly port: number;
}

/** Binds `place` and hands what it accepts to `accept`. The rest is as with `listenUnix`. */
export function listenTcp(
  place: TcpPlace,
  clock: Clock,
  accept: Accept,
  onError: (text: string) => void,
  kernel?: SocketQuestions,
): Promise<BoundTcp> {
  return bindTcp(createAcceptor(clock, accept, kernel), place, onError);
}

/** Binds `place`. Rejects with a ListenFault. `onError` is told of errors of the listening socket; accepting goes on. */
export async function bindTcp(
  server: Server,
  place: TcpPlace,
  onError: (text: string) => void,
): Promise<BoundTcp> {
  const { host, port } = place;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void => {
      const isTaken = 'code' in cause && cause.code === 'EADDRINUSE';
      const text = isTaken ? 'another process listens there' : cause.message;
      reject(new ListenFault(`${where}: the socket cannot be made: ${text}`, cause));
    };
    server.once('error', fail);
    server.listen({ host, port, backlog, exclusive: true }, () => {
      server.off('error', fail);
      resolve();
    });
  });
  server.on('error', (cause) => onError(`${where}: ${cause.message}`));
  const address = server.address();
  return {
    port: isAddress(address) ? address.port : port,
    close() {
      // As with UNIX sockets: who waits for the accepted ones waits on its own.
      server.close();
      return Promise.resolve();
    },
  };
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
