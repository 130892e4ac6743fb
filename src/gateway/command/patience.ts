// How long somebody waits for a user to be free, and what is heard of it meanwhile. It does not know who stands in the way.
// The rule: as for an upstream (backend/waiter): told after 5 s and then ever less often, and over after the time of a queue.

import type { Clock, Timer } from '../../ports/clock.js';
import { LeaseRefusal } from '../pool/lease.js';

/** Who waits, and for how long. */
export interface Waiting {
  /** Aborted when it is given up. */
  readonly signal: () => AbortSignal;
  readonly clock: Clock;
  /** In all, for all its users. */
  readonly timeoutMs: number;
  /** 1: who runs there goes first, and nobody else. Must not throw. */
  readonly onWaiting: (position: number) => void;
}

/** One wait that goes on. */
export interface Patience {
  /** Aborted with the reason of `Waiting.signal`, or with a LeaseRefusal `queue-timeout`. */
  readonly signal: AbortSignal;
  /** Where it stands from now on, whenever that is asked. */
  stand(position: () => number): void;
  /** Ends its timers, always. */
  end(): void;
}

const tellAfterMs = 5_000;

/** Begins now. */
export function createPatience({ signal, clock, timeoutMs, onWaiting }: Waiting): Patience {
  const outer = signal();
  const controller = new AbortController();
  let position = (): number => 1;
  const onAbort = (): void => controller.abort(outer.reason);
  if (outer.aborted) onAbort();
  else outer.addEventListener('abort', onAbort, { once: true });
  const late = clock.setTimer(timeoutMs, () => controller.abort(new LeaseRefusal('queue-timeout')));
  let told: Timer = tell(tellAfterMs);

  return {
    signal: controller.signal,
    stand(at) {
      position = at;
    },
    end() {
      outer.removeEventListener('abort', onAbort);
      late.cancel();
      told.cancel();
    },
  };

  function tell(afterMs: number): Timer {
    return clock.setTimer(afterMs, () => {
      told = tell(2 * afterMs);
      if (!controller.signal.aborted) onWaiting(position());
    });
  }
}
