// How fast a client moves bytes while it holds up the exchange that has an upstream: each upstream has one, for the lease of the moment.
// It does not know who else waits; the pool asks it while somebody does. The rule: only the time counts in which the client is
// waited for (bytes of the reply are ready and not taken, or its input is awaited), never the time of a backend.

/** Why a client is given up: it moved no byte at all, or too few. */
export type SlowClient = 'client-stall' | 'client-slow';

/** An exchange that waits for its client. */
export interface HeldUp {
  /** Bytes that the client has taken or sent; only differences count. */
  readonly movedBytes: number;
  /** Whether the least rate holds; where it does not, only a client that moves nothing is given up. */
  readonly isRated: boolean;
  /** Ends the wait. Called at most once for each `begin`, and not after its `end`. Must not throw. */
  giveUp(why: SlowClient): void;
}

/** The time over which a rate is averaged, and in which at least one byte must move. */
export const paceWindowMs = 10_000;
/** Averages of different times are not put together: after a longer pause between two questions the window begins again. */
const pauseMsMax = 3_000;

/**
 * Added to what moved in a window: the queue of a UNIX socket (SIOCOUTQ) shrinks by whole buffers, each when its last byte is read.
 * Measured on Linux 6.18: 37,120 bytes a buffer where more than that is written at once.
 */
const uncountedBytesMax = 40 * 1024;

/** What was seen at one question. */
interface Sample {
  readonly heldMs: number;
  readonly movedBytes: number;
}

/** The pace of one lease after the other. A class with few fields: each upstream has one for its whole life. */
export class ClientPace {
  #held: HeldUp | undefined;
  #sinceMs = 0;
  #bytesBefore = 0;
  /** Of waits that are over. */
  #heldMs = 0;
  #movedBytes = 0;
  #samples: Sample[] = [];
  #askedMs = 0;

  /** A lease begins: nothing is known of its client. */
  reset(): void {
    this.#held = undefined;
    this.#heldMs = 0;
    this.#movedBytes = 0;
    if (this.#samples.length > 0) this.#samples = [];
  }

  /** The exchange waits for its client from now on. */
  begin(held: HeldUp, nowMs: number): void {
    this.#held = held;
    this.#sinceMs = nowMs;
    this.#bytesBefore = held.movedBytes;
  }

  /** It waits no more. */
  end(nowMs: number): void {
    if (this.#held === undefined) return;
    this.#heldMs += nowMs - this.#sinceMs;
    this.#movedBytes += this.#held.movedBytes - this.#bytesBefore;
    this.#held = undefined;
  }

  /** To be called now and then while others wait: gives the client up when it has moved too little. True: it did. */
  check(nowMs: number, minRateBytes: number): boolean {
    const held = this.#held;
    const waitedMs = held === undefined ? 0 : nowMs - this.#sinceMs;
    const bytes = held === undefined ? 0 : held.movedBytes - this.#bytesBefore;
    const why = this.#judge(
      nowMs,
      { heldMs: this.#heldMs + waitedMs, movedBytes: this.#movedBytes + bytes },
      minRateBytes,
    );
    if (held === undefined) return false;
    // Also of the time in which nobody else waited.
    const isStalled = (waitedMs >= paceWindowMs && bytes === 0) || why === 'client-stall';
    if (!isStalled && (why === undefined || !held.isRated)) return false;
    held.giveUp(isStalled ? 'client-stall' : 'client-slow');
    return true;
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
    if (heldMs < paceWindowMs) return undefined;
    const movedBytes = now.movedBytes - first.movedBytes;
    if (movedBytes === 0) return 'client-stall';
    return (movedBytes + uncountedBytesMax) * 1000 < minRateBytes * heldMs ? 'client-slow' : undefined;
  }
}
