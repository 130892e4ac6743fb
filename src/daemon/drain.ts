// The end of the daemon's service: what runs is waited for within its time, then told and given up, then cut.
// It does not know listeners or the journal. The rule: it ends in bounded time, whatever a backend or a client does.

import type { Pool } from '../backend/pool-options.js';
import type { Service } from '../frontend/service.js';
import { onSignal } from '../host/signals.js';
import type { Clock } from '../ports/clock.js';

/** From giving up to cutting: long enough to say so to every client that reads. */
const tellMs = 1_000;
/** From cutting to not waiting any longer: a transport that was cut is gone at once. */
const cutMs = 1_000;

/**
 * Ends all sessions: idle ones now, the others after their exchange. When `drainMs` are over, or at a second signal, what
 * waits is refused and what runs is given up, both told to their clients; a moment later they are cut. Never rejects.
 */
export function drain(
  service: Service,
  pools: readonly Pool[],
  drainMs: number,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve) => {
    let isHurried = false;
    let timer = clock.setTimer(drainMs, hurry);
    const off = onSignal(['SIGTERM', 'SIGINT'], hurry);
    function end(): void {
      timer.cancel();
      off();
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
