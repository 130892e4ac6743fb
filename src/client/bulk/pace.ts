// Limits the rate of a bulk run: a number of commands per second, and pauses that the server asked for.

import { pause } from '../../host/concurrency/waiting.js';
import type { Clock } from '../../host/ports/machine.js';

export type Pace = ReturnType<typeof createPace>;

/** The longest delay of a timer; longer waits check again. */
const sleepMsMax = 24 * 3_600_000;

/** `perSecond`: undefined: as fast as the server answers. */
export function createPace(clock: Clock, perSecond: number | undefined) {
  const everyMs = perSecond === undefined ? 0 : 1000 / perSecond;
  let nextMs = clock.now();
  let heldUntilMs = clock.now();
  return {
    /** Resolves when one more may be sent, which then counts as sent. Rejects with the reason of the signal. */
    async turn(signal: AbortSignal): Promise<void> {
      for (;;) {
        signal.throwIfAborted();
        const nowMs = clock.now();
        const dueMs = Math.max(nextMs, heldUntilMs);
        if (dueMs <= nowMs) {
          // A timer that fires late does not reduce the rate, and a pause does not allow a burst afterwards.
          nextMs = Math.max(nextMs + everyMs, nowMs);
          return;
        }
        await pause(clock, Math.min(dueMs - nowMs, sleepMsMax), signal);
      }
    },
    /** Sends nothing for this time. */
    hold(ms: number): void {
      heldUntilMs = Math.max(heldUntilMs, clock.now() + ms);
    },
    get heldMs(): number {
      return Math.max(0, heldUntilMs - clock.now());
    },
  };
}

/** `10/s`, `100/m`, `5/h`, `0.5/s`, as commands a second; undefined: it is not a pace. */
export function parsePace(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,6})?)\/(s|m|h)$/.exec(text) ?? [];
  const count = Number(digits);
  if (!(count > 0)) return undefined;
  return count / (unit === 's' ? 1 : unit === 'm' ? 60 : 3600);
}
