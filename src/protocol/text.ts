// The text that follows `save` and `sieve put`: lines up to one that is a single dot. What is sent of it is encoded, and cut into pieces
// that each leave whole; the daemon and the client library send it alike.
//
//     Subject: x CR LF   CR LF   ..dot CR LF   end CR LF   . CR LF           is "Subject: x CR LF CR LF .dot CR LF end"
//
// Defined by Dovecot in src/lib-mail/istream-dot.c.
// The rules, as measured: a line ends in LF or CR LF and keeps its own; a dot that begins a line is dropped when
// anything but the line's end follows it, whatever that is; the line end before the final dot is no data, so the text
// may end without one. Only an LF begins a line: a bare CR is data, and so is a dot behind it. After every piece that is sent the server
// may give the text up and take what comes then for commands, so it must find none there.
import { wholeBytesMax } from '../ports/transport.js';
import { WireFault } from '../ports/wire-fault.js';

/** What one chunk brought. */
export interface DotProgress {
  /** The text so far, in order; slices of the chunk, but for line ends that were cut. */
  parts: Buffer[];
  /** The final dot came. */
  isDone: boolean;
  /** Bytes of this chunk behind the line of the final dot; empty before it. */
  rest: Buffer;
}

/** Takes an input apart: text, final dot, and what follows it. One for each input. */
export interface DotDecoder {
  /** Throws WireFault line-too-long above inputBytesMax. */
  push(chunk: Buffer): DotProgress;
  /** Bytes of text given out so far. */
  readonly bytes: number;
  /** Bytes held: a line end and what may be the final dot, at most 4. */
  readonly pendingBytes: number;
  /** At the end of the input. Throws WireFault truncated when the final dot did not come. */
  end(): void;
}

/** What a DotDecoder takes at most. Stops an input that fills the memory or disk of whoever keeps it. */
export interface InputLimits {
  /** Bytes of text, without stuffing and final dot. */
  inputBytesMax: number;
}

const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const TAB = 0x09;
const SOH = 0x01;
/** D, v, x: the flags of a command line. */
const flags: ReadonlySet<number> = new Set([0x44, 0x76, 0x78]);
/** With these a line can begin that is a command; at every other byte a server ends the connection (measured, each of them). */
const commandStarts: ReadonlySet<number> = new Set([TAB, SOH, ...flags]);
const nothing = Buffer.alloc(0);
const lineThenDot = Buffer.from('\n.');

/**
 * What was read and not given out: nothing ('text'), a CR, a line end, a line end and a dot, those and a CR. The line
 * end is none at the start of the text, where a dot counts as well.
 */
type DotAt = 'text' | 'cr' | 'line' | 'dot' | 'dot-cr' | 'done';

