// The content of a JSON string, byte by byte: strict UTF-8, escapes, surrogate pairs; kept up to a limit, or only checked. The texts of
// errors are those of Dovecot 2.4 (src/lib-json/json-parser.c).
import { Gather } from '../protocol/lines.js';

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;

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

/** A buffer for each byte of ASCII: most escapes give one of them. */
const singles: readonly Buffer[] = Array.from({ length: 0x80 }, (_, code) => Buffer.of(code));

/** The value of a hexadecimal digit, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

export function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00;
}

export function joinSurrogates(high: number, low: number): number {
  return 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
}

export class StringReader {
  /** Why the string is invalid; nothing is read after it. */
  error: string | undefined;
  readonly #bytesMax: number;
  readonly #text: Gather;
  #isKept = true;
  #at: 'plain' | 'escape' | 'unicode' = 'plain';
  /** Missing bytes of a character, and the bounds of the next one. */
  #missing = 0;
  #low = 0x80;
  #high = 0xbf;
  /** In `\uXXXX`: the digits so far and their value; the high surrogate before it, or 0. */
  #digits = 0;
  #code = 0;
  #surrogate = 0;

  /** `bytesMax`: the limit of a kept text, in UTF-8. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#text = new Gather(bytesMax);
  }

  get pendingBytes(): number {
    return this.#text.length;
  }

  /** Call after the opening quote. `isKept` false: the text is only checked, and may have any length. */
  begin(isKept: boolean): void {
    this.#isKept = isKept;
  }

  /** Reads on from `start`; returns the position of the closing quote, or -1: it is not in this chunk, or there is an error. */
  read(chunk: Buffer, start: number): number {
    let at = start;
    while (at < chunk.length) {
      if (this.#at === 'plain') {
        at = this.#readPlain(chunk, at);
        if (this.error !== undefined) return -1;
        if (chunk[at] === QUOTE) return at;
        if (at < chunk.length) this.#at = 'escape';
      } else {
        if (this.#at === 'escape') this.#readEscape(chunk[at] ?? 0);
        else this.#readUnicode(chunk[at] ?? 0);
        if (this.error !== undefined) return -1;
      }
      at += 1;
    }
    return -1;
  }

  take(): string {
    // Its bytes were checked.
    return this.#text.take().toString();
  }

  /** Reads up to the end of the string, an escape, or the end of the chunk. */
  #readPlain(chunk: Buffer, start: number): number {
    const room = this.#isKept ? this.#bytesMax - this.#text.length : chunk.length;
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
    if (this.#isKept && at > start) this.#text.append(chunk.subarray(start, at));
    if (at === chunk.length) return at;
    const byte = chunk[at] ?? 0;
    if (this.#missing > 0 && (byte < this.#low || byte > this.#high))
      return this.#refuse(invalidCharacter, at);
    if (byte === BACKSLASH) return at;
    if (this.#surrogate !== 0) return this.#refuse(lonelyHigh(this.#surrogate), at);
    if (byte === QUOTE) return at;
    if (byte < 0x20) return this.#refuse(`String contains invalid character ${named(byte)}`, at);
    return this.#refuse(this.#tooLong(), at);
  }

  #refuse(text: string, at: number): number {
    this.error = text;
    this.#text.take();
    return at;
  }

  #tooLong(): string {
    return `Excessive string size (> ${this.#bytesMax})`;
  }

  /** The first byte of a multi-byte character. False: no character begins with it. */
  #beginCharacter(byte: number): boolean {
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.#missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    // Excludes overlong forms, surrogates, and values above U+10FFFF.
    this.#low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    return true;
  }

  #readEscape(byte: number): void {
    if (byte === LETTER_U) {
      this.#at = 'unicode';
      this.#digits = 0;
      this.#code = 0;
      return;
    }
    const plain = escapedByte.get(byte);
    if (plain === undefined) this.error = `Invalid escape sequence '\\' + ${named(byte)}`;
    else if (this.#surrogate !== 0) this.error = lonelyHigh(this.#surrogate);
    else this.#keep(plain);
  }

  #readUnicode(byte: number): void {
    const digit = hexDigit(byte);
    if (digit < 0) {
      this.error = `Invalid digit ${named(byte)} in Unicode escape sequence`;
      return;
    }
    this.#code = this.#code * 16 + digit;
    this.#digits += 1;
    if (this.#digits < 4) return;
    const code = this.#code;
    const surrogate = this.#surrogate;
    const isLow = code >= 0xdc00 && code < 0xe000;
    this.#surrogate = 0;
    if (code === 0) this.error = 'String contains escaped NUL character';
    else if (surrogate !== 0 && !isLow) this.error = lonelyHigh(surrogate);
    else if (surrogate !== 0) this.#keep(joinSurrogates(surrogate, code));
    else if (isLow) this.error = `String contains lonely Unicode low surrogate '\\u${hexOf(code)}'`;
    else if (isHighSurrogate(code)) {
      this.#surrogate = code;
      this.#at = 'plain';
    } else this.#keep(code);
  }

  #keep(code: number): void {
    this.#at = 'plain';
    if (!this.#isKept) return;
    const bytes = singles[code] ?? Buffer.from(String.fromCodePoint(code));
    if (this.#text.length + bytes.length > this.#bytesMax) this.error = this.#tooLong();
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

const controlNames: Readonly<Record<number, string>> = { 0: '<NUL>', 9: '<TAB>', 10: '<LF>', 13: '<CR>' };

/** A byte in the form of Dovecot's errors; other than ASCII it is never shown as it is. */
export function named(byte: number): string {
  if (byte >= 0x20 && byte < 0x7f) return `'${String.fromCharCode(byte)}'`;
  return controlNames[byte] ?? (byte < 0x80 ? `U+${hexOf(byte)}` : 'a character that is not ASCII');
}
