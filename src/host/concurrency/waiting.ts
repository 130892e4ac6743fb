// Waiting for a time, or for a wake-up by other code; an abort ends both, and leaves nothing behind.

import type { Clock } from '../ports/machine.js';

type Timers = Pick<Clock, 'setTimer'>;

/** Resolves after so long, or at the abort. */
export function pause(clock: Timers, ms: number, signal?: AbortSignal): Promise<void> {
  return new Wakes().next(signal, { clock, ms });
}

/** `isKept`: a wake while nobody waits counts for the next waiter. */
export class Wakes {
  readonly #waiting = new Set<() => void>();
  readonly #isKept: boolean;
  #isDue = false;

  constructor(isKept = false) {
    this.#isKept = isKept;
  }

  wake(): void {
    this.#isDue = this.#isKept && this.#waiting.size === 0;
    for (const wake of this.#waiting) wake();
  }

  /** Resolves with the next `wake`, at the abort, or when the time is over. */
  next(signal?: AbortSignal, within?: { readonly clock: Timers; readonly ms: number }): Promise<void> {
    if (this.#isDue) {
      this.#isDue = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const wake = (): void => {
        timer?.cancel();
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = within?.clock.setTimer(within.ms, wake);
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
      if (signal?.aborted === true) wake();
    });
  }
}
