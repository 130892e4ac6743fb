// How far a long read of the stream is, in one line of a terminal that is written again and again.

import { systemClock } from '../../host/machine/clock.js';

const quietMs = 2_000;
const everyMs = 500;

/** `total`: messages to read. Nothing is shown in the first 2 s. */
export function createProgress(isShown: boolean, total: number) {
  const startMs = systemClock.now();
  let drawnMs = startMs + quietMs - everyMs;
  let isDrawn = false;
  return {
    show(messages: number, records: number): void {
      const nowMs = isShown ? systemClock.now() : 0;
      if (nowMs - drawnMs < everyMs) return;
      drawnMs = nowMs;
      isDrawn = true;
      const pace = Math.round(records / ((nowMs - startMs) / 1000));
      const part = total === 0 ? 100 : Math.min(100, Math.floor((messages / total) * 100));
      process.stderr.write(
        `\r\x1b[K${part} %: ${messages} of ${total} messages, ${records} records, ${pace} a second`,
      );
    },
    clear(): void {
      if (isDrawn) process.stderr.write('\r\x1b[K');
      isDrawn = false;
    },
  };
}
