// The text that follows `save` and `sieve put`: lines up to one that is a single dot.
//
//     Subject: x CR LF   CR LF   ..dot CR LF   end CR LF   . CR LF           is "Subject: x CR LF CR LF .dot CR LF end"
//
// Defined by Dovecot in src/lib-mail/istream-dot.c. The rules, as measured: a line ends in LF or CR LF and keeps its own; a dot that begins
// a line is dropped when anything but the line's end follows it, whatever that is; the line end before the final dot is no data, so the
// text may end without one. Only an LF begins a line: a bare CR is data, and so is a dot after it.

import { WireFault } from '../../host/ports/faults.js';
import { wholeBytesMax } from '../../host/ports/transport.js';
import { CR, Gather, LF, SOH, TAB } from './lines.js';

const DOT = 0x2e;
const nothing = Buffer.alloc(0);
const lineThenDot = Buffer.from('\n.');

export interface DotProgress {
  /** The next parts of the text, in order; slices of the chunk, except for line ends that were cut. */
  parts: Buffer[];
  isDone: boolean;
  /** Bytes of this chunk after the line of the final dot; empty before it. */
  rest: Buffer;
}

/** Splits an input, from the first byte after the command line, into text, final dot, and the rest. One for each input. */
export class DotDecoder {
  readonly #inputBytesMax: number;
  /**
   * The bytes that were read and are held back: none ('text'), a CR, a line end, a line end and a dot, those and a CR. At the start of the
   * text the line end is empty, and a dot counts too.
   */
  #at: 'text' | 'cr' | 'line' | 'dot' | 'dot-cr' | 'done' = 'line';
  /** The line end that is held in the states line, dot and dot-cr. */
  #lineEnd: '' | '\n' | '\r\n' = '';
  #bytes = 0;

  /** `inputBytesMax`: the limit of the text, without stuffing and final dot. Stops inputs that fill memory or disk of the receiver. */
  constructor({ inputBytesMax }: { inputBytesMax: number }) {
    this.#inputBytesMax = inputBytesMax;
  }

  /** Held bytes: a line end and a possible final dot, at most 4. */
  get pendingBytes(): number {
    switch (this.#at) {
      case 'text':
      case 'done':
        return 0;
      case 'cr':
        return 1;
      case 'line':
        return this.#lineEnd.length;
      case 'dot':
        return this.#lineEnd.length + 1;
      case 'dot-cr':
        return this.#lineEnd.length + 2;
      default:
        return this.#at satisfies never;
    }
  }

