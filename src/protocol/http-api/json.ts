// JSON, byte by byte: syntax, UTF-8 and escapes are checked strictly, in memory that does not grow with the text, without recursion.
// The texts of errors are those of Dovecot 2.4 (src/lib-json/json-parser.c) where it has one.
// The rule: every byte is looked at in order and once, so that every cut of the text gives the same values and the same error.
import { decodeUtf8, Gather } from '../lines.js';

/** What the values of a text are handed to, in order. A string that it returns is an error and ends the text. */
export interface JsonSink {
  /** An array or an object begins; `depth`: how many are open then, 1 for the outermost. */
  open(kind: 'list' | 'object', depth: number): string | undefined;
  close(depth: number): string | undefined;
  /** The name of a member; its value follows. */
  member(name: string): string | undefined;
  string(text: string): string | undefined;
  /** A string for which `takesPlace` was true: offsets of its inside in the text. */
  place(from: number, to: number): string | undefined;
  number(text: string): string | undefined;
  literal(word: 'true' | 'false' | 'null'): string | undefined;
  /** Whether the string value that begins now is wanted as a place, not as a text. */
  takesPlace(): boolean;
}

export interface JsonLimits {
  /** Arrays and objects within one another. */
  readonly depthMax: number;
  /** Of a string or a name, in UTF-8. Places have no limit. */
  readonly stringBytesMax: number;
}

/** Digits of a number; it has no meaning with so many. */
const numberBytesMax = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const MINUS = 0x2d;
const LETTER_U = 0x75;

/** Within a value. */
type ValuePart = 'string' | 'escape' | 'unicode' | 'literal' | 'number';

/** What the next byte belongs to. `value-or-end`: after `[`; `name-or-end`: after `{`; `after`: behind a value. */
type Place = ValuePart | 'value' | 'value-or-end' | 'name' | 'name-or-end' | 'colon' | 'after' | 'done';

/** Of a number, what came last. */
type NumberPart = 'minus' | 'zero' | 'digits' | 'dot' | 'fraction' | 'e' | 'sign' | 'exponent';

