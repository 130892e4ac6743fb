// Owns the lines of the log channel: one byte for the type, text, LF. A message of several lines is several log lines.
//
//     04 doveadm(nouser@example.org): cmd quota get: User doesn't exist LF
//
// Does not know which command a line belongs to; nothing on the wire says so. Types 1 to 4 were seen from servers,
// 5 and 6 are Dovecot's doveadm-protocol.
// The rule: a server's log never breaks a command, so nothing here is a fault. The text is the server's: it may hold
// any control character.
import { createGather, type Gather } from './gather.js';

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

/** Cuts the bytes of the log channel into lines. One for each transport, as long as it lives. */
export interface LogDecoder {
  push(bytes: Buffer): LogLine[];
  /** Bytes held: the beginning of a line. */
  readonly pendingBytes: number;
  /** At the end of the input: the unfinished line, if there is one. */
  end(): LogLine[];
}

/** What a LogDecoder holds at most. */
export interface LogLimits {
  /** Bytes of a line before its LF, the type counted; what is above it is dropped up to the LF. */
  lineBytesMax: number;
}

const LF = 0x0a;
const types: readonly LogType[] = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];

/** A decoder that stands at the beginning of a line. It never throws. */
export function createLogDecoder({ lineBytesMax }: LogLimits): LogDecoder {
  return new LogCutter(lineBytesMax);
}

/** A class, so that those of all upstreams have one shape. */
class LogCutter implements LogDecoder {
  readonly #lineBytesMax: number;
  readonly #partial: Gather;
  #isCut = false;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
    this.#partial = createGather(lineBytesMax);
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
