// The terms of an allowed command: a stated reason, and limits on its rate, counted per origin. Pure except for the limiter's counts; times
// are arguments, from a monotonic clock. The limiter never forgets a count that still matters. A full table refuses instead of dropping
// entries.
import type { Effect } from '../../doveadm/commands/catalog.js';
import type { Attempt } from './attempt.js';
import type { Obligations, Policy } from './policy.js';
import { formatRate, type Rate } from './rate.js';

/** Whether two rules demand the same of a client. The limits of two rules are always different, however they read. */
export function areSameTerms(one: Obligations | undefined, other: Obligations | undefined): boolean {
  return (
    one?.reason === other?.reason &&
    one?.limit === other?.limit &&
    one?.alsoLimit?.limit === other?.alsoLimit?.limit &&
    one?.maxMatches === other?.maxMatches &&
    one?.approvedMatches === other?.approvedMatches &&
    one?.emergency === other?.emergency
  );
}

/** Terms that satisfy both: for a command judged in two series and allowed by two rules, while the applicable one is unknown. */
export function stricterTerms(one: Obligations, other: Obligations): Obligations {
  const maxMatches = lesser(one.maxMatches, other.maxMatches);
  const approvedMatches = lesser(one.approvedMatches, other.approvedMatches);
  const deadlineMs = lesser(one.deadlineMs, other.deadlineMs);
  const { limit, limitKey } = one.limit === undefined ? other : one;
  const isSecondLimit =
    one.limit !== undefined && other.limit !== undefined && one.limitKey !== other.limitKey;
  return {
    reason: one.reason || other.reason,
    ...(limit === undefined ? {} : { limit }),
    limitKey,
    ...(isSecondLimit && other.limit !== undefined
      ? { alsoLimit: { limit: other.limit, limitKey: other.limitKey } }
      : {}),
    ...(maxMatches === undefined ? {} : { maxMatches }),
    ...(approvedMatches === undefined ? {} : { approvedMatches }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    emergency: one.emergency && other.emergency,
  };
}

/** The most mails that the query may find, by the rule and by the approvals; undefined: they are not counted. */
export function mostMatches(terms: Obligations | undefined): number | undefined {
  return lesser(terms?.maxMatches, terms?.approvedMatches);
}

/** Commands that copy a whole account, whatever their options are. */
const copiesOfAccounts: ReadonlySet<string> = new Set(['sync', 'backup']);

/** Time from sending the command to the first byte of its reply: from its rule, else from its effect. */
export function deadlineMsOf(
  { attempt: { command, effect }, decision }: Timed,
  byEffect: Readonly<Record<Effect, number>>,
): number {
  const { deadlineMs } = decision.obligations ?? {};
  return deadlineMs ?? byEffect[copiesOfAccounts.has(command.name) ? 'destroy' : effect];
}

interface Timed {
  readonly attempt: Pick<Attempt, 'command' | 'effect'>;
  readonly decision: { readonly obligations?: Obligations };
}

/** Undefined: no limit, or no end. */
export function lesser(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}

/** The least number of visible characters: a ticket number has them, a blank or an invisible character does not. */
const reasonVisibleMin = 3;

/**
 * Letters, digits, punctuation and symbols. Not counted: blanks, controls and format characters (zero-width, bidirectional), marks that
 * only combine with a letter, unassigned and private characters, all that Unicode calls ignorable by default (as the Hangul fillers), and
 * two symbols that are blank: the empty Braille pattern and the null notehead.
 */
const visible = /(?!\p{Default_Ignorable_Code_Point}|\u2800|\ufffc|\u{1d159})[\p{L}\p{N}\p{P}\p{S}]/gu;

export function hasVisible(text: string): boolean {
  return text.search(visible) >= 0;
}

/** Whether `reason` has enough visible characters; undefined: none was stated. */
export function saysWhy(reason: string | undefined): boolean {
  return (reason?.match(visible)?.length ?? 0) >= reasonVisibleMin;
}

const howToSayWhy =
  'dovegate send --reason TEXT, DOVEGATE_REASON=TEXT with dovegate as doveadm, or Dovegate-Reason: TEXT over HTTP';

/** What is wrong with a stated reason where one is demanded; undefined: nothing. */
export function whyNoReason(
  terms: Pick<Obligations, 'reason'> | undefined,
  stated: string | undefined,
): { readonly code: 'no-reason' | 'reason-short'; readonly reason: string } | undefined {
  if (terms?.reason !== true || saysWhy(stated)) return undefined;
  return stated === undefined || stated === ''
    ? { code: 'no-reason', reason: `the client must say why: ${howToSayWhy}` }
    : {
        code: 'reason-short',
        reason: `the client must say why, in at least ${reasonVisibleMin} visible characters`,
      };
}

/** One count. Keys of different kinds of limits differ. `name`: whose limit it is, for people. */
export type LimitAsk = { readonly name: string; readonly key: string; readonly rate: Rate } & (
  | { readonly kind: 'rate' }
  | { readonly kind: 'distinct'; readonly member: string }
);

type Counted = Pick<Attempt, 'users' | 'masks' | 'everybody'>;

const nothing: readonly LimitAsk[] = [];

/** The counts to take before this is sent; empty for most. `origin`: whose counts they are. */
export function limitAsks(
  policy: Pick<Policy, 'name' | 'limits'>,
  obligations: Obligations | undefined,
  attempt: Counted,
  origin: string,
): readonly LimitAsk[] {
  const { rate, distinctUsers } = policy.limits;
  if (rate === undefined && distinctUsers === undefined && obligations?.limit === undefined) return nothing;
  const asks: LimitAsk[] = [];
  const who = `${origin}\0${policy.name}`;
  const of = `of policy ${policy.name}`;
  if (rate !== undefined) asks.push({ kind: 'rate', name: `the rate ${of}`, key: `rate\0${who}`, rate });
  if (distinctUsers !== undefined) {
    for (const member of peopleIn(attempt)) {
      const name = `distinct_users ${of}`;
      asks.push({ kind: 'distinct', name, key: `distinct\0${who}`, rate: distinctUsers, member });
    }
  }
  for (const counted of [obligations, obligations?.alsoLimit]) {
    if (counted?.limit === undefined) continue;
    const name = `the limit of a rule ${of}`;
    asks.push({ kind: 'rate', name, key: `rule\0${who}\0${counted.limitKey}`, rate: counted.limit });
  }
  return asks;
}

/** Users by name; a mask, and "everybody", count as one more each: their user can reach many at once anyway. */
function peopleIn(attempt: Counted): ReadonlySet<string> {
  const people = new Set(attempt.users);
  for (const mask of attempt.masks) people.add(`mask ${mask.value}`);
  if (attempt.everybody !== 'none') people.add('everybody');
  return people;
}

/** A span is counted in so many slots; a slot counts until all of it is older than the span, so the limit is never too lenient. */
const slots = 60;

class Counter {
  readonly #slotMs: number;
  readonly #counts = new Uint32Array(slots + 1);
  /** Number of the newest slot since the clock's start. */
  #newest: number;

  constructor(windowMs: number, nowMs: number) {
    this.#slotMs = windowMs / slots;
    this.#newest = Math.floor(nowMs / this.#slotMs);
  }

  total(nowMs: number): number {
    const now = Math.floor(nowMs / this.#slotMs);
    const passed = Math.min(now - this.#newest, slots + 1);
    for (let step = 1; step <= passed; step += 1) this.#counts[this.#index(this.#newest + step)] = 0;
    this.#newest = Math.max(this.#newest, now);
    return this.#counts.reduce((sum, each) => sum + each, 0);
  }

  /** Call {@link total} first. Events older than the span do not count. */
  add(atMs: number): void {
    const slot = Math.floor(atMs / this.#slotMs);
    if (slot < this.#newest - slots) return;
    const index = this.#index(slot);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** The time until the oldest used slot expires: when the newest one is `slots` further on. There is one. */
  waitMs(nowMs: number): number {
    let oldest = this.#newest - slots;
    while ((this.#counts[this.#index(oldest)] ?? 0) === 0) oldest += 1;
    return Math.max(1, (oldest + slots + 1) * this.#slotMs - nowMs);
  }

  #index(slot: number): number {
    const index = slot % (slots + 1);
    return index < 0 ? index + slots + 1 : index;
  }
}

interface Group {
  readonly windowMs: number;
  readonly seen: Map<string, number>;
}

/** A full table is searched for expired entries at most this often. */
const sweepEveryMs = 1000;

export type LimitVerdict =
  | { readonly kind: 'within' }
  /** `limit`: `the rate of policy support (20/minute)`. */
  | { readonly kind: 'over'; readonly limit: string; readonly retryAfterMs: number }
  | { readonly kind: 'full' };

/** Commands of the last hour count again after a restart: limits are by the hour at most. */
export const rebuiltMs = 3_600_000;

/** When counters are rebuilt from records. */
export interface RebuildMoment {
  /** By the wall clock, and by the clock of the limiter. */
  readonly wallMs: number;
  readonly nowMs: number;
  /** Sum of the recorded steps of the wall clock: up to now, and up to the first piece. */
  readonly stepsMs: number;
  readonly stepsBeforeMs: number;
}

/** Counters of all origins. Outlives policies: a reload does not reset it. */
export class Limiter {
  readonly #entriesMax: number;
  readonly #counters = new Map<string, Counter>();
  readonly #groups = new Map<string, Group>();
  #members = 0;
  #sweptMs = Number.NEGATIVE_INFINITY;

  /** `entriesMax` limits the sum of counters and members. */
  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#counters.size + this.#groups.size + this.#members;
  }

  /** Counts all asks, or none of them if one is above its limit. */
  admit(asks: readonly LimitAsk[], nowMs: number): LimitVerdict {
    const fresh = new Map<string, Set<string>>();
    for (const ask of asks) {
      const retryAfterMs =
        ask.kind === 'rate' ? this.#overRate(ask, nowMs) : this.#overDistinct(ask, fresh, nowMs);
      if (retryAfterMs !== undefined)
        return { kind: 'over', limit: `${ask.name} (${formatRate(ask.rate)})`, retryAfterMs };
    }
    if (!this.#hasRoom(asks, nowMs)) return { kind: 'full' };
    for (const ask of asks) this.#count(ask, nowMs, nowMs);
    return { kind: 'within' };
  }

  /**
   * Counts an event of `agoMs` before now, regardless of the limit: from the journal after a restart. If it fills the table, further ones
   * are dropped, and new keys are refused as by any full table.
   */
  replay(ask: LimitAsk, agoMs: number, nowMs: number): void {
    if (this.size + 2 <= this.#entriesMax || !this.#isNew(ask)) this.#count(ask, nowMs - agoMs, nowMs);
  }

  #overRate(ask: LimitAsk, nowMs: number): number | undefined {
    const counter = this.#counters.get(counterKey(ask));
    return counter === undefined || counter.total(nowMs) < ask.rate.count ? undefined : counter.waitMs(nowMs);
  }

  /** `fresh`: by key, new members in the same command. */
  #overDistinct(
    { key, rate, member }: LimitAsk & { readonly kind: 'distinct' },
    fresh: Map<string, Set<string>>,
    nowMs: number,
  ): number | undefined {
    const group = this.#groups.get(key);
    const others = fresh.get(key) ?? new Set<string>();
    if (group !== undefined && !fresh.has(key)) this.#forget(group, nowMs);
    fresh.set(key, others);
    if (group?.seen.has(member) === true) return undefined;
    others.add(member);
    if ((group?.seen.size ?? 0) + others.size <= rate.count) return undefined;
    let oldest = nowMs;
    for (const atMs of group?.seen.values() ?? []) oldest = Math.min(oldest, atMs);
    return Math.max(1, oldest + rate.windowMs - nowMs);
  }

  #forget(group: Group, nowMs: number): void {
    for (const [member, atMs] of group.seen) {
      if (atMs <= nowMs - group.windowMs && group.seen.delete(member)) this.#members -= 1;
    }
  }

  #isNew(ask: LimitAsk): boolean {
    return ask.kind === 'rate'
      ? !this.#counters.has(counterKey(ask))
      : this.#groups.get(ask.key)?.seen.has(ask.member) !== true;
  }

  #hasRoom(asks: readonly LimitAsk[], nowMs: number): boolean {
    if (this.#fits(asks) || !asks.some((ask) => this.#isNew(ask))) return true;
    if (nowMs - this.#sweptMs >= sweepEveryMs) this.#sweep(nowMs);
    return this.#fits(asks);
  }

  #fits(asks: readonly LimitAsk[]): boolean {
    return this.size + asks.length * 2 <= this.#entriesMax;
  }

  #sweep(nowMs: number): void {
    this.#sweptMs = nowMs;
    for (const [key, counter] of this.#counters) if (counter.total(nowMs) === 0) this.#counters.delete(key);
    for (const [key, group] of this.#groups) {
      this.#forget(group, nowMs);
      if (group.seen.size === 0) this.#groups.delete(key);
    }
  }

  #count(ask: LimitAsk, atMs: number, nowMs: number): void {
    if (ask.kind === 'distinct') {
      const group = this.#groups.get(ask.key) ?? { windowMs: ask.rate.windowMs, seen: new Map() };
      this.#groups.set(ask.key, group);
      const before = group.seen.get(ask.member);
      if (before === undefined) this.#members += 1;
      group.seen.set(ask.member, Math.max(before ?? atMs, atMs));
      return;
    }
    const key = counterKey(ask);
    const counter = this.#counters.get(key) ?? new Counter(ask.rate.windowMs, nowMs);
    this.#counters.set(key, counter);
    counter.total(nowMs);
    counter.add(atMs);
  }
}

/** A limit with a changed span starts at zero; one with a changed number continues. */
function counterKey(ask: LimitAsk): string {
  return `${ask.key}\0${ask.rate.windowMs}`;
}
