// The open upstreams of one pool by state: idle, leased, and leased to a command that must be alone on it. It does not
// decide who gets one. The rule: each is in exactly one of idle and leased, and counts are sizes.

import { OrderedSet } from '../../concurrency/ordered-set.js';
import type { CloseReason } from '../../ports/transport.js';
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
  const idle = new OrderedSet<Upstream>();
  const leased = new OrderedSet<Upstream>();
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

/** Detects a Dovecot whose master has stopped. Closes nothing. */
export interface TempfailWatch {
  /**
   * An upstream that was opened at `openedMs` gave a status. Returns a time: what was opened up to then is not to be
   * trusted any more. Undefined: no suspicion.
   */
  answered(openedMs: number, answer: 'tempfail' | 'other', nowMs: number): number | undefined;
}

/** This many TEMPFAIL in a row are no coincidence. */
const tempfailsMax = 2;
/** An upstream younger than this was opened by a master that was alive. */
const trustedMs = 1_000;

/**
 * When Dovecot's master stops, its processes and their connections live on and answer TEMPFAIL to every command (measured on
 * 2.3.13 to 2.4.5), so an idle upstream looks well and is not. TEMPFAIL has harmless causes too: several in a row, each from an
 * upstream that has been open for a while, are taken for that. An upstream is only doubted for what others of its age or
 * older did.
 */
export function createTempfailWatch(): TempfailWatch {
  let tempfails = 0;
  /** When the newest upstream that answered TEMPFAIL was opened. */
  let newestMs = 0;
  return {
    answered(openedMs, answer, nowMs) {
      if (answer === 'other') {
        // A newer upstream that works says nothing about old ones: Dovecot may have been restarted between them.
        if (openedMs <= newestMs) tempfails = 0;
        return undefined;
      }
      if (nowMs - openedMs < trustedMs) return undefined;
      newestMs = tempfails === 0 ? openedMs : Math.max(newestMs, openedMs);
      tempfails += 1;
      if (tempfails < tempfailsMax) return undefined;
      tempfails = 0;
      return newestMs;
    },
  };
}
