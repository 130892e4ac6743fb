// How many commands of one principal run at once: the next ones wait their turn, in the order in which they came.
// The rule: a turn that was given is given back, and a waiter that leaves takes none.

/** Turns by key. */
export interface Turns {
  /**
   * Resolves when fewer than `most` others of that key run; what it resolves to gives the turn back.
   * Rejects with the signal's reason.
   */
  take(key: string, most: number, signal: AbortSignal): Promise<() => void>;
  /** Keys of which something runs or waits. */
  readonly size: number;
}

interface Queue {
  running: number;
  readonly waiters: Set<() => void>;
}

/** No turn is taken yet. */
export function createTurns(): Turns {
  const queues = new Map<string, Queue>();

  function leave(key: string, queue: Queue): void {
    queue.running -= 1;
    const [next] = queue.waiters;
    if (next !== undefined) next();
    else if (queue.running === 0) queues.delete(key);
  }

  return {
    take(key, most, signal) {
      const queue = queues.get(key) ?? { running: 0, waiters: new Set() };
      queues.set(key, queue);
      const start = (): (() => void) => {
        queue.running += 1;
        let isBack = false;
        return () => {
          if (isBack) return;
          isBack = true;
          leave(key, queue);
        };
      };
      if (queue.running < most) return Promise.resolve(start());
      if (signal.aborted) return Promise.reject(signal.reason);
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          queue.waiters.delete(go);
          reject(signal.reason);
        };
        const go = (): void => {
          queue.waiters.delete(go);
          signal.removeEventListener('abort', onAbort);
          resolve(start());
        };
        queue.waiters.add(go);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    },
    get size() {
      return queues.size;
    },
  };
}
