// Peers that vanish without an event: of a socket that has ended its side, or of which no more is read, only the kernel
// knows whether anybody is still there. It does not know what is done about it.

import type { Clock, Timer } from '../../ports/clock.js';

/** Between two questions whether a peer is gone. */
const pollMs = 250;

/** Asks again and again, from `watch` to `stop`. */
export interface HangUpPoll {
  /** From now on; while it is watched already, nothing changes. */
  watch(): void;
  stop(): void;
}

/** `onHungUp` is called once for each watch that finds the peer gone; `isNeeded` is asked before each question. */
export function createHangUpPoll(
  clock: Clock,
  hasHungUp: () => boolean,
  isNeeded: () => boolean,
  onHungUp: () => void,
): HangUpPoll {
  let timer: Timer | undefined;
  function watch(): void {
    if (timer !== undefined || !isNeeded()) return;
    timer = clock.setTimer(pollMs, () => {
      timer = undefined;
      if (hasHungUp()) onHungUp();
      else watch();
    });
  }
  return {
    watch,
    stop() {
      timer?.cancel();
      timer = undefined;
    },
  };
}
