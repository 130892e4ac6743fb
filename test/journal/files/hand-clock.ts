// A clock that a test turns by hand.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../src/host/ports/machine.js';

export interface HandClock extends Clock {
  /** Turns to the next timer and lets it fire; false: none is set. */
  turn(): boolean;
  readonly timers: number;
}

export function createHandClock(): HandClock {
  let nowMs = 1000;
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  return {
    now: () => nowMs,
    wallMs: () => 1_795_000_000_000 + nowMs,
    setTimer(ms, run) {
      const timer = { at: nowMs + ms, run };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    nextTurn: () => nextTurn(),
    turn() {
      const [next] = [...timers].toSorted((one, other) => one.at - other.at);
      if (next === undefined) return false;
      timers.delete(next);
      nowMs = Math.max(nowMs, next.at);
      next.run();
      return true;
    },
    get timers() {
      return timers.size;
    },
  };
}
