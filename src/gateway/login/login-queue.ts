// In which order peers that have not logged in are served: who failed (the pace), whose password is checked next (the queue), and whose
// bytes are read next (the turns).
// The rules: nothing is counted by the name alone, so that no stranger can keep an account's owner out; what is counted is bounded, and
// what matters least is forgotten first; no more logins wait than there is room for, in all and from one network; networks with a
// recent success come first, then those that failed least.

import { bounds } from '../../bounds/bounds.js';
import { OrderedSet, type Placed } from '../../concurrency/ordered-set.js';
import type { Clock, Timer } from '../../ports/machine.js';

/** Where a login comes from, and for whom. */
export interface LoginSource {
  /** A place on the network ({@link networkOf}). */
  readonly network: string;
  /** As the peer gave it, account or not, with its listener. */
  readonly name: string;
}

export interface LoginStanding {
  /** Not to be checked before; on the monotonic clock. */
  readonly dueMs: number;
  /** Failures of this name from there, and all from there, that are not forgotten yet. */
  readonly nameFailures: number;
  readonly failures: number;
  /** A login from there succeeded within the last hour. */
  readonly hasSucceeded: boolean;
}

interface Failures {
  count: number;
  lastMs: number;
  dueMs: number;
}

interface Known extends Failures {
  crowded: number;
  succeededMs: number;
  readonly names: Map<string, Failures>;
}

/** Failures are forgotten when there was none for so long. */
const forgetMs = 15 * 60_000;
const successMs = 60 * 60_000;
/** After the first failure of a name; doubled with each. */
const namePauseMs = 250;
/** People behind one address mistype now and then. */
const freeFailures = 4;
const networkPauseMs = 50;
/** Less than that of a name: others come from there too. */
const networkPauseMaxMs = bounds.loginPauseMs;
const networksMax = bounds.loginNetworks;
const namesMax = bounds.loginNamesPerNetwork;

/**
 * What failed logins cost later ones: a pause that grows with the failures of a name from one network, and a shorter one that grows with
 * all failures from there.
 */
export class LoginPace {
  readonly #networks = new Map<string, Known>();

  /** Networks and names that are held. */
  get size(): number {
    let sum = this.#networks.size;
    for (const { names } of this.#networks.values()) sum += names.size;
    return sum;
  }

  standing({ network, name }: LoginSource, nowMs: number): LoginStanding {
    const known = this.#networks.get(network);
    if (known === undefined) return { dueMs: 0, nameFailures: 0, failures: 0, hasSucceeded: false };
    const named = known.names.get(name);
    return {
      dueMs: Math.max(known.dueMs, named?.dueMs ?? 0),
      nameFailures: countOf(named, nowMs),
      failures: allOf(known, nowMs),
      hasSucceeded: hasSucceeded(known, nowMs),
    };
  }

  /** A network's place in the order; lower comes first, below 0 after a recent success. */
  rankOf(network: string, nowMs: number): number {
    const known = this.#networks.get(network);
    if (known === undefined) return 0;
    return hasSucceeded(known, nowMs) ? -1 : allOf(known, nowMs);
  }

  /** The next login of that name from there waits at most `pauseMaxMs`. */
  failed({ network, name }: LoginSource, nowMs: number, pauseMaxMs: number): void {
    const known = this.#knownOf(network, nowMs);
    known.crowded = crowdedOf(known, nowMs);
    fail(known, nowMs);
    const steps = known.count - freeFailures;
    if (steps > 0)
      known.dueMs = nowMs + Math.min(pauseMaxMs, networkPauseMaxMs, doubled(networkPauseMs, steps));
    let named = known.names.get(name);
    if (named === undefined) {
      makeRoom(known.names, namesMax, (each) => countOf(each, nowMs));
      named = { count: 0, lastMs: nowMs, dueMs: 0 };
      known.names.set(name, named);
    }
    fail(named, nowMs);
    named.dueMs = nowMs + Math.min(pauseMaxMs, doubled(namePauseMs, named.count));
  }

  /** A login was not checked, since there were too many: it costs no pause, and others come first next time. */
  crowded({ network }: LoginSource, nowMs: number): void {
    const known = this.#knownOf(network, nowMs);
    known.crowded = crowdedOf(known, nowMs) + 1;
    known.count = countOf(known, nowMs);
    known.lastMs = nowMs;
  }

  /** Forgives the failures of this name from there, and no others: the owner of one account may guess at others. */
  succeeded({ network, name }: LoginSource, nowMs: number): void {
    const known = this.#knownOf(network, nowMs);
    known.succeededMs = nowMs;
    known.names.delete(name);
  }

  #knownOf(network: string, nowMs: number): Known {
    let known = this.#networks.get(network);
    if (known === undefined) {
      // A network with a recent success stays before all strangers that failed.
      makeRoom(this.#networks, networksMax, (each) =>
        hasSucceeded(each, nowMs) ? Infinity : allOf(each, nowMs),
      );
      known = { count: 0, lastMs: nowMs, dueMs: 0, crowded: 0, succeededMs: -Infinity, names: new Map() };
      this.#networks.set(network, known);
    }
    return known;
  }
}

