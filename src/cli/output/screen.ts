// Where the audit subcommands write: much text on stdout without filling the memory, complaints on stderr, and colours where
// a person is. It does not know what is printed; text of clients was made harmless before it comes here.
// The rule: a reader that goes away (`| head`) ends the work and is no failure; a disk that is full is one.

import { styleText } from 'node:util';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault } from './output.js';

/** What a piece of text is, for a terminal with colours. */
export type Paint = 'good' | 'bad' | 'doubtful' | 'title' | 'faint';

/** What a subcommand prints on. */
export interface Screen {
  /** One line or several, without the last LF. Resolves when there is room for more; rejects with a CommandFault. */
  print(text: string): Promise<void>;
  /** One line or several on stderr. */
  complain(text: string): void;
  /** Resolves when all that was printed is on its way. */
  flush(): Promise<void>;
  /** Nobody reads any more. */
  readonly isGone: boolean;
  /** Width of the terminal in cells; undefined: there is none. */
  readonly columns: number | undefined;
  /** The same text, in colour where colours are shown. */
  paint(paint: Paint, text: string): string;
}

const heldCharactersMax = 65_536;

const styles = { good: 'green', bad: 'red', doubtful: 'yellow', title: 'bold', faint: 'dim' } as const;

/** A stream, which may be a terminal. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string, done?: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** The screen of this process. */
export function openScreen(
  out: Output = process.stdout,
  err: Output = process.stderr,
  environment: NodeJS.ProcessEnv = process.env,
): Screen {
  const isTerminal = out.isTTY === true;
  const isPlain = (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  let held = '';
  let isGone = false;
  let fault: unknown;
  const fail = (error: Error): void => {
    if ('code' in error && error.code === 'EPIPE') isGone = true;
    else fault ??= error;
  };
  // It comes here too, and would end the process if nobody listened.
  out.on('error', fail);

  const flush = async (): Promise<void> => {
    const text = held;
    held = '';
    if (text !== '' && !isGone) {
      await new Promise<void>((resolve) => {
        out.write(text, (error) => {
          if (error) fail(error);
          resolve();
        });
      });
    }
    if (fault !== undefined) throw new CommandFault(exitCodes.failed, 'the output cannot be written', fault);
  };

  return {
    async print(text) {
      held += `${text}\n`;
      if (held.length >= heldCharactersMax) await flush();
    },
    complain(text) {
      err.write(`${text}\n`);
    },
    flush,
    get isGone() {
      return isGone;
    },
    columns: isTerminal ? out.columns : undefined,
    paint: (paint, text) =>
      isTerminal && !isPlain ? styleText(styles[paint], text, { validateStream: false }) : text,
  };
}
