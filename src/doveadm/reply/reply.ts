// What a server sends after the handshake, channel by channel: replies on the output channel, log lines on the other.
//
//     output   cell TAB cell TAB ... cell TAB LF status LF         {"alice@example.org":{"uid":"5000"}} LF + LF
//     status   + LF      - LF      -NOUSER LF      -REFERRAL moved@example.org@192.0.2.7:24245 LF
//     log      04 doveadm(nouser@example.org): cmd quota get: User doesn't exist LF
//
// The decoders are fed with one channel each, across all frames, and live as long as their transport. Cells are escaped, so the first raw
// LF ends the body, whatever stands before it, and the next one ends the status line. Nothing on the wire says how many cells make a row,
// or which command a log line belongs to. The body is searched for an LF, never walked, and never kept. Its bytes leave as slices of the
// chunk. Only a status that begins with `+` went well: a server may say a bare `-`, a number or a word that is unknown here. A server's log
// never breaks a command, so nothing in it is a fault.

import { WireFault } from '../../host/ports/faults.js';
import { CR, Gather, LF, TAB } from '../protocol/lines.js';

export interface Status {
  kind: 'ok' | 'failed' | 'referral';
  /**
   * '' for ok; else the word after `-` up to a space: NOUSER, 75, or anything else the peer sends. UNKNOWN for a bare `-`, and for a word
   * that is not printable ASCII, so that formatStatus accepts every parsed code.
   */
  code: string;
  raw: Buffer;
  /** The target of a referral; absent if it is not `user@host`. */
  referral?: { user: string; host: string };
}

const PLUS = 0x2b;
const MINUS = 0x2d;
const printable = /^[\x20-\x7e]*$/;

/** Reads a status line (without LF; one CR at the end is dropped). Throws WireFault bad-status for neither + nor -. */
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
  const referral = { user: target.slice(0, border), host: target.slice(border + 1) };
  return { kind: 'referral', code, raw: line, referral };
}

/** `+` for the code '', else `-CODE`; with LF. The code must be printable ASCII. */
export function formatStatus(code: string): Buffer {
  if (!printable.test(code)) throw new RangeError('a status code is printable ASCII');
  return code === '' ? Buffer.of(PLUS, LF) : Buffer.from(`-${code}\n`);
}

/** Exit codes of the words in status lines; other words have -1. */
export const exitCodes: ReadonlyMap<string, number> = new Map([
  ['', 0],
  ['NOUSER', 67],
  ['NOTFOUND', 68],
  ['USAGE', 64],
  ['DATAERR', 65],
  ['NOPERM', 77],
  ['TEMPFAIL', 75],
  ['PROTOCOL', 76],
  ['CHANGED', 2],
  ['EXPIRED', 1003],
  // Not on the wire, but in programs: over quota, which only HTTP reports, and a user on another server.
  ['CANTCREAT', 73],
  ['REFERRAL', 75],
]);

/** `code`: `Status.code`; '' for ok. */
export function exitCodeOf(code: string): number {
  return exitCodes.get(code) ?? -1;
}

export type ReplyEvent =
  /** Bytes of cells, still escaped, never empty; a slice of the chunk. */
  { readonly kind: 'body'; readonly bytes: Buffer } | { readonly kind: 'status'; readonly status: Status };

/** A bare `+`: the usual end of a reply. */
const succeeded: ReplyEvent = { kind: 'status', status: { kind: 'ok', code: '', raw: Buffer.of(PLUS) } };

export class ReplyDecoder {
  readonly #statusBytesMax: number;
  #at: 'start' | 'body' | 'status' = 'start';
  readonly #partial: Gather;

  /** `statusBytesMax`: the limit of a status line before its LF. The rows are not held and have no limit. */
  constructor({ statusBytesMax }: { statusBytesMax: number }) {
    this.#statusBytesMax = statusBytesMax;
    this.#partial = new Gather(statusBytesMax);
  }

  /** A reply has begun and its status is missing. */
  get isStarted(): boolean {
    return this.#at !== 'start';
  }

  get pendingBytes(): number {
    return this.#partial.length;
  }

  /** Throws WireFault line-too-long or bad-status; earlier bytes of the chunk are lost with the transport. */
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
        if (lf === from + 1 && partial.length === 0 && chunk[from] === PLUS) {
          events.push(succeeded);
          this.#at = 'start';
        } else {
          partial.append(chunk.subarray(from, stop));
          if (lf >= 0) {
            events.push({ kind: 'status', status: parseStatus(partial.take()) });
            this.#at = 'start';
          }
        }
      } else {
        if (stop > from) events.push({ kind: 'body', bytes: chunk.subarray(from, stop) });
        this.#at = lf < 0 ? 'body' : 'status';
      }
      from = stop + 1;
    }
    return events;
  }
}

/** Cells are often short: looking a few bytes ahead is cheaper than a new search for each. */
const lookAhead = 24;

/** The number of cells that end within these bytes. */
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

/** The severity in the server's view: the type bytes 1 to 6. Types 1 to 4 were seen from servers; 5 and 6 are in Dovecot's source. */
export type LogType = 'debug' | 'info' | 'warning' | 'error' | 'fatal' | 'panic';

const logTypes: readonly LogType[] = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

/** One byte for the type, text, LF. A message of several lines is several log lines. */
export interface LogLine {
  /** 'error' also for an unknown type byte, which is part of the text then. */
  type: LogType;
  /** Without type byte and LF; U+FFFD for bytes outside of UTF-8. The server's text: it may hold any control character. */
  text: string;
  /** The end is missing: the line was too long, or the input ended before its LF. */
  isCut: boolean;
}

/** Cuts the log channel into lines. It never throws. */
export class LogDecoder {
  readonly #lineBytesMax: number;
  readonly #partial: Gather;
  #isCut = false;

  /** `lineBytesMax`: the limit of a line before its LF, the type included; the rest up to the LF is dropped. */
  constructor({ lineBytesMax }: { lineBytesMax: number }) {
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

  /** The end of the input: returns the incomplete line, if there is one. */
  end(): LogLine[] {
    if (this.#partial.length === 0) return [];
    this.#isCut = true;
    return [this.#finish()];
  }

  #finish(): LogLine {
    const line = this.#partial.take();
    const isCut = this.#isCut;
    this.#isCut = false;
    const type = logTypes[(line[0] ?? 0) - 1];
    return { type: type ?? 'error', text: line.toString('utf8', type === undefined ? 0 : 1), isCut };
  }
}

/** The bytes of a message, with LF; each line of it becomes a log line of that type. */
export function encodeLogLine(type: LogType, text: string): Buffer {
  const first = String.fromCharCode(logTypes.indexOf(type) + 1);
  return Buffer.from(`${first}${text.replaceAll('\n', `\n${first}`)}\n`);
}
