// Limits that commands of all clients share: held bytes, turns of a principal, users' mail, tokens of questions, places of a full queue.
// First come, first served, so that nobody starves. Everything taken is given back once. A waiter that leaves takes nothing.

import type { Clock, Timer } from '../ports/machine.js';

/** Callbacks in order of arrival, each with the holder or backend that it waits for. */
type Waiters = Map<() => void, string>;

/**
 * Adds an entry to `waiters` until its callback is called, and resolves to the result of `enter` then. On an abort it rejects with the
 * signal's reason, after calling `left`.
 */
function waitIn<T>(
  waiters: Waiters,
  value: string,
  signal: AbortSignal,
  enter: () => T,
  left: () => void = () => undefined,
): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      waiters.delete(go);
      signal.removeEventListener('abort', onAbort);
    };
    const go = (): void => {
      leave();
      resolve(enter());
    };
    const onAbort = (): void => {
      leave();
      reject(signal.reason);
      left();
    };
    waiters.set(go, value);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * The bytes that are held for all clients. It is full for a holder if the free bytes are not more than its own: a single holder gets half,
 * and with any number of holders something stays free for those that hold nothing. While it is full nothing new begins; running work goes
 * on, because only its end frees bytes.
 */
export class ByteBudget {
  bytes = 0;
  readonly #bytesMax: number;
  readonly #held = new Map<string, number>();
  readonly #waiters: Waiters = new Map();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Full even for those that hold nothing. */
  get isFull(): boolean {
    return this.bytes >= this.#bytesMax;
  }

  isFullFor(holder: string): boolean {
    return this.heldBy(holder) >= this.#bytesMax - this.bytes;
  }

  heldBy(holder: string): number {
    return this.#held.get(holder) ?? 0;
  }

  /** Adds held bytes. Never refuses: call `isFullFor` before more is read. */
  take(bytes: number, holder: string): void {
    this.bytes += bytes;
    const held = this.heldBy(holder) + bytes;
    if (held === 0) this.#held.delete(holder);
    else this.#held.set(holder, held);
  }

