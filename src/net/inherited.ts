// Accepts clients on a listening UNIX socket that somebody else made. It does not know who that was.
// The rule: path, mode and owner of the socket are left alone, and so is its queue of those who wait to be accepted: they
// are served by whoever accepts next.

import { createServer } from 'node:net';
import type { Clock } from '../ports/clock.js';
import type { Transport } from '../ports/transport.js';
import {
  type BoundListener,
  backlog,
  descriptorOf,
  type HasHungUp,
  ListenFault,
  wrapAccepted,
} from './listen.js';

/** A listening socket, and what it is called in messages. */
export interface InheritedSocket {
  readonly name: string;
  /** Belongs to the listener from now on, and is closed with it. */
  readonly descriptor: number;
}

/** Hands each accepted transport to `accept`, with the descriptor below it; the rest is as with `listenUnix`. */
export async function listenInherited(
  socket: InheritedSocket,
  clock: Clock,
  accept: (transport: Transport, descriptor: number | undefined) => void,
  onError: (text: string) => void,
  hasHungUp?: HasHungUp,
): Promise<Pick<BoundListener, 'close'>> {
  const { name, descriptor } = socket;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (accepted) =>
    accept(wrapAccepted(accepted, clock, hasHungUp), descriptorOf(accepted)),
  );
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
    close() {
      server.close();
      return Promise.resolve();
    },
  };
}
