// Wakes the one who waits.
// The rule: a ring is not lost when nobody waits yet.

import type { Clock, Timer } from '../ports/machine.js';

/** For one waiter at a time. */
export interface Bell {
  ring(): void;
  /** Resolves with the next ring, or at once with one that nobody heard; with a time: then at the latest. */
  wait(ms?: number): Promise<void>;
}

/** A bell that nobody has rung. */
export function createBell(clock: Clock): Bell {
  let heard: (() => void) | undefined;
  let isRung = false;
  return {
    ring() {
      if (heard === undefined) isRung = true;
      else heard();
    },
    wait(ms) {
      if (isRung) {
        isRung = false;
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        let timer: Timer | undefined;
        heard = () => {
          heard = undefined;
          timer?.cancel();
          resolve();
        };
        if (ms !== undefined) timer = clock.setTimer(ms, heard);
      });
    },
  };
}
