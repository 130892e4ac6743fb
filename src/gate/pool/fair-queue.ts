// The fair queue of a pool. Principals take turns, each with as many as its weight; the waiters of one principal are served in the order in
// which they came. A waiter whose demand cannot be met (a fresh upstream, on which nothing ran; a young one) is passed over; a principal
// that has enough (the caller decides) is passed over while others have not. A waiter whose turn has come may be promised an upstream that
// is still dialled: it is then out of the order, before all others. A waiter that is passed over keeps its turn. A new principal queues
// after those that wait already, so it waits for at most one round of each of them. A principal whose turns are used up goes to the end
// when the next waiter is taken, not before: newcomers that arrive meanwhile are served first.

import { type Queueing, whoGiveWay } from '../../host/concurrency/limits.js';
import { OrderedSet, type Place, type Placed } from '../../host/concurrency/ordered-set.js';
import type { Demand } from './lease.js';

export type Accepts = (demand: Demand) => boolean;

/** All demands, each at the index that `numberOf` gives. */
const demands: readonly Demand[] = [0, 1, 2, 3].map((number) => ({
  isFresh: (number & 1) !== 0,
  isYoung: (number & 2) !== 0,
}));

function numberOf({ isFresh, isYoung }: Demand): number {
  return (isFresh ? 1 : 0) + (isYoung ? 2 : 0);
}

export interface Queued extends Queueing, Demand {
  /** Turns in a round; at least 1. */
  readonly weight: number;
  /** Higher than that of all earlier waiters. */
  readonly arrival: number;
}

interface Line<W extends Placed<W>> {
  place: Place<Line<W>> | undefined;
  weight: number;
  /** Turns that are left in this round; 0 only for the spent line. */
  turns: number;
  readonly waiters: OrderedSet<W>;
}

export class FairQueue<W extends Queued & Placed<W>> {
  size = 0;
  readonly #promised = new OrderedSet<W>();
  readonly #lines = new Map<string, Line<W>>();
  /** In the order in which they have their turn. None is empty. */
  readonly #round = new OrderedSet<Line<W>>();
  /** The line without turns left in this round. It counts as the last one, and moves to the end when a waiter is taken. */
  #spent: Line<W> | undefined;
  /** Waiters without a promise by the number of their demand. */
  readonly #waiting = demands.map(() => 0);
  #promisedFresh = 0;

