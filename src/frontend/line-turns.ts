// How the command lines of all sessions share the event loop: reading and judging a line is work that nothing interrupts, so a client
// that sends the most expensive lines as fast as it can would hold up everybody else.
//
// All lines together may take 2 ms of a turn of the loop. After that, sessions wait for the next turn, and the one whose principal
// has used least of late is served first. Sessions that have used next to nothing do not wait as long as there is room for them.
// The rule: nobody waits while there is time left in the turn, and whoever waits is served sooner than whoever used more.

import type { Clock } from '../ports/clock.js';

/** What a session, or all sessions of a principal, have used: milliseconds, at a time, fading. */
export interface LineShare {
  usedMs: number;
  atMs: number;
}

/** One for the whole daemon; outlives a reload. */
export interface LineTurns {
  /** Before a line is read. Undefined: at once; else resolves when it is this session's turn. */
  enter(session: LineShare, principal: string): Promise<void> | undefined;
  /** A line of that session took so long. */
  used(session: LineShare, principal: string, ms: number): void;
  /** Sessions that wait. */
  readonly size: number;
}

/** What all lines together take of one turn. A line that was begun is finished, so the last one comes on top. */
const turnMs = 2;
/** Who has used less than this of late does not queue up behind those who have used more, up to twice the time of a turn. */
const lightMs = 1;
/** The share of a processor that is forgotten: who uses no more than this is light again and again. */
const forgottenShare = 0.05;
/** Less than this needs no end of its turn. */
const countedMs = 0.25;
/** Principals that are remembered; those whose use has faded are dropped first. */
const principalsMax = 1_000;

interface Waiter {
  readonly session: LineShare;
  readonly principal: LineShare;
  readonly resolve: () => void;
}

/** What a session has used that has just begun: nothing. */
export function createLineShare(): LineShare {
  return { usedMs: 0, atMs: 0 };
}

/** Nobody waits. */
export function createLineTurns(clock: Pick<Clock, 'now' | 'nextTurn'>): LineTurns {
  const principals = new Map<string, LineShare>();
  const waiting = new Set<Waiter>();
  let spentMs = 0;
  let isEndAwaited = false;

  function shareOf(principal: string): LineShare {
    let share = principals.get(principal);
    if (share === undefined) {
      if (principals.size >= principalsMax) forgetFaded();
      share = createLineShare();
      principals.set(principal, share);
    }
    return share;
  }

  function forgetFaded(): void {
    const nowMs = clock.now();
    for (const [principal, share] of principals) if (usedBy(share, nowMs) === 0) principals.delete(principal);
    if (principals.size >= principalsMax) principals.clear();
  }

  /** Schedules one slot: it serves whoever has used least by then. Callbacks of one turn run one after the other, each with what follows from it. */
  function addSlot(): void {
    void clock.nextTurn().then(() => {
      if (waiting.size === 0) return;
      if (spentMs >= turnMs) addSlot();
      else serveOne();
    });
  }

  function serveOne(): void {
    const nowMs = clock.now();
    let first: { readonly waiter: Waiter; readonly rank: readonly [number, number] } | undefined;
    for (const waiter of waiting) {
      const rank = [usedBy(waiter.principal, nowMs), usedBy(waiter.session, nowMs)] as const;
      const isLess =
        first === undefined ||
        rank[0] < first.rank[0] ||
        (rank[0] === first.rank[0] && rank[1] < first.rank[1]);
      if (isLess) first = { waiter, rank };
    }
    if (first === undefined) return;
    waiting.delete(first.waiter);
    first.waiter.resolve();
  }

  return {
    enter(session, name) {
      const nowMs = clock.now();
      const principal = shareOf(name);
      const isLight = usedBy(session, nowMs) < lightMs && usedBy(principal, nowMs) < lightMs;
      const isRoom = isLight ? spentMs < 2 * turnMs : spentMs < turnMs && waiting.size === 0;
      if (isRoom) return undefined;
      return new Promise((resolve) => {
        waiting.add({ session, principal, resolve });
        addSlot();
      });
    },
    used(session, name, ms) {
      const nowMs = clock.now();
      for (const share of [session, shareOf(name)]) {
        share.usedMs = usedBy(share, nowMs) + ms;
        share.atMs = nowMs;
      }
      spentMs += ms;
      if (isEndAwaited || spentMs < countedMs) return;
      isEndAwaited = true;
      // Before any slot of those who come to wait now.
      void clock.nextTurn().then(() => {
        isEndAwaited = false;
        spentMs = 0;
      });
    },
    get size() {
      return waiting.size;
    },
  };
}

function usedBy({ usedMs, atMs }: LineShare, nowMs: number): number {
  return Math.max(0, usedMs - (nowMs - atMs) * forgottenShare);
}
