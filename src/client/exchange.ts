// One command of a session: its state, its input, and its reply from bytes to cells and rows. A cell can be as long as a mail,
// so cells are passed on in pieces, and only rows hold them whole.

import type { Said } from '../doveadm/codes/codes.js';
import { readSaid } from '../doveadm/codes/said.js';
import { SOH, TAB, unescapeLenient } from '../doveadm/protocol/lines.js';
import { DotEncoder, slicesOfLine } from '../doveadm/protocol/text.js';
import type { LogLine, Status } from '../doveadm/reply/reply.js';
import { TransportFault, WireFault } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import type { Transport } from '../host/ports/transport.js';
import {
  CommandFailed,
  type CommandInput,
  lastOf,
  piecesOf,
  SessionFault,
  unexpectedReply,
} from './client-command.js';
import type { RowColumns } from './command-columns.js';

/** A part of a cell, unescaped. A cell is the bytes of its pieces up to the one that `endsCell`. */
export interface CellPiece {
  readonly bytes: Buffer;
  readonly endsCell: boolean;
}

/** One row: its cells as text (U+FFFD for bytes that are not UTF-8; use `cells` for bytes). */
export type Row = readonly string[];

/** One row by the names of its columns, as in the real program's JSON: `{ root: 'User quota', type: 'STORAGE', ... }`. */
export type NamedRow = Readonly<Record<string, string>>;

/** The cells of a row by their names. A repeated column is there once. */
export function namedRow(names: readonly string[], row: Row): NamedRow {
  return Object.fromEntries(names.map((name, at) => [name, row[at] ?? '']));
}

const logsMax = 64;

export class Exchange {
  /** `sending`: a byte of it may have left. */
  at: 'waiting' | 'sending' | 'sent' = 'waiting';
  isEnded = false;
  /** The error to throw, for an exchange that ended with another status than `+`, or without one. */
  failure: { readonly reason: unknown } | undefined;
  readonly whenEnded: Promise<void>;
  #resolveEnded: () => void = () => undefined;
  #wake: () => void = () => undefined;
  #pieces: CellPiece[] = [];
  #isEscapeCut = false;
  #isMidCell = false;
  readonly #logs: LogLine[] = [];

