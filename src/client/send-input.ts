// Sends a command and the text that follows it: stuffed, as fast as the server takes it, ended by its dot. It knows no command.
// The rules: the dot is sent only behind the whole text, so that a text that broke off is never stored; nothing more is sent once
// the command has ended, because the server would take it for command lines; and no command begins behind a piece that leaves, because
// a server that was stopped for too long gives the text up there, and goes on as if one did.

import type { Clock } from '../ports/clock.js';
import { createTextPieces, slicesOfLine, type TextPieces } from '../protocol/text-pieces.js';
import { WireFault } from '../protocol/wire-fault.js';
import { type CommandInput, piecesOf } from './client-command.js';
import { SessionFault } from './client-fault.js';
import type { Exchange } from './exchange.js';

/** What is sent, and how it leaves. */
export interface Sending {
  /** Of the command. */
  readonly lines: readonly Buffer[];
  readonly input: CommandInput;
  /** Resolves when the bytes left or never will. */
  readonly writeWhole: (bytes: Buffer) => Promise<undefined>;
  /** Whether they leave whole. Where not, a text with a line that could be a command from its middle is not sent. */
  readonly keepsWhole: boolean;
  /** How long all of it may take. */
  readonly timeMs: number;
}

/** Why nothing more is sent. */
type Stop = SessionFault | 'ended';

/** What is waited for, or the stop that comes first. */
type OrStop = <T>(promise: Promise<T>) => Promise<T | Stop>;

/** Resolves when the dot is on its way or the command has ended; to the fault when the text could not be had in time, or may not be sent. */
export async function sendInput(
  sending: Sending,
  exchange: Exchange,
  clock: Clock,
): Promise<SessionFault | undefined> {
  const { timeMs } = sending;
  let stopped: Stop | undefined;
  let wake: (stop: Stop) => void = () => undefined;
  const stop = (why: Stop): void => {
    stopped ??= why;
    wake(stopped);
  };
  // No race with one promise that stays: it would keep something of every piece.
  const orStop: OrStop = (promise) =>
    new Promise((resolve, reject) => {
      wake = resolve;
      if (stopped !== undefined) resolve(stopped);
      promise.then(resolve, reject);
    });
  const timer = clock.setTimer(timeMs, () =>
    stop(new SessionFault('input-failed', `the input took more than ${timeMs} ms`, undefined, true)),
  );
  void exchange.whenEnded.then(() => stop('ended'));
  const source = piecesOf(sending.input);
  try {
    const end = await sendPieces(sending, source, exchange, clock, orStop);
    return end === 'ended' ? undefined : end;
  } catch (cause) {
    return cause instanceof WireFault
      ? new SessionFault('input-command-like', textOf(sending.keepsWhole), cause, true)
      : new SessionFault('input-failed', 'the input could not be read', cause, true);
  } finally {
    timer.cancel();
    // Not awaited: a source that is in the middle of a read ends only with that read.
    source.return(undefined).catch(() => undefined);
  }
}

/** Undefined: all of it is on its way. Throws what the source throws, and WireFault for a text that may not be sent. */
async function sendPieces(
  { lines, writeWhole, keepsWhole }: Sending,
  source: AsyncGenerator<Buffer, void>,
  exchange: Exchange,
  clock: Clock,
  orStop: OrStop,
): Promise<Stop | undefined> {
  const text = await createText(keepsWhole);
  for (const slice of slicesOfLine(Buffer.concat(lines))) {
    const end = await orStop(writeWhole(slice));
    if (end !== undefined) return end;
  }
  for (;;) {
    const next = await orStop(source.next());
    if (next === 'ended' || next instanceof SessionFault) return next;
    const pieces = next.done === true ? text.end() : text.push(next.value);
    for (const [at, piece] of pieces.entries()) {
      // A server that answered and closed makes the next write fail, and with it goes an answer that nobody has read yet. The end of
      // this turn and one more: only then was the socket looked at again.
      await clock.nextTurn();
      await clock.nextTurn();
      if (exchange.ending !== undefined) return 'ended';
      const left = orStop(writeWhole(piece));
      // Not awaited: the answer may be here before we hear that the last piece has left.
      if (next.done === true && at === pieces.length - 1) return undefined;
      const end = await left;
      if (end !== undefined) return end;
    }
  }
}

/** Who sends no text over TCP alone never loads the names of all commands. */
async function createText(keepsWhole: boolean): Promise<TextPieces> {
  if (keepsWhole) return createTextPieces(undefined);
  const { createCommandSpotter } = await import('../domain/commands/command-spotter.js');
  return createTextPieces(createCommandSpotter());
}

function textOf(keepsWhole: boolean): string {
  const text = 'a line of the input could be taken for a command if the server stopped within it';
  return keepsWhole ? text : `${text}; with TLS, or over a UNIX socket, it can be sent`;
}
