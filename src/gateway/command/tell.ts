// What the peer is told at the end of an exchange, and whether its session can go on after that.
// The rule: a reply that was cut never looks whole, so a session in which nothing could be told apart any more is closed.

import type { Clock } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { DuplexEnd } from '../outcome/input-ending.js';
import type { Ending } from '../outcome/outcome.js';
import type { Verdict } from '../outcome/verdict.js';
import { waitForPeer } from '../relay/relay.js';
import type { RelayTarget, ReplyWriter } from '../relay/reply-writer.js';

/** What was told. */
export interface Told {
  /** The status line of the reply, without LF; also where nobody was left to read it. */
  readonly status: string;
  /** Why the session must end; undefined: it goes on as far as the reply is concerned. */
  readonly closeFor: CloseReason | undefined;
}

/** Adds the log line and the status of ours to the group of `writer`, unless the backend's own status went out already. */
export function tellEnding(writer: ReplyWriter, ending: Ending, verdict: Verdict, id: string): Told {
  if (ending.kind === 'replied') {
    const status = ending.status.raw.toString('latin1');
    if (ending.peer === 'ready') return { status, closeFor: undefined };
    return { status, closeFor: ending.peer === 'client-gone' ? 'peer-gone' : ending.peer };
  }
  // Its bytes have no end that a status line could stand behind.
  if (ending.kind === 'duplex-ended') return { status: '+', closeFor: closeAfterDuplex(ending.how) };
  const isCut = writer.isMidCell;
  if (verdict.isTold) writer.addLog('error', `dovegate: ${verdict.text ?? ''}, id ${id}`);
  const code = verdict.code ?? 'TEMPFAIL';
  writer.addStatus(code);
  const status = code === '' ? '+' : `-${code}`;
  if (ending.kind === 'client-stall' || ending.kind === 'client-slow')
    return { status, closeFor: ending.kind };
  if (ending.kind === 'client-gone') return { status, closeFor: 'peer-gone' };
  return { status, closeFor: isCut ? 'cut-reply' : undefined };
}

/** Who waits for long is told so: a log line is a frame of its own and may come at any time. */
export function tellWaiting(writer: Pick<RelayTarget, 'addLog' | 'flush'>, backend: string): void {
  writer.addLog('info', `dovegate: waiting for ${backend}`);
  void writer.flush(Number.POSITIVE_INFINITY);
}

/** How much a peer may leave unread before its next command is looked at. */
const unreadBytesMax = 16 * 1024;

/**
 * Sends the group, and waits until the peer has read enough of it. Undefined, at once where there is nothing to wait for: it
 * has; else why its session must end.
 */
export function waitForReader(
  writer: ReplyWriter,
  clock: Clock,
  stallMs: number,
): Promise<'peer-gone' | 'client-stall' | undefined> | undefined {
  const drained = writer.flush(unreadBytesMax);
  return drained === undefined ? undefined : waitFor(drained, clock, stallMs);
}

async function waitFor(
  drained: Promise<void>,
  clock: Clock,
  stallMs: number,
): Promise<'peer-gone' | 'client-stall' | undefined> {
  const peer = await waitForPeer(drained, clock, stallMs);
  return peer === 'ready' ? undefined : peer === 'client-gone' ? 'peer-gone' : 'client-stall';
}

function closeAfterDuplex(how: DuplexEnd): CloseReason {
  switch (how) {
    case 'ended':
      return 'peer-ended';
    case 'backend-broke':
    case 'idle':
      return 'cut-reply';
    case 'client-gone':
      return 'peer-gone';
    case 'killed':
      return 'aborted';
    case 'client-stall':
    case 'draining':
      return how;
    default:
      return how satisfies never;
  }
}
