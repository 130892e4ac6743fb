// Accepts clients on a listening socket that somebody else made, UNIX or TCP. It does not know who that was.
// The rule: path, mode and owner of the socket are left alone, and so is its queue of those who wait to be accepted: they
// are served by whoever accepts next.

import { type AddressInfo, isIP } from 'node:net';
import type { Clock } from '../../ports/clock.js';
import {
  type Accept,
  type BoundListener,
  backlog,
  createAcceptor,
  ListenFault,
  type SocketQuestions,
} from './listen.js';

/** A listening socket, and what it is called in messages. */
export interface InheritedSocket {
  readonly name: string;
  /** Belongs to the listener from now on, and is closed with it. */
  readonly descriptor: number;
}

/** It accepts; `address` is where, for TCP. */
export interface InheritedListener extends Pick<BoundListener, 'close'> {
  readonly address: string | undefined;
}

/** Hands what it accepts to `accept`; the rest is as with `listenUnix`. */
export async function listenInherited(
  socket: InheritedSocket,
  clock: Clock,
  accept: Accept,
  onError: (text: string) => void,
  kernel?: SocketQuestions,
): Promise<InheritedListener> {
  const { name, descriptor } = socket;
  const server = createAcceptor(clock, accept, kernel);
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new ListenFault(`${name}: the inherited socket cannot be used: ${cause.message}`, cause));
    server.once('error', fail);
    // Node calls listen(2) again, which sets the length of the queue anew: it must be said here, and as an argument, since
    // as an option it is not looked at beside `fd`.
    server.listen({ fd: descriptor }, backlog, () => {
      server.off('error', fail);
      resolve();
    });
  });
  server.on('error', (cause) => onError(`${name}: ${cause.message}`));
  return {
    address: addressOf(server.address()),
    close() {
      server.close();
      return Promise.resolve();
    },
  };
}

function addressOf(address: AddressInfo | string | null): string | undefined {
  return typeof address === 'object' && isIP(address?.address ?? '') !== 0 ? address?.address : undefined;
}
