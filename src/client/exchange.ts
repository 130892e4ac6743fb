// One command of a session: its state, its input on the way up, and its reply from bytes to cells and rows. Cells can be as long as a
// mail, so they are passed on in pieces; only rows hold them whole.
// The rule: it ends once, by its status or by a failure, and everybody who waits for it is woken then.

import type { Clock } from '../ports/clock.js';
import { unescapeLenient } from '../protocol/escape.js';
import type { LogLine } from '../protocol/log-line.js';
import type { Status } from '../protocol/status.js';
import { createTextPieces, slicesOfLine, type TextPieces } from '../protocol/text-pieces.js';
import { WireFault } from '../protocol/wire-fault.js';
import { CommandFailed, type CommandInput, piecesOf, SessionFault } from './client-command.js';

/** The status, or why there is none. */
export type Ending =
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'failed'; readonly reason: unknown };

export interface Exchange {
  readonly ending: Ending | undefined;
  /** A byte of it may have left. */
  readonly isSent: boolean;
  /** It is being written. */
  readonly isSending: boolean;
  /** From waiting to sending; false when it ended before its turn came. */
  startSending(): boolean;
  sent(): void;
  addBody(body: Buffer): void;
  addLog(line: LogLine): void;
  end(status: Status): void;
  fail(reason: unknown): void;
  /** Pieces since the last call, oldest first. */
  takePieces(): readonly CellPiece[];
  /** Resolves at the next change. */
  changed(): Promise<void>;
  /** Lets who waits for a change look again. */
  wake(): void;
  /** What to throw for an ending that is none of the good ones. */
  failure(): { readonly reason: unknown } | undefined;
  /** Resolves at the ending. */
  readonly whenEnded: Promise<void>;
}

const logsMax = 64;

export function createExchange(): Exchange {
  const decoder = createCellDecoder();
  const logs: LogLine[] = [];
  let at: 'waiting' | 'sending' | 'sent' = 'waiting';
  let ending: Ending | undefined;
  let pieces: CellPiece[] = [];
  let sleepers: (() => void)[] = [];
  let tellEnded: () => void = () => undefined;
  const whenEnded = new Promise<void>((resolve) => {
    tellEnded = resolve;
  });

  function wake(): void {
    const woken = sleepers;
    sleepers = [];
    for (const resolve of woken) resolve();
  }

  function become(next: Ending): void {
    if (ending !== undefined) return;
    ending = next;
    wake();
    tellEnded();
  }

  return {
    get ending() {
      return ending;
    },
    get isSent() {
      return at !== 'waiting';
    },
    get isSending() {
      return at === 'sending';
    },
    startSending() {
      if (ending !== undefined) return false;
      at = 'sending';
      wake();
      return true;
    },
    sent() {
      at = 'sent';
    },
    addBody(body) {
      for (const piece of decoder.push(body)) pieces.push(piece);
    },
    addLog(line) {
      if (logs.length < logsMax) logs.push(line);
    },
    end(status) {
      pieces.push(...decoder.end());
      become({ kind: 'status', status });
    },
    fail(reason) {
      pieces = [];
      become({ kind: 'failed', reason });
    },
    takePieces() {
      const taken = pieces;
      pieces = [];
      return taken;
    },
    changed: () =>
      new Promise((resolve) => {
        sleepers.push(resolve);
      }),
    wake,
    failure() {
      if (ending === undefined) return undefined;
      if (ending.kind === 'failed') return { reason: ending.reason };
      const { status } = ending;
      return status.kind === 'ok'
        ? undefined
        : { reason: new CommandFailed(status.code, status.referral, logs) };
    },
    whenEnded,
  };
}

/** A part of a cell, unescaped. A cell is the bytes of its pieces up to the one that `endsCell`. */
export interface CellPiece {
  readonly bytes: Buffer;
  readonly endsCell: boolean;
}