  give(bytes: number, holder: string): void {
    this.take(-bytes, holder);
    // Wakes all of them: each holds almost nothing when it goes on, and checks again before it reads more.
    for (const [go, waiting] of this.#waiters) if (!this.isFullFor(waiting)) go();
  }

  /** Resolves when it is not full for that holder; rejects with the signal's reason. */
  room(signal: AbortSignal, holder: string): Promise<void> {
    if (!this.isFullFor(holder) && !signal.aborted) return Promise.resolve();
    return waitIn(this.#waiters, holder, signal, () => undefined);
  }
}

export class KeyedSemaphore {
  readonly #queues = new Map<string, { running: number; readonly waiters: Waiters }>();

  get size(): number {
    return this.#queues.size;
  }

  /** Resolves when fewer than `most` others of that key run, to a function that gives the turn back. Rejects with the signal's reason. */
  take(key: string, most: number, signal: AbortSignal): Promise<() => void> {
    const queue = this.#queues.get(key) ?? { running: 0, waiters: new Map() };
    this.#queues.set(key, queue);
    const enter = (): (() => void) => {
      queue.running += 1;
      let isBack = false;
      return () => {
        if (isBack) return;
        isBack = true;
        queue.running -= 1;
        const [next] = queue.waiters.keys();
        if (next !== undefined) next();
        else if (queue.running === 0) this.#queues.delete(key);
      };
    };
    return queue.running < most ? Promise.resolve(enter()) : waitIn(queue.waiters, '', signal, enter);
  }
}

export interface Waiting {
  /** Called only if the command has to wait; aborted when the command is canceled. */
  signal(): AbortSignal;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** First after 5 s, then with exponential backoff. Must not throw. */
  onWaiting(): void;
}

export class WaitTimeout extends Error {
  override readonly name = 'WaitTimeout';
}

interface Place {
  backend: string;
  running: number;
  /** Waiters with their backends. Created for the first one; most places never have one. */
  waiters: Waiters | undefined;
}

const tellAfterMs = 5_000;

/**
 * Keeps two commands on the same user's mail from running on two backends at once: after a reload, a drain or a referral the later one
 * waits until the earlier ones have ended. On one backend they run in parallel: Dovecot has its own locks there. Callers identify a backend
 * by its address, because a reload may change the address of a name.
 */
export class UserLock {
  readonly #places = new Map<string, Place>();

  get size(): number {
    return this.#places.size;
  }

  /**
   * Waits until no other backend runs commands of these users; the result is a function that gives all of them back. Returned at once (no
   * promise) if no wait is needed. Rejects with the signal's reason, or with a WaitTimeout.
   */
  take(users: readonly string[], backend: string, waiting: Waiting): (() => void) | Promise<() => void> {
    const only = users[0];
    if (only !== undefined && users.length === 1) {
      const entered = this.#enter(only, backend);
      if (entered !== undefined) return entered;
    }
    // A fixed order: two commands that need the same two users cannot deadlock.
    const ordered = [...new Set(users)].toSorted();
    const taken: (() => void)[] = [];
    for (const user of ordered) {
      const entered = this.#enter(user, backend);
      if (entered === undefined) return this.#waitForRest(ordered, backend, waiting, taken);
      taken.push(entered);
    }
    return () => giveBack(taken);
  }

  async #waitForRest(
    users: readonly string[],
    backend: string,
    waiting: Waiting,
    taken: (() => void)[],
  ): Promise<() => void> {
    const { clock, timeoutMs } = waiting;
    const outer = waiting.signal();
    const controller = new AbortController();
    const onAbort = (): void => controller.abort(outer.reason);
    if (outer.aborted) onAbort();
    else outer.addEventListener('abort', onAbort, { once: true });
    const late = clock.setTimer(timeoutMs, () => controller.abort(new WaitTimeout()));
    const tell = (afterMs: number): Timer =>
      clock.setTimer(afterMs, () => {
        told = tell(2 * afterMs);
        if (!controller.signal.aborted) waiting.onWaiting();
      });
    let told = tell(tellAfterMs);
    try {
      for (const user of users.slice(taken.length)) {
        taken.push(this.#enter(user, backend) ?? (await this.#wait(user, backend, controller.signal)));
      }
      return () => giveBack(taken);
    } catch (reason) {
      giveBack(taken);
      throw reason;
    } finally {
      outer.removeEventListener('abort', onAbort);
      late.cancel();
      told.cancel();
    }
  }

  #enter(user: string, backend: string): (() => void) | undefined {
    const place = this.#places.get(user) ?? { backend, running: 0, waiters: undefined };
    // While one command waits, later ones wait too; otherwise it could starve.
    if (place.backend !== backend || (place.waiters?.size ?? 0) > 0) return undefined;
    if (place.running === 0) this.#places.set(user, place);
    return this.#run(user, place);
  }

  #wait(user: string, backend: string, signal: AbortSignal): Promise<() => void> {
    const place = this.#places.get(user);
    if (place === undefined) throw new Error('waited for nobody');
    const enter = (): (() => void) => this.#run(user, place);
    // Waiters after the one that leaves may have waited only for it.
    return waitIn((place.waiters ??= new Map()), backend, signal, enter, () => this.#admit(user, place));
  }

  #run(user: string, place: Place): () => void {
    place.running += 1;
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      place.running -= 1;
      this.#admit(user, place);
    };
  }

  #admit(user: string, place: Place): void {
    if (place.waiters !== undefined) {
      for (const [go, backend] of place.waiters) {
        if (place.running > 0 && backend !== place.backend) return;
        place.backend = backend;
        go();
      }
    }
    if (place.running === 0 && (place.waiters?.size ?? 0) === 0) this.#places.delete(user);
  }
}

function giveBack(taken: (() => void)[]): void {
  for (const each of taken.splice(0)) each();
}

export interface TokenLimits {
  readonly burst: number;
  readonly refillMs: number;
  readonly sourcesMax: number;
}

