// Measures how late the event loop is: with timers, which pause while nothing happens.

import type { Clock, Timer } from '../../host/ports/machine.js';

/** A longer block of the event loop is never missed. Ten wake-ups a second cost less than a thousandth of a processor. */
const paceMs = 100;

/** Beats without any work before they pause: 10 s. An unused daemon must not wake a processor ten times a second. */
const quietBeatsMax = 100;

/** Delays in milliseconds, until `end`. None come in a pause: a block before the first `noted` of new work is missed. */
export function watchLoopLag(clock: Clock, tell: (lagMs: number) => void) {
  let quietBeats = 0;
  let hasEnded = false;
  let dueMs = 0;
  let timer: Timer | undefined;
  start();
  function start(): void {
    dueMs = clock.now() + paceMs;
    timer = clock.setTimer(paceMs, beat);
  }
  function beat(): void {
    timer = undefined;
    tell(Math.max(0, clock.now() - dueMs));
    quietBeats += 1;
    if (quietBeats < quietBeatsMax) start();
  }
  return {
    /** Call at every event: beats continue, or start again after a pause. Cheap. */
    noted(): void {
      quietBeats = 0;
      if (timer === undefined && !hasEnded) start();
    },
    end(): void {
      hasEnded = true;
      timer?.cancel();
    },
  };
}
