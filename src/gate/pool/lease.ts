// A lease: an upstream for one exchange. Its request, its refusal, its end, and the speed at which the exchange's client moves bytes.

import type { Abortable } from '../../host/concurrency/abortable.js';
import type { CloseReason } from '../../host/ports/transport.js';

export type LeaseRefusalCode = 'queue-full' | 'queue-timeout' | 'draining' | 'backend-drained';

export class LeaseRefusal extends Error {
  readonly why: LeaseRefusalCode;
  constructor(why: LeaseRefusalCode) {
    super(why);
    this.name = 'LeaseRefusal';
    this.why = why;
  }
}

export interface Demand {
  /** Only an upstream on which nothing ran before; nothing else may run on it afterwards. */
  readonly isFresh: boolean;
  /** Only an upstream that was dialled within `freshForMs`: an older one may lead to a process of a Dovecot that was restarted since. */
  readonly isYoung: boolean;
}

export interface LeaseOptions extends Demand {
  /** Principals take turns; the exchanges of one principal are served in the order in which they came. */
  readonly principal: string;
  /** The UNIX user or the address of the client: all its principals count as one where upstreams are shared. */
  readonly origin: string;
  /** Turns of the principal in a round; at least 1. */
  readonly weight: number;
  /** When it began to wait, where it has waited in a pool before this one; undefined: now. */
  readonly sinceMs?: number | undefined;
  /** Ends the wait. After the wait the user decides about the upstream. */
  readonly abortable: Abortable;
  /** Called after 5 s of waiting, and then less and less often. Must not throw. */
  onWaiting?(): void;
}

export interface LeaseEnd<T> {
  readonly value: T;
  /** Undefined if the upstream may serve another exchange; else it is closed for that reason. */
  readonly closeFor: CloseReason | undefined;
  /** The backend's status: processes of a stopped Dovecot answer TEMPFAIL to everything. Absent: no command was sent, or no status came. */
  readonly answer?: 'tempfail' | 'other';
  /** The upstream is held until this resolves, and then closed; it never rejects. Absent: the exchange is done with it. */
  readonly late?: Promise<T>;
}

/** Why a lease is ended for others: its client moved no byte, or too few; or its principal has more than its share. */
export type SlowClient = 'client-stall' | 'client-slow' | 'over-share';

/** An exchange that waits for its client: reply bytes are unread, or input is awaited. */
export interface HeldUp {
  /** Bytes that the client has taken or sent; only differences count. */
  readonly movedBytes: number;
  /** Whether the minimum rate applies; where it does not, only a client that moves nothing is disconnected. */
  readonly isRated: boolean;
  /** Ends the wait. Called at most once for each `begin`, and not after its `end`. Must not throw. */
  giveUp(why: SlowClient): void;
}

/** A reply or a text under way that can be ended without doubt about its effect: the reply of a read, or a text before its final dot. */
export interface Transfer {
  readonly startMs: number;
  readonly movedBytes: number;
  /** Ends it and closes its upstream. Called at most once. Must not throw. */
  giveUp(why: SlowClient): void;
}

/** The rate is averaged over this time, and at least one byte must move in it. */
export const paceWindowMs = 10_000;
/** A shorter window says nothing about the speed. */
const speedWindowMs = 2_000;
/** After a longer pause between two checks the window starts again. */
const pauseMsMax = 3_000;

/**
 * Added to the bytes moved in a window: the queue of a UNIX socket (SIOCOUTQ) shrinks by whole buffers, each when its last byte is read.
 * Measured on Linux 6.18: 37,120 bytes a buffer for larger writes.
 */
const uncountedBytesMax = 40 * 1024;

interface Sample {
  readonly heldMs: number;
  readonly movedBytes: number;
}

/**
 * How fast the client of a lease moves bytes while the exchange waits for it; the time of the backend does not count. Each upstream has one
 * for its whole life; the pool checks it while other principals wait.
 */
