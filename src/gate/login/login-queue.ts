// In which order clients that have not logged in are served: whose password is checked next (the queue), and whose bytes are read next (the
// turns). Nothing counts by the name alone, so that no stranger can keep an account's owner out. All tables are bounded. Networks from
// which somebody logged in lately come first. The others take turns, so that an attacker gets as many turns as it has networks. Each failed
// login costs a token of its network, and without a token its next password is not checked.

import { bounds } from '../../host/bounds/bounds.js';
import { unlessAborted } from '../../host/concurrency/abortable.js';
import { TokenBuckets } from '../../host/concurrency/limits.js';
import type { Clock, Timer } from '../../host/ports/machine.js';

export interface LoginSource {
  /** A place on the network ({@link networkOf}). */
  readonly network: string;
  /** As the peer gave it, with its listener; there may be no such account. */
  readonly name: string;
}

const knownMs = 60 * 60_000;
const guessedMs = 60_000;
const sourcesMax = 8192;

export const failureLimits = {
  burst: bounds.loginFailures,
  refillMs: bounds.loginPauseMs,
  sourcesMax,
} as const;

export class LoginHistory {
  /** When a login succeeded, the oldest one first. Only a successful login makes an entry. */
  readonly #succeeded = new Map<string, number>();
  /** The number of the last turn, counted from 1; the oldest one first. */
  readonly #turns = new Map<string, number>();
  readonly #failures = new TokenBuckets(failureLimits);
  /** When a login from a network failed last; the oldest one first. */
  readonly #failed = new Map<string, number>();
  #turn = 0;

  get size(): number {
    return this.#succeeded.size + this.#turns.size + this.#failures.size + this.#failed.size;
  }

