// One exchange that waits for an upstream, until it gets one, is refused, is aborted, or has waited too long. It does not enter or leave
// the queue by itself. It settles exactly once. Settling clears the timer and the abort listener.

import type { AbortListener } from '../../host/concurrency/abortable.js';
import type { Place } from '../../host/concurrency/ordered-set.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { FairQueue } from './fair-queue.js';
import { type LeaseOptions, LeaseRefusal } from './lease.js';
import type { Upstream } from './upstream.js';

export interface WaiterOwner {
  /** It was aborted or waited too long, and rejects. */
  left(waiter: Waiter): void;
}

export interface WaitingRoom {
  readonly clock: Clock;
  readonly owner: WaiterOwner;
}

/** First "still waiting" notice after this time, then with exponential backoff. */
const tellAfterMs = 5_000;

/**
 * Makes room in a full queue: refuses a waiter of the place or the principal with most waiters, because one principal, or many accounts of
 * one address, could otherwise shut out all others. Returns a refusal if none has more waiters than the newcomer's.
 */
export function makeRoom(
  queue: FairQueue<Waiter>,
  newcomer: Pick<LeaseOptions, 'principal' | 'origin'>,
): LeaseRefusal | undefined {
  const last = queue.lastOfMost(newcomer);
  if (last === undefined) return new LeaseRefusal('queue-full');
  queue.delete(last);
  last.reject(new LeaseRefusal('queue-full'));
  return undefined;
}

/** A class with its own listener: in front of a busy backend every command waits, and closures for each would add up. */
export class Waiter implements AbortListener {
  readonly principal: string;
  readonly origin: string;
  readonly weight: number;
  readonly isFresh: boolean;
  readonly isYoung: boolean;
  readonly arrival: number;
  /** When it began to wait, here or in a pool before this one. */
  readonly sinceMs: number;
  place: Place<Waiter> | undefined;
  /** Resolves to the upstream. Rejects with the refusal, or with the reason of the abort. */
  readonly upstream: Promise<Upstream>;
  readonly #asked: LeaseOptions;
  readonly #room: WaitingRoom;
  readonly #endMs: number;
  #timer: Timer;
  #take: ((upstream: Upstream) => void) | undefined;
  #refuse: ((fault: unknown) => void) | undefined;

  constructor(asked: LeaseOptions, arrival: number, timeoutMs: number, room: WaitingRoom) {
    this.principal = asked.principal;
    this.origin = asked.origin;
    this.weight = asked.weight;
    this.isFresh = asked.isFresh;
    this.isYoung = asked.isYoung;
    this.arrival = arrival;
    this.place = undefined;
    this.#asked = asked;
    this.#room = room;
    this.sinceMs = asked.sinceMs ?? room.clock.now();
    this.#endMs = this.sinceMs + timeoutMs;
    this.upstream = new Promise<Upstream>((resolve, reject) => {
      this.#take = resolve;
      this.#refuse = reject;
    });
    asked.abortable.listen(this);
    this.#timer = this.#wait(this.#endMs - room.clock.now(), tellAfterMs);
  }

  resolve(given: Upstream): void {
    this.#settle();
    this.#take?.(given);
  }

  reject(fault: unknown): void {
    this.#settle();
    this.#refuse?.(fault);
  }

  aborted(reason: unknown): void {
    this.#giveUp(reason);
  }

  #giveUp(why: unknown): void {
    this.reject(why);
    this.#room.owner.left(this);
  }

  #settle(): void {
    this.#timer.cancel();
    this.#asked.abortable.unlisten(this);
  }

  #wait(leftMs: number, tellMs: number): Timer {
    const { clock } = this.#room;
    if (this.#asked.onWaiting === undefined || leftMs <= tellMs) {
      return clock.setTimer(Math.max(0, leftMs), () => this.#giveUp(new LeaseRefusal('queue-timeout')));
    }
    return clock.setTimer(tellMs, () => {
      this.#timer = this.#wait(this.#endMs - clock.now(), 2 * tellMs);
      this.#asked.onWaiting?.();
    });
  }
}
