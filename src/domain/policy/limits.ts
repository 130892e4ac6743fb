// Owns the counting that limits of policies ask for: so many in any span of time, so many different users.
// It does not know what is counted, and has no clock: times come in, from a clock that does not leap.
// The rule: it never forgets a count that still matters. A table that is full refuses; it makes no room by forgetting.
import type { Attempt } from './attempt.js';
import type { Obligations, Policy, Rate } from './rule.js';

/** One thing to count. Keys of different kinds of limits differ. */
export type LimitAsk =
  | { readonly kind: 'rate'; readonly key: string; readonly rate: Rate }
  | { readonly kind: 'distinct'; readonly key: string; readonly rate: Rate; readonly member: string };

/** `over`: the first ask that is above its limit, and after what time it would not be. `full`: the table is. */
export type LimitVerdict =
  | { readonly kind: 'within' }
  | { readonly kind: 'over'; readonly ask: LimitAsk; readonly retryAfterMs: number }
  | { readonly kind: 'full' };

/** Counters of all principals. Outlives policies: a reload does not reset it. */
export interface Limiter {
  /** Counts all asks, or none of them if one is above its limit. */
  admit(asks: readonly LimitAsk[], nowMs: number): LimitVerdict;
  /**
   * Counts what happened `agoMs` before now, whatever the limit: what a journal remembers from before a restart. A table that
   * becomes full by it takes no more, and refuses what is new as any full table does.
   */
  replay(ask: LimitAsk, agoMs: number, nowMs: number): void;
  /** Counters and members that are held. */
  readonly size: number;
}

/** What of an attempt limits look at. */
export type Counted = Pick<Attempt, 'principal' | 'users' | 'masks' | 'everybody'>;

const nothing: readonly LimitAsk[] = [];

/** What has to be counted before this is sent; empty for most. Counted per principal. */
export function limitAsks(
  policy: Policy,
  obligations: Obligations | undefined,
  attempt: Counted,
): readonly LimitAsk[] {
  const { rate, distinctUsers } = policy.limits;
  if (rate === undefined && distinctUsers === undefined && obligations?.limit === undefined) return nothing;
  const asks: LimitAsk[] = [];
  const who = `${attempt.principal}\0${policy.name}`;
  if (rate !== undefined) asks.push({ kind: 'rate', key: `rate\0${who}`, rate });
  if (distinctUsers !== undefined) {
    for (const member of peopleIn(attempt)) {
      asks.push({ kind: 'distinct', key: `distinct\0${who}`, rate: distinctUsers, member });
    }
  }
  for (const counted of [obligations, obligations?.alsoLimit]) {
    if (counted?.limit === undefined) continue;
    asks.push({ kind: 'rate', key: `rule\0${who}\0${counted.limitKey}`, rate: counted.limit });
  }
  return asks;
}

/** Users by name; a mask, and everybody, count as one more each: who may use them can reach many at once anyway. */
function peopleIn(attempt: Counted): ReadonlySet<string> {
  const people = new Set(attempt.users);
  for (const mask of attempt.masks) people.add(`mask ${mask.value}`);
  if (attempt.everybody !== 'none') people.add('everybody');
  return people;
}

/** A span is counted in so many slots; a slot counts until all of it is older than the span, so it is never too lenient. */
const slots = 60;
/** A full table is searched for what has expired at most this often. */
const sweepEveryMs = 1000;

interface Counter {
  readonly slotMs: number;
  readonly counts: Uint32Array;
  /** Number of the newest slot since the clock's beginning. */
  newest: number;
}

interface Members {
  readonly windowMs: number;
  /** When each was last seen. */
  readonly seen: Map<string, number>;
}

