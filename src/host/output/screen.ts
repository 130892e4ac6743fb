// Output of subcommands on stdout in bounded memory: text with colors on a terminal (`openScreen`), and bytes from servers,
// unchanged into files and with control characters made visible on a terminal (`openRawOutput`). Text from clients must be made
// harmless before it is printed on a screen.

import { styleText } from 'node:util';
import type { Clock } from '../ports/machine.js';
import { printable } from '../words/text.js';
import { bytesWords } from '../words/words.js';

export type Paint = 'good' | 'bad' | 'doubtful' | 'title' | 'faint';

export interface Screen {
  /** One line or several, without the last LF. Resolves when there is room for more. */
  print(text: string): Promise<void>;
  complain(text: string): void;
  /** Resolves when everything printed is written. */
  flush(): Promise<void>;
  /** The reader closed the pipe, or a disk is full, which src/main.ts reports: further output would not be written either. */
  readonly isGone: boolean;
  /** Width of the terminal in cells; undefined: there is none. */
  readonly columns: number | undefined;
  /** The same text, in color if colors are shown. */
  paint(paint: Paint, text: string): string;
}

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(piece: string | Buffer, done?: (error?: Error | null) => void): unknown;
}

const heldMax = 65_536;

const styles = { good: 'green', bad: 'red', doubtful: 'yellow', title: 'bold', faint: 'dim' } as const;

export function openScreen(
  out: Output = process.stdout,
  err: Output = process.stderr,
  environment: NodeJS.ProcessEnv = process.env,
): Screen {
  const isTerminal = out.isTTY === true;
  const isPlain = (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb';
  const writer = createWriter(out);
  let held = '';
  const flush = (): Promise<void> => {
    const text = held;
    held = '';
    return writer.write(text);
  };
  return {
    async print(text) {
      held += `${text}\n`;
      if (held.length >= heldMax) await flush();
    },
    complain(text) {
      err.write(`${text}\n`);
    },
    flush,
    get isGone() {
      return writer.isGone;
    },
    columns: isTerminal ? out.columns : undefined,
    paint: (paint, text) =>
      isTerminal && !isPlain ? styleText(styles[paint], text, { validateStream: false }) : text,
  };
}

export function openRawOutput(out: Output = process.stdout) {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const writer = createWriter(out);
  let held: Buffer[] = [];
  let heldBytes = 0;
  return {
    sink: (piece: Buffer | string): void => {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
      held.push(bytes);
      heldBytes += bytes.length;
    },
    flush(): Promise<void> {
      const bytes = Buffer.concat(held);
      held = [];
      heldBytes = 0;
      return writer.write(out.isTTY === true ? visible(decoder.decode(bytes, { stream: true })) : bytes);
    },
    get isFull(): boolean {
      return heldBytes >= heldMax;
    },
    get isGone(): boolean {
      return writer.isGone;
    },
  };
}

function createWriter(out: Output) {
  let isGone = false;
  return {
    async write(piece: string | Buffer): Promise<void> {
      if (piece.length === 0) return;
      await new Promise<void>((resolve) => {
        out.write(piece, (error) => {
          if (error) isGone = true;
          resolve();
        });
      });
    },
    get isGone(): boolean {
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

const quietMs = 2_000;
const everyMs = 500;

/** One line that is drawn again and again, after 2 s. `write`: to the terminal; undefined: there is none. */
export function createProgressLine(clock: Clock, write: ((text: string) => void) | undefined) {
  const startMs = clock.now();
  let drawnMs = startMs + quietMs - everyMs;
  let isShown = false;
  return {
    /** `textOf` gets the milliseconds since the line was made. */
    draw(textOf: (sinceMs: number) => string): void {
      const nowMs = clock.now();
      if (write === undefined || nowMs - drawnMs < everyMs) return;
      drawnMs = nowMs;
      isShown = true;
      write(`\r\x1b[K${textOf(nowMs - startMs)}`);
    },
    /** Erases the line; call it before other output and at the end. */
    clear: (): void => {
      if (isShown) write?.('\r\x1b[K');
      isShown = false;
    },
  };
}

/** A progress line with bytes, rows and time. */
export function createProgress(...of: Parameters<typeof createProgressLine>) {
  const line = createProgressLine(...of);
  let [sent, received, rows] = [0, 0, 0];
  const draw = (): void =>
    line.draw((sinceMs) => {
      const up = sent > 0 ? `${bytesWords(sent)} sent, ` : '';
      const down = received > 0 ? `${bytesWords(received)}, ${rows} rows, ` : '';
      return `${up}${down}${Math.round(sinceMs / 1000)} s`;
    });
  return {
    sent(bytes: number): void {
      sent += bytes;
      draw();
    },
    received(bytes: number): void {
      received += bytes;
      draw();
    },
    row(): void {
      rows += 1;
    },
    clear: line.clear,
  };
}