  constructor() {
    this.whenEnded = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Returns false if the command ended before its turn came. */
  startSending(): boolean {
    if (this.isEnded) return false;
    this.at = 'sending';
    this.wake();
    return true;
  }

  /** A part of the reply's rows; may be cut anywhere, also after the SOH of an escape. */
  addBody(body: Buffer): void {
    for (let from = 0; from < body.length; ) {
      const tab = body.indexOf(TAB, from);
      const stop = tab < 0 ? body.length : tab;
      this.#addPiece(body.subarray(from, stop), tab >= 0);
      from = stop + 1;
    }
  }

  #addPiece(raw: Buffer, endsCell: boolean): void {
    let bytes = this.#isEscapeCut ? Buffer.concat([Buffer.of(SOH), raw]) : raw;
    this.#isEscapeCut = !endsCell && endsInEscape(bytes);
    if (this.#isEscapeCut) bytes = bytes.subarray(0, -1);
    this.#isMidCell = !endsCell;
    this.#pieces.push({ bytes: unescapeLenient(bytes), endsCell });
  }

  addLog(line: LogLine): void {
    if (this.#logs.length < logsMax) this.#logs.push(line);
    // The last line explains the failure.
    else this.#logs[logsMax - 1] = line;
  }

  end(status: Status): void {
    // The JSON of `user` is a cell without a TAB.
    if (this.#isMidCell) this.#pieces.push({ bytes: Buffer.alloc(0), endsCell: true });
    this.#become(
      status.kind === 'ok'
        ? undefined
        : { reason: new CommandFailed(status.code, status.referral, this.#logs, this.#said()) },
    );
  }

  /** dovegate's explanation of the failure; undefined for lines without a code, or of another server. */
  #said(): Said | undefined {
    return readSaid(lastOf(this.#logs) ?? '');
  }

  fail(reason: unknown): void {
    this.#pieces = [];
    this.#become({ reason });
  }

  #become(failure: Exchange['failure']): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.failure = failure;
    this.wake();
    this.#resolveEnded();
  }

  /** Pieces since the last call, oldest first. */
  takePieces(): readonly CellPiece[] {
    const taken = this.#pieces;
    this.#pieces = [];
    return taken;
  }

  /** Resolves at the next change. One caller at a time. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Wakes the caller of `changed`. */
  wake(): void {
    this.#wake();
  }
}

/** A SOH escapes the byte after it, so only an odd number of them at the end is a cut escape. */
function endsInEscape(bytes: Buffer): boolean {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === SOH) at -= 1;
  return (bytes.length - at) % 2 === 1;
}

/** Rows of these columns, in the batches in which they come. Throws SessionFault `unexpected-reply` for cells that are no such rows. */
export async function* rowsOf(
  batches: AsyncIterable<readonly CellPiece[]>,
  of: RowColumns,
  rowBytesMax: number,
): AsyncGenerator<Row[], void> {
  const cells: string[] = [];
  let held: Buffer[] = [];
  let bytesHeld = 0;
  let width: number | undefined;
  const take = (): Row[] => {
    width ??= of.namesFrom(cells)?.length;
    if (width === undefined)
      throw unexpectedReply(
        'its rows have other columns than any known release of Dovecot; read its `cells`',
      );
    const rows: Row[] = [];
    // Without columns, a cell is a row.
    while (cells.length >= (width || 1)) rows.push(cells.splice(0, width || 1));
    if (cells.length === 0) bytesHeld = 0;
    return rows;
  };
  for await (const pieces of batches) {
    const rows: Row[] = [];
    for (const { bytes, endsCell } of pieces) {
      bytesHeld += bytes.length;
      if (bytesHeld > rowBytesMax) throw unexpectedReply(`a row has more than ${rowBytesMax} bytes`);
      if (!endsCell) {
        held.push(bytes);
        continue;
      }
      cells.push(held.length === 0 ? bytes.toString() : Buffer.concat([...held, bytes]).toString());
      held = [];
      if (cells.length >= (width ?? of.decidedBy)) rows.push(...take());
    }
    yield rows;
  }
  if (cells.length > 0 && width === undefined) yield take();
  if (cells.length > 0) throw unexpectedReply(`the last row has ${cells.length} of ${width} cells`);
}

/** Resolves when the bytes are written or the transport is gone. The read reports the end, after data that came earlier. */
export async function leave(written: Promise<void> | undefined): Promise<undefined> {
  try {
    await written;
  } catch (fault) {
    if (!(fault instanceof TransportFault)) throw fault;
  }
}

export interface Sending {
  readonly transport: Transport;
  readonly lines: readonly Buffer[];
  readonly input: CommandInput;
  /** Time limit for all of it. */
  readonly timeMs: number;
}

type Stop = SessionFault | 'ended';

/** Resolves when the dot is on its way or the command has ended; to the fault if the text was not readable, or may not be sent. */
export async function sendInput(
  { transport, lines, input, timeMs }: Sending,
  exchange: Exchange,
  clock: Clock,
): Promise<SessionFault | undefined> {
  const { keepsWhole } = transport;
  let stopped: Stop | undefined;
  let wake: (stop: Stop) => void = () => undefined;
  const stop = (why: Stop): void => {
    stopped ??= why;
    wake(stopped);
  };
  // Not a race with one long-lived promise: it would keep a part of every piece.
  const orStop = <T>(promise: Promise<T>): Promise<T | Stop> =>
    new Promise((resolve, reject) => {
      wake = resolve;
      if (stopped !== undefined) resolve(stopped);
      promise.then(resolve, reject);
    });
  const send = (bytes: Buffer): Promise<Stop | undefined> => orStop(leave(transport.writeWhole(bytes)));
  const timer = clock.setTimer(timeMs, () =>
    stop(new SessionFault('input-failed', `the input took more than ${timeMs} ms`, undefined, true)),
  );
  void exchange.whenEnded.then(() => stop('ended'));
  const source = piecesOf(input);

  /** Resolves to undefined when all of the text is on its way. Throws the source's error, and WireFault for a text that may not be sent. */
  async function sendAll(): Promise<Stop | undefined> {
    // The names of all commands are needed, and loaded, only for a text over TCP without TLS.
    const spotter = keepsWhole
      ? undefined
      : (await import('../doveadm/commands/catalog.js')).createCommandSpotter();
    const text = new DotEncoder(spotter);
    for (const slice of slicesOfLine(Buffer.concat(lines))) {
      const end = await send(slice);
      if (end !== undefined) return end;
    }
    for (;;) {
      const next = await orStop(source.next());
      if (next === 'ended' || next instanceof SessionFault) return next;
      const pieces = next.done === true ? text.end() : text.push(next.value);
      for (const [at, piece] of pieces.entries()) {
        // After a server answered and closed, the next write fails, and an unread answer is lost with it. Waits for the end of this turn
        // and one more: only then was the socket polled again.
        await clock.nextTurn();
        await clock.nextTurn();
        if (exchange.isEnded) return 'ended';
        const left = send(piece);
        // Not awaited: the answer may arrive before the last piece is reported as sent.
        if (next.done === true && at === pieces.length - 1) return undefined;
        const end = await left;
        if (end !== undefined) return end;
      }
    }
  }

  try {
    const end = await sendAll();
    return end === 'ended' ? undefined : end;
  } catch (cause) {
    if (!(cause instanceof WireFault))
      return new SessionFault('input-failed', 'the input could not be read', cause, true);
    const text = 'a line of the input could be taken for a command if the server stopped within it';
    const remedy = keepsWhole ? '' : '; with TLS, or over a UNIX socket, it can be sent';
    return new SessionFault('input-command-like', text + remedy, cause, true);
  } finally {
    timer.cancel();
    // Not awaited: a source that is in the middle of a read ends only with that read.
    source.return(undefined).catch(() => undefined);
  }
}
