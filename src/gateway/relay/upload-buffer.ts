// Buffers a text on its way from the client to an upstream, with its time limit and its digest. A machine, driven by the client, by
// a timer, and by the upload that takes pieces out. The rules: no more is read than can be used; the client has `timeMs` in all,
// not counting the time that we made it wait.

import type { Buffered } from '../../concurrency/byte-budget.js';
import type { RecordedInput } from '../../domain/audit/record.js';
import type { InputMeter } from '../../domain/audit/signature.js';
import type { Clock, Timer } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { createGather } from '../../protocol/gather.js';
import { WireFault } from '../../protocol/wire-fault.js';

/** Why a text will never be complete: the client ended before the dot or is gone, or it is too long, too late or too slow. */
export type TextEnd = 'cut' | 'client-gone' | 'too-long' | 'late' | 'slow';

export interface HeldPiece {
  readonly parts: readonly Buffer[];
  readonly isLast: boolean;
}

/** Call `gather`, then `start` and `next` until the text ends, and `close` in any case. */
export interface UploadBuffer {
  /**
   * Reads until the text is complete, or enough of it is here to be worth an upstream, or no more may be buffered. Resolves to
   * how it ended, if it did. Rejects with the signal's reason.
   */
  gather(signal: AbortSignal): Promise<TextEnd | undefined>;
  /** Starts the clock again; `onLate` is called when the time is over, or when the text is given up. */
  start(onLate: () => void): void;
  /** The client is too slow. Only during `next`. */
  giveUp(): void;
  /** Bytes that came so far. */
  readonly bytes: number;
  /** The next piece, or why there is none; `stopped` after `stop`. */
  next(): Promise<HeldPiece | TextEnd | 'stopped'>;
  /** The rest is not needed; ends a pending `next`. */
  stop(): void;
  readonly end: TextEnd | undefined;
  /** Bytes that came, with a digest when the text is complete; undefined: none came. */
  recorded(): RecordedInput | undefined;
  /** Releases its bytes and its timer. Idempotent. */
  close(): void;
}

export interface UploadBufferOptions {
  readonly client: ClientInput;
  readonly meter: InputMeter;
  readonly buffered: Buffered;
  readonly clock: Clock;
}

/** This much of a text is worth an upstream before the rest is here, so that long texts of fast clients are streamed. */
export const heldBytesMax = 1024 * 1024;

export function createUploadBuffer(options: UploadBufferOptions): UploadBuffer {
  return new TextBuffer(options);
}

class TextBuffer implements UploadBuffer {
  readonly #options: UploadBufferOptions;
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

  constructor(options: UploadBufferOptions) {
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

  /** Waits for a piece, the end, or a wake-up. One read at a time, also after a `next` that was given up. */
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

export type TextPiece =
  /** Decoded; may be empty. `isLast`: the final dot followed. */
  | { readonly kind: 'piece'; readonly parts: readonly Buffer[]; readonly isLast: boolean }
  /** The client ended its side before the final dot. */
  | { readonly kind: 'cut' };

/**
 * What a client sends after a command line; the session implements it, once for each command. One call at a time, except
 * for a `skipText` during a `nextText` that was given up.
 */
export interface ClientInput {
  readonly timeMs: number;
  /**
   * The next piece of the text. Rejects with a WireFault when the text is too long, with a TransportFault when the client is
   * gone. Not to be called after the last piece.
   */
  nextText(): Promise<TextPiece>;
  /** Reads the rest of the text and drops it, within the limits of a text; else why the session must end. Never rejects. */
  skipText(): Promise<'skipped' | CloseReason>;
  /** Bytes as they come; null: the client ended its side. Rejects with a TransportFault when the client is gone. */
  readRaw(): Promise<Buffer | null>;
}
