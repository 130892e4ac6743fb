// The machine's clocks and timers, behind the port: the only file that reads the time from the globals.

import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from '../../ports/clock.js';

/** A class, since every command has some of them. */
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

/** The clocks of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (ms, run) => new SystemTimer(ms, run),
  nextTurn: () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    }),
};
