// Passwords that wait to be judged, and which is next: one is computed at a time, since each costs a processor for a tenth of a second
// and tens of MiB. A machine.
// The rules: no more wait than there is room for, in all and from one network, and equal tries wait together; networks with a recent
// success come first, then those that failed least; after a failure comes the pause that it costs, and where there is no room, the
// worst try is dropped.

import assert from 'node:assert';
import type { Clock, Timer } from '../../ports/clock.js';
import type { LoginPace, LoginSource, LoginStanding } from './login-pace.js';

/** A try. */
export interface LoginTry {
  /** Equal for tries that are the same in everything: one judgement is enough for them. */
  readonly key: string;
  readonly source: LoginSource;
  /** The longest pause that its failure may cost the next one. */
  readonly pauseMaxMs: number;
  /** Called at most once. A rejection is passed on, and counts for nothing. */
  readonly judge: () => Promise<boolean>;
  /** Called once, when it was judged or never will be: the password is not needed any more. */
  readonly forget: () => void;
}

/** `crowded`: not judged, there was no room for it; `gone`: not judged, since it was taken back. */
export type TryAnswer = 'right' | 'wrong' | 'crowded' | 'gone';

/** A try that was made. */
export interface PendingTry {
  readonly answer: Promise<TryAnswer>;
  /** It comes from a place that failed before; where room is needed, such as these go. */
  readonly isSuspect: boolean;
  /** Its asker does not wait for it any more; to be called once at most. */
  takeBack(): void;
}

export type LoginQueue = ReturnType<typeof createLoginQueue>;

/** A try, and everybody who made it. */
interface Waiter {
  readonly login: LoginTry;
  readonly answer: Promise<TryAnswer>;
  readonly resolve: (answer: TryAnswer) => void;
  readonly reject: (fault: unknown) => void;
  askers: number;
}

/** More than these would wait longer than a handshake may take. */
const waitersMax = 64;
const waitersPerNetworkMax = 8;

/** One for the whole daemon; outlives a reload. */
export function createLoginQueue({ clock, pace }: { readonly clock: Clock; readonly pace: LoginPace }) {
  /** By their keys, in the order in which they came. */
  const waiting = new Map<string, Waiter>();
  let running: Waiter | undefined;
  let timer: Timer | undefined;

  function standingOf({ login }: Waiter): LoginStanding {
    return pace.standing(login.source, clock.now());
  }

  /** Answers a waiter that is not judged. */
  function leave(waiter: Waiter, answer: 'crowded' | 'gone'): void {
    if (waiting.get(waiter.login.key) !== waiter) return;
    waiting.delete(waiter.login.key);
    waiter.login.forget();
    waiter.resolve(answer);
    if (waiting.size === 0) stopTimer();
  }

  function stopTimer(): void {
    timer?.cancel();
    timer = undefined;
  }

  /** Every change ends here. */
  function next(): void {
    if (running !== undefined) return;
    stopTimer();
    const nowMs = clock.now();
    let first: { readonly waiter: Waiter; readonly standing: LoginStanding } | undefined;
    let soonestMs = Infinity;
    for (const waiter of waiting.values()) {
      const standing = standingOf(waiter);
      if (standing.dueMs > nowMs) soonestMs = Math.min(soonestMs, standing.dueMs);
      else if (first === undefined || compare(standing, first.standing) < 0) first = { waiter, standing };
    }
    if (first !== undefined) judge(first.waiter);
    else if (soonestMs < Infinity) timer = clock.setTimer(soonestMs - nowMs, next);
  }

  function judge(waiter: Waiter): void {
    const { login, resolve, reject } = waiter;
    waiting.delete(login.key);
    running = waiter;
    void login
      .judge()
      .then((isRight) => {
        // Also when nobody waits for the answer any more: whoever hangs up has guessed all the same.
        if (isRight) pace.succeeded(login.source, clock.now());
        else pace.failed(login.source, clock.now(), login.pauseMaxMs);
        resolve(isRight ? 'right' : 'wrong');
      }, reject)
      .finally(() => {
        login.forget();
        running = undefined;
        next();
      });
  }

  /** Who goes when there is one too many of these; of equals the oldest. */
  function worstOf(waiters: readonly Waiter[]): Waiter | undefined {
    const perNetwork = new Map<string, number>();
    for (const { login } of waiters) {
      perNetwork.set(login.source.network, (perNetwork.get(login.source.network) ?? 0) + 1);
    }
    let worst:
      | { readonly waiter: Waiter; readonly standing: LoginStanding; readonly many: number }
      | undefined;
    for (const waiter of waiters) {
      const standing = standingOf(waiter);
      const many = perNetwork.get(waiter.login.source.network) ?? 0;
      const isWorse = worst === undefined || (compare(standing, worst.standing) || many - worst.many) > 0;
      if (isWorse) worst = { waiter, standing, many };
    }
    return worst?.waiter;
  }

  function makeRoom(network: string): void {
    const all = [...waiting.values()];
    const theirs = all.filter(({ login }) => login.source.network === network);
    const worst =
      theirs.length > waitersPerNetworkMax
        ? worstOf(theirs)
        : all.length > waitersMax
          ? worstOf(all)
          : undefined;
    if (worst === undefined) return;
    pace.crowded(worst.login.source, clock.now());
    leave(worst, 'crowded');
  }

  function waiterFor(login: LoginTry): Waiter {
    const same = running?.login.key === login.key ? running : waiting.get(login.key);
    if (same !== undefined) {
      login.forget();
      return same;
    }
    let open: Pick<Waiter, 'resolve' | 'reject'> | undefined;
    const answer = new Promise<TryAnswer>((resolve, reject) => {
      open = { resolve, reject };
    });
    assert(open !== undefined, 'a promise ran its executor late');
    const waiter: Waiter = { login, answer, ...open, askers: 0 };
    waiting.set(login.key, waiter);
    return waiter;
  }

  return {
    add(login: LoginTry): PendingTry {
      const { failures, dueMs } = pace.standing(login.source, clock.now());
      const isSuspect = failures > 0 || dueMs > clock.now();
      const waiter = waiterFor(login);
      waiter.askers += 1;
      makeRoom(login.source.network);
      next();
      return {
        answer: waiter.answer,
        isSuspect,
        takeBack: () => {
          waiter.askers -= 1;
          if (waiter.askers === 0) leave(waiter, 'gone');
        },
      };
    },
    /** Tries that wait. */
    get size(): number {
      return waiting.size;
    },
  };
}

/** Below 0: `a` comes first. */
function compare(a: LoginStanding, b: LoginStanding): number {
  return (
    Number(b.hasSucceeded) - Number(a.hasSucceeded) ||
    a.failures - b.failures ||
    a.nameFailures - b.nameFailures
  );
}
