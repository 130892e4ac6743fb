// Converts the body of a reply to the JSON of an answer: cells become objects, the JSON of `user` is passed on.
//
//     INBOX TAB 4 TAB Archive TAB 0 TAB      [{"mailbox":"INBOX","messages":"4"},{"mailbox":"Archive","messages":"0"}]
//
// Defined by Dovecot in src/doveadm/doveadm-print-json.c and lib-json/json-generator.c, whose escapes these are (of 2.4: 2.3 writes
// hexadecimal digits in lower case). One pass from bytes to bytes: only the beginning of a character or of a number is kept. A reply that
// was cut off upstream never becomes a complete answer, and a complete answer is valid JSON, whatever a server sends.

import { SOH, TAB, unescapeLenient } from '../protocol/lines.js';
import { JsonReader, type JsonSink } from './json.js';

/** A column of a reply: its key in JSON, and whether its values are numbers there. */
export interface AnswerColumn {
  readonly key: string;
  readonly isNumber: boolean;
}

/** Converts the body of a reply to the text between `responseBegin` and `responseEnd`. */
export interface AnswerEncoder {
  /** JSON for these bytes of the body, in memory of its own; may be empty. A piece of the answer, not JSON by itself. */
  push(body: Buffer): Buffer;
  /** A row is incomplete: the output of another server would be read as a part of it. */
  readonly isWithinRow: boolean;
  /**
   * Call at the end of the reply: returns the rest of the JSON. Undefined: the reply ended within a cell or a row, or was not the expected
   * JSON; then the answer must not be completed.
   */
  end(): string | undefined;
}

/** The column before the rows of a reply for all users or for a user mask. */
export const usernameColumn: AnswerColumn = { key: 'username', isNumber: false };

const none = Buffer.alloc(0);
const rowEnd = Buffer.from('"}');
const numberRowEnd = Buffer.from('}');
const lastQuote = Buffer.from('"');
const nextRow = Buffer.from(',');
const listBegin = Buffer.from('[');
const replacement = Buffer.from('\ufffd');
const escapedLines: readonly Buffer[] = [Buffer.from('\\u2028'), Buffer.from('\\u2029')];

/** The byte for each letter after SOH; other letters stand for themselves. */
const unescaped: ReadonlyMap<number, number> = new Map([
  [0x30, 0x00],
  [0x31, SOH],
  [0x74, TAB],
  [0x72, 0x0d],
  [0x6e, 0x0a],
]);

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};
/** The form of ASCII in a string; undefined: unchanged. */
const escapes: readonly (Buffer | undefined)[] = Array.from({ length: 0x80 }, (_, code) => {
  const short = shortEscapes[String.fromCharCode(code)];
  if (short !== undefined) return Buffer.from(short);
  return code < 0x20 ? Buffer.from(`\\u${code.toString(16).toUpperCase().padStart(4, '0')}`) : undefined;
});
/** 1: ASCII that needs no escape. */
const isPlain = Uint8Array.from({ length: 0x100 }, (_, byte) =>
  byte < 0x80 && escapes[byte] === undefined ? 1 : 0,
);

const numberMax = 64;
const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

/** A buffer for JSON of unknown length. Used within one call only. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * Converts rows of cells, each ended by a TAB, to an array of objects. Each byte outside of UTF-8 becomes U+FFFD. A cell in a column of
 * numbers that is not a number (a server may send `-`) becomes a string. Without columns there are no rows, and a reply with a cell is
 * never complete.
 */
export function createRowsEncoder(columns: readonly AnswerColumn[]): AnswerEncoder {
  return new RowsEncoder(columns);
}

/** User names in replies are shorter. */
const firstCellMax = 1 * 1024;

/** Keeps the rows whose first cell, a user name, passes. `cells`: the number in a row. A name beyond the limit does not pass. */
export function createUserFilter(
  encoder: AnswerEncoder,
  cells: number,
  passes: (name: string) => boolean,
): AnswerEncoder {
  let cell = 0;
  let name: Buffer = none;
  let isKept = false;
  return {
    get isWithinRow() {
      return cell > 0 || name.length > 0;
    },
    push(body) {
      const kept: Buffer[] = [];
      for (let at = 0; at < body.length; ) {
        const tab = body.indexOf(TAB, at);
        const end = tab < 0 ? body.length : tab + 1;
        const piece = body.subarray(at, end);
        if (cell > 0) {
          if (isKept) kept.push(piece);
        } else {
          if (name.length <= firstCellMax) name = Buffer.concat([name, piece]);
          if (tab >= 0) {
            isKept = name.length <= firstCellMax && passes(name.toString('utf8', 0, name.length - 1));
            if (isKept) kept.push(name);
            name = none;
          }
        }
        if (tab >= 0) cell = (cell + 1) % cells;
        at = end;
      }
      return encoder.push(Buffer.concat(kept));
    },
    end: () => (cell === 0 && name.length === 0 ? encoder.end() : undefined),
  };
}

