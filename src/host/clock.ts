// The machine's clocks and timers, behind the port: the only file that reads the time from the globals.

import { performance } from 'node:perf_hooks';
import type { Clock } from '../ports/clock.js';

/** The clocks of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  nextTurn: () =>
    new Promise((resolve) => {
      setImmediate(resolve);
    }),
};
