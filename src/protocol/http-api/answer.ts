// Answers of POST /doveadm/v1:
//
//     [["doveadmResponse", [{"mailbox":"INBOX","messages":"4"}], "t1"], ["error", {"type":"exitCode","exitCode":67}, "t2"]]
//
// Defined by Dovecot in src/doveadm/client-connection-http.c and doveadm-print-json.c; escapes as its lib-json/json-generator.c writes them.
// The rules: what was not whole upstream is never made whole here; every answer that is called whole is valid JSON, whatever a server sends.

import { JsonReader, type JsonSink } from './json.js';

/** A column of a reply: its key in JSON, and whether its values are numbers there. */
export interface AnswerColumn {
  readonly key: string;
  readonly isNumber: boolean;
}

/** Turns the body of a reply, as it comes from a server, into what stands between `responseBegin` and `responseEnd`. */
export interface AnswerEncoder {
  /** JSON for these bytes of the body; may be empty. A piece of the answer, not JSON by itself. */
  push(body: Buffer): string;
  /**
   * At the end of the reply: the rest of the JSON. Undefined: the reply ended within a cell or a row, or was no JSON where it should
   * be; then the answer must not become whole.
   */
  end(): string | undefined;
}

/** What begins and ends the answers of a request, and stands between two of them. */
export const answersBegin = '[';
export const answersBetween = ',';
export const answersEnd = ']';

/** Before the rows of an answer, and after them. */
export const responseBegin = '["doveadmResponse",';
export function responseEnd(tag: string): string {
  return `,${quote(tag)}]`;
}

/** The `type` of an error. */
export type AnswerErrorType =
  | 'unknownMethod'
  | 'unAuthorized'
  | 'invalidRequest'
  | 'exitCode'
  | 'internalError';

export interface AnswerError {
  readonly type: AnswerErrorType;
  readonly exitCode: number;
  /** A sentence for people; undefined: none is told. */
  readonly message: string | undefined;
  /** Of the record. */
  readonly id: string | undefined;
}

/** The whole answer of one command that failed. */
export function encodeError({ type, exitCode, message, id }: AnswerError, tag: string): string {
  const more = `${message === undefined ? '' : `,"message":${quote(message)}`}${id === undefined ? '' : `,"id":${quote(id)}`}`;
  return `["error",{"type":"${type}","exitCode":${exitCode}${more}},${quote(tag)}]`;
}

/** Exit codes of the codes that a status line can have; what is not here is -1. */
const exitCodes: ReadonlyMap<string, number> = new Map([
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
]);

/** `code`: of a status (`Status.code`), '' for one that is ok. */
export function exitCodeOf(code: string): number {
  return exitCodes.get(code) ?? -1;
}

