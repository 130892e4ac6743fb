// Sends a command and the text after it to a leased upstream, and relays its reply. A script.
// The rules: the text is encoded again, every line of it so that it can be nothing but text, in pieces after each of which the
// server may stop reading it; the final dot is sent only when the client's came; an upstream that replies before that is closed
// at once, and so is one whose text will never be complete; no upstream serves another command after a text. What the backend has
// not read yet slows the client down.

import { createCommandSpotter } from '../../domain/commands/catalog.js';
import { wholeBytesMax } from '../../ports/transport.js';
import type { LogLine } from '../../protocol/log-line.js';
import { createTextPieces, slicesOfLine } from '../../protocol/text-pieces.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { Ending } from '../outcome/outcome.js';
import type { HeldUp, LeaseEnd } from '../pool/lease.js';
import type { Upstream, UpstreamEvent } from '../pool/upstream.js';
import { BackendLogFilter } from './backend-log-filter.js';
import { type Conversation, relayReply } from './converse.js';
import { countLog, type ReplySource } from './relay.js';
import type { HeldPiece, TextEnd, UploadBuffer } from './upload-buffer.js';

/** Sends the gathered `text` after the command. Never rejects; `text` is closed then. */
export async function upload(options: Conversation, text: UploadBuffer): Promise<LeaseEnd<Ending>> {
  const { upstream, count } = options;
  const filter = new BackendLogFilter(options);
  const early = watchEarlyReply(
    upstream,
    (line) => {
      countLog(count, line);
      filter.take(line);
    },
    () => text.stop(),
  );
  let ending: Ending | undefined;
  try {
    ending = await send(options, text, early);
  } catch (fault) {
    ending = { kind: 'fault', fault, isSent: false, backend: upstream.backend };
  } finally {
    text.close();
  }
  if (ending !== undefined) {
    if (early.reply?.kind === 'answer') takeLogs(early.reply.events, options, filter);
    upstream.close('aborted', true);
    return { value: ending, closeFor: 'aborted' };
  }
  const end = await relayReply(options, early.handOver(), filter);
  return { ...end, closeFor: end.closeFor ?? 'not-reusable' };
}

/** Undefined: all of it was written. */
async function send(
  options: Conversation,
  text: UploadBuffer,
  early: EarlyReplyWatch,
): Promise<Ending | undefined> {
  const { upstream, clock } = options;
  const toPieces = createEncoding(upstream.keepsWhole);
  const held: HeldUp = {
    get movedBytes() {
      return text.bytes;
    },
    isRated: true,
    giveUp: () => text.giveUp(),
  };
  let { line } = options.command;
  text.start(() => upstream.close('aborted', true));
  for (;;) {
    // `next` waits only while the client sends nothing.
    upstream.pace.begin(held, clock.now());
    const next = await text.next();
    upstream.pace.end(clock.now());
    if (typeof next === 'string') {
      return next === 'stopped' ? endOfEarlyReply(options, early.reply) : endOfText(next);
    }
    const pieces = toPieces(next);
    if (pieces === undefined) return { kind: 'input-ended', why: 'command-like' };
    const wholes = withLine(line, pieces);
    if (pieces.length > 0) line = nothing;
    for (const [at, whole] of wholes.entries()) {
      // Closed by a drain or by its own end: the early reply tells which.
      if (upstream.state.at === 'closed') return endOfEarlyReply(options, await early.arrived);
      const written = upstream.writeWhole(whole);
      if (next.isLast && at === wholes.length - 1) {
        // Not awaited: the reply may be here before the last piece is reported as sent.
        written.catch(() => undefined);
        return undefined;
      }
      try {
        await written;
      } catch {
        if (text.end !== undefined) return endOfText(text.end);
        return endOfEarlyReply(options, await early.arrived);
      }
    }
  }
}

/** Encodes pieces of the text; undefined: the text must not be sent, because the server could take a part of it for a command. */
function createEncoding(keepsWhole: boolean): (piece: HeldPiece) => Buffer[] | undefined {
  const encoding = createTextPieces(keepsWhole ? undefined : createCommandSpotter());
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

function endOfEarlyReply(options: Conversation, early: EarlyReply | undefined): Ending {
  const { backend } = options.upstream;
  const cutOff = options.cutOff();
  // We closed it: it had no final dot, so nothing was carried out.
  if (cutOff?.kind === 'cut-off') return { ...cutOff, isSent: false };
  if (early?.kind === 'answer') {
    const status = early.events.find((event) => event.kind === 'status')?.status;
    return { kind: 'input-refused', backend, answer: status ?? 'no-status' };
  }
  if (early?.fault instanceof WireFault) return { kind: 'fault', fault: early.fault, isSent: true, backend };
  return { kind: 'input-refused', backend, answer: 'broke-off' };
}

function takeLogs(events: readonly UpstreamEvent[], options: Conversation, filter: BackendLogFilter): void {
  for (const event of events) {
    if (event.kind !== 'log') continue;
    countLog(options.count, event.line);
    filter.take(event.line);
  }
}

/** What came before the whole text was sent. */
export type EarlyReply =
  | { readonly kind: 'answer'; readonly events: readonly UpstreamEvent[] }
  | { readonly kind: 'fault'; readonly fault: unknown };

/** Reads an upstream while a text is sent to it, until `handOver`. */
export interface EarlyReplyWatch {
  readonly reply: EarlyReply | undefined;
  /** Resolves when there is an early reply; for an upstream that is gone it always comes. */
  readonly arrived: Promise<EarlyReply>;
  /** The text is sent: the reply is read from the source that this returns. */
  handOver(): ReplySource;
}

/**
 * Log lines are taken as they come. Anything else, or the end, closes the upstream at once, because it would read the rest of
 * the text as commands; `onReply` is called then.
 */
export function watchEarlyReply(
  upstream: Upstream,
  onLog: (line: LogLine) => void,
  onReply: () => void,
): EarlyReplyWatch {
  let pending: Promise<readonly UpstreamEvent[]> | undefined = upstream.next();
  let isHandedOver = false;
  let early: EarlyReply | undefined;

  function end(reply: EarlyReply): EarlyReply {
    early = reply;
    const isGarbage = reply.kind === 'fault' && reply.fault instanceof WireFault;
    upstream.close(reply.kind === 'answer' ? 'not-reusable' : isGarbage ? 'wire-fault' : 'peer-gone', true);
    onReply();
    return reply;
  }

  const arrived = new Promise<EarlyReply>((resolve) => {
    const watch = (): void => {
      pending?.then(
        (events) => {
          if (isHandedOver) return;
          if (events.some((event) => event.kind !== 'log')) {
            resolve(end({ kind: 'answer', events }));
            return;
          }
          for (const event of events) if (event.kind === 'log') onLog(event.line);
          pending = upstream.next();
          watch();
        },
        (fault: unknown) => {
          if (!isHandedOver) resolve(end({ kind: 'fault', fault }));
        },
      );
    };
    watch();
  });

  return {
    get reply() {
      return early;
    },
    arrived,
    handOver() {
      isHandedOver = true;
      return {
        pace: upstream.pace,
        next() {
          const first = pending;
          pending = undefined;
          return first ?? upstream.next();
        },
        close: (reason, isAbrupt) => upstream.close(reason, isAbrupt),
      };
    },
  };
}
