// How many bytes of all clients are held at once: one count for the whole daemon.
// The rule: what was taken is given back; while it is full nothing new is begun, and what was begun goes on, because only that
// gives anything back.

/** One count. */
export interface Buffered {
  readonly isFull: boolean;
  readonly bytes: number;
  /** Adds to what is held. Never refuses: ask `isFull` before more is read. */
  take(bytes: number): void;
  give(bytes: number): void;
  /** Resolves when it is not full; rejects with the signal's reason. */
  room(signal: AbortSignal): Promise<void>;
}

/** Nothing is held yet. Full is `bytesMax` and above. */
export function createBuffered(bytesMax: number): Buffered {
  let bytes = 0;
  const waiters = new Set<() => void>();
  const isFull = (): boolean => bytes >= bytesMax;
  return {
    get isFull() {
      return isFull();
    },
    get bytes() {
      return bytes;
    },
    take(more) {
      bytes += more;
    },
    give(back) {
      bytes -= back;
      // All of them: each holds next to nothing when it goes on, and asks again before it reads more.
      if (!isFull()) for (const go of waiters) go();
    },
    room(signal) {
      if (signal.aborted) return Promise.reject(signal.reason);
      if (!isFull()) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiters.delete(go);
          signal.removeEventListener('abort', onAbort);
        };
        const go = (): void => {
          leave();
          resolve();
        };
        const onAbort = (): void => {
          leave();
          reject(signal.reason);
        };
        waiters.add(go);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}
