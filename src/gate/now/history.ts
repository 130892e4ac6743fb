// How many commands ended in each of the last ten minutes' seconds, and how many of them failed or were denied. `ended` runs for every
// command, so it allocates nothing. The memory is the same after a year.

import { classOfOutcome } from '../outcome/class.js';

/** Ten minutes, and the second that runs. */
const secondsKept = 601;
const stepSeconds = 5;

export type CountedAs = 'other' | 'failed' | 'denied';

/** A client that left is no failure; what may have run is one. */
export function countedAs(outcome: string): CountedAs {
  const as = classOfOutcome(outcome);
  if (as === 'ok' || outcome === 'aborted') return 'other';
  return as === 'denied' ? 'denied' : 'failed';
}

export interface Rates {
  /** Commands a second, of the last five whole seconds. */
  readonly perSecond: number;
  /** The same of ten minutes, one number for each 5 s, oldest first; at most 120. */
  readonly history: readonly number[];
  readonly failed: number;
  readonly denied: number;
}

/** Counts from the second in which it was made. Times are milliseconds of a clock that never goes back. */
export class History {
  readonly #all = new Uint32Array(secondsKept);
  readonly #failed = new Uint32Array(secondsKept);
  readonly #denied = new Uint32Array(secondsKept);
  readonly #first: number;
  #second: number;

  constructor(nowMs: number) {
    this.#first = Math.floor(nowMs / 1000);
    this.#second = this.#first;
  }

  ended(nowMs: number, as: CountedAs): void {
    this.#goTo(nowMs);
    const at = this.#second % secondsKept;
    this.#all[at] = (this.#all[at] ?? 0) + 1;
    if (as === 'failed') this.#failed[at] = (this.#failed[at] ?? 0) + 1;
    else if (as === 'denied') this.#denied[at] = (this.#denied[at] ?? 0) + 1;
  }

  rates(nowMs: number): Rates {
    this.#goTo(nowMs);
    const now = this.#second;
    const first = Math.max(this.#first, now - secondsKept + 1);
    const history: number[] = [];
    // Steps begin at multiples of 5 s, so that a number does not change any more once it is there.
    const from = Math.ceil(first / stepSeconds) * stepSeconds;
    for (let at = from; at + stepSeconds <= now; at += stepSeconds) history.push(this.#rate(at));
    return {
      perSecond: this.#rate(now - stepSeconds),
      history,
      failed: sum(this.#failed),
      denied: sum(this.#denied),
    };
  }

  #rate(from: number): number {
    let count = 0;
    for (let at = Math.max(0, from); at < from + stepSeconds; at += 1)
      count += this.#all[at % secondsKept] ?? 0;
    return count / stepSeconds;
  }

  /** Seconds in which nothing ended are emptied when the next one begins. */
  #goTo(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second <= this.#second) return;
    const empty = Math.min(second - this.#second, secondsKept);
    for (let at = second - empty + 1; at <= second; at += 1) {
      this.#all[at % secondsKept] = 0;
      this.#failed[at % secondsKept] = 0;
      this.#denied[at % secondsKept] = 0;
    }
    this.#second = second;
  }
}

function sum(counts: Uint32Array): number {
  let all = 0;
  for (const count of counts) all += count;
  return all;
}
