// How the command lines of all sessions share the event loop: parsing and evaluating a line cannot be interrupted, so a client that sends
// the most expensive lines as fast as it can would block everybody else.
//
// All lines together may take 2 ms of a turn of the loop. After that, sessions wait for the next turn, and the session whose origin has
// lately used the least is served first. Sessions that used almost nothing do not wait while there is room for them.

import assert from 'node:assert';
import type { Clock } from '../../host/ports/machine.js';

/** Recent use of a session, or of all sessions of an origin, in decaying milliseconds. */
export interface LineShare {
  usedMs: number;
  atMs: number;
}

export type LineTurns = ReturnType<typeof createLineTurns>;

/** The budget for all lines of one turn. A started line is finished, so the last one may exceed it. */
const turnMs = 2;
/** A session that used less than this recently does not queue after those that used more, up to twice the time of a turn. */
const lightMs = 1;
/** Decay, as the share of a processor: a session that uses no more than this stays light. */
const forgottenShare = 0.05;
/** Less than this does not need a reset at the end of the turn. */
const countedMs = 0.25;
/** Tracked origins; those whose use has decayed are dropped first. */
const originsMax = 1000;

/** Callbacks of one turn that serve waiting sessions: more lines than a turn has room for, and few for the loop. */
const slotsMax = 32;

/** A session waits with one line at a time, so its use and the order do not change meanwhile. */
interface Waiter {
  readonly session: LineShare;
  readonly resolve: () => void;
}

/** The waiting sessions of one origin; the one that has used least comes last. */
interface Queue {
  readonly origin: LineShare;
  readonly waiters: Waiter[];
}

export function createLineShare(): LineShare {
  return { usedMs: 0, atMs: 0 };
}

/** One for the whole daemon; outlives a reload. */
export function createLineTurns(clock: Pick<Clock, 'now' | 'nextTurn'>) {
  const origins = new Map<string, LineShare>();
  const queues = new Map<LineShare, Queue>();
  let waiting = 0;
  let slots = 0;
  let spentMs = 0;
  let isEndAwaited = false;

  function shareOf(origin: string): LineShare {
    let share = origins.get(origin);
    if (share === undefined) {
      if (origins.size >= originsMax) forgetFaded();
      share = createLineShare();
      origins.set(origin, share);
    }
    return share;
  }

  function forgetFaded(): void {
    const nowMs = clock.now();
    for (const [origin, share] of origins) if (usedBy(share, nowMs) === 0) origins.delete(origin);
    if (origins.size >= originsMax) origins.clear();
  }

  /** Schedules one slot, which serves the session that used least by then. Each slot of a turn runs with its microtasks. */
  function addSlot(): void {
    if (slots >= Math.min(waiting, slotsMax)) return;
    slots += 1;
    void clock.nextTurn().then(() => {
      slots -= 1;
      if (waiting > 0 && spentMs < turnMs) serveOne();
      addSlot();
    });
  }

  function serveOne(): void {
    const nowMs = clock.now();
    let first: Queue | undefined;
    let least: readonly [number, number] = [Infinity, Infinity];
    for (const queue of queues.values()) {
      const rank = [usedBy(queue.origin, nowMs), usedBy(lastOf(queue).session, nowMs)] as const;
      if (first !== undefined && (rank[0] > least[0] || (rank[0] === least[0] && rank[1] >= least[1])))
        continue;
      first = queue;
      least = rank;
    }
    if (first === undefined) return;
    const waiter = first.waiters.pop();
    assert(waiter !== undefined);
    if (first.waiters.length === 0) queues.delete(first.origin);
    waiting -= 1;
    waiter.resolve();
  }

  function add(origin: LineShare, waiter: Waiter, nowMs: number): void {
    const queue = queues.get(origin) ?? { origin, waiters: [] };
    queues.set(origin, queue);
    const used = usedBy(waiter.session, nowMs);
    let [low, high] = [0, queue.waiters.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = queue.waiters[middle];
      assert(other !== undefined);
      if (usedBy(other.session, nowMs) > used) low = middle + 1;
      else high = middle;
    }
    queue.waiters.splice(low, 0, waiter);
    waiting += 1;
  }

  return {
    /** Call before a line is read. Returns undefined if the session may go on at once, else a promise of its turn. */
    enter(session: LineShare, name: string): Promise<void> | undefined {
      if (spentMs < turnMs && waiting === 0) return undefined;
      const nowMs = clock.now();
      const origin = shareOf(name);
      const isLight = usedBy(session, nowMs) < lightMs && usedBy(origin, nowMs) < lightMs;
      if (isLight && spentMs < 2 * turnMs) return undefined;
      return new Promise((resolve) => {
        add(origin, { session, resolve }, nowMs);
        addSlot();
      });
    },
    used(session: LineShare, name: string, ms: number): void {
      const nowMs = clock.now();
      for (const share of [session, shareOf(name)]) {
        share.usedMs = usedBy(share, nowMs) + ms;
        share.atMs = nowMs;
      }
      spentMs += ms;
      if (isEndAwaited || spentMs < countedMs) return;
      isEndAwaited = true;
      // Scheduled before any slot of sessions that start to wait now.
      void clock.nextTurn().then(() => {
        isEndAwaited = false;
        spentMs = 0;
      });
    },
    get size(): number {
      return waiting;
    },
  };
}

function usedBy({ usedMs, atMs }: LineShare, nowMs: number): number {
  return Math.max(0, usedMs - (nowMs - atMs) * forgottenShare);
}

function lastOf({ waiters }: Queue): Waiter {
  const last = waiters.at(-1);
  assert(last !== undefined);
  return last;
}