  /** Whether a login from there succeeded within the last hour; with `name`: under that name. */
  isKnown(network: string, nowMs: number, name?: string): boolean {
    return nowMs - (this.#succeeded.get(idOf(network, name)) ?? -Infinity) < knownMs;
  }

  succeeded({ network, name }: LoginSource, nowMs: number): void {
    put(this.#succeeded, idOf(network), nowMs);
    put(this.#succeeded, idOf(network, name), nowMs);
  }

  /** Whether a login from there succeeded lately and none failed within a minute: guessers of a known network count as strangers. */
  isTrusted(network: string, nowMs: number): boolean {
    return this.isKnown(network, nowMs) && nowMs - (this.#failed.get(network) ?? -Infinity) > guessedMs;
  }

  failed(source: LoginSource, nowMs: number): void {
    put(this.#failed, source.network, nowMs);
    this.#failures.take(this.#payerOf(source, nowMs), nowMs);
    // It goes before strangers, so it pays double: they would wait for four of its hashes.
    if (this.isKnown(source.network, nowMs, source.name))
      this.#failures.take(this.#payerOf(source, nowMs), nowMs);
  }

  waitMs(source: LoginSource, nowMs: number): number {
    return this.#failures.waitMs(this.#payerOf(source, nowMs), nowMs);
  }

  /** After a password was checked. A try that left unchecked counts for the network only, since names cost an attacker nothing. */
  tookTurn({ network, name }: LoginSource, isChecked: boolean): void {
    this.#turn += 1;
    put(this.#turns, idOf(network), this.#turn);
    if (isChecked) put(this.#turns, idOf(network, name), this.#turn);
  }

  /** Its place in the order, to be compared number by number: known ones first, then the turn that is longest ago. */
  placeOf({ network, name }: LoginSource, nowMs: number): readonly number[] {
    return [
      this.isKnown(network, nowMs, name) ? 0 : this.isKnown(network, nowMs) ? 1 : 2,
      this.#turns.get(idOf(network)) ?? 0,
      this.#turns.get(idOf(network, name)) ?? 0,
    ];
  }

  /** A name that logged in from there has tokens of its own: guesses at other names of a shared address must not lock it out. */
  #payerOf({ network, name }: LoginSource, nowMs: number): string {
    return idOf(network, this.isKnown(network, nowMs, name) ? name : undefined);
  }
}

/** A network has no blank. */
function idOf(network: string, name?: string): string {
  return name === undefined ? network : `${network} ${name}`;
}

/** Makes it the newest entry; a full table drops the oldest one. */
function put(table: Map<string, number>, key: string, value: number): void {
  table.delete(key);
  if (table.size >= sourcesMax) {
    const [oldest = key] = table.keys();
    table.delete(oldest);
  }
  table.set(key, value);
}

export interface LoginTry {
  /** Equal for identical tries: they are checked once. */
  readonly key: string;
  readonly source: LoginSource;
  /** Called at most once. A rejection is passed on, and counts for nothing. */
  readonly judge: () => Promise<boolean>;
  /** Called once, when the password is not needed any more: it was checked, or never will be. */
  readonly forget: () => void;
}

/** `crowded`: not checked, there was no room for it; `gone`: nobody waits for the answer any more. */
export type TryAnswer = 'right' | 'wrong' | 'crowded' | 'gone';

interface Waiter {
  readonly login: LoginTry;
  readonly answer: Promise<TryAnswer>;
  readonly resolve: (answer: TryAnswer) => void;
  readonly reject: (fault: unknown) => void;
  askers: number;
}

/** Checks one password at a time, since each costs a processor a tenth of a second and tens of MiB. */
export class LoginQueue {
  readonly #clock: Clock;
  readonly #history: LoginHistory;
  /** By their keys, in the order in which they came. */
  readonly #waiting = new Map<string, Waiter>();
  #running: Waiter | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, history: LoginHistory) {
    this.#clock = clock;
    this.#history = history;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** A try that is being checked goes on after the abort, and counts: a client that hangs up has guessed all the same. */
  async check(login: LoginTry, signal: AbortSignal): Promise<TryAnswer> {
    if (signal.aborted) {
      login.forget();
      return 'gone';
    }
    const waiter = this.#waiterFor(login);
    waiter.askers += 1;
    this.#makeRoom(login.source.network);
    this.#next();
    const answer = await unlessAborted(waiter.answer, signal);
    if (answer !== undefined) return answer;
    waiter.askers -= 1;
    if (waiter.askers === 0) this.#leave(waiter, 'gone');
    return 'gone';
  }

  /**
   * Answers a waiter that is not checked. It counts as a turn also if its clients hung up: else guesses that were given up would stay
   * first.
   */
  #leave(waiter: Waiter, answer: 'crowded' | 'gone'): void {
    if (this.#waiting.get(waiter.login.key) !== waiter) return;
    this.#waiting.delete(waiter.login.key);
    this.#history.tookTurn(waiter.login.source, false);
    waiter.login.forget();
    waiter.resolve(answer);
    if (this.#waiting.size === 0) this.#timer?.cancel();
  }

  /** Every change ends with this call. */
  #next(): void {
    if (this.#running !== undefined) return;
    this.#timer?.cancel();
    const nowMs = this.#clock.now();
    const ready: Waiter[] = [];
    let soonestMs = Infinity;
    for (const waiter of this.#waiting.values()) {
      const waitMs = this.#history.waitMs(waiter.login.source, nowMs);
      if (waitMs === 0) ready.push(waiter);
      else soonestMs = Math.min(soonestMs, waitMs);
    }
    const [first] = sorted(ready, ({ login }) => this.#history.placeOf(login.source, nowMs));
    if (first !== undefined) void this.#judge(first);
    else if (soonestMs < Infinity) this.#timer = this.#clock.setTimer(soonestMs, () => this.#next());
  }

  async #judge(waiter: Waiter): Promise<void> {
    const { login, resolve, reject } = waiter;
    this.#waiting.delete(login.key);
    this.#running = waiter;
    this.#history.tookTurn(login.source, true);
    try {
      const isRight = await login.judge();
      const nowMs = this.#clock.now();
      if (isRight) this.#history.succeeded(login.source, nowMs);
      else this.#history.failed(login.source, nowMs);
      resolve(isRight ? 'right' : 'wrong');
    } catch (fault) {
      reject(fault);
    }
    login.forget();
    this.#running = undefined;
    this.#next();
  }

  /** Drops one if too many wait: first of networks without a success, among these of the network with most, there the last in the order. */
  #makeRoom(network: string): void {
    const all = [...this.#waiting.values()];
    const waitingAt = (place: string): Waiter[] => all.filter(({ login }) => login.source.network === place);
    const theirs = waitingAt(network);
    const tooMany =
      theirs.length > bounds.loginWaitersPerNetwork ? theirs : all.length > bounds.loginWaiters ? all : [];
    const nowMs = this.#clock.now();
    const worst = sorted(tooMany, ({ login }) => {
      const [rank = 0, ...turns] = this.#history.placeOf(login.source, nowMs);
      return [rank, waitingAt(login.source.network).length, ...turns];
    }).at(-1);
    if (worst !== undefined) this.#leave(worst, 'crowded');
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

/** By their places, number by number; of equals the one that came first stays first. */
function sorted(waiters: readonly Waiter[], placeOf: (waiter: Waiter) => readonly number[]): Waiter[] {
  const placed = waiters.map((waiter) => ({ waiter, place: placeOf(waiter) }));
  placed.sort((a, b) => {
    const at = a.place.findIndex((number, index) => number !== b.place[index]);
    return (a.place[at] ?? 0) - (b.place[at] ?? 0);
  });
  return placed.map(({ waiter }) => waiter);
}

/** Clients that wait for their turn, by network; the network that was served last stands last. No set is empty. */
type Round = Map<string, Set<() => void>>;

/** Clients served in each turn of the event loop; then all other work is served. */
const perTurn = 4;
/**
 * While clients keep arriving, those of networks without a recent success are served only this often. A turn of the event loop accepts one
 * connection (libuv 1.46), so each client served in a turn delays everybody who still has to be accepted.
 */
const arrivalPauseMs = 20;

/**
 * Turns for expensive work before a login: a TLS handshake takes a processor a millisecond or more, and a thousand of them at once would
 * delay all clients. Networks take turns, however many peers come from each; after a few turns all other work is served.
 */
export class UnauthenticatedTurns {
  readonly #isKnown: (network: string) => boolean;
  readonly #nextTurn: () => Promise<void>;
  readonly #now: () => number;
  /** For networks with a recent success, for others, and for clients that come last. */
  readonly #rounds: readonly [Round, Round, Round] = [new Map(), new Map(), new Map()];
  #isServing = false;
  /** A client came since the last turn of the loop. */
  #isArriving = false;
  #servedMs = -Infinity;

  /**
   * `isKnown`: a login from there succeeded lately. `nextTurn`: resolves when everybody else had a turn ({@link Clock.nextTurn}). `now`:
   * milliseconds of a clock that never goes back.
   */
  constructor(isKnown: (network: string) => boolean, nextTurn: () => Promise<void>, now: () => number) {
    this.#isKnown = isKnown;
    this.#nextTurn = nextTurn;
    this.#now = now;
  }

  get size(): number {
    let sum = 0;
    for (const round of this.#rounds) for (const { size } of round.values()) sum += size;
    return sum;
  }

  /**
   * Resolves when it is the turn of a client of that network. An abort gives the turn up and resolves at once: connections that are closed
   * as fast as they come must not stand before open ones. `isLast`: after all others, and no other one is paused for it.
   */
  take(network: string, signal?: AbortSignal, isLast = false): Promise<void> {
    if (signal?.aborted === true) return Promise.resolve();
    if (!isLast) this.#isArriving = true;
    const round = this.#rounds[isLast ? 2 : this.#isKnown(network) ? 0 : 1];
    const theirs = round.get(network) ?? new Set();
    round.set(network, theirs);
    return new Promise((resolve) => {
      const go = (): void => {
        theirs.delete(go);
        if (theirs.size === 0 && round.get(network) === theirs) round.delete(network);
        signal?.removeEventListener('abort', go);
        resolve();
      };
      theirs.add(go);
      signal?.addEventListener('abort', go, { once: true });
      if (!this.#isServing) void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    this.#isServing = true;
    while (this.#rounds.some(({ size }) => size > 0)) {
      this.#isArriving = false;
      await this.#nextTurn();
      const nowMs = this.#now();
      const isPaused = this.#isArriving && nowMs - this.#servedMs < arrivalPauseMs;
      if (!isPaused) this.#servedMs = nowMs;
      for (let count = 0; count < perTurn; count += 1) this.#serveOne(isPaused);
    }
    this.#isServing = false;
  }

  #serveOne(isKnownOnly: boolean): void {
    const [known] = this.#rounds;
    const round = isKnownOnly ? known : this.#rounds.find(({ size }) => size > 0);
    const [first] = round ?? [];
    if (round === undefined || first === undefined) return;
    const [network, theirs] = first;
    round.delete(network);
    if (theirs.size > 1) round.set(network, theirs);
    const [go] = theirs;
    go?.();
  }
}