function fail(failures: Failures, nowMs: number): void {
  failures.count = countOf(failures, nowMs) + 1;
  failures.lastMs = nowMs;
}

function hasSucceeded({ succeededMs }: Known, nowMs: number): boolean {
  return nowMs - succeededMs < successMs;
}

function countOf(failures: Failures | undefined, nowMs: number): number {
  return failures === undefined || nowMs - failures.lastMs >= forgetMs ? 0 : failures.count;
}

function crowdedOf(known: Known, nowMs: number): number {
  return nowMs - known.lastMs >= forgetMs ? 0 : known.crowded;
}

function allOf(known: Known, nowMs: number): number {
  return countOf(known, nowMs) + crowdedOf(known, nowMs);
}

function doubled(firstMs: number, steps: number): number {
  return firstMs * 2 ** Math.min(steps - 1, 20);
}

/** Removes what matters least when the table is full; of equals the oldest. */
function makeRoom<T>(table: Map<string, T>, most: number, weight: (entry: T) => number): void {
  if (table.size < most) return;
  let least: string | undefined;
  let leastWeight = Infinity;
  for (const [key, entry] of table) {
    const itsWeight = weight(entry);
    if (least !== undefined && itsWeight >= leastWeight) continue;
    least = key;
    leastWeight = itsWeight;
  }
  if (least !== undefined) table.delete(least);
}

export interface LoginTry {
  /** Equal for tries that are the same in everything: they are checked once. */
  readonly key: string;
  readonly source: LoginSource;
  /** The longest pause that its failure may cost the next one. */
  readonly pauseMaxMs: number;
  /** Called at most once. A rejection is passed on, and counts for nothing. */
  readonly judge: () => Promise<boolean>;
  /** Called once, when it was checked or never will be: the password is not needed any more. */
  readonly forget: () => void;
}

/** `crowded`: not checked, there was no room for it; `gone`: not checked, since it was taken back. */
export type TryAnswer = 'right' | 'wrong' | 'crowded' | 'gone';

export interface PendingTry {
  readonly answer: Promise<TryAnswer>;
  /** It comes from a network that failed before; where room is needed, such tries are dropped. */
  readonly isSuspect: boolean;
  /** The caller gave up; to be called once at most. */
  takeBack(): void;
}

/** A try, and how many made it. */
interface Waiter {
  readonly login: LoginTry;
  readonly answer: Promise<TryAnswer>;
  readonly resolve: (answer: TryAnswer) => void;
  readonly reject: (fault: unknown) => void;
  askers: number;
}

/** More than these would wait longer than a handshake may take. */
const waitersMax = bounds.loginWaiters;
const waitersPerNetworkMax = bounds.loginWaitersPerNetwork;