/** A decoder that stands at the first byte behind the command line. */
export function createDotDecoder({ inputBytesMax }: InputLimits): DotDecoder {
  let at: DotAt = 'line';
  /** The line end that is held in the states line, dot and dot-cr. */
  let lineEnd: '' | '\n' | '\r\n' = '';
  let bytes = 0;

  return {
    get bytes() {
      return bytes;
    },
    get pendingBytes() {
      return heldBytes(at, lineEnd);
    },
    push(chunk) {
      const parts: Buffer[] = [];
      const emit = (part: Buffer): void => {
        if (part.length === 0) return;
        bytes += part.length;
        if (bytes > inputBytesMax) {
          throw new WireFault('line-too-long', `an input has more than ${inputBytesMax} bytes`);
        }
        parts.push(part);
      };
      let from = 0;
      while (from < chunk.length && at !== 'done') {
        const byte = chunk[from];
        switch (at) {
          case 'text': {
            const found = chunk.indexOf(lineThenDot, from);
            const after = found < 0 ? undefined : chunk[found + 2];
            if (after !== undefined && after !== LF && after !== CR) {
              // A stuffed line, whole in this chunk: the dot is left out and its line end stays in the slice.
              emit(chunk.subarray(from, found + 1));
              from = found + 2;
              break;
            }
            // What may belong to the end of the text is held: "\n." here, or the line end that ends the chunk.
            const lf = found >= 0 ? found : chunk[chunk.length - 1] === LF ? chunk.length - 1 : -1;
            const stop = lf < 0 ? chunk.length : lf;
            const isCrHeld = stop > from && chunk[stop - 1] === CR;
            emit(chunk.subarray(from, isCrHeld ? stop - 1 : stop));
            from = lf < 0 ? stop : lf + 1;
            if (lf >= 0) lineEnd = isCrHeld ? '\r\n' : '\n';
            at = lf >= 0 ? 'line' : isCrHeld ? 'cr' : 'text';
            break;
          }
          case 'cr':
            if (byte === LF) {
              lineEnd = '\r\n';
              at = 'line';
              from += 1;
            } else {
              emit(Buffer.of(CR));
              at = 'text';
            }
            break;
          case 'line':
            if (byte === DOT) {
              at = 'dot';
              from += 1;
            } else {
              emit(Buffer.from(lineEnd));
              at = 'text';
            }
            break;
          case 'dot':
            if (byte === LF) {
              at = 'done';
              from += 1;
            } else if (byte === CR) {
              at = 'dot-cr';
              from += 1;
            } else {
              emit(Buffer.from(lineEnd));
              at = 'text';
            }
            break;
          case 'dot-cr':
            if (byte === LF) {
              at = 'done';
              from += 1;
            } else {
              // Dot, CR and something: no final dot. The CR is data again, and may begin a line end.
              emit(Buffer.from(lineEnd));
              at = 'cr';
            }
            break;
          default:
            at satisfies never;
        }
      }
      const isDone = at === 'done';
      return { parts, isDone, rest: isDone ? chunk.subarray(from) : nothing };
    },
    end() {
      if (at !== 'done') throw new WireFault('truncated', 'the input ended before its final dot');
    },
  };
}

/**
 * Whatever is pushed comes out of the decoder again byte for byte, also a text without a last line end, with bare CRs,
 * with LF or CR LF. Every line that is not empty gets a dot, needed or not: a server that reads no text here, because it
 * does not know the command or its arguments, takes the lines for commands. No command begins with a dot, a CR or an LF, and at a
 * line that is none it ends the connection (measured on 2.3.19.1 and 2.4.1), whatever a line of the text says.
 */
export function createDotEncoder() {
  let isLineStart = true;
  return {
    /** The text, every line of it stuffed; a copy. Line ends stay as they are. */
    push(text: Buffer): Buffer {
      // A line of one byte and its LF: no text needs more than a dot for two bytes.
      const out = Buffer.allocUnsafe(text.length + (text.length >> 1) + 1);
      let length = 0;
      let from = 0;
      while (from < text.length) {
        const first = text[from];
        if (isLineStart && first !== LF && first !== CR) {
          out[length] = DOT;
          length += 1;
        }
        const lf = text.indexOf(LF, from);
        const stop = lf < 0 ? text.length : lf + 1;
        text.copy(out, length, from, stop);
        length += stop - from;
        from = stop;
        isLineStart = lf >= 0;
      }
      return out.subarray(0, length);
    },
    /** CR LF, dot, CR LF, as real clients end any text, also an empty one. */
    finish: () => Buffer.from('\r\n.\r\n'),
  };
}

/**
 * Pieces of at most `pieceBytesMax`. A server gives an input up 300 s after its command, as it counts them: one that was stopped
 * for so long wakes up, reads what is there, gives up, and takes what comes then for command lines. What is there ends where a
 * piece ends. So behind every piece stands what is no command: a line, which the encoder gave its dot, or, within a line that
 * is longer than a piece, a byte with which no command begins.
 */