export class ClientPace {
  /** The transfer that may be ended for others; undefined: none. Set by the exchange. */
  transfer: Transfer | undefined;
  /** At the last check the exchange was waiting for its client, or bytes had moved since the check before. */
  isMoving = false;
  /** Bytes a second while the exchange waited for its client, at the last check; Infinity: it did not wait, or not long enough. */
  speed = Number.POSITIVE_INFINITY;
  #held: HeldUp | undefined;
  #sinceMs = 0;
  #bytesBefore = 0;
  #heldMs = 0;
  #movedBytes = 0;
  #samples: Sample[] = [];
  #askedMs = 0;
  #windowBytes = 0;
  /** The bytes that the transfer had moved at the last check; undefined: there was no transfer. */
  #transferred: number | undefined;

  reset(): void {
    this.transfer = undefined;
    this.#transferred = undefined;
    this.isMoving = false;
    this.speed = Number.POSITIVE_INFINITY;
    this.#held = undefined;
    this.#heldMs = 0;
    this.#movedBytes = 0;
    if (this.#samples.length > 0) this.#samples = [];
  }

  /** How long the exchange has waited for its client; 0: it does not wait. */
  heldMs(nowMs: number): number {
    return this.#held === undefined ? 0 : nowMs - this.#sinceMs;
  }

  begin(held: HeldUp, nowMs: number): void {
    this.#held = held;
    this.#sinceMs = nowMs;
    this.#bytesBefore = held.movedBytes;
  }

  end(nowMs: number): void {
    if (this.#held === undefined) return;
    this.#heldMs += nowMs - this.#sinceMs;
    this.#movedBytes += this.#held.movedBytes - this.#bytesBefore;
    this.#held = undefined;
  }

  /** Called periodically while others wait. With `isWanted` it disconnects a client that has moved too little, and returns true then. */
  check(nowMs: number, minRateBytes: number, isWanted = true): boolean {
    const held = this.#held;
    const waitedMs = held === undefined ? 0 : nowMs - this.#sinceMs;
    const bytes = held === undefined ? 0 : held.movedBytes - this.#bytesBefore;
    const transferred = this.transfer?.movedBytes;
    this.isMoving =
      held !== undefined || (this.#transferred !== undefined && transferred !== this.#transferred);
    this.#transferred = transferred;
    const why = this.#judge(
      nowMs,
      { heldMs: this.#heldMs + waitedMs, movedBytes: this.#movedBytes + bytes },
      minRateBytes,
    );
    if (held === undefined || !isWanted) return false;
    // A complete stall counts from its beginning, even from before others waited.
    const isStalled = (waitedMs >= paceWindowMs && bytes === 0) || why === 'client-stall';
    if (!isStalled && (why === undefined || !held.isRated)) return false;
    held.giveUp(isStalled ? 'client-stall' : 'client-slow');
    return true;
  }

  yieldLease(minRateBytes: number): void {
    const { transfer, speed } = this;
    if (transfer === undefined) return;
    this.transfer = undefined;
    const isStalled = speed < minRateBytes && this.#windowBytes === 0;
    const why = isStalled ? 'client-stall' : speed < minRateBytes ? 'client-slow' : 'over-share';
    (this.#held ?? transfer).giveUp(why);
  }

  #judge(nowMs: number, now: Sample, minRateBytes: number): SlowClient | undefined {
    if (nowMs - this.#askedMs > pauseMsMax) this.#samples = [];
    this.#askedMs = nowMs;
    const samples = this.#samples;
    if (samples.at(-1)?.heldMs !== now.heldMs) samples.push(now);
    for (
      let next = samples[1];
      next !== undefined && now.heldMs - next.heldMs >= paceWindowMs;
      next = samples[1]
    )
      samples.shift();
    const [first] = samples;
    if (first === undefined) return undefined;
    const heldMs = now.heldMs - first.heldMs;
    const movedBytes = now.movedBytes - first.movedBytes;
    this.#windowBytes = movedBytes;
    this.speed =
      heldMs < speedWindowMs ? Number.POSITIVE_INFINITY : ((movedBytes + uncountedBytesMax) * 1000) / heldMs;
    if (heldMs < paceWindowMs) return undefined;
    if (movedBytes === 0) return 'client-stall';
    return this.speed < minRateBytes ? 'client-slow' : undefined;
  }
}
