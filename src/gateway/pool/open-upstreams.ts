// The open upstreams of one pool by state: idle, leased, and leased to a command that must be alone on it. It does not
// decide who gets one. The rule: each is in exactly one of idle and leased, and counts are sizes.

import { createOrderedSet } from '../../concurrency/ordered-set.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { Upstream } from './upstream.js';

/** Open upstreams. */
export interface OpenUpstreams {
  readonly idleCount: number;
  readonly leasedCount: number;
  /** Of the leased: those on which nothing else may run. */
  readonly aloneCount: number;
  /** How many are leased to exchanges of that principal. */
  heldBy(principal: string): number;
  /** Those that are leased. */
  readonly leased: Iterable<Upstream>;
  /** All that are open. */
  all(): readonly Upstream[];
  /** Idle ones, oldest first. */
  readonly idle: Iterable<Upstream>;
  closeIdle(reason: CloseReason, isMeant: (upstream: Upstream) => boolean): void;
  readonly oldestIdle: Upstream | undefined;
  /** The newest idle one, so that those that are not needed age out; `isFresh`: among those on which nothing ran. */
  newestIdle(isFresh: boolean): Upstream | undefined;
  isAlone(upstream: Upstream): boolean;
  /** One that was just greeted, until it rests; or one that was idle. */
  setLeased(upstream: Upstream, isAlone: boolean): void;
  setIdle(upstream: Upstream): void;
  /** False: it was not there. */
  delete(upstream: Upstream): boolean;
}

/** None is open. */
export function createOpenUpstreams(): OpenUpstreams {
  const idle = createOrderedSet<Upstream>();
  const leased = createOrderedSet<Upstream>();
  const alone = new Set<Upstream>();
  const forget = (upstream: Upstream): boolean => {
    if (alone.size > 0) alone.delete(upstream);
    return idle.delete(upstream) || leased.delete(upstream);
  };
  return {
    get idleCount() {
      return idle.size;
    },
    get leasedCount() {
      return leased.size;
    },
    get aloneCount() {
      return alone.size;
    },
    heldBy(principal) {
      let count = 0;
      for (let each = leased.first; each !== undefined; each = leased.after(each))
        if (each.holder === principal) count += 1;
      return count;
    },
    leased,
    all: () => [...idle, ...leased],
    idle,
    closeIdle(reason, isMeant) {
      for (const upstream of idle) if (isMeant(upstream)) upstream.close(reason);
    },
    get oldestIdle() {
      return idle.first;
    },
    newestIdle(isFresh) {
      if (!isFresh) return idle.last;
      let newest: Upstream | undefined;
      for (const upstream of idle) if (upstream.exchanges === 0) newest = upstream;
      return newest;
    },
    isAlone: (upstream) => alone.has(upstream),
    setLeased(upstream, isAlone) {
      forget(upstream);
      leased.add(upstream);
      if (isAlone) alone.add(upstream);
    },
    setIdle(upstream) {
      forget(upstream);
      idle.add(upstream);
    },
    delete: forget,
  };
}