/** Bytes that an escape of one letter stands for. */
export const escapedByte: ReadonlyMap<number, number> = new Map([
  [QUOTE, QUOTE],
  [BACKSLASH, BACKSLASH],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

/** The value of a hexadecimal digit, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

export function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}

/** The character that two surrogates stand for. */
export function joinSurrogates(high: number, low: number): number {
  return 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
}

/** Reads one JSON text, pushed in pieces. */
export class JsonReader {
  readonly #sink: JsonSink;
  readonly #limits: JsonLimits;
  #error: string | undefined;
  /** Offset of the chunk in the text. */
  #offset = 0;
  #place: Place = 'value';
  /** Of each open array or object whether it is an object. */
  readonly #isObject: boolean[] = [];
  /** Of a string: whether it is a name; where its inside begins if only its place is wanted. */
  #isName = false;
  #from = -1;
  readonly #text: Gather;
  /** Bytes of a character that are still to come, and between which bounds the next one lies. */
  #missing = 0;
  #low = 0x80;
  #high = 0xbf;
  /** Of `\uXXXX`: digits read and their value; the high surrogate that stands before it, or 0. */
  #digits = 0;
  #code = 0;
  #surrogate = 0;
  /** Of a literal: the word, and how much of it came. */
  #word: 'true' | 'false' | 'null' = 'null';
  #matched = 0;
  #part: NumberPart = 'minus';

  constructor(sink: JsonSink, limits: JsonLimits) {
    this.#sink = sink;
    this.#limits = limits;
    this.#text = new Gather(limits.stringBytesMax);
  }

  /** The first error; all that follows it is ignored. */
  push(chunk: Buffer): string | undefined {
    if (this.#error !== undefined) return this.#error;
    let at = 0;
    while (at < chunk.length) {
      const place = this.#place;
      if (place === 'string') at = this.#readString(chunk, at);
      else if (this.#readByte(chunk[at] ?? 0, place)) at += 1;
      if (this.#error !== undefined) return this.#error;
    }
    this.#offset += chunk.length;
    return undefined;
  }

  /** No more comes. The first error, also that the text is cut off. */
  end(): string | undefined {
    if (this.#error === undefined && this.#place === 'number') this.#endNumber();
    if (this.#error !== undefined || this.#place === 'done') return this.#error;
    this.#fail(
      this.#isNothing() ? 'JSON text has no value' : `Encountered end of input inside ${this.#inside()}`,
    );
    return this.#error;
  }

  #isNothing(): boolean {
    return this.#place === 'value' && this.#isObject.length === 0;
  }

  #inside(): string {
    const place = this.#place;
    if (place === 'string' || place === 'escape' || place === 'unicode') return 'string';
    if (place === 'number') return 'number';
    return this.#isObject.at(-1) === true ? 'object' : this.#isObject.length > 0 ? 'array' : 'value';
  }

  #fail(text: string): void {
    this.#error ??= `JSON parse error: ${text}`;
    this.#text.take();
  }

  /** What the sink says. */
  #told(error: string | undefined): void {
    if (error !== undefined) this.#error ??= error;
  }

  /** One byte outside of the inside of a string. False: it ended a number and is to be read again. */
  #readByte(byte: number, place: Exclude<Place, 'string'>): boolean {
    if (place === 'number') return this.#readNumber(byte);
    if (place === 'escape') this.#readEscape(byte);
    else if (place === 'unicode') this.#readUnicode(byte);
    else if (place === 'literal') this.#readLiteral(byte);
    else if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) this.#readToken(byte, place);
    return true;
  }

  #readToken(byte: number, place: Exclude<Place, ValuePart>): void {
    const isObject = this.#isObject.at(-1) === true;
    switch (place) {
      case 'value-or-end':
        if (byte === CLOSE_LIST) this.#close();
        else this.#beginValue(byte);
        return;
      case 'value':
        this.#beginValue(byte);
        return;
      case 'name-or-end':
        if (byte === CLOSE_OBJECT) this.#close();
        else this.#beginName(byte);
        return;
      case 'name':
        this.#beginName(byte);
        return;
      case 'colon':
        if (byte === COLON) this.#place = 'value';
        else this.#fail(`Expected ':', but encountered ${named(byte)}`);
        return;
      case 'after':
        if (byte === COMMA) this.#place = isObject ? 'name' : 'value';
        else if (byte === (isObject ? CLOSE_OBJECT : CLOSE_LIST)) this.#close();
        else this.#fail(`Expected ',' or '${isObject ? '}' : ']'}', but encountered ${named(byte)}`);
        return;
      case 'done':
        this.#fail('Spurious data at end of JSON text');
        return;
      default:
        place satisfies never;
    }
  }

  #beginName(byte: number): void {
    if (byte !== QUOTE) {
      this.#fail(`Expected string, but encountered ${named(byte)}`);
      return;
    }
    this.#isName = true;
    this.#from = -1;
    this.#place = 'string';
  }

  #beginValue(byte: number): void {
    switch (byte) {
      case QUOTE:
        this.#isName = false;
        // The place of the inside is known by the first byte of it.
        this.#from = this.#sink.takesPlace() ? -2 : -1;
        this.#place = 'string';
        return;
      case OPEN_LIST:
      case OPEN_OBJECT: {
        const isObject = byte === OPEN_OBJECT;
        const depth = this.#isObject.push(isObject);
        if (depth > this.#limits.depthMax) {
          this.#fail(`Data is nested too deep (max ${this.#limits.depthMax} levels)`);
          return;
        }
        this.#place = isObject ? 'name-or-end' : 'value-or-end';
        this.#told(this.#sink.open(isObject ? 'object' : 'list', depth));
        return;
      }
      case 0x74:
        this.#beginLiteral('true');
        return;
      case 0x66:
        this.#beginLiteral('false');
        return;
      case 0x6e:
        this.#beginLiteral('null');
        return;
      default:
        if (byte !== MINUS && !isDigit(byte)) {
          this.#fail(`Expected value, but encountered ${named(byte)}`);
          return;
        }
        this.#place = 'number';
        this.#part = byte === MINUS ? 'minus' : byte === 0x30 ? 'zero' : 'digits';
        this.#text.append(Buffer.of(byte));
    }
  }

  #close(): void {
    const depth = this.#isObject.length;
    this.#isObject.pop();
    this.#told(this.#sink.close(depth));
    this.#endValue();
  }

  #endValue(): void {
    this.#place = this.#isObject.length === 0 ? 'done' : 'after';
  }

  #beginLiteral(word: 'true' | 'false' | 'null'): void {
    this.#place = 'literal';
    this.#word = word;
    this.#matched = 1;
  }

  #readLiteral(byte: number): void {
    const word = this.#word;
    if (byte !== word.charCodeAt(this.#matched)) {
      const came = word.slice(0, this.#matched);
      this.#fail(`Expected value '${word}', but encountered '${came}' + ${named(byte)}`);
      return;
    }
    this.#matched += 1;
    if (this.#matched < word.length) return;
    this.#told(this.#sink.literal(word));
    this.#endValue();
  }

  #readNumber(byte: number): boolean {
    const next = partAfter(this.#part, byte);
    if (next === undefined) {
      if (this.#part === 'zero' && isDigit(byte)) this.#fail('Numbers cannot have leading zeros');
      else if (!isWhole(this.#part)) this.#fail(`Expected digit, but encountered ${named(byte)}`);
      else this.#endNumber();
      return false;
    }
    if (this.#text.length >= numberBytesMax) {
      this.#fail('Excessive number string size');
      return false;
    }
    this.#part = next;
    this.#text.append(Buffer.of(byte));
    return true;
  }

  #endNumber(): void {
    if (!isWhole(this.#part)) return;
    this.#told(this.#sink.number(this.#text.take().toString('latin1')));
    this.#endValue();
  }

  /** Reads the inside of a string up to its end or an escape; where it stopped. */
  #readString(chunk: Buffer, start: number): number {
    if (this.#from === -2) this.#from = this.#offset + start;
    const isKept = this.#from < 0;
    const room = isKept ? this.#limits.stringBytesMax - this.#text.length : chunk.length;
    const stop = Math.min(chunk.length, start + room);
    let at = start;
    for (; at < stop; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#missing > 0) {
        if (byte < this.#low || byte > this.#high) return this.#refuse(invalidCharacter, at);
        this.#missing -= 1;
        this.#low = 0x80;
        this.#high = 0xbf;
      } else if (byte >= 0x80) {
        if (this.#surrogate !== 0) return this.#refuse(lonelyHigh(this.#surrogate), at);
        if (!this.#beginCharacter(byte)) return this.#refuse(invalidCharacter, at);
      } else if (byte === QUOTE || byte === BACKSLASH || byte < 0x20) {
        break;
      } else if (this.#surrogate !== 0) {
        return this.#refuse(lonelyHigh(this.#surrogate), at);
      }
    }
    if (isKept && at > start) this.#text.append(chunk.subarray(start, at));
    if (at === chunk.length) return at;
    const byte = chunk[at] ?? 0;
    if (this.#missing > 0 && (byte < this.#low || byte > this.#high))
      return this.#refuse(invalidCharacter, at);
    if (byte === BACKSLASH) {
      this.#place = 'escape';
      return at + 1;
    }
    if (this.#surrogate !== 0) return this.#refuse(lonelyHigh(this.#surrogate), at);
    if (byte === QUOTE) {
      this.#endString(this.#offset + at);
      return at + 1;
    }
    if (byte < 0x20) return this.#refuse(`String contains invalid character ${named(byte)}`, at);
    return this.#refuse(this.#tooLong(), at);
  }

  #refuse(text: string, at: number): number {
    this.#fail(text);
    return at;
  }

  #tooLong(): string {
    return `Excessive string size (> ${this.#limits.stringBytesMax})`;
  }

  /** The first byte of a character of several. False: there is none that begins so. */
  #beginCharacter(byte: number): boolean {
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    // No longer form than needed, no surrogate, nothing above U+10FFFF.
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return true;
  }

  #endString(to: number): void {
    if (this.#from >= 0) {
      this.#told(this.#sink.place(this.#from, to));
      this.#endValue();
      return;
    }
    const text = decodeUtf8(this.#text.take());
    if (text === undefined) throw new Error('the bytes of a string were checked');
    if (this.#isName) {
      this.#told(this.#sink.member(text));
      this.#place = 'colon';
      return;
    }
    this.#told(this.#sink.string(text));
    this.#endValue();
  }

  #readEscape(byte: number): void {
    if (byte === LETTER_U) {
      this.#place = 'unicode';
      this.#digits = 0;
      this.#code = 0;
      return;
    }
    const plain = escapedByte.get(byte);
    if (plain === undefined) this.#fail(`Invalid escape sequence '\\' + ${named(byte)}`);
    else if (this.#surrogate !== 0) this.#fail(lonelyHigh(this.#surrogate));
    else this.#keep(plain);
  }

  #readUnicode(byte: number): void {
    const digit = hexDigit(byte);
    if (digit < 0) {
      this.#fail(`Invalid digit ${named(byte)} in Unicode escape sequence`);
      return;
    }
    this.#code = this.#code * 16 + digit;
    this.#digits += 1;
    if (this.#digits < 4) return;
    const code = this.#code;
    const surrogate = this.#surrogate;
    const isLow = code >= 0xdc00 && code < 0xe000;
    this.#surrogate = 0;
    if (code === 0) this.#fail('String contains escaped NUL character');
    else if (surrogate !== 0 && !isLow) this.#fail(lonelyHigh(surrogate));
    else if (surrogate !== 0) this.#keep(joinSurrogates(surrogate, code));
    else if (isLow) this.#fail(`String contains lonely Unicode low surrogate '\\u${hexOf(code)}'`);
    else if (isHighSurrogate(code)) {
      this.#surrogate = code;
      this.#place = 'string';
    } else this.#keep(code);
  }

  /** A character that was escaped. */
  #keep(code: number): void {
    this.#place = 'string';
    if (this.#from >= 0) return;
    const bytes = Buffer.from(String.fromCodePoint(code));
    if (this.#text.length + bytes.length > this.#limits.stringBytesMax) this.#fail(this.#tooLong());
    else this.#text.append(bytes);
  }
}

const invalidCharacter = 'Invalid UTF-8 character';

function lonelyHigh(code: number): string {
  return `String contains lonely Unicode high surrogate '\\u${hexOf(code)}'`;
}

function hexOf(code: number): string {
  return code.toString(16).toUpperCase().padStart(4, '0');
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Whether a number may end there. */
function isWhole(part: NumberPart): boolean {
  return part === 'zero' || part === 'digits' || part === 'fraction' || part === 'exponent';
}

/** Undefined: the byte does not belong to the number. */
function partAfter(part: NumberPart, byte: number): NumberPart | undefined {
  if (isDigit(byte)) {
    if (part === 'minus') return byte === 0x30 ? 'zero' : 'digits';
    if (part === 'zero') return undefined;
    if (part === 'digits') return 'digits';
    return part === 'dot' || part === 'fraction' ? 'fraction' : 'exponent';
  }
  if (byte === 0x2e) return part === 'zero' || part === 'digits' ? 'dot' : undefined;
  if (byte === 0x65 || byte === 0x45) return isWhole(part) && part !== 'exponent' ? 'e' : undefined;
  return part === 'e' && (byte === MINUS || byte === 0x2b) ? 'sign' : undefined;
}

const controlNames: Readonly<Record<number, string>> = { 0: '<NUL>', 9: '<TAB>', 10: '<LF>', 13: '<CR>' };

/** A byte as Dovecot names it; never a byte of more than ASCII as it is. */
function named(byte: number): string {
  if (byte >= 0x20 && byte < 0x7f) return `'${String.fromCharCode(byte)}'`;
  return controlNames[byte] ?? (byte < 0x80 ? `U+${hexOf(byte)}` : 'a character that is not ASCII');
}
