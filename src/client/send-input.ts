// Sends the text that follows a command line: stuffed, as fast as the server takes it, ended by its dot. It knows no command.
// The rules: the dot is sent only behind the whole text, so that a text that broke off is never stored; and nothing more is sent
// once the command has ended, because the server would take it for command lines.

import type { Clock } from '../ports/clock.js';
import { createDotEncoder } from '../wire/dot.js';
import { type CommandInput, piecesOf } from './client-command.js';
import { SessionFault } from './client-fault.js';
import type { Exchange } from './exchange.js';

/** Resolves when the dot was written or the command has ended; to the fault when the text could not be had in time. */
export async function sendInput(
  input: CommandInput,
  exchange: Exchange,
  write: (parts: readonly Buffer[]) => Promise<void>,
  clock: Clock,
  timeMs: number,
): Promise<SessionFault | undefined> {
  const encoder = createDotEncoder();
  const pieces = piecesOf(input);
  let tellLate: (fault: SessionFault) => void = () => undefined;
  const late = new Promise<SessionFault>((resolve) => {
    tellLate = resolve;
  });
  const timer = clock.setTimer(timeMs, () =>
    tellLate(new SessionFault('input-failed', `the input took more than ${timeMs} ms`, undefined, true)),
  );
  const stop: Promise<SessionFault | undefined> = Promise.race([
    exchange.whenEnded.then(() => undefined),
    late,
  ]);
  try {
    for (;;) {
      const next = await Promise.race([pieces.next(), stop]);
      if (next === undefined || next instanceof SessionFault) return next;
      const encoded = next.done === true ? encoder.finish() : encoder.push(next.value);
      // A server that answered and closed makes the next write fail, and with it goes an answer that nobody has read yet. The end of
      // this turn and one more: only then was the socket looked at again.
      await clock.nextTurn();
      await clock.nextTurn();
      if (exchange.ending !== undefined) return undefined;
      await Promise.race([write([encoded]), stop]);
      if (next.done === true) return undefined;
    }
  } catch (cause) {
    return new SessionFault('input-failed', 'the input could not be read', cause, true);
  } finally {
    timer.cancel();
    // Not awaited: a source that is in the middle of a read ends only with that read.
    pieces.return(undefined).catch(() => undefined);
  }
}
