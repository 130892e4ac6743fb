// The connections of one admin socket: how many there are at once, how long each may take, and which one is closed for a new one.
// The rule: connections that only occupy a place never keep a new one out. So a probe is answered whatever strangers do.

import type { Clock } from '../../ports/machine.js';

/** What is needed of a connection; a socket of Node has it. */
export interface Connection {
  readonly bytesRead: number;
  destroy(): unknown;
  once(event: 'close', run: () => void): unknown;
}

/** The connections of one socket. */
export interface Connections<C extends Connection> {
  /** A connection was accepted. It is closed when its time is over, and another one when there are too many. */
  accepted(connection: C): void;
  /** Its request has come whole; the answer is being made. */
  asked(connection: C): void;
  /** Its answer was written; the client has to read it. */
  answered(connection: C): void;
}

/** Of one socket, at once. A scraper, a probe and an operator need three; the others leave a slow client time to send its request. */
export const connectionsMax = 64;
/** From accept to the first byte. Clients connect in order to send. */
const firstByteMs = 1_000;
/** From accept to the last byte of the answer: a client that is slow on purpose holds a place no longer than that. */
const connectionMs = 10_000;

/**
 * Waiting for the request, making the answer, or waiting for the client to read it. Silent connections and half requests are one
 * stage: if silent ones went first, one byte from each of a stranger's connections would make all probes go first.
 */
type Stage = 'waiting' | 'working' | 'answered';

/** Without connections. */
export function createConnections<C extends Connection>(clock: Clock): Connections<C> {
  /** In the order of their accept. */
  const open = new Map<C, Stage>();

  /** The oldest of a stage. */
  const oldest = (stage: Stage): C | undefined => [...open].find(([, its]) => its === stage)?.[0];

  function become(connection: C, stage: Stage): void {
    if (open.has(connection)) open.set(connection, stage);
  }

  return {
    accepted(connection) {
      if (open.size >= connectionsMax) {
        // Of 64 answers that are being made at once, none is given up: then the new one is closed.
        const going = oldest('waiting') ?? oldest('answered') ?? connection;
        open.delete(going);
        going.destroy();
        if (going === connection) return;
      }
      open.set(connection, 'waiting');
      let timer = clock.setTimer(firstByteMs, () => {
        if (connection.bytesRead === 0) connection.destroy();
        else timer = clock.setTimer(connectionMs - firstByteMs, () => connection.destroy());
      });
      connection.once('close', () => {
        timer.cancel();
        open.delete(connection);
      });
    },
    asked: (connection) => become(connection, 'working'),
    answered: (connection) => become(connection, 'answered'),
  };
}
