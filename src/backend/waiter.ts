// One exchange that waits for an upstream: until it gets one, is refused, gives up, or has waited too long. Meanwhile it is
// told now and then where it stands. It does not enter or leave the queue by itself.
// The rule: it is settled exactly once, and its timer and listener go with that.

import type { Clock, Timer } from '../ports/clock.js';
import type { FairQueue, Queued } from './fair-queue.js';
import { type LeaseOptions, LeaseRefusal } from './lease.js';
import type { Upstream } from './upstream-options.js';

/** In the queue of a pool. */
export interface Waiter extends Queued {
  /** What it waits for. Rejects with what it was refused with, or with the signal's reason. */
  readonly upstream: Promise<Upstream>;
  resolve(upstream: Upstream): void;
  reject(fault: unknown): void;
}

/** The pool, as far as a waiter needs it. */
export interface WaiterOwner {
  /** It gave up, or waited too long, and is about to reject. */
  left(waiter: Waiter): void;
}

/** What a waiter is made from. */
export interface WaiterParts {
  readonly options: LeaseOptions;
  readonly arrival: number;
  /** Not aborted yet. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly owner: WaiterOwner;
  /** Where it stands; it does not put itself there. */
  readonly queue: Pick<FairQueue<Waiter>, 'positionOf'>;
}

/** Who waits is told so after this time, and then each time after twice as long: it is a word, not a clock. */
const tellAfterMs = 5_000;

/** A waiter that waits from now on. */
export function createWaiter({
  options,
  arrival,
  signal,
  timeoutMs,
  clock,
  owner,
  queue,
}: WaiterParts): Waiter {
  const { principal, weight, isFresh, onWaiting } = options;
  const startMs = clock.now();
  let take: (upstream: Upstream) => void = () => undefined;
  let refuse: (fault: unknown) => void = () => undefined;
  const upstream = new Promise<Upstream>((resolve, reject) => {
    take = resolve;
    refuse = reject;
  });
  const settle = (): void => {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  };
  const waiter: Waiter = {
    principal,
    weight,
    isFresh,
    arrival,
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
  const giveUp = (why: unknown): void => {
    waiter.reject(why);
    owner.left(waiter);
  };
  const onAbort = (): void => giveUp(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  let timer: Timer = wait(tellAfterMs);
  return waiter;

  /** Until it is told next, or has waited too long. */
  function wait(tellMs: number): Timer {
    const leftMs = startMs + timeoutMs - clock.now();
    if (onWaiting === undefined || leftMs <= tellMs) {
      return clock.setTimer(Math.max(0, leftMs), () => giveUp(new LeaseRefusal('queue-timeout')));
    }
    return clock.setTimer(tellMs, () => {
      timer = wait(2 * tellMs);
      onWaiting(queue.positionOf(waiter));
    });
  }
}