const TAB = '\t';
const SOH = '\x01';
/** What a letter after SOH stands for; any other stands for itself. */
const unescaped: Readonly<Record<string, string>> = { '0': '\0', '1': SOH, t: TAB, r: '\r', n: '\n' };
/** All that is not written as it is. Lines of JavaScript end at the last two, so Dovecot escapes them. */
const special = /[\0-\x1f"\\\u2028\u2029]/;
const specials = new RegExp(special, 'g');
/** The same but for TAB, which ends cells. */
const specialInCells = /[\0-\x08\x0a-\x1f"\\\u2028\u2029]/;
const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function escapeOne(character: string): string {
  return escapes[character] ?? `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The inside of a JSON string. */
function escapeJson(text: string): string {
  return special.test(text) ? text.replace(specials, escapeOne) : text;
}

function quote(text: string): string {
  return `"${escapeJson(text)}"`;
}

/** As Dovecot reads cells: SOH and any other letter is that letter, a SOH at the end is nothing. */
function unescapeCell(text: string): string {
  if (!text.includes(SOH)) return text;
  return text.replace(/\x01([^]?)/gu, (_, letter: string) => unescaped[letter] ?? letter);
}

/** In front of the rows of a reply for all users or for a mask of them. */
export const usernameColumn: AnswerColumn = { key: 'username', isNumber: false };

/** Longer than any number that a server prints. */
const numberMax = 64;
const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

/**
 * Rows of cells, each ended by a TAB, as objects: `[{"mailbox":"INBOX","messages":"4"},...]`. Each byte that is no UTF-8 becomes U+FFFD.
 * A cell in a column of numbers that is none (a server may say `-`) is written as a string. Without columns there are no rows, and a reply
 * that has a cell all the same is never whole.
 */
export function createRowsEncoder(columns: readonly AnswerColumn[]): AnswerEncoder {
  return new RowsEncoder(columns);
}

class RowsEncoder implements AnswerEncoder {
  readonly #decoder = new Utf8Pieces();
  /** In front of the value of each column; of a text with its first quote. */
  readonly #before: readonly string[];
  readonly #isNumber: readonly boolean[];
  readonly #hasNumbers: boolean;
  #column = 0;
  #hasRows = false;
  /** Of the next cell: nothing came; its beginning was written; it is a number so far, which is held. */
  #cell: 'none' | 'text' | 'number' = 'none';
  #number = '';
  /** A SOH at the end of what came, whose letter did not. */
  #soh = '';
  #isBroken = false;

  constructor(columns: readonly AnswerColumn[]) {
    this.#before = columns.map(
      ({ key, isNumber }, at) => `${at === 0 ? '{' : ','}${quote(key)}:${isNumber ? '' : '"'}`,
    );
    this.#isNumber = columns.map(({ isNumber }) => isNumber);
    this.#hasNumbers = this.#isNumber.includes(true);
  }

  push(body: Buffer): string {
    return this.#take(this.#decoder.push(body));
  }

  end(): string | undefined {
    this.#take(this.#decoder.end());
    if (this.#isBroken || this.#column !== 0 || this.#cell !== 'none' || this.#soh !== '') return undefined;
    return this.#hasRows ? ']' : '[]';
  }

  #take(decoded: string): string {
    if (decoded === '') return '';
    if (this.#before.length === 0) {
      this.#isBroken = true;
      return '';
    }
    const text = this.#soh + decoded;
    this.#soh = hasOpenEscape(text) ? SOH : '';
    const isPlain = !this.#hasNumbers && !specialInCells.test(text);
    let json = '';
    let from = 0;
    for (let tab = text.indexOf(TAB); tab >= 0; tab = text.indexOf(TAB, from)) {
      json += isPlain ? this.#plainCell(text.slice(from, tab)) : this.#piece(text.slice(from, tab), true);
      from = tab + 1;
    }
    const stop = text.length - this.#soh.length;
    return from === stop ? json : json + this.#piece(text.slice(from, stop), false);
  }

  /** The end of a cell of text in which nothing is escaped. */
  #plainCell(text: string): string {
    const begin = this.#cell === 'none' ? this.#begin() : '';
    this.#cell = 'none';
    return this.#endsRow() ? `${begin}${text}"}` : `${begin}${text}"`;
  }

  #begin(): string {
    const column = this.#column;
    const before = this.#before[column] ?? '';
    if (column > 0) return before;
    const isFirst = !this.#hasRows;
    this.#hasRows = true;
    return isFirst ? `[${before}` : `,${before}`;
  }

  /** Goes to the next column; true: the row is whole. */
  #endsRow(): boolean {
    this.#column += 1;
    if (this.#column < this.#before.length) return false;
    this.#column = 0;
    return true;
  }

  /** A piece of a cell; `isLast`: its TAB came. */
  #piece(text: string, isLast: boolean): string {
    let json = '';
    if (this.#cell === 'none') {
      json = this.#begin();
      this.#cell = this.#isNumber[this.#column] === true ? 'number' : 'text';
    }
    const plain = unescapeCell(text);
    if (this.#cell === 'number') {
      this.#number += plain;
      if (!isLast && this.#number.length <= numberMax) return json;
      const isNumber = isLast && this.#number.length <= numberMax && jsonNumber.test(this.#number);
      json += isNumber ? this.#number : `"${escapeJson(this.#number)}`;
      if (isLast && !isNumber) json += '"';
      this.#number = '';
      if (!isLast) this.#cell = 'text';
    } else {
      json += escapeJson(plain);
      if (isLast) json += '"';
    }
    if (!isLast) return json;
    this.#cell = 'none';
    return this.#endsRow() ? `${json}}` : json;
  }
}

/** Whether the letter of the last escape did not come: SOH SOH is one escape. */
function hasOpenEscape(text: string): boolean {
  let at = text.length;
  while (at > 0 && text[at - 1] === SOH) at -= 1;
  return (text.length - at) % 2 === 1;
}

/** Depth of what servers print; a guard only. */
const depthMax = 32;
const nameBytesMax = 64 * 1024;

/**
 * The JSON that `user` prints instead of cells, as it comes. It is called whole only if it is one whole JSON text; each byte that is no UTF-8
 * becomes U+FFFD.
 */
export function createJsonEncoder(): AnswerEncoder {
  const decoder = new Utf8Pieces();
  const reader = new JsonReader(ignored, { depthMax, stringBytesMax: nameBytesMax });
  const take = (text: string): string => (reader.push(Buffer.from(text)) === undefined ? text : '');
  return {
    push: (body) => take(decoder.push(body)),
    end() {
      const rest = take(decoder.end());
      return reader.end() === undefined ? rest : undefined;
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

const replacement = Buffer.from('\ufffd');
const empty = Buffer.alloc(0);

/** Text of bytes in pieces. Each byte that belongs to no character becomes U+FFFD, as Dovecot writes it. */
class Utf8Pieces {
  /** The beginning of a character. */
  #held: Buffer = empty;

  push(piece: Buffer): string {
    const bytes = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    const stop = bytes.length - openBytes(bytes);
    this.#held = stop === bytes.length ? empty : Buffer.from(bytes.subarray(stop));
    return decode(bytes.subarray(0, stop));
  }

  end(): string {
    const text = decode(this.#held);
    this.#held = empty;
    return text;
  }
}

/** How many bytes at the end begin a character whose rest did not come. */
function openBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return characterBytes(bytes, bytes.length - back) < 0 ? back : 0;
  }
  return 0;
}

function decode(bytes: Buffer): string {
  const text = bytes.toString();
  // One U+FFFD may stand for several bytes there.
  return text.includes('\ufffd') ? decodeEach(bytes) : text;
}

function decodeEach(bytes: Buffer): string {
  const replaced = Buffer.allocUnsafe(bytes.length * replacement.length);
  let to = 0;
  for (let at = 0; at < bytes.length; ) {
    const count = characterBytes(bytes, at);
    to += count > 0 ? bytes.copy(replaced, to, at, at + count) : replacement.copy(replaced, to);
    at += Math.max(count, 1);
  }
  return replaced.toString('utf8', 0, to);
}

/** Bytes of the character that begins there; 0: none does; -1: its rest is missing. */
function characterBytes(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
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