  get hasFresh(): boolean {
    return (this.#waiting[1] ?? 0) + (this.#waiting[3] ?? 0) > 0;
  }

  get hasYoung(): boolean {
    return (this.#waiting[2] ?? 0) + (this.#waiting[3] ?? 0) > 0;
  }

  /** Oldest first. */
  get promised(): Iterable<W> {
    return this.#promised.size === 0 ? [] : this.#promised;
  }

  get promisedCount(): number {
    return this.#promised.size;
  }

  get promisedFreshCount(): number {
    return this.#promisedFresh;
  }

  /** The waiter that came first, promised or not; undefined: none waits. */
  get oldest(): W | undefined {
    let oldest: W | undefined;
    for (const waiters of [this.promised, this.#waiters()])
      for (const waiter of waiters)
        if (oldest === undefined || waiter.arrival < oldest.arrival) oldest = waiter;
    return oldest;
  }

  add(waiter: W): void {
    this.#line(waiter).waiters.add(waiter);
    this.#count(waiter, 1);
  }

  /** Takes the first accepted waiter, which costs its principal a turn. A sated principal is passed over for one that is not. */
  take(accepts: Accepts, isSated: (principal: string) => boolean): W | undefined {
    if (this.size === this.#promised.size) return undefined;
    const takes = demands.map(accepts);
    if (!takes.includes(true)) return undefined;
    /** The first that was passed over: it is taken if no other waiter can be. */
    let passed: { readonly line: Line<W>; readonly waiter: W } | undefined;
    for (let line = this.#after(undefined); line !== undefined; line = this.#after(line)) {
      const waiter = firstOf(line, takes);
      if (waiter === undefined) continue;
      if (!this.hasOther(waiter.principal) || !isSated(waiter.principal)) return this.#takeOut(line, waiter);
      passed ??= { line, waiter };
    }
    return passed && this.#takeOut(passed.line, passed.waiter);
  }

  hasLine(principal: string): boolean {
    return this.#lines.has(principal);
  }

  spendTurn(principal: string): void {
    const line = this.#lines.get(principal);
    if (line !== undefined) this.#setTurns(line, line.turns - 1);
  }

  /** Takes all turns of this round from a principal that waits: all others that wait are served before it. */
  postpone(principal: string): void {
    const line = this.#lines.get(principal);
    if (line !== undefined) this.#setTurns(line, 0);
  }

  /** Of each principal the first waiters without a promise: of those that take any upstream, and of those that need a fresh one. */
  get firsts(): W[] {
    const firsts: W[] = [];
    for (const line of this.#lines.values())
      for (const first of [firstOf(line, anyOnly), firstOf(line, freshOnly)])
        if (first !== undefined) firsts.push(first);
    return firsts;
  }

  advance(principal: string): void {
    const line = this.#lines.get(principal);
    if (line !== undefined) this.#putFirst(line, Math.max(1, line.turns));
  }

  hasOther(principal: string): boolean {
    return this.#lines.size > (this.#lines.has(principal) ? 1 : 0) || this.#promisesOther(principal);
  }

  hasOtherFor(principal: string, accepts: Accepts, isSated: (principal: string) => boolean): boolean {
    const takes = demands.map(accepts);
    for (const [other, line] of this.#lines) {
      if (other === principal) continue;
      if (firstOf(line, takes) !== undefined && !isSated(other)) return true;
    }
    return false;
  }

  /** A waiter that was taken keeps waiting, before all others. */
  promise(waiter: W): void {
    this.#promised.add(waiter);
    this.size += 1;
    if (waiter.isFresh) this.#promisedFresh += 1;
  }

  /** Withdraws a promise (default: the last one): its waiter is the first of its principal again, and its principal is first. */
  breakPromise(promised?: W): void {
    const waiter = promised ?? this.#promised.last;
    if (waiter === undefined) return;
    this.#unpromise(waiter);
    const line = this.#line(waiter);
    line.waiters.addFirst(waiter);
    this.#count(waiter, 1);
    this.#putFirst(line, this.#after(undefined) === line ? Math.min(line.weight, line.turns + 1) : 1);
  }

  delete(waiter: W): void {
    if (this.#unpromise(waiter)) return;
    const line = this.#lines.get(waiter.principal);
    if (line === undefined || !this.#leave(line, waiter)) return;
    this.#forgetEmpty(waiter.principal, line);
  }

  /** Takes out all, in the order in which they came: they may queue elsewhere. */
  clear(): readonly W[] {
    const all = [...this.#promised, ...this.#waiters()].toSorted((one, other) => one.arrival - other.arrival);
    for (const waiter of all) this.delete(waiter);
    return all;
  }

  /** In a full queue, the waiter without a promise that is refused in favor of a newcomer; undefined: none. */
  lastOfMost(newcomer: Queueing): W | undefined {
    const waiters = whoGiveWay(this.#waiters(), newcomer);
    return waiters?.reduce((one, other) => (one.arrival > other.arrival ? one : other));
  }

  *#waiters(): Iterable<W> {
    for (const { waiters } of this.#round) yield* waiters;
  }

  #promisesOther(principal: string): boolean {
    for (let each = this.#promised.first; each !== undefined; each = this.#promised.after(each))
      if (each.principal !== principal) return true;
    return false;
  }

  /** The next line in the order of turns; for undefined, the first one. */
  #after(line: Line<W> | undefined): Line<W> | undefined {
    const spent = this.#spent;
    if (line !== undefined && line === spent) return undefined;
    const next = line === undefined ? this.#round.first : this.#round.after(line);
    return (next !== undefined && next === spent ? this.#round.after(next) : next) ?? spent;
  }

  #putFirst(line: Line<W>, turns: number): void {
    line.turns = turns;
    if (this.#spent === line) this.#spent = undefined;
    this.#round.addFirst(line);
  }

  #setTurns(line: Line<W>, turns: number): void {
    if (turns <= 0) {
      this.#renewSpent();
      this.#spent = line;
    }
    line.turns = Math.max(0, turns);
  }

  #renewSpent(): void {
    const spent = this.#spent;
    if (spent === undefined) return;
    this.#spent = undefined;
    spent.turns = spent.weight;
    this.#round.add(spent);
  }

  #takeOut(line: Line<W>, waiter: W): W {
    this.#renewSpent();
    this.#leave(line, waiter);
    this.#setTurns(line, line.turns - 1);
    this.#forgetEmpty(waiter.principal, line);
    return waiter;
  }

  /** Returns false if the waiter was not in that line. */
  #leave(line: Line<W>, waiter: W): boolean {
    if (!line.waiters.delete(waiter)) return false;
    this.#count(waiter, -1);
    return true;
  }

  #count(waiter: W, more: 1 | -1): void {
    const number = numberOf(waiter);
    this.#waiting[number] = (this.#waiting[number] ?? 0) + more;
    this.size += more;
  }

  #unpromise(waiter: W): boolean {
    if (!this.#promised.delete(waiter)) return false;
    this.size -= 1;
    if (waiter.isFresh) this.#promisedFresh -= 1;
    return true;
  }

  #line({ principal, weight }: W): Line<W> {
    const known = this.#lines.get(principal);
    if (known !== undefined) {
      known.weight = weight;
      return known;
    }
    const line: Line<W> = { place: undefined, weight, turns: weight, waiters: new OrderedSet<W>() };
    this.#lines.set(principal, line);
    this.#round.add(line);
    return line;
  }

  #forgetEmpty(principal: string, line: Line<W>): void {
    if (line.waiters.size > 0) return;
    this.#lines.delete(principal);
    this.#round.delete(line);
    if (this.#spent === line) this.#spent = undefined;
  }
}

const anyOnly = demands.map(({ isFresh }) => !isFresh);
const freshOnly = demands.map(({ isFresh }) => isFresh);

/** The first of a line that may be taken; `takes`: by the number of its demand. */
function firstOf<W extends Queued & Placed<W>>(
  { waiters }: Line<W>,
  takes: readonly boolean[],
): W | undefined {
  for (let waiter = waiters.first; waiter !== undefined; waiter = waiters.after(waiter))
    if (takes[numberOf(waiter)] === true) return waiter;
  return undefined;
}
