// Sends a command and its text to a leased upstream, and relays its reply. The text is encoded again, so that no line of it can be taken
// for a command, and sent in pieces; after each piece the server may stop reading it. The final dot is sent only after the client's; an
// upstream that replies earlier is closed at once, and so is one whose text will never be complete; no upstream serves another command
// after a text. Unread data at the backend slows the client down.

import { type AddedCommands, createCommandSpotter } from '../../doveadm/commands/catalog.js';
import { Gather } from '../../doveadm/protocol/lines.js';
import { DotEncoder, slicesOfLine } from '../../doveadm/protocol/text.js';
import type { ByteBudget } from '../../host/concurrency/limits.js';
import { TransportFault, WireFault } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { type CloseReason, wholeBytesMax } from '../../host/ports/transport.js';
import type { RecordedInput } from '../../journal/records/keys.js';
import type { InputMeter } from '../../journal/records/redact.js';
import { type Ending, isEnding } from '../outcome/outcome.js';
import type { HeldUp, LeaseEnd, Transfer } from '../pool/lease.js';
import { isUpstreamEvent, type UpstreamEvent } from '../pool/upstream.js';
import {
  type ClientInput,
  type Conversation,
  isRefusedByBackend,
  type ReplySource,
  relayReply,
  takeLog,
} from './relay.js';

/** Why a text stays incomplete: the client ended before the dot or is gone; it is too long, late or slow; or others get its upstream. */
export type TextEnd = 'cut' | 'client-gone' | 'too-long' | 'late' | 'slow' | 'over-share';

export interface HeldPiece {
  readonly parts: readonly Buffer[];
  readonly isLast: boolean;
}

/** With this much of a text an upstream is requested before the rest is here, so that long texts of fast clients are streamed. */
export const heldBytesMax = 1024 ** 2;

/** Holds a text between client and upstream. Call `gather`, then `start` and `next` until the text ends, and `close` in any case. */
export class UploadBuffer {
  bytes = 0;
  end: TextEnd | undefined;
  readonly #client: ClientInput;
  readonly #meter: InputMeter;
  readonly #buffered: ByteBudget;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #held = new Gather(heldBytesMax);
  #whole: RecordedInput | undefined;
  #isWhole = false;
  #isTaken = false;
  #isStopped = false;
  #bug: unknown;
  #isReading = false;
  #wake: (() => void) | undefined;
  #leftMs: number;
  #running:
    | { readonly timer: Timer; readonly sinceMs: number; readonly end: (why: TextEnd) => void }
    | undefined;

  constructor(client: ClientInput, meter: InputMeter, buffered: ByteBudget, holder: string, clock: Clock) {
    this.#client = client;
    this.#meter = meter;
    this.#buffered = buffered;
    this.#holder = holder;
    this.#clock = clock;
    this.#leftMs = client.timeMs;
  }

  /**
   * Reads until the text is complete, or large enough for an upstream, or the buffer budget is used up. Resolves to how it ended, if it
   * did. Rejects with the signal's reason.
   */
  async gather(signal: AbortSignal): Promise<TextEnd | undefined> {
    const { isHere } = this.#client;
    // Held input is already in that buffer, and would wait for its own release.
    if (!isHere) await this.#buffered.room(signal, this.#holder);
    this.start(() => undefined);
    const onAbort = (): void => this.#wakeUp();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!this.#isWhole && this.end === undefined && this.#held.length < heldBytesMax) {
        if ((isHere || this.#buffered.isFullFor(this.#holder)) && this.#held.length > 0) break;
        if (signal.aborted) throw signal.reason;
        await this.#turn();
      }
      return this.end;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#pause();
    }
  }

  /** Starts the clock again; `onLate` is called when the time is over, or when the text is given up. */
  start(onLate: () => void): void {
    const end = (why: TextEnd): void => {
      this.end ??= why;
      onLate();
      this.#wakeUp();
    };
    const timer = this.#clock.setTimer(this.#leftMs, () => end('late'));
    this.#running = { timer, sinceMs: this.#clock.now(), end };
  }

  giveUp(why: 'slow' | 'over-share'): void {
    this.#running?.end(why);
  }

