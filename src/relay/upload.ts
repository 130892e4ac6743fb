// Sends a command and the text behind it up to a leased upstream, and brings its reply. A script. It does not know sessions or records.
// The rules: a text is encoded afresh, every line of it so that it can be nothing but text; the final dot goes up only when the
// client's came; an upstream that says anything before that is closed at once, and so is one whose text will never be whole;
// no upstream serves another command after a text. What the client has and the backend has not read holds the client back.

import type { LeaseEnd } from '../backend/lease.js';
import type { UpstreamEvent } from '../backend/upstream-options.js';
import type { Ending } from '../engine/outcome.js';
import { createDotEncoder } from '../wire/dot.js';
import { WireFault } from '../wire/wire-fault.js';
import { type Conversation, encodeOutgoing, type LogEar, listenTo, relayReply } from './converse.js';
import { type EarlyEar, type EarlyWord, listenEarly } from './early-ear.js';
import type { HeldText, TextEnd } from './held-text.js';
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
  const { upstream } = options;
  const encoder = createDotEncoder();
  // The line goes with the first piece: a short text is one write.
  let line = [encodeOutgoing(options)];
  text.start(() => upstream.close('aborted', true));
  for (;;) {
    const piece = await text.next();
    if (typeof piece === 'string') {
      return piece === 'stopped' ? endOfWord(options, early.word) : endOfText(piece);
    }
    const parts = [...line, ...piece.parts.map((part) => encoder.push(part))];
    line = [];
    if (piece.isLast) parts.push(encoder.finish());
    // Closed by a drain, or by its own end: what it was is about to be heard.
    if (upstream.state.at === 'closed') return endOfWord(options, await early.spoke);
    const drained = upstream.write(parts);
    if (piece.isLast) {
      drained?.catch(() => undefined);
      return undefined;
    }
    try {
      await drained;
    } catch {
      if (text.end !== undefined) return endOfText(text.end);
      return endOfWord(options, await early.spoke);
    }
  }
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
