// Makes TCP sockets: for a server that takes what it accepts itself, and for one whose clients become transports. It does not
// know what is spoken there, or who may come: that an address is one of this machine only is for the configuration to say.

import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Clock } from '../ports/clock.js';
import type { Transport } from '../ports/transport.js';
import { type BoundListener, descriptorOf, ListenFault, backlog as listenerBacklog } from './listen.js';
import { wrapSocket } from './transport.js';

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

/** Who waits to be accepted where operators come: a burst, no more. */
const backlog = 64;

/**
 * Binds `place` and hands each accepted transport to `accept`, with the descriptor below it. Rejects with a ListenFault.
 * `onError` is told of errors of the listening socket; accepting goes on.
 */
export function listenTcp(
  place: TcpPlace,
  clock: Clock,
  accept: (transport: Transport, descriptor: number | undefined) => void,
  onError: (text: string) => void,
): Promise<BoundTcp> {
  const options = { allowHalfOpen: true, pauseOnConnect: false, noDelay: true, keepAlive: true } as const;
  const server = createServer(options, (socket) => accept(wrapSocket(socket, clock), descriptorOf(socket)));
  return bindTcp(server, place, onError, listenerBacklog);
}

/** Binds `place`. Rejects with a ListenFault. `onError` is told of errors of the listening socket; accepting goes on. */
export async function bindTcp(
  server: Server,
  place: TcpPlace,
  onError: (text: string) => void,
  backlogMax = backlog,
): Promise<BoundTcp> {
  const { host, port } = place;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new ListenFault(`${where}: the socket cannot be made: ${cause.message}`, cause));
    server.once('error', fail);
    server.listen({ host, port, backlog: backlogMax, exclusive: true }, () => {
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