  /** The next piece, or why there is none; `stopped` after `stop`. */
  async next(): Promise<HeldPiece | TextEnd | 'stopped'> {
    for (;;) {
      if (this.end !== undefined) return this.end;
      if (this.#isStopped) return 'stopped';
      if (this.#held.length > 0 || (this.#isWhole && !this.#isTaken)) {
        const bytes = this.#held.take();
        this.#buffered.give(bytes.length, this.#holder);
        this.#isTaken = this.#isWhole;
        return { parts: [bytes], isLast: this.#isWhole };
      }
      await this.#turn();
    }
  }

  /** The rest is not needed; ends a pending `next`. */
  stop(): void {
    this.#isStopped = true;
    this.#wakeUp();
  }

  /** Received bytes, with a digest when the text is complete; undefined: none. */
  recorded(): RecordedInput | undefined {
    if (this.#isWhole) {
      this.#whole ??= this.#meter.finish();
      return this.#whole;
    }
    return this.bytes === 0 ? undefined : { bytes: this.bytes };
  }

  /** Releases its bytes and its timer. Idempotent. */
  close(): void {
    this.#pause();
    this.#buffered.give(this.#held.take().length, this.#holder);
    this.#isStopped = true;
  }

  #pause(): void {
    if (this.#running === undefined) return;
    this.#running.timer.cancel();
    this.#leftMs -= this.#clock.now() - this.#running.sinceMs;
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
      const piece = await this.#client.nextText();
      if (piece.kind === 'cut') this.end ??= 'cut';
      else this.#take(piece.parts, piece.isLast);
    } catch (fault) {
      if (fault instanceof WireFault) this.end ??= 'too-long';
      else if (fault instanceof TransportFault) this.end ??= 'client-gone';
      else this.#bug = fault;
    } finally {
      this.#isReading = false;
      this.#wakeUp();
    }
  }

  #take(parts: readonly Buffer[], isLast: boolean): void {
    for (const part of parts) {
      this.bytes += part.length;
      this.#meter.take(part);
      if (this.#isStopped) continue;
      this.#held.append(part);
      this.#buffered.take(part.length, this.#holder);
    }
    this.#isWhole = isLast;
  }
}

/** Sends the gathered `text` after the command. Never rejects; `text` is closed then. */
export async function upload(talk: Conversation, text: UploadBuffer): Promise<LeaseEnd<Ending>> {
  const { upstream } = talk;
  const early = new EarlyReplyWatch(talk, () => text.stop());
  let ending: Ending | undefined;
  try {
    ending = await send(talk, text, early);
  } catch (fault) {
    ending = { kind: 'fault', fault, isSent: false, backend: upstream.backend };
  } finally {
    text.close();
  }
  if (ending !== undefined) {
    if (early.reply?.kind === 'answer') takeLogs(talk, early.reply.events);
    upstream.close('aborted', true);
    return { value: ending, closeFor: 'aborted' };
  }
  const end = await relayReply(talk, early.handOver());
  return { ...end, closeFor: end.closeFor ?? 'not-reusable' };
}

async function send(
  talk: Conversation,
  text: UploadBuffer,
  early: EarlyReplyWatch,
): Promise<Ending | undefined> {
  const { upstream, clock } = talk;
  const toPieces = createEncoding(upstream.keepsWhole, talk.added);
  const held: HeldUp & Transfer = {
    startMs: clock.now(),
    get movedBytes() {
      return text.bytes;
    },
    isRated: true,
    giveUp: (why) => text.giveUp(why === 'over-share' ? why : 'slow'),
  };
  let { line } = talk.command;
  upstream.pace.transfer = held;
  text.start(() => upstream.close('aborted', true));
  for (;;) {
    // `next` waits only while the client sends nothing.
    upstream.pace.begin(held, clock.now());
    const next = await text.next();
    upstream.pace.end(clock.now());
    if (typeof next === 'string') {
      return next === 'stopped' ? endOfEarlyReply(talk, early.reply) : endOfText(next);
    }
    const pieces = toPieces(next);
    if (pieces === undefined) return { kind: 'input-ended', why: 'command-like' };
    const wholes = withLine(line, pieces);
    const late = line === nothing ? undefined : talk.whyNotBegin?.();
    if (late !== undefined) return late;
    if (pieces.length > 0) line = nothing;
    for (const [at, whole] of wholes.entries()) {
      if (text.end !== undefined) return endOfText(text.end);
      // Closed by a drain or by the backend: the early reply shows which.
      if (upstream.state.at === 'closed') return endOfEarlyReply(talk, await early.arrived);
      const written = upstream.writeWhole(whole);
      if (next.isLast && at === wholes.length - 1) {
        // From here on the backend may store it.
        upstream.pace.transfer = undefined;
        // Not awaited: the reply may arrive before the last piece is reported as sent.
        written.catch(() => undefined);
        return undefined;
      }
      try {
        await written;
      } catch {
        if (text.end !== undefined) return endOfText(text.end);
        return endOfEarlyReply(talk, await early.arrived);
      }
    }
  }
}

/** Encodes pieces of the text; undefined: the text must not be sent, because the server could take a part of it for a command. */
function createEncoding(
  keepsWhole: boolean,
  added: AddedCommands | undefined,
): (piece: HeldPiece) => Buffer[] | undefined {
  const encoding = new DotEncoder(keepsWhole ? undefined : createCommandSpotter(added));
  return ({ parts, isLast }) => {
    try {
      const pieces = encoding.push(Buffer.concat(parts));
      if (isLast) pieces.push(...encoding.end());
      return pieces;
    } catch (fault) {
      if (fault instanceof WireFault) return undefined;
      throw fault;
    }
  };
}

const nothing = Buffer.alloc(0);

/** A short command line goes with the first piece: one write. */
function withLine(line: Buffer, [first, ...others]: readonly Buffer[]): readonly Buffer[] {
  if (first === undefined) return [];
  if (line.length + first.length <= wholeBytesMax) return [Buffer.concat([line, first]), ...others];
  return [...slicesOfLine(line), first, ...others];
}

function endOfText(end: TextEnd): Ending {
  if (end !== 'client-gone') return { kind: 'input-ended', why: end };
  return { kind: 'client-gone', isSent: true };
}

function endOfEarlyReply(talk: Conversation, early: EarlyReply | undefined): Ending {
  const { backend } = talk.upstream;
  const cutOff = talk.cutOff();
  // Closed by us, without a final dot: nothing was carried out.
  if (isEnding(cutOff, 'cut-off')) return { ...cutOff, isSent: false };
  if (early?.kind === 'answer') {
    const status = early.events.find((event) => isUpstreamEvent(event, 'status'))?.status;
    return { kind: 'input-refused', backend, answer: status ?? 'no-status' };
  }
  if (early?.fault instanceof WireFault) return { kind: 'fault', fault: early.fault, isSent: true, backend };
  if (isRefusedByBackend(talk)) return { kind: 'backend-refused', backend };
  return { kind: 'input-refused', backend, answer: 'broke-off' };
}

function takeLogs(talk: Conversation, events: readonly UpstreamEvent[]): void {
  for (const event of events) if (isUpstreamEvent(event, 'log')) takeLog(talk, event.line);
}

type EarlyReply =
  | { readonly kind: 'answer'; readonly events: readonly UpstreamEvent[] }
  | { readonly kind: 'fault'; readonly fault: unknown };

/**
 * Reads an upstream while a text is sent to it, until `handOver`. Log lines are handled as they arrive. Anything else, or the end, closes
 * the upstream at once, because it would read the rest of the text as commands; `onReply` is called then.
 */
class EarlyReplyWatch {
  reply: EarlyReply | undefined;
  /** Resolves when there is an early reply, the loss of the upstream included. */
  readonly arrived: Promise<EarlyReply>;
  readonly #talk: Conversation;
  readonly #onReply: () => void;
  #pending: Promise<readonly UpstreamEvent[]> | undefined;
  #isHandedOver = false;

