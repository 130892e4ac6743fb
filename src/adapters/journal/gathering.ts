// When records go to the writer's thread: each order wakes it, and its report wakes us, which costs more than ten records.
// So those of one turn of the event loop go together, and those for which nobody is in a hurry stay a moment for company.
// It does not know the records. The rule: what came goes within `lingerMs`, and what holds somebody up at the end of the turn.

import type { Clock, Timer } from '../../ports/clock.js';

/** Between the coming of records and their going. */
export interface Gathering {
  /** A record came. `isPatient`: it holds nobody up; `isBusy`: an order is under way, behind whose report the next one goes at once. */
  came(isPatient: boolean, isBusy: boolean): void;
  /** What waits goes now. */
  hurry(): void;
  /** Whether what waits goes with the next order. */
  readonly isDue: boolean;
  /** A group went, or there was none; whether some are left that did not fit in. */
  went(isMoreLeft: boolean): void;
  /** No timer is left behind. */
  cancel(): void;
}

/**
 * How long a record may wait for company. A Dovecot on the same processors answers some hundred commands a second: in a shorter time
 * each completion would wake the writer for itself.
 */
const lingerMsMax = 20;

/** `deadlineMs`: of the journal, which counts what waits here; `send`: called when something is due, also where nothing waits any more. */
export function createGathering(clock: Clock, deadlineMs: number, send: () => void): Gathering {
  const lingerMs = Math.min(lingerMsMax, deadlineMs / 10);
  let isDue = false;
  let isTurnAwaited = false;
  let isLingering = false;
  /** Not cancelled when others take along what lingers: under load it would be armed for each group. */
  let timer: Timer | undefined;

  return {
    came(isPatient, isBusy) {
      if (isDue) return;
      if (isPatient) linger();
      else if (isBusy) isDue = true;
      else sendAfterTurn();
    },
    hurry,
    get isDue() {
      return isDue;
    },
    went(isMoreLeft) {
      isDue = isMoreLeft;
      isLingering = false;
    },
    cancel() {
      timer?.cancel();
      timer = undefined;
    },
  };

  function linger(): void {
    isLingering = true;
    timer ??= clock.setTimer(lingerMs, () => {
      timer = undefined;
      if (isLingering) hurry();
    });
  }

  function sendAfterTurn(): void {
    if (isTurnAwaited) return;
    isTurnAwaited = true;
    void clock.nextTurn().then(() => {
      isTurnAwaited = false;
      hurry();
    });
  }

  function hurry(): void {
    isDue = true;
    send();
  }
}
