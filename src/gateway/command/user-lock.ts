// Keeps two commands on the same user's mail from running on two backends at once: after a reload, a drain or a referral the later one
// waits until the earlier ones have ended. On one backend they run as they come: Dovecot locks there itself.
// It does not know what runs. The rules: first come, first served, so that nobody starves; nobody waits for longer than a queue lasts;
// what was taken is given back once.

import { createPatience, type Patience, type Waiting } from './patience.js';

/** Users and the backends that they are on. */
export interface UserLock {
  /**
   * Resolves when every user is on that backend or on none; what it resolves to gives all of them back. At once (no
   * promise) when nobody has to wait. Rejects with the signal's reason, or with a LeaseRefusal `queue-timeout`.
   */
  take(users: readonly string[], backend: string, waiting: Waiting): (() => void) | Promise<() => void>;
  /** Users that something runs or waits for. */
  readonly size: number;
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

/** Nobody is on a backend yet. */
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
    waiting: Waiting,
    taken: (() => void)[],
  ): Promise<() => void> {
    const patience = createPatience(waiting);
    try {
      for (const user of users.slice(taken.length)) {
        taken.push(enter(user, backend) ?? (await wait(user, backend, patience)));
      }
      return () => giveBack(taken);
    } catch (reason) {
      giveBack(taken);
      throw reason;
    } finally {
      patience.end();
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
    // Who comes behind a waiter waits too, else the waiter could wait for ever.
    if (place.backend !== backend || (place.waiters?.size ?? 0) > 0) return undefined;
    place.running += 1;
    return leaving(user, place);
  }

  function wait(user: string, backend: string, patience: Patience): Promise<() => void> {
    const { signal } = patience;
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
        // Those behind may have waited for this one alone.
        admit(user, place);
      };
      waiters.add(waiter);
      patience.stand(() => 1 + [...waiters].indexOf(waiter));
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

  /** Lets those in who stand in front and fit. */
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
