// Measures how late the event loop is: a timer that should fire at a fixed pace, and the time by which it does not. A block that is
// longer than the pace cannot be missed.

import type { Clock } from '../../ports/machine.js';

/** A measurement that goes on. */
export interface LoopLag {
  end(): void;
}

/** Ten wakes a second cost less than a thousandth of a processor. */
const paceMs = 100;

/** Calls `tell` at each beat with the milliseconds by which it came late, 0 at least. */
export function watchLoopLag(clock: Clock, tell: (lagMs: number) => void): LoopLag {
  let dueMs = clock.now() + paceMs;
  let timer = clock.setTimer(paceMs, beat);
  function beat(): void {
    const nowMs = clock.now();
    tell(Math.max(0, nowMs - dueMs));
    dueMs = nowMs + paceMs;
    timer = clock.setTimer(paceMs, beat);
  }
  return { end: () => timer.cancel() };
}
