// What a server sends for a command: rows and a status line on the output channel, lines on the log channel.
//
//     cell TAB cell TAB ... cell TAB LF status LF         {"alice@example.org":{"uid":"5000"}} LF + LF
//     + LF      - LF      -NOUSER LF      -REFERRAL moved@example.org@192.0.2.7:24245 LF
//     04 doveadm(nouser@example.org): cmd quota get: User doesn't exist LF          a byte for the type, text, LF
//
// The rules: cells are escaped, so the first raw LF ends the body, whatever stands before it, and the next one ends the status line; the
// body is searched for an LF, never walked, and never kept: its bytes leave as slices of the chunk; only a status that begins with `+`
// went well; a server's log never breaks a command, so nothing in it is a fault, and its text may hold any control character.
import { WireFault } from '../../ports/wire-fault.js';
import { Gather, splitRaw, unescapeLenient } from '../lines.js';

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const PLUS = 0x2b;
const MINUS = 0x2d;
const printable = /^[\x20-\x7e]*$/;

/** How a command went. */
export interface Status {
  kind: 'ok' | 'failed' | 'referral';
  /**
   * '' for ok; else the word behind `-` up to a space: NOUSER, 75, and whatever the peer likes. UNKNOWN for a bare `-`, and
   * for a word that is not printable ASCII, so that formatStatus takes every code that was read.
   */
  code: string;
  /** The line without its LF. */
  raw: Buffer;
  /** Where a referral points; absent when what it says is no `user@host`. */
  referral?: { user: string; host: string };
}

/** Reads a status line (without LF; one CR at the end is overlooked). Throws WireFault bad-status for neither + nor -. */
export function parseStatus(line: Buffer): Status {
  const first = line[0];
  if (first === PLUS) return { kind: 'ok', code: '', raw: line };
  if (first !== MINUS) throw new WireFault('bad-status', 'a status line that begins with neither + nor -');
  const text = line.toString('utf8', 1, line[line.length - 1] === CR ? line.length - 1 : line.length);
  const space = text.indexOf(' ');
  const word = space < 0 ? text : text.slice(0, space);
  const code = word !== '' && printable.test(word) ? word : 'UNKNOWN';
  if (code !== 'REFERRAL') return { kind: 'failed', code, raw: line };
  const target = space < 0 ? '' : text.slice(space + 1);
  // The user has an @ of its own, so the last one is the border.
  const border = target.lastIndexOf('@');
  if (border <= 0 || border === target.length - 1) return { kind: 'referral', code, raw: line };
  return {
    kind: 'referral',
    code,
    raw: line,
    referral: { user: target.slice(0, border), host: target.slice(border + 1) },
  };
}

/** `+` for the code '', else `-CODE`; with LF. The code must be printable ASCII. */
export function formatStatus(code: string): Buffer {
  if (!printable.test(code)) throw new RangeError('a status code is printable ASCII');
  return code === '' ? Buffer.of(PLUS, LF) : Buffer.from(`-${code}\n`);
}

/** What came next in the output channel. */
export type ReplyEvent =
  /** Bytes of cells, still escaped, never empty; a slice of the chunk. */
  | { kind: 'body'; bytes: Buffer }
  /**
   * The end of a reply; `restBytes` of what was pushed together with it stand behind it, and belong to the next reply.
   * More of that may wait in the next frame of the same read.
   */
  | { kind: 'status'; status: Status; restBytes: number };

/**
 * Cuts the output channel into replies: it is fed with channel 0 alone, across all frames. A class, so that those of all upstreams have
 * one shape, and what every command asks of them is compiled for it.
 */
export class ReplyDecoder {
  /** Bytes of a status line before its LF. The body has no limit: it is not held. */
  readonly #statusBytesMax: number;
  /** What the next byte belongs to. */
  #at: 'start' | 'body' | 'status' = 'start';
  /** TAB also where there is no body, which cuts nothing. */
  #lastOfBody = TAB;
  readonly #partial: Gather;

  constructor({ statusBytesMax }: { readonly statusBytesMax: number }) {
    this.#statusBytesMax = statusBytesMax;
    this.#partial = new Gather(statusBytesMax);
  }

  /** The body of the reply at hand is not empty and does not end in TAB: to end it here would cut a cell. */
  get midCell(): boolean {
    return this.#lastOfBody !== TAB;
  }

  /** A byte of a reply came, and its status did not. */
  get isStarted(): boolean {
    return this.#at !== 'start';
  }

  get pendingBytes(): number {
    return this.#partial.length;
  }