/** How often each source may cause work. When the table is full, new sources are refused: dropping an empty bucket would refill it. */
export class TokenBuckets {
  readonly #limits: TokenLimits;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(limits: TokenLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes all tokens or none. Undefined: taken; else the time until there are enough, in milliseconds. The clock must not leap. */
  take(source: string, nowMs: number, tokens = 1): number | undefined {
    const { burst, refillMs, sourcesMax } = this.#limits;
    let bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      if (this.#buckets.size >= sourcesMax) this.#forgetFull(nowMs);
      if (this.#buckets.size >= sourcesMax) return refillMs;
      bucket = { tokens: burst, atMs: nowMs };
      this.#buckets.set(source, bucket);
    }
    bucket.tokens = Math.min(burst, bucket.tokens + (nowMs - bucket.atMs) / refillMs);
    bucket.atMs = nowMs;
    if (bucket.tokens < tokens) return Math.ceil((tokens - bucket.tokens) * refillMs);
    bucket.tokens -= tokens;
    return undefined;
  }

  /** How long until a source has a token, in milliseconds; takes none. */
  waitMs(source: string, nowMs: number): number {
    const { refillMs } = this.#limits;
    const bucket = this.#buckets.get(source);
    if (bucket === undefined) return 0;
    return Math.max(0, Math.ceil((1 - bucket.tokens) * refillMs - (nowMs - bucket.atMs)));
  }

  /** A full bucket is the same as none. */
  #forgetFull(nowMs: number): void {
    const { burst, refillMs } = this.#limits;
    for (const [source, { tokens, atMs }] of this.#buckets) {
      if (tokens + (nowMs - atMs) / refillMs >= burst) this.#buckets.delete(source);
    }
  }
}

/**
 * Successive time limits with one timer: otherwise each command would create and cancel a timer for each of its limits. Calls `onDue` once
 * for each limit that is reached. Extending or clearing a limit does not touch the timer.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #dueMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  set(ms: number): void {
    const nowMs = this.#clock.now();
    this.#dueMs = nowMs + ms;
    if (this.#dueMs < this.#timerMs) this.#start(ms);
  }

  clear(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  end(): void {
    this.clear();
    this.#timer?.cancel();
    this.#timerMs = Number.NEGATIVE_INFINITY;
  }

  #start(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(ms, () => this.#look());
    this.#timerMs = this.#dueMs;
  }

  #look(): void {
    this.#timer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (this.#dueMs === Number.POSITIVE_INFINITY) return;
    const leftMs = this.#dueMs - this.#clock.now();
    if (leftMs > 0) return this.#start(leftMs);
    this.clear();
    this.#onDue();
  }
}

/** The owner of a request. Principals of one place (an address, a UNIX user: `origin`) count as one against other places. */
export interface Queueing {
  readonly principal: string;
  readonly origin: string;
}

/**
 * The waiters of which the newest is refused in favor of a newcomer, in the order of `waiting`. They belong to the place with most waiters,
 * if it has at least two more than the newcomer's, and there to the principal with most. Otherwise they belong to the principal with most
 * in the newcomer's own place, if it has at least two more than the newcomer. Undefined: none is refused.
 */
export function whoGiveWay<W extends Queueing>(
  waiting: Iterable<W>,
  { principal, origin }: Queueing,
): readonly W[] | undefined {
  const places = new Map<string, Map<string, W[]>>();
  for (const waiter of waiting) {
    const place = places.get(waiter.origin) ?? new Map<string, W[]>();
    places.set(waiter.origin, place);
    const waiters = place.get(waiter.principal) ?? [];
    place.set(waiter.principal, waiters);
    waiters.push(waiter);
  }
  const own = places.get(origin);
  const place = largest(places.values(), waitersOf, own === undefined ? 0 : waitersOf(own));
  if (place !== undefined) return largest(place.values(), lengthOf, -1);
  return largest(own?.values() ?? [], lengthOf, own?.get(principal)?.length ?? 0);
}

function waitersOf(place: ReadonlyMap<string, readonly unknown[]>): number {
  let sum = 0;
  for (const { length } of place.values()) sum += length;
  return sum;
}

function lengthOf({ length }: readonly unknown[]): number {
  return length;
}

/** The first of the largest, if it has at least two more than `own`. */
function largest<T>(all: Iterable<T>, countOf: (one: T) => number, own: number): T | undefined {
  let found: T | undefined;
  let most = own + 1;
  for (const one of all) {
    const count = countOf(one);
    if (count <= most) continue;
    most = count;
    found = one;
  }
  return found;
}
