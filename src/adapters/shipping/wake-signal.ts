// Wakes the one script that waits.
// The rule: a signal is not lost when nothing waits yet.

import type { Clock, Timer } from '../../ports/machine.js';

/** For one waiter at a time. */
export class WakeSignal {
  readonly #clock: Clock;
  #heard: (() => void) | undefined;
  #isRung = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    if (this.#heard === undefined) this.#isRung = true;
    else this.#heard();
  }

  /** Resolves with the next ring, or at once with one that came before; with a time: then at the latest. */
  wait(ms?: number): Promise<void> {
    if (this.#isRung) {
      this.#isRung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const heard = (): void => {
        this.#heard = undefined;
        timer?.cancel();
        resolve();
      };
      this.#heard = heard;
      if (ms !== undefined) timer = this.#clock.setTimer(ms, heard);
    });
  }
}
