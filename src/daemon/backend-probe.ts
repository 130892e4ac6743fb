// Keeps what is known of backends fresh while no client asks: a backend with no upstream at all is dialled now and then,
// by leasing an upstream for nothing. It does not judge what comes of it: the pool tells its observers.
// The rule: a probe never stands in a client's way, and is never more than one dial at a time for each backend.

import type { Pool } from '../backend/pool-options.js';
import type { Clock } from '../ports/clock.js';

/** Probing that goes on. */
export interface BackendProbe {
  end(): void;
}

/** A dial fails within 5 s by default; with this much before it, a fault shows within 10 s, and its end too. */
const intervalMs = 3_000;

/** Probes `pools` from now on. An upstream that a probe opened is idle then, and ages as any other. */
export function startBackendProbe(pools: readonly Pool[], clock: Clock): BackendProbe {
  const never = new AbortController();
  let timer = clock.setTimer(intervalMs, probe);
  function probe(): void {
    for (const pool of pools) {
      const { dialing, idle, leased, waiters } = pool.snapshot();
      if (dialing + idle + leased + waiters > 0) continue;
      pool
        .withLease(
          () => never.signal,
          () => Promise.resolve({ value: undefined, closeFor: undefined }),
        )
        // The pool has told it.
        .catch(() => undefined);
    }
    timer = clock.setTimer(intervalMs, probe);
  }
  return { end: () => timer.cancel() };
}