class RowsEncoder implements AnswerEncoder {
  /** For each column, the text before its value: the end of the previous one, the key, and the opening quote of a text. */
  readonly #before: readonly Buffer[];
  readonly #isNumber: readonly boolean[];
  /** The column in the row; undefined: no row has begun. */
  #column: number | undefined;
  #hasRows = false;
  /** The cell so far, while it may be a number. */
  #number: string | undefined;
  /** A SOH came, its letter did not. */
  #isEscape = false;
  #held: Buffer = none;
  #isBroken = false;
  #length = 0;

  constructor(columns: readonly AnswerColumn[]) {
    this.#before = columns.map(({ key, isNumber }, at) => {
      const isTextBefore = at > 0 && columns[at - 1]?.isNumber === false;
      const begin = at === 0 ? '{' : isTextBefore ? '",' : ',';
      return Buffer.from(`${begin}${quote(key)}:${isNumber ? '' : '"'}`);
    });
    this.#isNumber = columns.map(({ isNumber }) => isNumber);
  }

  get isWithinRow(): boolean {
    return this.#column !== undefined;
  }

  push(body: Buffer): Buffer {
    if (body.length === 0) return none;
    if (this.#before.length === 0) {
      this.#isBroken = true;
      return none;
    }
    this.#length = 0;
    this.#take(this.#held.length === 0 ? body : Buffer.concat([this.#held, body]));
    return Buffer.from(scratch.subarray(0, this.#length));
  }

  end(): string | undefined {
    if (this.#isBroken || this.#column !== undefined || this.#held.length > 0) return undefined;
    return this.#hasRows ? ']' : '[]';
  }

  #take(bytes: Buffer): void {
    this.#held = none;
    let at = 0;
    while (at < bytes.length) {
      if (this.#column === undefined) this.#beginRow();
      at = this.#number === undefined ? this.#readText(bytes, at) : this.#readNumber(bytes, at, this.#number);
    }
  }

  #beginRow(): void {
    this.#write(this.#hasRows ? nextRow : listBegin);
    this.#hasRows = true;
    this.#beginCell(0);
  }

  #beginCell(column: number): void {
    this.#column = column;
    this.#write(this.#before[column] ?? none);
    this.#number = this.#isNumber[column] === true ? '' : undefined;
  }

  /** `isText`: the value is a string, whose closing quote is missing. */
  #endCell(isText: boolean): void {
    const column = this.#column ?? 0;
    if (isText && this.#isNumber[column] === true) this.#write(lastQuote);
    if (column + 1 < this.#before.length) {
      this.#beginCell(column + 1);
      return;
    }
    this.#write(this.#isNumber[column] === true ? numberRowEnd : rowEnd);
    this.#column = undefined;
    this.#number = undefined;
  }

  /** Reads on in a text cell; returns the position after its TAB, or the end of the bytes. */
  #readText(bytes: Buffer, start: number): number {
    const plain = isPlain;
    const { length } = bytes;
    let at = start;
    while (at < length) {
      if (!this.#isEscape) {
        this.#makeRoom(length - at);
        const out = scratch;
        let to = this.#length;
        for (; at < length; at += 1, to += 1) {
          const byte = bytes[at] ?? 0;
          if (plain[byte] !== 1) break;
          out[to] = byte;
        }
        this.#length = to;
        if (at === length) break;
      }
      const byte = bytes[at] ?? 0;
      const isEscape = this.#isEscape;
      this.#isEscape = byte === SOH && !isEscape;
      if (byte === TAB) {
        this.#endCell(true);
        return at + 1;
      }
      if (byte >= 0x80) {
        const count = characterBytes(bytes, at);
        if (count < 0) {
          this.#held = Buffer.from(bytes.subarray(at));
          return length;
        }
        this.#writeCharacter(bytes, at, count);
        at += Math.max(count, 1);
        continue;
      }
      if (!this.#isEscape) this.#writeAscii(isEscape ? (unescaped.get(byte) ?? byte) : byte);
      at += 1;
    }
    return length;
  }

  /** Reads on in a cell that may be a number; `begun`: its bytes so far. */
  #readNumber(bytes: Buffer, start: number, begun: string): number {
    const tab = bytes.indexOf(TAB, start);
    const stop = tab < 0 ? bytes.length : tab;
    const length = begun.length + stop - start;
    const number = length > numberMax ? '' : begun + bytes.toString('latin1', start, stop);
    if (tab >= 0 && jsonNumber.test(number)) {
      this.#write(Buffer.from(number));
      this.#endCell(false);
      return tab + 1;
    }
    if (tab < 0 && length <= numberMax) {
      this.#number = number;
      return stop;
    }
    // Not a number: its bytes so far are read as text.
    this.#number = undefined;
    this.#write(lastQuote);
    if (begun === '') return start;
    this.#take(Buffer.concat([Buffer.from(begun, 'latin1'), bytes.subarray(start)]));
    return bytes.length;
  }

  #writeAscii(code: number): void {
    const escape = escapes[code];
    if (escape === undefined) this.#write(Buffer.of(code));
    else this.#write(escape);
  }

  /** `count`: 0 if the byte belongs to no character. */
  #writeCharacter(bytes: Buffer, at: number, count: number): void {
    const isLine = count === 3 && bytes[at] === 0xe2 && bytes[at + 1] === 0x80;
    // Lines of JavaScript end at these two, so Dovecot escapes them.
    const escape = isLine ? escapedLines[(bytes[at + 2] ?? 0) - 0xa8] : undefined;
    if (count === 0) this.#write(replacement);
    else if (escape !== undefined) this.#write(escape);
    else {
      this.#makeRoom(count);
      const out = scratch;
      for (let next = 0; next < count; next += 1) out[this.#length + next] = bytes[at + next] ?? 0;
      this.#length += count;
    }
  }

  #write(json: Buffer): void {
    this.#makeRoom(json.length);
    const out = scratch;
    let to = this.#length;
    for (let at = 0; at < json.length; at += 1, to += 1) out[to] = json[at] ?? 0;
    this.#length = to;
  }

  #makeRoom(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= scratch.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, scratch.length * 2));
    scratch.copy(grown, 0, 0, this.#length);
    scratch = grown;
  }
}