/** Checks one password at a time, since each costs a processor a tenth of a second and tens of MiB. */
export class LoginQueue {
  readonly #clock: Clock;
  readonly #pace: LoginPace;
  /** By their keys, in the order in which they came. */
  readonly #waiting = new Map<string, Waiter>();
  #running: Waiter | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, pace: LoginPace) {
    this.#clock = clock;
    this.#pace = pace;
  }

  /** Tries that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  add(login: LoginTry): PendingTry {
    const { failures, dueMs } = this.#pace.standing(login.source, this.#clock.now());
    const isSuspect = failures > 0 || dueMs > this.#clock.now();
    const waiter = this.#waiterFor(login);
    waiter.askers += 1;
    this.#makeRoom(login.source.network);
    this.#next();
    const takeBack = (): void => {
      waiter.askers -= 1;
      if (waiter.askers === 0) this.#leave(waiter, 'gone');
    };
    return { answer: waiter.answer, isSuspect, takeBack };
  }

  /** Answers a waiter that is not checked. */
  #leave(waiter: Waiter, answer: 'crowded' | 'gone'): void {
    if (this.#waiting.get(waiter.login.key) !== waiter) return;
    this.#waiting.delete(waiter.login.key);
    waiter.login.forget();
    waiter.resolve(answer);
    if (this.#waiting.size === 0) this.#timer?.cancel();
  }

  /** Every change ends here. */
  #next(): void {
    if (this.#running !== undefined) return;
    this.#timer?.cancel();
    const nowMs = this.#clock.now();
    let first: { readonly waiter: Waiter; readonly standing: LoginStanding } | undefined;
    let soonestMs = Infinity;
    for (const waiter of this.#waiting.values()) {
      const standing = this.#pace.standing(waiter.login.source, nowMs);
      if (standing.dueMs > nowMs) soonestMs = Math.min(soonestMs, standing.dueMs);
      else if (first === undefined || compare(standing, first.standing) < 0) first = { waiter, standing };
    }
    if (first !== undefined) this.#judge(first.waiter);
    else if (soonestMs < Infinity) this.#timer = this.#clock.setTimer(soonestMs - nowMs, () => this.#next());
  }

  #judge(waiter: Waiter): void {
    const { login, resolve, reject } = waiter;
    this.#waiting.delete(login.key);
    this.#running = waiter;
    void login
      .judge()
      .then((isRight) => {
        // Also when no caller waits for the answer any more: a peer that hangs up has guessed all the same.
        if (isRight) this.#pace.succeeded(login.source, this.#clock.now());
        else this.#pace.failed(login.source, this.#clock.now(), login.pauseMaxMs);
        resolve(isRight ? 'right' : 'wrong');
      }, reject)
      .finally(() => {
        login.forget();
        this.#running = undefined;
        this.#next();
      });
  }

  #makeRoom(network: string): void {
    const all = [...this.#waiting.values()];
    const theirs = all.filter(({ login }) => login.source.network === network);
    const tooMany = theirs.length > waitersPerNetworkMax ? theirs : all.length > waitersMax ? all : undefined;
    const worst = tooMany && this.#worstOf(tooMany);
    if (worst === undefined) return;
    this.#pace.crowded(worst.login.source, this.#clock.now());
    this.#leave(worst, 'crowded');
  }

  /** Which one is dropped; of equals the oldest. */
  #worstOf(waiters: readonly Waiter[]): Waiter | undefined {
    const perNetwork = new Map<string, number>();
    for (const { login } of waiters) {
      perNetwork.set(login.source.network, (perNetwork.get(login.source.network) ?? 0) + 1);
    }
    let worst:
      | { readonly waiter: Waiter; readonly standing: LoginStanding; readonly many: number }
      | undefined;
    for (const waiter of waiters) {
      const standing = this.#pace.standing(waiter.login.source, this.#clock.now());
      const many = perNetwork.get(waiter.login.source.network) ?? 0;
      const isWorse = worst === undefined || (compare(standing, worst.standing) || many - worst.many) > 0;
      if (isWorse) worst = { waiter, standing, many };
    }
    return worst?.waiter;
  }

  #waiterFor(login: LoginTry): Waiter {
    const same = this.#running?.login.key === login.key ? this.#running : this.#waiting.get(login.key);
    if (same !== undefined) {
      login.forget();
      return same;
    }
    let settle: Pick<Waiter, 'resolve' | 'reject'> = { resolve: () => undefined, reject: () => undefined };
    const answer = new Promise<TryAnswer>((resolve, reject) => {
      settle = { resolve, reject };
    });
    const waiter = { login, answer, ...settle, askers: 0 };
    this.#waiting.set(login.key, waiter);
    return waiter;
  }
}

/** Below 0: `a` comes first. */
function compare(a: LoginStanding, b: LoginStanding): number {
  return (
    Number(b.hasSucceeded) - Number(a.hasSucceeded) ||
    a.failures - b.failures ||
    a.nameFailures - b.nameFailures
  );
}