  /** Throws WireFault line-too-long or bad-status; what came before it in the same chunk is lost with the transport. */
  push(chunk: Buffer): ReplyEvent[] {
    const events: ReplyEvent[] = [];
    const partial = this.#partial;
    let from = 0;
    while (from < chunk.length) {
      const lf = chunk.indexOf(LF, from);
      const stop = lf < 0 ? chunk.length : lf;
      if (this.#at === 'status') {
        if (partial.length + stop - from > this.#statusBytesMax) {
          throw new WireFault('line-too-long', `a status line has more than ${this.#statusBytesMax} bytes`);
        }
        partial.append(chunk.subarray(from, stop));
        if (lf >= 0) {
          const status = parseStatus(partial.take());
          events.push({ kind: 'status', status, restBytes: chunk.length - lf - 1 });
          this.#at = 'start';
          this.#lastOfBody = TAB;
        }
      } else {
        if (stop > from) {
          const bytes = chunk.subarray(from, stop);
          this.#lastOfBody = bytes[bytes.length - 1] ?? TAB;
          events.push({ kind: 'body', bytes });
        }
        this.#at = lf < 0 ? 'body' : 'status';
      }
      from = stop + 1;
    }
    return events;
  }

  /** At the end of the input. Throws WireFault truncated inside a reply. */
  end(): void {
    if (this.#at !== 'start') throw new WireFault('truncated', 'the input ended inside a reply');
  }
}

/** Cells are often short: looking a few bytes ahead is cheaper than a search that starts anew for each. */
const lookAhead = 24;

/** Cells that end in these bytes of a body. */
export function countCells(body: Buffer): number {
  let cells = 0;
  let from = 0;
  while (from < body.length) {
    const near = Math.min(from + lookAhead, body.length);
    while (from < near && body[from] !== TAB) from += 1;
    if (from === near) from = body.indexOf(TAB, near);
    if (from < 0) break;
    cells += 1;
    from += 1;
  }
  return cells;
}

/**
 * The cells of a whole body, unescaped as Dovecot does it. Bytes behind the last TAB are a last cell: a reply that is no
 * table (the JSON of `user`) is one cell. Throws WireFault line-too-long for more than `cellsMax` cells.
 */
export function parseCells(body: Buffer, limits?: { readonly cellsMax: number }): Buffer[] {
  if (limits !== undefined && countCells(body) > limits.cellsMax) {
    throw new WireFault('line-too-long', `a reply has more than ${limits.cellsMax} cells`);
  }
  const cells = splitRaw(body);
  if (cells.at(-1)?.length === 0) cells.pop();
  return cells.map(unescapeLenient);
}

/** How bad it is, as the server sees it: the type bytes 1 to 6. */
export type LogType = 'debug' | 'info' | 'warning' | 'error' | 'fatal' | 'panic';

/** One line of the log channel. */
export interface LogLine {
  /** 'error' also for a type byte that is none; the byte is part of the text then. */
  type: LogType;
  /** Without type byte and LF; U+FFFD for what is no UTF-8. */
  text: string;
  /** The end is missing: the line was too long, or the input ended before its LF. */
  isCut: boolean;
}

const types: readonly LogType[] = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

/** Cuts the bytes of the log channel into lines. It never throws. */
export class LogDecoder {
  /** Bytes of a line before its LF, the type counted; what is above it is dropped up to the LF. */
  readonly #lineBytesMax: number;
  readonly #partial: Gather;
  #isCut = false;

  constructor({ lineBytesMax }: { readonly lineBytesMax: number }) {
    this.#lineBytesMax = lineBytesMax;
    this.#partial = new Gather(lineBytesMax);
  }

  get pendingBytes(): number {
    return this.#partial.length;
  }

  push(bytes: Buffer): LogLine[] {
    const lines: LogLine[] = [];
    const partial = this.#partial;
    let from = 0;
    while (from < bytes.length) {
      const lf = bytes.indexOf(LF, from);
      const stop = lf < 0 ? bytes.length : lf;
      const room = this.#lineBytesMax - partial.length;
      if (stop - from > room) this.#isCut = true;
      if (stop > from && room > 0) partial.append(bytes.subarray(from, Math.min(stop, from + room)));
      if (lf >= 0) lines.push(this.#finish());
      from = stop + 1;
    }
    return lines;
  }

  /** At the end of the input: the unfinished line, if there is one. */
  end(): LogLine[] {
    if (this.#partial.length === 0) return [];
    this.#isCut = true;
    return [this.#finish()];
  }

  #finish(): LogLine {
    const line = parseLogLine(this.#partial.take(), this.#isCut);
    this.#isCut = false;
    return line;
  }
}

/** The bytes of a message, with LF; each line of it becomes a log line of that type. */
export function encodeLogLine(type: LogType, text: string): Buffer {
  const first = String.fromCharCode(types.indexOf(type) + 1);
  return Buffer.from(`${first}${text.replaceAll('\n', `\n${first}`)}\n`);
}

function parseLogLine(line: Buffer, isCut: boolean): LogLine {
  const type = types[(line[0] ?? 0) - 1];
  return type === undefined
    ? { type: 'error', text: line.toString(), isCut }
    : { type, text: line.toString('utf8', 1), isCut };
}
