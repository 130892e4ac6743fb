// How far a long read of the store is, in one line of a terminal that is written again and again.

import { systemClock } from '../../host/machine/clock.js';

const quietMs = 2_000;
const everyMs = 500;

/** Nothing is shown in the first 2 s. */
export function createProgress(isShown: boolean) {
  const startMs = systemClock.now();
  let drawnMs = startMs + quietMs - everyMs;
  let isDrawn = false;
  return {
    show(objects: number, records: number): void {
      const nowMs = isShown ? systemClock.now() : 0;
      if (nowMs - drawnMs < everyMs) return;
      drawnMs = nowMs;
      isDrawn = true;
      const pace = Math.round(records / ((nowMs - startMs) / 1000));
      process.stderr.write(`\r\x1b[K${objects} objects, ${records} records, ${pace} a second`);
    },
    clear(): void {
      if (isDrawn) process.stderr.write('\r\x1b[K');
      isDrawn = false;
    },
  };
}
