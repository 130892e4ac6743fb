// The end of the daemon's service: what runs is waited for within its time, then told and given up, then cut.
// It does not know listeners or the journal. The rule: it ends in bounded time, whatever a backend or a client does.

import { onSignal } from '../adapters/host/signals.js';
import type { Pool } from '../gateway/pool/pool.js';
import type { Service } from '../gateway/session/service.js';
import type { Clock } from '../ports/clock.js';

/** From giving up to cutting: long enough to say so to every client that reads. */
const tellMs = 1_000;
/** From cutting to not waiting any longer: a transport that was cut is gone at once. */
const cutMs = 1_000;

/** The signals that ask for an end: the first for an orderly one, the second for one now. */
export interface StopRequests {
  readonly first: Promise<'stop'>;
  readonly second: Promise<'now'>;
}

/** Listens from now on, without a gap between the two. */
export function createStopRequests(): StopRequests {
  let count = 0;
  let askFirst: (value: 'stop') => void = () => undefined;
  let askSecond: (value: 'now') => void = () => undefined;
  const first = new Promise<'stop'>((resolve) => {
    askFirst = resolve;
  });
  const second = new Promise<'now'>((resolve) => {
    askSecond = resolve;
  });
  onSignal(['SIGTERM', 'SIGINT'], () => {
    count += 1;
    if (count === 1) askFirst('stop');
    else askSecond('now');
  });
  return { first, second };
}

/**
 * Ends all sessions: idle ones now, the others after their exchange. When `drainMs` are over, or at a second signal, what
 * waits is refused and what runs is given up, both told to their clients; a moment later they are cut. Never rejects.
 */
export function drain(
  service: Service,
  pools: readonly Pool[],
  drainMs: number,
  clock: Clock,
  hurried: Promise<unknown>,
): Promise<void> {
  return new Promise((resolve) => {
    let isHurried = false;
    let timer = clock.setTimer(drainMs, hurry);
    void hurried.then(hurry);
    function end(): void {
      isHurried = true;
      timer.cancel();
      resolve();
    }
    function hurry(): void {
      if (isHurried) return;
      isHurried = true;
      timer.cancel();
      for (const pool of pools) pool.drain();
      service.abort();
      timer = clock.setTimer(tellMs, () => {
        service.cut();
        timer = clock.setTimer(cutMs, end);
      });
    }
    service.drain().then(end, end);
  });
}