  constructor(talk: Conversation, onReply: () => void) {
    this.#talk = talk;
    this.#onReply = onReply;
    this.arrived = this.#watch();
  }

  /** After the text was sent: returns the source of the reply. */
  handOver(): ReplySource {
    const { upstream } = this.#talk;
    this.#isHandedOver = true;
    let first = this.#pending;
    return {
      pace: upstream.pace,
      next() {
        const next = first ?? upstream.next();
        first = undefined;
        return next;
      },
      close: (reason, isAbrupt) => upstream.close(reason, isAbrupt),
    };
  }

  /** Never settles after `handOver`. */
  async #watch(): Promise<EarlyReply> {
    const { upstream } = this.#talk;
    for (;;) {
      let events: readonly UpstreamEvent[];
      try {
        this.#pending = upstream.next();
        events = await this.#pending;
      } catch (fault) {
        if (this.#isHandedOver) return new Promise(() => undefined);
        return this.#end({ kind: 'fault', fault }, fault instanceof WireFault ? 'wire-fault' : 'peer-gone');
      }
      if (this.#isHandedOver) return new Promise(() => undefined);
      if (events.some((event) => !isUpstreamEvent(event, 'log'))) {
        return this.#end({ kind: 'answer', events }, 'not-reusable');
      }
      takeLogs(this.#talk, events);
    }
  }

  #end(reply: EarlyReply, reason: CloseReason): EarlyReply {
    this.reply = reply;
    this.#talk.upstream.close(reason, true);
    this.#onReply();
    return reply;
  }
}