/** One row: its cells as text (U+FFFD for what is no UTF-8; ask for cells to have bytes). */
export type Row = readonly string[];

/** Bodies to pieces of cells, wherever they are cut, also after the SOH of an escape. One decoder a reply. */
export interface CellDecoder {
  push(body: Buffer): CellPiece[];
  /** At the status: a last cell without a TAB (the JSON of `user`), if there is one. */
  end(): CellPiece[];
}

/** Pieces to rows. One decoder a reply. */
export interface RowDecoder {
  /** Throws SessionFault `unexpected-reply` for a cell above the limit. */
  push(pieces: readonly CellPiece[]): Row[];
  /** Throws SessionFault `unexpected-reply` when a row lacks cells. */
  end(): void;
}

const TAB = 0x09;
const SOH = 0x01;
const nothing = Buffer.alloc(0);

export function createCellDecoder(): CellDecoder {
  let isEscapeCut = false;
  let isMidCell = false;

  function piece(raw: Buffer, endsCell: boolean): CellPiece {
    let bytes = raw;
    if (isEscapeCut) bytes = Buffer.concat([Buffer.of(SOH), raw]);
    isEscapeCut = false;
    if (!endsCell && endsInEscape(bytes)) {
      isEscapeCut = true;
      bytes = bytes.subarray(0, -1);
    }
    isMidCell = !endsCell;
    return { bytes: unescapeLenient(bytes), endsCell };
  }

  return {
    push(body) {
      const pieces: CellPiece[] = [];
      let from = 0;
      while (from < body.length) {
        const tab = body.indexOf(TAB, from);
        const stop = tab < 0 ? body.length : tab;
        pieces.push(piece(body.subarray(from, stop), tab >= 0));
        from = stop + 1;
      }
      return pieces;
    },
    end() {
      if (!isMidCell) return [];
      isEscapeCut = false;
      isMidCell = false;
      return [{ bytes: nothing, endsCell: true }];
    },
  };
}

/** A SOH escapes the byte after it, so only an odd number of them at the end is a cut escape. */
function endsInEscape(bytes: Buffer): boolean {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === SOH) at -= 1;
  return (bytes.length - at) % 2 === 1;
}

export interface RowLimits {
  /** Cells of a row, at least 1. */
  readonly columns: number;
  /** Bytes of all cells of one row. */
  readonly rowBytesMax: number;
}

export function createRowDecoder({ columns, rowBytesMax }: RowLimits): RowDecoder {
  if (!Number.isInteger(columns) || columns < 1) throw new RangeError('a row has at least one column');
  let row: string[] = [];
  let held: Buffer[] = [];
  let rowBytes = 0;
  return {
    push(pieces) {
      const rows: Row[] = [];
      for (const { bytes, endsCell } of pieces) {
        rowBytes += bytes.length;
        if (rowBytes > rowBytesMax)
          throw new SessionFault('unexpected-reply', `a row has more than ${rowBytesMax} bytes`);
        if (!endsCell) {
          held.push(bytes);
          continue;
        }
        row.push(held.length === 0 ? bytes.toString() : Buffer.concat([...held, bytes]).toString());
        held = [];
        if (row.length < columns) continue;
        rows.push(row);
        row = [];
        rowBytes = 0;
      }
      return rows;
    },
    end() {
      if (row.length > 0)
        throw new SessionFault('unexpected-reply', `the last row has ${row.length} of ${columns} cells`);
    },
  };
}

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

/** Loads the names of all commands only for a text over TCP. */
async function createText(keepsWhole: boolean): Promise<TextPieces> {
  if (keepsWhole) return createTextPieces(undefined);
  const { createCommandSpotter } = await import('../domain/commands/catalog.js');
  return createTextPieces(createCommandSpotter());
}

function textOf(keepsWhole: boolean): string {
  const text = 'a line of the input could be taken for a command if the server stopped within it';
  return keepsWhole ? text : `${text}; with TLS, or over a UNIX socket, it can be sent`;
}
