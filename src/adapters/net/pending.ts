// Promises that somebody else settles. It does not know sockets.

import type { TransportFault } from '../../ports/transport-fault.js';

/** The two ends of a promise that is still open. */
export interface Pending<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (fault: TransportFault) => void;
}

/** A wait for room. That nobody waits any more when it is rejected is no unhandled rejection. */
export interface Drain {
  readonly promise: Promise<void>;
  readonly pending: Pending<void>;
}

/** A wait that has begun. */
export function pendingDrain(): Drain {
  let pending: Pending<void> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    pending = { resolve, reject };
  });
  promise.catch(() => undefined);
  if (pending === undefined) throw new Error('a promise ran its executor late');
  return { promise, pending };
}

/** Something that happens once, and who waits for it. */
export class Latch {
  #isOpen = false;
  readonly #waiting: (() => void)[] = [];

  /** It has happened; again is no harm. */
  open(): void {
    this.#isOpen = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  wait(): Promise<void> {
    if (this.#isOpen) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