/** A peer that waits for its turn. */
interface Waiting extends Placed<Waiting> {
  readonly resolve: () => void;
}

/** How many are served before everybody else is. */
const perTurn = 4;
/**
 * While peers keep arriving, those without a recent success are served this often only. A turn of the event loop accepts one connection
 * (libuv 1.46), so whoever connects last would wait for as many turns as connected before, each as long as what is served in it.
 */
const arrivalPauseMs = 20;
/** Higher than that of any network: {@link UnauthenticatedTurns.take} with `isLast`. */
const lastRank = Number.MAX_VALUE;

/**
 * Turns for what costs much before a login: a TLS handshake costs a processor a millisecond or more, and a thousand of them at once would
 * keep everybody else waiting. Networks take turns, however many come from one; after a few turns everybody else is served.
 */
export class UnauthenticatedTurns {
  readonly #rankOf: (network: string) => number;
  readonly #nextTurn: () => Promise<void>;
  readonly #now: () => number;
  /** By rank, as it was when they came, then by network; the one that was served last stands last. None is empty. */
  readonly #waiting = new Map<number, Map<string, OrderedSet<Waiting>>>();
  #isServing = false;
  /** Somebody came since the last turn of the loop. */
  #isArriving = false;
  #servedMs = -Infinity;

  /**
   * `rankOf`: lower comes first, below 0 after a recent success. `nextTurn`: resolves when everybody else had a turn
   * ({@link Clock.nextTurn}). `now`: milliseconds of a clock that never goes back.
   */
  constructor(rankOf: (network: string) => number, nextTurn: () => Promise<void>, now: () => number) {
    this.#rankOf = rankOf;
    this.#nextTurn = nextTurn;
    this.#now = now;
  }

  /** Peers that wait. */
  get size(): number {
    let sum = 0;
    for (const networks of this.#waiting.values()) for (const { size } of networks.values()) sum += size;
    return sum;
  }

  /**
   * Resolves when it is the turn of a peer from there. After `signal` it takes no turn and resolves at once: connections that are
   * closed as fast as they come must not stand before those that are open. `isLast`: it comes after all others, and no stranger is
   * paused for it.
   */
  take(network: string, signal?: AbortSignal, isLast = false): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      if (!isLast) this.#isArriving = true;
      const rank = isLast ? lastRank : this.#rankOf(network);
      const networks = this.#waiting.get(rank) ?? new Map<string, OrderedSet<Waiting>>();
      this.#waiting.set(rank, networks);
      const theirs = networks.get(network) ?? new OrderedSet<Waiting>();
      networks.set(network, theirs);
      const leave = (): void => {
        if (theirs.delete(waiting) && theirs.size === 0) this.#forget(rank, network, theirs);
        resolve();
      };
      const waiting: Waiting = {
        place: undefined,
        resolve() {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      theirs.add(waiting);
      signal?.addEventListener('abort', leave, { once: true });
      if (!this.#isServing) void this.#serve();
    });
  }

  #forget(rank: number, network: string, theirs: OrderedSet<Waiting>): void {
    const networks = this.#waiting.get(rank);
    if (networks?.get(network) !== theirs) return;
    networks.delete(network);
    if (networks.size === 0) this.#waiting.delete(rank);
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#waiting.size > 0) {
      this.#isArriving = false;
      await this.#nextTurn();
      const nowMs = this.#now();
      const isPaused = this.#isArriving && nowMs - this.#servedMs < arrivalPauseMs;
      if (!isPaused) this.#servedMs = nowMs;
      for (let count = 0; count < perTurn; count += 1) this.#serveOne(isPaused ? -1 : Infinity);
    }
    this.#isServing = false;
  }

  #serveOne(rankMax: number): void {
    let rank = Infinity;
    for (const each of this.#waiting.keys()) if (each < rank) rank = each;
    const networks = rank > rankMax ? undefined : this.#waiting.get(rank);
    const [first] = networks ?? [];
    if (networks === undefined || first === undefined) return;
    const [network, theirs] = first;
    const { first: next } = theirs;
    // Last of the networks, or gone with its last peer.
    this.#forget(rank, network, theirs);
    if (next === undefined) return;
    theirs.delete(next);
    if (theirs.size > 0) {
      this.#waiting.set(rank, networks);
      networks.set(network, theirs);
    }
    next.resolve();
  }
}
