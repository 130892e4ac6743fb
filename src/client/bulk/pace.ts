// Limits the rate of a bulk run: a number of commands per second, and pauses that the server asked for.

import type { Clock } from '../../host/ports/machine.js';

export interface Pace {
  /** Resolves when one more may be sent, which then counts as sent. Rejects with the reason of the signal. */
  turn(signal: AbortSignal): Promise<void>;
  /** Sends nothing for this time. */
  hold(ms: number): void;
  readonly heldMs: number;
}

/** The longest delay of a timer; longer waits check again. */
const sleepMsMax = 24 * 3_600_000;

/** `perSecond`: undefined: as fast as the server answers. */
export function createPace(clock: Clock, perSecond: number | undefined): Pace {
  const everyMs = perSecond === undefined ? 0 : 1000 / perSecond;
  let nextMs = clock.now();
  let heldUntilMs = clock.now();
  return {
    async turn(signal) {
      for (;;) {
        signal.throwIfAborted();
        const nowMs = clock.now();
        const dueMs = Math.max(nextMs, heldUntilMs);
        if (dueMs <= nowMs) {
          // A timer that fires late does not reduce the rate, and a pause does not allow a burst afterwards.
          nextMs = Math.max(nextMs + everyMs, nowMs);
          return;
        }
        await sleep(clock, dueMs - nowMs, signal);
      }
    },
    hold(ms) {
      heldUntilMs = Math.max(heldUntilMs, clock.now() + ms);
    },
    get heldMs() {
      return Math.max(0, heldUntilMs - clock.now());
    },
  };
}

/** Rejects with the reason of the signal. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel();
      reject(signal.reason instanceof Error ? signal.reason : new Error('canceled'));
    };
    const timer = clock.setTimer(Math.min(ms, sleepMsMax), () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** `10/s`, `100/m`, `5/h`, `0.5/s`, as commands a second; undefined: it is not a pace. */
export function parsePace(text: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,6})?)\/(s|m|h)$/.exec(text) ?? [];
  const count = Number(digits);
  if (!(count > 0)) return undefined;
  return count / (unit === 's' ? 1 : unit === 'm' ? 60 : 3600);
}
