// Owns the status line, the last line of a reply.
//
//     + LF      - LF      -NOUSER LF      -REFERRAL moved@example.org@192.0.2.7:24245 LF
//
// Does not know what a code means to anybody. The rule: only what begins with `+` went well. A server may say a bare `-`,
// a number or a word that nobody knows.
import { WireFault } from './wire-fault.js';

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

const LF = 0x0a;
const CR = 0x0d;
const PLUS = 0x2b;
const MINUS = 0x2d;
const printable = /^[\x20-\x7e]*$/;

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
