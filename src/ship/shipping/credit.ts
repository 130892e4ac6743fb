// Limits the objects that a store gets in a day: credit is earned evenly, and some is saved for a busy hour.

import type { Clock } from '../../host/ports/machine.js';

const dayMs = 86_400_000;
const savedMax = 60;

export function createCredit(perDay: number, clock: Pick<Clock, 'now'>) {
  const everyMs = dayMs / perDay;
  let saved = savedMax;
  let atMs = clock.now();
  const earn = (): void => {
    saved = Math.min(savedMax, saved + (clock.now() - atMs) / everyMs);
    atMs = clock.now();
  };
  return {
    /** 0: there is credit. */
    waitMs(): number {
      earn();
      return saved >= 1 ? 0 : Math.ceil((1 - saved) * everyMs);
    },
    spend(): void {
      earn();
      saved = Math.max(0, saved - 1);
    },
  };
}