/** `entriesMax`: counters and members together. */
export function createLimiter({ entriesMax }: { readonly entriesMax: number }): Limiter {
  const counters = new Map<string, Counter>();
  const groups = new Map<string, Members>();
  let members = 0;
  let sweptMs = Number.NEGATIVE_INFINITY;

  const size = (): number => counters.size + groups.size + members;

  function admit(asks: readonly LimitAsk[], nowMs: number): LimitVerdict {
    const fresh = new Map<string, Set<string>>();
    for (const ask of asks) {
      const retryAfterMs = ask.kind === 'rate' ? overRate(ask, nowMs) : overDistinct(ask, fresh, nowMs);
      if (retryAfterMs !== undefined) return { kind: 'over', ask, retryAfterMs };
    }
    if (size() + asks.length * 2 > entriesMax && !hasRoom(asks, nowMs)) return { kind: 'full' };
    for (const ask of asks) count(ask, nowMs, nowMs);
    return { kind: 'within' };
  }

  /** How long until one more would be within; undefined: it is. */
  function overRate(ask: LimitAsk, nowMs: number): number | undefined {
    const counter = counters.get(counterKey(ask));
    if (counter === undefined) return undefined;
    advance(counter, nowMs);
    if (counter.counts.reduce((sum, each) => sum + each, 0) < ask.rate.count) return undefined;
    // The oldest slot that holds something falls out when the newest one is `slots` further on.
    let oldest = counter.newest - slots;
    while ((counter.counts[slotIndex(oldest)] ?? 0) === 0) oldest += 1;
    return Math.max(1, (oldest + slots + 1) * counter.slotMs - nowMs);
  }

  /** `fresh`: by key, who was not known before and is asked for in the same breath. */
  function overDistinct(
    ask: LimitAsk & { readonly kind: 'distinct' },
    fresh: Map<string, Set<string>>,
    nowMs: number,
  ): number | undefined {
    const { key, rate, member } = ask;
    const group = groups.get(key);
    const others = fresh.get(key) ?? new Set<string>();
    if (group !== undefined && !fresh.has(key)) forget(group, nowMs);
    fresh.set(key, others);
    if (group?.seen.has(member) === true) return undefined;
    others.add(member);
    if ((group?.seen.size ?? 0) + others.size <= rate.count) return undefined;
    let oldest = nowMs;
    for (const atMs of group?.seen.values() ?? []) oldest = Math.min(oldest, atMs);
    return Math.max(1, oldest + rate.windowMs - nowMs);
  }

  function forget(group: Members, nowMs: number): void {
    for (const [member, atMs] of group.seen) {
      if (atMs <= nowMs - group.windowMs && group.seen.delete(member)) members -= 1;
    }
  }

  function isNew(ask: LimitAsk): boolean {
    return ask.kind === 'rate'
      ? !counters.has(counterKey(ask))
      : groups.get(ask.key)?.seen.has(ask.member) !== true;
  }

  function hasRoom(asks: readonly LimitAsk[], nowMs: number): boolean {
    if (!asks.some(isNew)) return true;
    if (nowMs - sweptMs >= sweepEveryMs) sweep(nowMs);
    return size() + asks.length * 2 <= entriesMax;
  }

  function sweep(nowMs: number): void {
    sweptMs = nowMs;
    for (const [key, counter] of counters) {
      advance(counter, nowMs);
      if (counter.counts.every((each) => each === 0)) counters.delete(key);
    }
    for (const [key, group] of groups) {
      forget(group, nowMs);
      if (group.seen.size === 0) groups.delete(key);
    }
  }

  function count(ask: LimitAsk, atMs: number, nowMs: number): void {
    if (ask.kind === 'distinct') {
      let group = groups.get(ask.key);
      if (group === undefined) {
        group = { windowMs: ask.rate.windowMs, seen: new Map() };
        groups.set(ask.key, group);
      }
      const before = group.seen.get(ask.member);
      if (before === undefined) members += 1;
      group.seen.set(ask.member, Math.max(before ?? atMs, atMs));
      return;
    }
    const key = counterKey(ask);
    let counter = counters.get(key);
    if (counter === undefined) {
      counter = { slotMs: ask.rate.windowMs / slots, counts: new Uint32Array(slots + 1), newest: 0 };
      counter.newest = Math.floor(nowMs / counter.slotMs);
      counters.set(key, counter);
    }
    advance(counter, nowMs);
    const slot = Math.floor(atMs / counter.slotMs);
    if (slot >= counter.newest - slots) {
      counter.counts[slotIndex(slot)] = (counter.counts[slotIndex(slot)] ?? 0) + 1;
    }
  }

  return {
    admit,
    replay(ask, agoMs, nowMs) {
      if (size() + 2 <= entriesMax || !isNew(ask)) count(ask, nowMs - agoMs, nowMs);
    },
    get size() {
      return size();
    },
  };
}

/** A limit whose span was changed counts anew; one whose number was changed goes on. */
function counterKey(ask: LimitAsk): string {
  return `${ask.key}\0${ask.rate.windowMs}`;
}

/** Empties the slots that have become older than the span. */
function advance(counter: Counter, nowMs: number): void {
  const now = Math.floor(nowMs / counter.slotMs);
  const passed = Math.min(now - counter.newest, slots + 1);
  for (let step = 1; step <= passed; step += 1) counter.counts[slotIndex(counter.newest + step)] = 0;
  counter.newest = Math.max(counter.newest, now);
}

function slotIndex(slot: number): number {
  const index = slot % (slots + 1);
  return index < 0 ? index + slots + 1 : index;
}
