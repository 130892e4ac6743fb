// How many commands ended in each of the last ten minutes' seconds, and how many of them failed or were denied. `ended` runs for every
// command, so it allocates nothing. The memory is the same after a year.

import { classOfOutcome } from '../outcome/class.js';
import type { NowTiles } from './now.js';

/** Ten minutes, and the current second. */
const secondsKept = 601;
const stepSeconds = 5;

export type CountedAs = 'other' | 'failed' | 'denied';

/** A client that left does not count as a failure; a command that may have run does. */
export function countedAs(outcome: string): CountedAs {
  const as = classOfOutcome(outcome);
  if (as === 'ok' || outcome === 'aborted') return 'other';
  return as === 'denied' ? 'denied' : 'failed';
}

/** Counts of something in each of the last seconds. Times are milliseconds of a clock that never goes back. */
export class PerSecond {
  readonly #counts: Uint32Array;
  #second = 0;

  constructor(seconds: number) {
    this.#counts = new Uint32Array(seconds);
  }

  add(nowMs: number): void {
    this.#goTo(nowMs);
    const at = this.#second % this.#counts.length;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** From one second up to, but not including, another; default: all that are kept. */
  sum(nowMs: number, from = 0, to = from + this.#counts.length): number {
    this.#goTo(nowMs);
    let all = 0;
    for (let at = Math.max(0, from); at < to; at += 1) all += this.#counts[at % this.#counts.length] ?? 0;
    return all;
  }

  /** Clears the seconds that passed without a count. */
  #goTo(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second <= this.#second) return;
    const { length } = this.#counts;
    for (let at = Math.max(this.#second + 1, second - length + 1); at <= second; at += 1)
      this.#counts[at % length] = 0;
    this.#second = second;
  }
}

/** Counts from the second in which it was made. */
export class History {
  readonly #all = new PerSecond(secondsKept);
  readonly #failed = new PerSecond(secondsKept);
  readonly #denied = new PerSecond(secondsKept);
  readonly #first: number;

  constructor(nowMs: number) {
    this.#first = Math.floor(nowMs / 1000);
  }

  ended(nowMs: number, as: CountedAs): void {
    this.#all.add(nowMs);
    if (as === 'failed') this.#failed.add(nowMs);
    else if (as === 'denied') this.#denied.add(nowMs);
  }

  rates(nowMs: number): Pick<NowTiles, 'perSecond' | 'history' | 'failed' | 'denied'> {
    const now = Math.floor(nowMs / 1000);
    const rate = (from: number): number => this.#all.sum(nowMs, from, from + stepSeconds) / stepSeconds;
    const first = Math.max(this.#first, now - secondsKept + 1);
    const history: number[] = [];
    // Steps begin at multiples of 5 s, so that a number does not change any more once it is there.
    const from = Math.ceil(first / stepSeconds) * stepSeconds;
    for (let at = from; at + stepSeconds <= now; at += stepSeconds) history.push(rate(at));
    return {
      perSecond: rate(now - stepSeconds),
      history,
      failed: this.#failed.sum(nowMs),
      denied: this.#denied.sum(nowMs),
    };
  }
}