  /** Throws WireFault line-too-long above inputBytesMax. */
  push(chunk: Buffer): DotProgress {
    const parts: Buffer[] = [];
    const emit = (part: Buffer): void => {
      if (part.length === 0) return;
      this.#bytes += part.length;
      if (this.#bytes > this.#inputBytesMax) {
        throw new WireFault('line-too-long', `an input has more than ${this.#inputBytesMax} bytes`);
      }
      parts.push(part);
    };
    let from = 0;
    while (from < chunk.length && this.#at !== 'done') {
      const byte = chunk[from];
      switch (this.#at) {
        case 'text': {
          const found = chunk.indexOf(lineThenDot, from);
          const after = found < 0 ? undefined : chunk[found + 2];
          if (after !== undefined && after !== LF && after !== CR) {
            // A stuffed line, whole in this chunk: the dot is dropped and the line end stays in the slice.
            emit(chunk.subarray(from, found + 1));
            from = found + 2;
            break;
          }
          // A possible end of the text is held: " ." here, or a line end at the end of the chunk.
          const lf = found >= 0 ? found : chunk[chunk.length - 1] === LF ? chunk.length - 1 : -1;
          const stop = lf < 0 ? chunk.length : lf;
          const isCrHeld = stop > from && chunk[stop - 1] === CR;
          emit(chunk.subarray(from, isCrHeld ? stop - 1 : stop));
          from = lf < 0 ? stop : lf + 1;
          if (lf >= 0) this.#lineEnd = isCrHeld ? '\r\n' : '\n';
          this.#at = lf >= 0 ? 'line' : isCrHeld ? 'cr' : 'text';
          break;
        }
        case 'cr':
          if (byte === LF) {
            this.#lineEnd = '\r\n';
            this.#at = 'line';
            from += 1;
          } else {
            emit(Buffer.of(CR));
            this.#at = 'text';
          }
          break;
        case 'line':
        case 'dot': {
          const isDot = this.#at === 'dot';
          if (isDot ? byte === LF || byte === CR : byte === DOT) {
            this.#at = !isDot ? 'dot' : byte === LF ? 'done' : 'dot-cr';
            from += 1;
          } else {
            emit(Buffer.from(this.#lineEnd));
            this.#at = 'text';
          }
          break;
        }
        case 'dot-cr':
          if (byte === LF) {
            this.#at = 'done';
            from += 1;
          } else {
            // Dot, CR and another byte: not the final dot. The CR is data again, and may begin a line end.
            emit(Buffer.from(this.#lineEnd));
            this.#at = 'cr';
          }
          break;
        default:
          this.#at satisfies never;
      }
    }
    const isDone = this.#at === 'done';
    return { parts, isDone, rest: isDone ? chunk.subarray(from) : nothing };
  }
}

/** Detects lines of a text that a server would run as commands, piece by piece. */
export interface CommandSpotter {
  /** Whether this piece, together with earlier ones, has such a line. */
  spots(piece: Buffer): boolean;
}

/** D, v, x: the flags of a command line. */
const flags: ReadonlySet<number> = new Set([0x44, 0x76, 0x78]);
/** First bytes of lines that can be commands; after any other byte a server ends the connection (measured, each of them). */
const commandStarts: ReadonlySet<number> = new Set([TAB, SOH, ...flags]);

/**
 * Encodes a text into pieces that are sent whole; a decoder returns the same bytes. One for each text. Both methods throw WireFault
 * bad-command when no more of the text may be sent, not even the last push: a server could take it for a command. Every line that is not
 * empty gets a dot, needed or not: a server that expects no text here, because it does not know the command or its arguments, takes the
 * lines for commands. No command begins with a dot, a CR or an LF, and a server ends the connection at such a line (measured on 2.3.19.1
 * and 2.4.1). A server abandons an input 300 s after its command, by its own clock: one that was stopped for so long wakes up, reads the
 * bytes that are there, gives up, and takes later bytes for command lines. The bytes that are there end where a piece ends. So no command
 * may begin after any piece: the next byte begins a line, which has its dot, or, within a line longer than a piece, is a byte with which no
 * command begins.
 */
export class DotEncoder {
  readonly #spotter: CommandSpotter | undefined;
  readonly #pieceBytesMax: number;
  #isLineStart = true;
  /** Encoded, less than a piece: usually a part of the last line. */
  readonly #held: Gather;
  /** The last cut is among letters that could be flags. They are not flags if no TAB follows; this is checked before the next send. */
  #isAmongFlags = false;

  /** `spotter` is for transports that do not keep pieces whole. */
  constructor(spotter: CommandSpotter | undefined, pieceBytesMax: number = wholeBytesMax) {
    this.#spotter = spotter;
    this.#pieceBytesMax = pieceBytesMax;
    this.#held = new Gather(pieceBytesMax);
  }

  push(text: Buffer): Buffer[] {
    const stuffed = this.#stuff(text);
    const held = this.#held;
    if (held.length === 0) return this.#cut(stuffed, false);
    const isShort = held.length + stuffed.length <= this.#pieceBytesMax && !stuffed.includes(LF);
    held.append(stuffed);
    return isShort ? [] : this.#cut(held.take(), false);
  }

  /** Returns the rest, and CR LF, dot, CR LF, as real clients end any text, also an empty one. */
  end(): Buffer[] {
    this.#held.append(Buffer.from('\r\n.\r\n'));
    return this.#cut(this.#held.take(), true);
  }

  #stuff(text: Buffer): Buffer {
    // The worst case is a line of one byte and its LF: three bytes for two.
    const out = Buffer.allocUnsafe(text.length + (text.length >> 1) + 1);
    let length = 0;
    let from = 0;
    while (from < text.length) {
      const first = text[from];
      if (this.#isLineStart && first !== LF && first !== CR) {
        out[length] = DOT;
        length += 1;
      }
      const lf = text.indexOf(LF, from);
      const stop = lf < 0 ? text.length : lf + 1;
      text.copy(out, length, from, stop);
      length += stop - from;
      from = stop;
      this.#isLineStart = lf >= 0;
    }
    return out.subarray(0, length);
  }

  #cut(bytes: Buffer, isEnd: boolean): Buffer[] {
    const pieces: Buffer[] = [];
    let from = 0;
    while (from < bytes.length) {
      const isLast = isEnd && bytes.length - from <= this.#pieceBytesMax;
      const length = isLast ? bytes.length - from : this.#lengthOf(bytes, from);
      if (length === 0) break;
      const piece = bytes.subarray(from, from + length);
      if (this.#isAmongFlags) this.#isAmongFlags = isOnlyFlags(piece);
      pieces.push(piece);
      from += length;
      this.#isAmongFlags ||= piece.at(-1) !== LF && flags.has(bytes[from] ?? LF);
    }
    // A copy: the rest would pin all of it.
    if (from < bytes.length) this.#held.append(bytes.subarray(from));
    const spotter = this.#spotter;
    if (spotter !== undefined && pieces.some((piece) => spotter.spots(piece))) throw uncuttable();
    return pieces;
  }

  /** The length of the piece that begins there; 0: unknown yet. */
  #lengthOf(bytes: Buffer, from: number): number {
    const most = this.#pieceBytesMax;
    const line = bytes.subarray(from, from + most).lastIndexOf(LF) + 1;
    if (line > 0 || bytes.length - from <= most) return line;
    for (const isFit of [isNoStart, isFlag]) {
      for (let length = most; length > 0; length -= 1) {
        if (isFit(bytes[from + length] ?? TAB)) return length;
      }
    }
    throw uncuttable();
  }
}

function isNoStart(byte: number): boolean {
  return !commandStarts.has(byte);
}

function isFlag(byte: number): boolean {
  return flags.has(byte);
}

/** Throws if a command could continue after its flags. */
function isOnlyFlags(piece: Buffer): boolean {
  const next = piece.find((byte) => !flags.has(byte));
  if (next === TAB || next === SOH) throw uncuttable();
  return next === undefined;
}

function uncuttable(): WireFault {
  return new WireFault('bad-command', 'a line of an input could be taken for a command wherever it is cut');
}

/** A command line before a text. It may be cut anywhere: servers do nothing before the whole line has arrived. */
export function slicesOfLine(line: Buffer): Buffer[] {
  const slices: Buffer[] = [];
  for (let at = 0; at < line.length; at += wholeBytesMax) slices.push(line.subarray(at, at + wholeBytesMax));
  return slices;
}