const special = /[\0-\x1f"\\\u2028\u2029]/;
const specials = new RegExp(special, 'g');

/** The text as a JSON string; half a surrogate pair becomes U+FFFD when it is written. */
export function quote(text: string): string {
  const escapeOne = (one: string): string =>
    (escapes[one.charCodeAt(0)] ?? escapedLines[one.charCodeAt(0) - 0x2028] ?? one).toString();
  return `"${special.test(text) ? text.replace(specials, escapeOne) : text}"`;
}

/** The length of the character at that position; 0: none begins there; -1: its rest is missing. */
function characterBytes(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0xc2 || first > 0xf4) return 0;
  const count = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  for (let next = 1; next < count; next += 1) {
    const byte = bytes[at + next];
    if (byte === undefined) return -1;
    const low = next > 1 ? 0x80 : first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const high = next > 1 ? 0xbf : first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return 0;
  }
  return count;
}

/** Deepest JSON that is accepted from servers; only a guard. */
const depthMax = 32;
const nameBytesMax = 64 * 1024;

/** Passes on the JSON that `user` prints. Complete only if it is one whole JSON text; each byte outside of UTF-8 becomes U+FFFD. */
export function createJsonEncoder(): AnswerEncoder {
  const reader = new JsonReader(ignored, { depthMax, stringBytesMax: nameBytesMax });
  let held: Buffer = none;
  return {
    isWithinRow: false,
    push(body) {
      const bytes = held.length === 0 ? body : Buffer.concat([held, body]);
      const parts: Buffer[] = [];
      let from = 0;
      held = none;
      for (let at = 0; at < bytes.length; ) {
        const count = (bytes[at] ?? 0) < 0x80 ? 1 : characterBytes(bytes, at);
        if (count < 0) {
          held = Buffer.from(bytes.subarray(at));
          break;
        }
        if (count === 0) {
          parts.push(bytes.subarray(from, at), replacement);
          from = at + 1;
        }
        at += Math.max(count, 1);
      }
      parts.push(bytes.subarray(from, bytes.length - held.length));
      const json = Buffer.concat(parts);
      return reader.push(json) === undefined ? json : none;
    },
    end: () => (held.length === 0 && reader.end() === undefined ? '' : undefined),
  };
}

/** For dovegate's own rows of a word and an object as JSON: passes on the objects unchecked, as a list or a single one. */
export function createObjectsEncoder(isList: boolean): AnswerEncoder {
  let held: Buffer = none;
  let cells = 0;
  let objects = 0;
  return {
    get isWithinRow() {
      return held.length > 0 || cells % 2 === 1;
    },
    push(body) {
      const bytes = held.length === 0 ? body : Buffer.concat([held, body]);
      let from = 0;
      let json = '';
      for (let tab = bytes.indexOf(TAB); tab >= 0; tab = bytes.indexOf(TAB, from)) {
        if (cells % 2 === 1) {
          json += objects === 0 ? (isList ? '[' : '') : ',';
          json += unescapeLenient(bytes.subarray(from, tab)).toString();
          objects += 1;
        }
        cells += 1;
        from = tab + 1;
      }
      held = Buffer.from(bytes.subarray(from));
      return Buffer.from(json);
    },
    end() {
      if (held.length > 0 || cells % 2 === 1) return undefined;
      if (!isList) return objects === 1 ? '' : undefined;
      return objects === 0 ? '[]' : ']';
    },
  };
}

const nothing = (): undefined => undefined;
const ignored: JsonSink = {
  open: nothing,
  close: nothing,
  member: nothing,
  string: nothing,
  place: nothing,
  number: nothing,
  literal: nothing,
  takesPlace: () => true,
};