export function createDotPieces(pieceBytesMax: number) {
  let held: Buffer = nothing;
  /** The last cut is among letters that could be flags. They are none if no TAB follows them, which is seen before it is sent. */
  let isAmongFlags = false;

  function cut(bytes: Buffer, isEnd: boolean): Buffer[] {
    const pieces: Buffer[] = [];
    let from = 0;
    while (from < bytes.length) {
      const length =
        isEnd && bytes.length - from <= pieceBytesMax ? bytes.length - from : lengthOf(bytes, from);
      if (length === 0) break;
      const piece = bytes.subarray(from, from + length);
      if (isAmongFlags) isAmongFlags = isOnlyFlags(piece);
      pieces.push(piece);
      from += length;
      isAmongFlags ||= piece.at(-1) !== LF && flags.has(bytes[from] ?? LF);
    }
    // A copy: the rest would pin all of it.
    held = Buffer.from(bytes.subarray(from));
    return pieces;
  }

  /** Of the piece that begins there; 0: it is not known yet. */
  function lengthOf(bytes: Buffer, from: number): number {
    const window = bytes.subarray(from, from + pieceBytesMax);
    const line = window.lastIndexOf(LF) + 1;
    if (line > 0 || bytes.length - from <= pieceBytesMax) return line;
    for (const isFit of [isNoStart, isFlag]) {
      for (let length = pieceBytesMax; length > 0; length -= 1) {
        if (isFit(bytes[from + length])) return length;
      }
    }
    throw uncuttable();
  }

  return {
    /**
     * The pieces of what a DotEncoder gave that can be sent; what is left of the text is held, less than a piece. Throws WireFault
     * bad-command where a line cannot be cut.
     */
    push: (encoded: Buffer): Buffer[] =>
      cut(held.length === 0 ? encoded : Buffer.concat([held, encoded]), false),
    /** The pieces up to the end, which `last` has. */
    end: (last: Buffer): Buffer[] => cut(Buffer.concat([held, last]), true),
  };
}

function isNoStart(byte: number | undefined): boolean {
  return byte !== undefined && !commandStarts.has(byte);
}

function isFlag(byte: number | undefined): boolean {
  return byte !== undefined && flags.has(byte);
}

/** Throws when a command could go on behind its flags. */
function isOnlyFlags(piece: Buffer): boolean {
  const next = piece.find((byte) => !flags.has(byte));
  if (next === TAB || next === SOH) throw uncuttable();
  return next === undefined;
}

function uncuttable(): WireFault {
  return new WireFault('bad-command', 'a line of an input could be taken for a command wherever it is cut');
}

function heldBytes(at: DotAt, lineEnd: string): number {
  switch (at) {
    case 'text':
    case 'done':
      return 0;
    case 'cr':
      return 1;
    case 'line':
      return lineEnd.length;
    case 'dot':
      return lineEnd.length + 1;
    case 'dot-cr':
      return lineEnd.length + 2;
    default:
      return at satisfies never;
  }
}

/** Looks for lines of a text that a server would carry out, piece by piece. */
export interface CommandSpotter {
  /** Whether this piece, with what came before it, has one. */
  spots(piece: Buffer): boolean;
}

/**
 * One for each text. Both throw WireFault bad-command when nothing more of it may be sent, also nothing of what was pushed last:
 * nobody could say what a server would take it for.
 */
export interface TextPieces {
  /** The pieces that can be sent; less than a piece is held, mostly what there is of the last line. */
  push(text: Buffer): Buffer[];
  /** What is left, and the final dot. */
  end(): Buffer[];
}

/** `spotter` is for transports that do not keep pieces whole. */
export function createTextPieces(spotter: CommandSpotter | undefined): TextPieces {
  const encoder = createDotEncoder();
  const cutter = createDotPieces(wholeBytesMax);
  const judged = (pieces: Buffer[]): Buffer[] => {
    if (spotter !== undefined && pieces.some((piece) => spotter.spots(piece)))
      throw new WireFault('bad-command', 'a line of an input could be taken for a command if it were cut');
    return pieces;
  };
  return {
    push: (text) => judged(cutter.push(encoder.push(text))),
    end: () => judged(cutter.end(encoder.finish())),
  };
}

/** A command line in front of a text. It may be cut anywhere: no server does anything before it has all of it. */
export function slicesOfLine(line: Buffer): Buffer[] {
  const slices: Buffer[] = [];
  for (let at = 0; at < line.length; at += wholeBytesMax) slices.push(line.subarray(at, at + wholeBytesMax));
  return slices;
}
