// The machine's clocks, timers and random bytes: the only file that reads the time from the globals.

import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import type { Clock, Timer } from '../ports/machine.js';

/** A class, because every command has several of them. */
class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(ms: number, run: () => void) {
    this.#timeout = setTimeout(run, ms);
    this.#timeout.unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}

export const systemClock: Clock = {
  // The functions themselves: they are called some thirty times for each command, and a wrapper would double their cost.
  now: performance.now.bind(performance),
  wallMs: Date.now,
  setTimer: (ms, run) => new SystemTimer(ms, run),
  nextTurn: setImmediate,
};

const poolBytes = 4096;
let pool = new Uint8Array(0);
let at = 0;

/** `count` bytes (at most 4096) from the system's generator; no byte is used twice. */
export function randomBytes(count: number): Uint8Array {
  if (at + count > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(poolBytes));
    at = 0;
  }
  at += count;
  return pool.subarray(at - count, at);
}

export function randomFraction(): number {
  const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
  return (((a * 256 + b) * 256 + c) * 256 + d) / 2 ** 32;
}
