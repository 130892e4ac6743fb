// The states that `admin.door` sends to `now`. While somebody watches, a complete state is made each second, and earlier when the daemon
// gets better or worse. Nothing is made while nobody watches. A slow watcher skips states, and nothing is kept for it.

import { Wakes } from '../../host/concurrency/waiting.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
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
  /** The newest state as a line, and its number. */
  #newest = { state: 0, line: '' };
  #madeMs = Number.NEGATIVE_INFINITY;
  #costMs = 0;
  #timer: Timer | undefined;

  constructor(parts: NowStatesParts) {
    this.#parts = parts;
  }

  /** Yields the newest state as a line, then each later one, until the abort. Counts as a watcher while it is read. */
  async *watch(signal: AbortSignal): AsyncGenerator<string> {
    this.#watchers += 1;
    try {
      if (signal.aborted) return;
      this.#begin();
      for (let seen = 0; !signal.aborted; ) {
        const { state, line } = this.#newest;
        if (seen === state) await this.#wakes.next(signal);
        else {
          seen = state;
          yield line;
        }
      }
    } finally {
      this.#watchers -= 1;
      if (this.#watchers === 0) this.#rest();
    }
  }

  /** Call when the daemon got better or worse: makes the next state now, or once `#hurryMs` has passed since the last one. */
  hurry(): void {
    if (this.#timer !== undefined)
      this.#later(Math.max(0, this.#madeMs + this.#hurryMs - this.#parts.clock.now()));
  }

  #begin(): void {
    const isFirst = this.#timer === undefined;
    if (isFirst) this.#parts.onWatched?.(true);
    // A watcher that reconnects in a loop causes no more states than `hurry` does.
    if (this.#parts.clock.now() - this.#madeMs >= this.#hurryMs) this.#make();
    if (isFirst) this.#later(paceMs);
  }

  #rest(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#parts.onWatched?.(false);
  }

  get #hurryMs(): number {
    return Math.max(200, Math.min(paceMs, dutyMin * this.#costMs));
  }

  #later(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.setTimer(ms, () => {
      try {
        this.#make();
      } catch (fault) {
        // A bug: watchers get no new state, and commands are served all the same.
        this.#parts.onFailed(fault);
        this.#madeMs = this.#parts.clock.now();
      }
      if (this.#timer !== undefined) this.#later(paceMs);
    });
  }

  #make(): void {
    const { clock, make } = this.#parts;
    const startMs = clock.now();
    this.#newest = { state: this.#newest.state + 1, line: `${JSON.stringify(make())}\n` };
    this.#madeMs = clock.now();
    this.#costMs = this.#madeMs - startMs;
    this.#wakes.wake();
  }
}
