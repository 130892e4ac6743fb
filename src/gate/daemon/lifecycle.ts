// The states of the daemon, and its drain. A draining daemon can only become stopped. A drain ends in bounded time, whatever a backend or a
// client does.

import assert from 'node:assert';
import type { Clock } from '../../host/ports/machine.js';
import type { Pool } from '../pool/pool.js';
import type { Service } from '../session/service.js';

export type Phase = 'starting' | 'serving' | 'reloading' | 'draining' | 'stopped';

const following: Readonly<Record<Phase, readonly Phase[]>> = {
  starting: ['serving', 'stopped'],
  serving: ['reloading', 'draining', 'stopped'],
  reloading: ['serving', 'draining', 'stopped'],
  draining: ['stopped'],
  stopped: [],
};

/** A reload checks after each wait whether it may continue. */
export class Lifecycle {
  #at: Phase = 'starting';

  get at(): Phase {
    return this.#at;
  }

  may(next: Phase): boolean {
    return following[this.#at].includes(next);
  }

  become(next: Phase): void {
    assert(this.may(next), `a daemon that is ${this.#at} cannot be ${next}`);
    this.#at = next;
  }
}

/** Time from aborting commands to cutting transports, so that every client that reads gets the message. */
const tellMs = 1_000;
/** Time for transports to close after the cut. */
const cutMs = 1_000;

/**
 * Ends all sessions: idle ones now, the others after their exchange. After `drainMs`, or at a second signal, waiting commands are refused
 * and running ones aborted, both with a message to their clients; a moment later the transports are cut. Never rejects.
 */
export function drain(
  service: Service,
  pools: readonly Pool[],
  drainMs: number,
  clock: Clock,
  hurried: Promise<unknown>,
): Promise<void> {
  return new Promise((resolve) => {
    let isHurried = false;
    let timer = clock.setTimer(drainMs, hurry);
    void hurried.then(hurry);
    function end(): void {
      isHurried = true;
      timer.cancel();
      resolve();
    }
    function hurry(): void {
      if (isHurried) return;
      isHurried = true;
      timer.cancel();
      for (const pool of pools) pool.drain();
      service.abort();
      timer = clock.setTimer(tellMs, () => {
        service.cut();
        timer = clock.setTimer(cutMs, end);
      });
    }
    service.drain().then(end, end);
  });
}
