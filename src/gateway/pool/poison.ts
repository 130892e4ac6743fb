// Commands that kill the process of the backend that runs them: a script that repeats one kills a process each time, and with
// it the upstream that others would use. Whoever sends the same again and again is told to wait, ever longer. It does not know
// commands: a shape is any text that equal commands have in common. It has no clock; times come in.
// The rule: the table is bounded and forgets the oldest. It only slows down; nothing is refused for good.

import { LRUCache } from 'lru-cache';

/** What has killed processes. */
export interface PoisonTable {
  /**
   * How long such a command must wait from now; 0: it may go. `shape` is only asked for while something is remembered of
   * that principal.
   */
  pauseMs(principal: string, shape: () => string, nowMs: number): number;
  /** Such a command killed a process. */
  died(principal: string, shape: string, nowMs: number): void;
  /** Such a command got its status: what was remembered of it is forgotten. */
  survived(principal: string, shape: () => string): void;
  /** Shapes that are remembered. */
  readonly size: number;
}

/** Bounds of a table. */
export interface PoisonLimits {
  /** Shapes that are remembered, over all principals. */
  readonly entriesMax: number;
  /** Deaths without a pause: one may be chance, and a fault of the backend takes a few commands with it. */
  readonly freeDeaths: number;
  /** After the first death that is not free; twice as long after each further one, up to the maximum. */
  readonly pauseMs: number;
  readonly pauseMaxMs: number;
}

/** The bounds of the daemon. */
export const poisonLimits: PoisonLimits = {
  entriesMax: 1_000,
  freeDeaths: 2,
  pauseMs: 2_000,
  pauseMaxMs: 300_000,
};

interface Entry {
  readonly deaths: number;
  readonly untilMs: number;
}

/** A table that remembers nothing. */
export function createPoisonTable(limits: PoisonLimits): PoisonTable {
  const entries = new LRUCache<string, Entry>({
    max: limits.entriesMax,
    dispose: (_entry, key) => forgotten(principalOf(key)),
    noDisposeOnSet: true,
  });
  /** How many shapes of each principal are remembered: others are not asked for theirs. */
  const shapes = new Map<string, number>();

  function forgotten(principal: string): void {
    const left = (shapes.get(principal) ?? 0) - 1;
    if (left > 0) shapes.set(principal, left);
    else shapes.delete(principal);
  }

  return {
    pauseMs(principal, shape, nowMs) {
      if (!shapes.has(principal)) return 0;
      const entry = entries.get(keyOf(principal, shape()));
      return entry === undefined ? 0 : Math.max(0, entry.untilMs - nowMs);
    },
    died(principal, shape, nowMs) {
      const key = keyOf(principal, shape);
      const known = entries.get(key);
      const deaths = (known?.deaths ?? 0) + 1;
      if (known === undefined) shapes.set(principal, (shapes.get(principal) ?? 0) + 1);
      const paid = deaths - limits.freeDeaths;
      const pauseMs =
        paid <= 0 ? 0 : Math.min(limits.pauseMaxMs, limits.pauseMs * 2 ** Math.min(paid - 1, 30));
      entries.set(key, { deaths, untilMs: nowMs + pauseMs });
    },
    survived(principal, shape) {
      if (shapes.has(principal)) entries.delete(keyOf(principal, shape()));
    },
    get size() {
      return entries.size;
    },
  };
}

function keyOf(principal: string, shape: string): string {
  return `${principal}\0${shape}`;
}

function principalOf(key: string): string {
  return key.slice(0, key.indexOf('\0'));
}
