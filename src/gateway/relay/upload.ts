// Sends a command and the text behind it up to a leased upstream, and brings its reply. A script. It does not know sessions or records.
// The rules: a text is encoded afresh, every line of it so that it can be nothing but text, and sent in pieces behind each of which
// the server may give it up; the final dot goes up only when the client's came; an upstream that says anything before that is closed
// at once, and so is one whose text will never be whole; no upstream serves another command after a text. What the client has and
// the backend has not read holds the client back.

import { createCommandSpotter } from '../../domain/commands/command-spotter.js';
import { wholeBytesMax } from '../../ports/transport.js';
import { createTextPieces, slicesOfLine } from '../../protocol/text-pieces.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { Ending } from '../outcome/outcome.js';
import type { HeldUp, LeaseEnd } from '../pool/lease.js';
import type { UpstreamEvent } from '../pool/upstream.js';
import { type Conversation, encodeOutgoing, type LogEar, listenTo, relayReply } from './converse.js';
import { type EarlyEar, type EarlyWord, listenEarly } from './early-ear.js';
import type { HeldPiece, HeldText, TextEnd } from './held-text.js';
import { countLog } from './relay.js';

/** Sends `text`, which was gathered, behind the command. Never rejects; `text` is closed then. */
export async function upload(options: Conversation, text: HeldText): Promise<LeaseEnd<Ending>> {
  const { upstream, count } = options;
  const ear = listenTo(options);
  const early = listenEarly(
    upstream,
    (line) => {
      countLog(count, line);
      ear.hear(line);
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
    if (early.word?.kind === 'answer') hearLogs(early.word.events, options, ear);
    upstream.close('aborted', true);
    return { value: ending, closeFor: 'aborted' };
  }
  const end = await relayReply(options, early.handOver(), ear);
  return { ...end, closeFor: end.closeFor ?? 'not-reusable' };
}

/** Undefined: all of it is on its way. */
async function send(options: Conversation, text: HeldText, early: EarlyEar): Promise<Ending | undefined> {
  const { upstream, clock } = options;
  const toPieces = createEncoding(upstream.keepsWhole);
  const held: HeldUp = {
    get movedBytes() {
      return text.bytes;
    },
    isRated: true,
    giveUp: () => text.giveUp(),
  };
  let line = encodeOutgoing(options);
  text.start(() => upstream.close('aborted', true));
  for (;;) {
    // Whatever is here is given out at once: only a client that sends nothing is waited for.
    upstream.pace.begin(held, clock.now());
    const next = await text.next();
    upstream.pace.end(clock.now());
    if (typeof next === 'string') {
      return next === 'stopped' ? endOfWord(options, early.word) : endOfText(next);
    }
    const pieces = toPieces(next);
    if (pieces === undefined) return { kind: 'input-ended', why: 'command-like' };
    const wholes = withLine(line, pieces);
    if (pieces.length > 0) line = nothing;
    for (const [at, whole] of wholes.entries()) {
      // Closed by a drain, or by its own end: what it was is about to be heard.
      if (upstream.state.at === 'closed') return endOfWord(options, await early.spoke);
      const written = upstream.writeWhole(whole);
      if (next.isLast && at === wholes.length - 1) {
        // Not awaited: the answer may be here before we hear that the last piece has left.
        written.catch(() => undefined);
        return undefined;
      }
      try {
        await written;
      } catch {
        if (text.end !== undefined) return endOfText(text.end);
        return endOfWord(options, await early.spoke);
      }
    }
  }
}

/** What is sent of a piece of the text; undefined: nothing, and never any more, because nobody could say what it would be taken for. */
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

/** The command line goes with the first piece, where both are short: one write. */
function withLine(line: Buffer, [first, ...others]: readonly Buffer[]): readonly Buffer[] {
  if (first === undefined) return [];
  if (line.length + first.length <= wholeBytesMax) return [Buffer.concat([line, first]), ...others];
  return [...slicesOfLine(line), first, ...others];
}

function endOfText(end: TextEnd): Ending {
  if (end !== 'client-gone') return { kind: 'input-ended', why: end };
  return { kind: 'client-gone', isSent: true };
}

/** What the upstream said, or did, before it had the text whole. */
function endOfWord(options: Conversation, word: EarlyWord | undefined): Ending {
  const { backend } = options.upstream;
  const cutOff = options.cutOff();
  // We closed it: it had no final dot, so nothing was carried out.
  if (cutOff?.kind === 'cut-off') return { ...cutOff, isSent: false };
  if (word?.kind === 'answer') {
    const status = word.events.find((event) => event.kind === 'status')?.status;
    return { kind: 'input-refused', backend, answer: status ?? 'no-status' };
  }
  if (word?.fault instanceof WireFault) return { kind: 'fault', fault: word.fault, isSent: true, backend };
  return { kind: 'input-refused', backend, answer: 'broke-off' };
}

function hearLogs(events: readonly UpstreamEvent[], options: Conversation, ear: LogEar): void {
  for (const event of events) {
    if (event.kind !== 'log') continue;
    countLog(options.count, event.line);
    ear.hear(event.line);
  }
}
