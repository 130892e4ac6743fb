// Bytes of servers on their way to stdout: as they are into files and pipes, with what a terminal would obey made visible on a
// terminal. It does not know what is printed.
// The rule: a reader that goes away (`| head`) ends the work and is no failure; a disk that is full is one.

import { printable } from '../../domain/audit/export.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault } from './output.js';
import type { Sink } from './row-formats.js';

/** Where it goes. */
export interface RawStream {
  readonly isTTY?: boolean;
  write(bytes: Buffer, done: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** Collects what is printed, and sends it on when it is told to. */
export interface RawOutput {
  readonly sink: Sink;
  /** Resolves when all is on its way; rejects with a CommandFault when it cannot be written. */
  flush(): Promise<void>;
  /** So much is held that it should be sent on. */
  readonly isFull: boolean;
  /** Nobody reads any more. */
  readonly isGone: boolean;
}

const heldBytesMax = 64 * 1024;

/** The output of this process, unless another is given. */
export function openRawOutput(out: RawStream = process.stdout): RawOutput {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const isTerminal = out.isTTY === true;
  let held: Buffer[] = [];
  let heldBytes = 0;
  let isGone = false;
  let fault: unknown;
  const fail = (error: Error): void => {
    if ('code' in error && error.code === 'EPIPE') isGone = true;
    else fault ??= error;
  };
  out.on('error', fail);
  return {
    sink(piece) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
      held.push(bytes);
      heldBytes += bytes.length;
    },
    async flush() {
      const bytes = Buffer.concat(held);
      held = [];
      heldBytes = 0;
      const shown = isTerminal ? Buffer.from(visible(decoder.decode(bytes, { stream: true }))) : bytes;
      if (shown.length > 0 && !isGone) {
        await new Promise<void>((resolve) => {
          out.write(shown, (error) => {
            if (error) fail(error);
            resolve();
          });
        });
      }
      if (fault !== undefined)
        throw new CommandFault(exitCodes.failed, 'the output cannot be written', fault);
    },
    get isFull() {
      return heldBytes >= heldBytesMax;
    },
    get isGone() {
      return isGone;
    },
  };
}

/** Line ends, TABs and form feeds are part of the formats. */
function visible(text: string): string {
  return text
    .split(/([\n\t\f])/)
    .map((part, at) => (at % 2 === 0 ? printable(part) : part))
    .join('');
}
