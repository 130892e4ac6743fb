// Waiting for something to become true, woken by events and never by polling. For the kit's recorders.

export interface EventWait {
  /** Somebody may have made a condition true. */
  wake(): void;
  /** Resolves as soon as `isTrue` holds after a wake (or at once); rejects with `what` after `ms`. */
  until(isTrue: () => boolean, what: string | (() => string), ms?: number): Promise<void>;
}

export function createEventWait(): EventWait {
  const checks = new Set<() => void>();
  return {
    wake() {
      for (const check of checks) check();
    },
    async until(isTrue, what, ms = 60_000) {
      if (isTrue()) return;
      await new Promise<void>((resolve, reject) => {
        const done = (): void => {
          clearTimeout(timer);
          checks.delete(check);
        };
        const check = (): void => {
          if (!isTrue()) return;
          done();
          resolve();
        };
        const timer = setTimeout(() => {
          done();
          reject(new Error(`after ${ms} ms still waiting for ${typeof what === 'string' ? what : what()}`));
        }, ms);
        checks.add(check);
      });
    },
  };
}
