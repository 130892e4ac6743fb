// A text between the client that sends it and the upstream that gets it: what of it is here, how long it has taken, its digest.
// A machine, poked by the client, by a timer, and by the upload that takes pieces out. It does not know what is done with the text.
// The rules: no more is read than there is a use for; a client may take its time while no upstream waits for it, and has `timeMs`
// in all, not counting the time that we made it wait.

import type { Buffered } from '../../concurrency/byte-budget.js';
import type { RecordedInput } from '../../domain/audit/record.js';
import type { InputMeter } from '../../domain/audit/redact.js';
import type { Clock, Timer } from '../../ports/clock.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { createGather } from '../../protocol/gather.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { ClientInput } from './client-input.js';

/** Why a text will never be whole: its client ended before the dot or is gone, it is too long, it took too long, or it came too slowly. */
export type TextEnd = 'cut' | 'client-gone' | 'too-long' | 'late' | 'slow';

/** A piece to be sent. */
export interface HeldPiece {
  readonly parts: readonly Buffer[];
  readonly isLast: boolean;
}

/** One text. `gather`, then `start` and `next` until it ends, then `close`, in any case. */
export interface HeldText {
  /**
   * Reads until the text is whole or enough of it is here to be worth an upstream, or no more may be held. Resolves to how
   * it ended, if it did. Rejects with the signal's reason.
   */
  gather(signal: AbortSignal): Promise<TextEnd | undefined>;
  /** The time runs from here on again; `onLate` is called when it is over, or when the text is given up. */
  start(onLate: () => void): void;
  /** While somebody waits in `next`: its client is too slow. */
  giveUp(): void;
  /** Bytes that came so far. */
  readonly bytes: number;
  /** What is sent next, or that nothing will be; `stopped` after `stop`. */
  next(): Promise<HeldPiece | TextEnd | 'stopped'>;
  /** Nobody wants the rest; whoever waits in `next` is told. */
  stop(): void;
  /** How it ended, if it never will be whole. */
  readonly end: TextEnd | undefined;
  /** How many bytes came, and what to compare them by when all of them did; undefined: none came. */
  recorded(): RecordedInput | undefined;
  /** Gives back what it holds and ends its timer. Idempotent. */
  close(): void;
}

/** What a HeldText is made of. */
export interface HeldTextOptions {
  readonly client: ClientInput;
  readonly meter: InputMeter;
  readonly buffered: Buffered;
  readonly clock: Clock;
}

/** So much of a text is worth an upstream, before the rest is here: fast clients must not wait for their own end. */
export const heldBytesMax = 1024 * 1024;

/** A text of which nothing was read. */
export function createHeldText(options: HeldTextOptions): HeldText {
  return new Holder(options);
}

class Holder implements HeldText {
  readonly #options: HeldTextOptions;
  readonly #held = createGather(heldBytesMax);
  bytes = 0;
  #isWhole = false;
  #isTaken = false;
  #isStopped = false;
  #end: TextEnd | undefined;
  #bug: unknown;
  #isReading = false;
  #wake: (() => void) | undefined;
  #leftMs: number;
  #running:
    | { readonly timer: Timer; readonly sinceMs: number; readonly end: (why: TextEnd) => void }
    | undefined;

  constructor(options: HeldTextOptions) {
    this.#options = options;
    this.#leftMs = options.client.timeMs;
  }

  get end(): TextEnd | undefined {
    return this.#end;
  }

  async gather(signal: AbortSignal): Promise<TextEnd | undefined> {
    const { buffered } = this.#options;
    await buffered.room(signal);
    this.start(() => undefined);
    const onAbort = (): void => this.#wakeUp();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!this.#isWhole && this.#end === undefined && this.#held.length < heldBytesMax) {
        if (buffered.isFull && this.#held.length > 0) break;
        if (signal.aborted) throw signal.reason;
        await this.#turn();
      }
      return this.#end;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#pause();
    }
  }

  start(onLate: () => void): void {
    const { clock } = this.#options;
    const end = (why: TextEnd): void => {
      this.#end ??= why;
      onLate();
      this.#wakeUp();
    };
    const timer = clock.setTimer(this.#leftMs, () => end('late'));
    this.#running = { timer, sinceMs: clock.now(), end };
  }

  giveUp(): void {
    this.#running?.end('slow');
  }

  async next(): Promise<HeldPiece | TextEnd | 'stopped'> {
    for (;;) {
      if (this.#end !== undefined) return this.#end;
      if (this.#isStopped) return 'stopped';
      if (this.#held.length > 0 || (this.#isWhole && !this.#isTaken)) {
        const bytes = this.#held.take();
        this.#options.buffered.give(bytes.length);
        this.#isTaken = this.#isWhole;
        return { parts: [bytes], isLast: this.#isWhole };
      }
      await this.#turn();
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#wakeUp();
  }

  recorded(): RecordedInput | undefined {
    if (this.#isWhole) return this.#options.meter.finish();
    return this.bytes === 0 ? undefined : { bytes: this.bytes };
  }

  close(): void {
    this.#pause();
    this.#options.buffered.give(this.#held.take().length);
    this.#isStopped = true;
  }

  #pause(): void {
    if (this.#running === undefined) return;
    this.#running.timer.cancel();
    this.#leftMs -= this.#options.clock.now() - this.#running.sinceMs;
    this.#running = undefined;
  }

  /** Until something happened: a piece came, or the end, or somebody woke us. One reading at a time, also of one that was left. */
  async #turn(): Promise<void> {
    if (!this.#isReading) void this.#read();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (this.#bug !== undefined) throw this.#bug;
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      const piece = await this.#options.client.nextText();
      if (piece.kind === 'cut') this.#end ??= 'cut';
      else this.#take(piece.parts, piece.isLast);
    } catch (fault) {
      if (fault instanceof WireFault) this.#end ??= 'too-long';
      else if (fault instanceof TransportFault) this.#end ??= 'client-gone';
      else this.#bug = fault;
    } finally {
      this.#isReading = false;
      this.#wakeUp();
    }
  }

  #take(parts: readonly Buffer[], isLast: boolean): void {
    for (const part of parts) {
      this.bytes += part.length;
      this.#options.meter.take(part);
      if (this.#isStopped) continue;
      this.#held.append(part);
      this.#options.buffered.take(part.length);
    }
    this.#isWhole = isLast;
  }
}
