// Keeps two commands on the same user's mail from running on two backends at once: after a reload, a drain or a referral the later one
// waits until the earlier ones have ended. On one backend they run as they come: Dovecot locks there itself.
// The rules: first come, first served, so that nobody starves; what was taken is given back once.

import type { Clock, Timer } from '../ports/machine.js';

/** Users and the backends that they are on. */
export interface UserLock {
  /**
   * Resolves when every user is on that backend or on none; what it resolves to gives all of them back. At once (no
   * promise) when nobody has to wait. Rejects with the signal's reason, or with a WaitTimeout.
   */
  take(users: readonly string[], backend: string, waiting: Waiting): (() => void) | Promise<() => void>;
  /** Users that something runs or waits for. */
  readonly size: number;
}

/** How a command waits. */
export interface Waiting {
  /** Asked for by a command that has to wait; aborted when it is given up. */
  readonly signal: () => AbortSignal;
  readonly clock: Clock;
  /** In all, for all its users. */
  readonly timeoutMs: number;
  /** First after 5 s, then each time after twice as long. Must not throw. */
  readonly onWaiting: () => void;
}

export class WaitTimeout extends Error {
  override readonly name = 'WaitTimeout';
}

interface Place {
  backend: string;
  running: number;
  /** Made for the first of them; most places never have one. */
  waiters: Set<Waiter> | undefined;
}

interface Waiter {
  readonly backend: string;
  readonly go: () => void;
}

const none: readonly Waiter[] = [];
const tellAfterMs = 5_000;

export function createUserLock(): UserLock {
  const places = new Map<string, Place>();

  return {
    take(users, backend, waiting) {
      const only = users[0];
      if (only !== undefined && users.length === 1) {
        const entered = enter(only, backend);
        if (entered !== undefined) return entered;
      }
      // One order for everybody: two that need the same two users cannot wait for each other.
      const ordered = [...new Set(users)].toSorted();
      const taken: (() => void)[] = [];
      for (const user of ordered) {
        const entered = enter(user, backend);
        if (entered === undefined) return waitForRest(ordered, backend, waiting, taken);
        taken.push(entered);
      }
      return () => giveBack(taken);
    },
    get size() {
      return places.size;
    },
  };

  async function waitForRest(
    users: readonly string[],
    backend: string,
    { signal, clock, timeoutMs, onWaiting }: Waiting,
    taken: (() => void)[],
  ): Promise<() => void> {
    const outer = signal();
    const controller = new AbortController();
    const onAbort = (): void => controller.abort(outer.reason);
    if (outer.aborted) onAbort();
    else outer.addEventListener('abort', onAbort, { once: true });
    const late = clock.setTimer(timeoutMs, () => controller.abort(new WaitTimeout()));
    const tell = (afterMs: number): Timer =>
      clock.setTimer(afterMs, () => {
        told = tell(2 * afterMs);
        if (!controller.signal.aborted) onWaiting();
      });
    let told = tell(tellAfterMs);
    try {
      for (const user of users.slice(taken.length)) {
        taken.push(enter(user, backend) ?? (await wait(user, backend, controller.signal)));
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

  /** Undefined: it has to wait. */
  function enter(user: string, backend: string): (() => void) | undefined {
    const place = places.get(user);
    if (place === undefined) {
      const made: Place = { backend, running: 1, waiters: undefined };
      places.set(user, made);
      return leaving(user, made);
    }
    // After a waiter everybody waits, else the waiter could wait for ever.
    if (place.backend !== backend || (place.waiters?.size ?? 0) > 0) return undefined;
    place.running += 1;
    return leaving(user, place);
  }

  function wait(user: string, backend: string, signal: AbortSignal): Promise<() => void> {
    const place = places.get(user);
    if (place === undefined) throw new Error('waited for nobody');
    if (signal.aborted) return Promise.reject(signal.reason);
    const waiters = (place.waiters ??= new Set());
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        backend,
        go() {
          waiters.delete(waiter);
          signal.removeEventListener('abort', onAbort);
          place.running += 1;
          resolve(leaving(user, place));
        },
      };
      const onAbort = (): void => {
        waiters.delete(waiter);
        reject(signal.reason);
        // Those after it may have waited for this one alone.
        admit(user, place);
      };
      waiters.add(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  function leaving(user: string, place: Place): () => void {
    let isHere = true;
    return () => {
      if (!isHere) return;
      isHere = false;
      place.running -= 1;
      admit(user, place);
    };
  }

  /** Lets the first waiters in, as far as they fit. */
  function admit(user: string, place: Place): void {
    for (const waiter of place.waiters ?? none) {
      if (place.running > 0 && waiter.backend !== place.backend) return;
      place.backend = waiter.backend;
      waiter.go();
    }
    if (place.running === 0 && (place.waiters?.size ?? 0) === 0) places.delete(user);
  }
}

function giveBack(taken: (() => void)[]): void {
  for (const each of taken.splice(0)) each();
}
