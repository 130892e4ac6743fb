// JSON, byte by byte: syntax, UTF-8 and escapes are checked strictly, in memory that does not grow with the text, without recursion. The
// texts of errors are those of Dovecot 2.4 (src/lib-json/json-parser.c) where it has one. Every byte is looked at in order and once, so
// that every cut of the text gives the same values and the same error.
import { bounds } from '../../host/bounds/bounds.js';
import { named, QUOTE, StringReader } from './json-string.js';

/** Receives the values of a text, in order. A returned string is an error and ends the text. */
export interface JsonSink {
  /** An array or an object begins; `depth`: the number of open ones, 1 for the outermost. */
  open(kind: 'list' | 'object', depth: number): string | undefined;
  close(depth: number): string | undefined;
  member(name: string): string | undefined;
  string(text: string): string | undefined;
  /** A string for which `takesPlace` returned true: the offsets of its content in the text. */
  place(from: number, to: number): string | undefined;
  number(text: string): string | undefined;
  literal(word: 'true' | 'false' | 'null'): string | undefined;
  /** Whether the string value that begins now is reported by its place, not as a text. */
  takesPlace(): boolean;
}

export interface JsonLimits {
  readonly depthMax: number;
  /** The limit of a string or a name, in UTF-8. Places have none. */
  readonly stringBytesMax: number;
}

/** Longest number, in bytes; longer ones have no use. */
const numberBytesMax = bounds.jsonNumberBytes;

const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const MINUS = 0x2d;

/** Values that continue in the next byte. */
type ValuePart = 'string' | 'literal' | 'number';

/** The kind of the next byte. `value-or-end`: after `[`; `name-or-end`: after `{`; `after`: after a value. */
type Place = ValuePart | 'value' | 'value-or-end' | 'name' | 'name-or-end' | 'colon' | 'after' | 'done';

type NumberPart = 'minus' | 'zero' | 'digits' | 'dot' | 'fraction' | 'e' | 'sign' | 'exponent';

export class JsonReader {
  readonly #sink: JsonSink;
  readonly #limits: JsonLimits;
  #error: string | undefined;
  #offset = 0;
  #place: Place = 'value';
  /** For each open array or object, whether it is an object. */
  readonly #isObject: boolean[] = [];
  /** For a string: whether it is a name, whether only its place is needed, and the position of its content, -1 before it is known. */
  #isName = false;
  #isPlace = false;
  #from = -1;
  readonly #string: StringReader;
  #digits = '';
  /** For a literal: the word, and how much of it came. */
  #word: 'true' | 'false' | 'null' = 'null';
  #matched = 0;
  #part: NumberPart = 'minus';

  constructor(sink: JsonSink, limits: JsonLimits) {
    this.#sink = sink;
    this.#limits = limits;
    this.#string = new StringReader(limits.stringBytesMax);
  }

  get pendingBytes(): number {
    return this.#string.pendingBytes + this.#digits.length;
  }

  /** Returns the first error; everything after it is ignored. */
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

  /** The end of the text. Returns the first error, or that the text is cut off. */
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
    if (place === 'string' || place === 'number') return place;
    return this.#isObject.at(-1) === true ? 'object' : this.#isObject.length > 0 ? 'array' : 'value';
  }

  #fail(text: string): void {
    this.#error ??= `JSON parse error: ${text}`;
  }

  #told(error: string | undefined): void {
    if (error !== undefined) this.#error ??= error;
  }

  /** One byte outside of a string's content. False: it ended a number and must be read again. */
  #readByte(byte: number, place: Exclude<Place, 'string'>): boolean {
    if (place === 'number') return this.#readNumber(byte);
    if (place === 'literal') this.#readLiteral(byte);
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
    this.#beginString(false);
  }

  #beginValue(byte: number): void {
    switch (byte) {
      case QUOTE:
        this.#isName = false;
        this.#beginString(this.#sink.takesPlace());
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
        this.#digits += String.fromCharCode(byte);
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
    if (this.#digits.length >= numberBytesMax) {
      this.#fail('Excessive number string size');
      return false;
    }
    this.#part = next;
    this.#digits += String.fromCharCode(byte);
    return true;
  }

  #endNumber(): void {
    if (!isWhole(this.#part)) return;
    const text = this.#digits;
    this.#digits = '';
    this.#told(this.#sink.number(text));
    this.#endValue();
  }

  #beginString(isPlace: boolean): void {
    this.#place = 'string';
    this.#isPlace = isPlace;
    this.#from = -1;
    this.#string.begin(!isPlace);
  }

  /** Reads the content of a string; returns the position after it. */
  #readString(chunk: Buffer, start: number): number {
    if (this.#from < 0) this.#from = this.#offset + start;
    const quote = this.#string.read(chunk, start);
    if (this.#string.error !== undefined) this.#fail(this.#string.error);
    if (quote < 0) return chunk.length;
    if (this.#isName) {
      this.#place = 'colon';
      this.#told(this.#sink.member(this.#string.take()));
      return quote + 1;
    }
    const to = this.#offset + quote;
    this.#told(this.#isPlace ? this.#sink.place(this.#from, to) : this.#sink.string(this.#string.take()));
    this.#endValue();
    return quote + 1;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

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
