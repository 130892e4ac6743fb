// The states that `admin.door` sends to `now`. While somebody watches, a complete state is made each second, and earlier when the daemon
// gets better or worse. Nothing is made while nobody watches. A slow watcher skips states, and nothing is kept for it.

import { Wakes } from '../../host/concurrency/waiting.js';
import type { Clock } from '../../host/ports/machine.js';
import type { DoorNow } from '../door/door.js';

export interface NowStatesParts {
  readonly clock: Pick<Clock, 'now' | 'setTimer'>;
  readonly make: () => DoorNow;
  readonly onFailed: (fault: unknown) => void;
  readonly onWatched?: (isWatched: boolean) => void;
}

/** Longest time between two states: a page turns grey after 5 s without one. */
const paceMs = 1_000;
/** States made early may take at most a twentieth of the time. */
const dutyMin = 20;

export class NowStates {
  readonly #parts: NowStatesParts;
  readonly #wakes = new Wakes();
  #watchers = 0;
  /** The newest state; empty: none was made yet. */
  #line = '';
  #madeMs = Number.NEGATIVE_INFINITY;
  #costMs = 0;
  #hasTurned = false;

  constructor(parts: NowStatesParts) {
    this.#parts = parts;
  }

  /** Yields the newest state as a line, then each later one, until the abort. Counts as a watcher while it is read. */
  async *watch(signal: AbortSignal): AsyncGenerator<string> {
    const { clock, onWatched } = this.#parts;
    this.#watchers += 1;
    if (this.#watchers === 1) onWatched?.(true);
    try {
      for (let seen = ''; !signal.aborted; ) {
        // A watcher that reconnects in a loop causes no more states than `hurry` does.
        const isUrgent = this.#hasTurned || seen === '';
        const leftMs = this.#madeMs + (isUrgent ? this.#hurryMs : paceMs) - clock.now();
        if (leftMs <= 0) this.#make();
        if (this.#line === seen) await this.#wakes.next(signal, { clock, ms: Math.max(0, leftMs) });
        else {
          seen = this.#line;
          yield seen;
        }
      }
    } finally {
      this.#watchers -= 1;
      if (this.#watchers === 0) onWatched?.(false);
    }
  }

  /** Call when the daemon got better or worse: the next state is made now, or once `#hurryMs` has passed since the last one. */
  hurry(): void {
    this.#hasTurned = true;
    this.#wakes.wake();
  }

  get #hurryMs(): number {
    return Math.max(200, Math.min(paceMs, dutyMin * this.#costMs));
  }

  #make(): void {
    const { clock, make, onFailed } = this.#parts;
    const startMs = clock.now();
    try {
      this.#line = `${JSON.stringify(make())}\n`;
    } catch (fault) {
      // A bug: watchers get no new state, and commands are served all the same.
      onFailed(fault);
    }
    this.#hasTurned = false;
    this.#madeMs = clock.now();
    this.#costMs = this.#madeMs - startMs;
    this.#wakes.wake();
  }
}
