// One exchange that waits for an upstream: until it gets one, is refused, gives up, or has waited too long.
// The rule: it leaves the queue exactly once, and its timer and listener go with it.

import type { Clock } from '../ports/clock.js';
import { LeaseRefusal } from './lease.js';
import type { Upstream } from './upstream.js';

/** In the queue of a pool. */
export interface Waiter {
  /** Takes only an upstream on which nothing ran before. */
  readonly isFresh: boolean;
  /** What it waits for. Rejects with what it was refused with, or with the signal's reason. */
  readonly upstream: Promise<Upstream>;
  resolve(upstream: Upstream): void;
  reject(fault: unknown): void;
}

/** A waiter; `leave` is called when it is settled, before its promise is. The signal is not aborted yet. */
export function createWaiter(
  signal: AbortSignal,
  timeoutMs: number,
  clock: Clock,
  isFresh: boolean,
  leave: () => void,
): Waiter {
  let take: (upstream: Upstream) => void = () => undefined;
  let refuse: (fault: unknown) => void = () => undefined;
  const upstream = new Promise<Upstream>((resolve, reject) => {
    take = resolve;
    refuse = reject;
  });
  const settle = (): void => {
    leave();
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  };
  const waiter: Waiter = {
    isFresh,
    upstream,
    resolve(given) {
      settle();
      take(given);
    },
    reject(fault) {
      settle();
      refuse(fault);
    },
  };
  const onAbort = (): void => waiter.reject(signal.reason);
  const timer = clock.setTimer(timeoutMs, () => waiter.reject(new LeaseRefusal('queue-timeout')));
  signal.addEventListener('abort', onAbort, { once: true });
  return waiter;
}
