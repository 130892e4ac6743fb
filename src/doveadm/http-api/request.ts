// The body of POST /doveadm/v1, pushed in pieces:
//
//     [["mailboxStatus", {"user": "alice@example.org", "field": ["messages"], "mailboxMask": "INBOX"}, "tag1"], ...]
//
// Defined by Dovecot in src/doveadm/client-connection-http.c; the texts of 400 are those of 2.4. No command runs before the whole body was
// read. Nothing is lost on the way (parameters keep their order and repetitions, and numbers their spelling), because Dovecot and
// JSON.parse disagree about these, and policy must see the original.
import { bounds } from '../../host/bounds/bounds.js';
import { isJson, type JsonValue, type NamedParameter } from '../protocol/command.js';
import { JsonReader, type JsonSink } from './json.js';
import { escapedByte, hexDigit, isHighSurrogate, joinSurrogates } from './json-string.js';

/** One command of a request, unchecked. */
export interface RequestedCommand {
  readonly name: string;
  readonly parameters: readonly NamedParameter[];
  /** The client's name for its answer; may be empty. */
  readonly tag: string;
}

/** A body that was read to its end. `bad`: the text of a 400; no command of it may run. */
export type DecodedRequest =
  | { readonly kind: 'request'; readonly commands: readonly RequestedCommand[] }
  | { readonly kind: 'bad'; readonly text: string };

/** The levels: request, command, parameters, a parameter's list. */
const depthMax = bounds.jsonDepth;
export const stringBytesMax = bounds.jsonStringBytes;
/** The size of all texts of a request except `file`, plus 64 bytes for each value: many short words take memory and time for each. */
export const heldBytesMax = bounds.jsonHeldBytes;
const heldForEach = 64;
/** The parameter with a value as large as a mail. */
const streamParameter = 'file';

/** Reads one body. `commandsMax`: `limits.http_commands`. */
export class RequestDecoder {
  readonly #commandsMax: number;
  readonly #reader: JsonReader;
  readonly #commands: RequestedCommand[] = [];
  #held = 0;
  /** For the current command: the number of elements that began, and their values. */
  #elements = 0;
  #name = '';
  #tag = '';
  #parameters: NamedParameter[] = [];
  /** For the current parameter: its name, and its list; `isMixed`: the list has other values than strings. */
  #parameter = '';
  #items: string[] = [];
  #isMixed = false;
  #isObject = false;
  #depth = 0;

  constructor({ commandsMax }: { commandsMax: number }) {
    this.#commandsMax = commandsMax;
    const sink: JsonSink = {
      open: (kind, depth) => this.#open(kind, depth),
      close: (depth) => this.#close(depth),
      member: (name) => this.#member(name),
      string: (text) => this.#string(text),
      place: (from, to) => this.#value({ kind: 'span', from, to }),
      number: (text) => this.#value({ kind: 'number', text }),
      literal: (word) => this.#value({ kind: word }),
      takesPlace: () => this.#depth === 3 && this.#parameter === streamParameter,
    };
    this.#reader = new JsonReader(sink, { depthMax, stringBytesMax });
  }

  get pendingBytes(): number {
    return this.#held + this.#reader.pendingBytes;
  }

  /** Returns the text of the request's 400, as soon as it is known; the rest is ignored. The chunk is not kept. */
  push(chunk: Buffer): string | undefined {
    return this.#reader.push(chunk);
  }

  end(): DecodedRequest {
    const text = this.#reader.end();
    return text === undefined ? { kind: 'request', commands: this.#commands } : { kind: 'bad', text };
  }

  #open(kind: 'list' | 'object', depth: number): string | undefined {
    this.#depth = depth;
    switch (depth) {
      case 1:
        return kind === 'list' ? undefined : rootNoList;
      case 2:
        if (kind === 'object') return commandNoList;
        if (this.#commands.length >= this.#commandsMax)
          return `A request has at most ${this.#commandsMax} commands`;
        this.#elements = 0;
        this.#parameters = [];
        return undefined;
      case 3:
        this.#elements += 1;
        return this.#elements === 2 && kind === 'object' ? undefined : misplaced(this.#elements);
      default:
        this.#isObject = kind === 'object';
        this.#isMixed = false;
        this.#items = [];
        return undefined;
    }
  }

  #close(depth: number): string | undefined {
    this.#depth = depth - 1;
    if (depth === 2) {
      if (this.#elements < 3) return misplaced(this.#elements + 1);
      this.#commands.push({ name: this.#name, parameters: this.#parameters, tag: this.#tag });
    }
    if (depth !== 4) return undefined;
    if (this.#isObject) return this.#value({ kind: 'other', what: 'object' });
    return this.#value(
      this.#isMixed ? { kind: 'other', what: 'list' } : { kind: 'list', items: this.#items },
    );
  }

  #member(name: string): string | undefined {
    if (this.#depth !== 3) return this.#hold('');
    this.#parameter = name;
    return this.#hold(name);
  }

  #string(text: string): string | undefined {
    if (this.#depth !== 2) return this.#value({ kind: 'string', text });
    this.#elements += 1;
    if (this.#elements === 1) this.#name = text;
    else if (this.#elements === 3) this.#tag = text;
    else return misplaced(this.#elements);
    return this.#hold(text);
  }

  #value(value: JsonValue): string | undefined {
    switch (this.#depth) {
      case 0:
        return rootNoList;
      case 1:
        return commandNoList;
      case 2:
        this.#elements += 1;
        return misplaced(this.#elements);
      case 3:
        this.#parameters.push({ name: this.#parameter, value });
        return this.#hold('text' in value ? value.text : '');
      default:
        if (isJson(value, 'string') && !this.#isObject && !this.#isMixed) {
          this.#items.push(value.text);
          return this.#hold(value.text);
        }
        this.#isMixed = true;
        this.#items = [];
        return this.#hold('');
    }
  }

  #hold(text: string): string | undefined {
    this.#held += heldForEach + text.length * 2;
    return this.#held > heldBytesMax ? 'The request holds too much besides its file' : undefined;
  }
}

const rootNoList = 'JSON parse error: Root is not an array';
const commandNoList = 'Command must be a JSON array';

function misplaced(element: number): string {
  switch (element) {
    case 1:
      return 'Command name must be a string';
    case 2:
      return 'Parameters must be contained in a JSON object';
    case 3:
      return 'Command ID must be a string';
    default:
      return 'Unexpected JSON element at end of command';
  }
}

const BACKSLASH = 0x5c;
const LETTER_U = 0x75;
const nothing = Buffer.alloc(0);

/** Converts the content of a JSON string (a span) to bytes in UTF-8. The request's decoder has checked the span; other bytes throw. */
export class SpanReader {
  /** `digits`: the number of digits of `\uXXXX` so far. */
  #at: 'plain' | 'escape' | 'unicode' = 'plain';
  #digits = 0;
  #code = 0;
  #surrogate = 0;

  /** The decoded bytes; without escapes, a slice of the same memory. */
  push(chunk: Buffer): Buffer {
    let escape = chunk.indexOf(BACKSLASH);
    if (escape < 0 && this.#at === 'plain') return chunk;
    // An escape is never shorter than its bytes, but its beginning may be in an earlier chunk.
    const bytes = Buffer.allocUnsafe(chunk.length + 4);
    let to = 0;
    let from = 0;
    while (from < chunk.length) {
      if (this.#at === 'plain') {
        if (escape < from) escape = chunk.indexOf(BACKSLASH, from);
        const stop = escape < 0 ? chunk.length : escape;
        to += chunk.copy(bytes, to, from, stop);
        from = stop + 1;
        if (escape >= 0) this.#at = 'escape';
      } else {
        to = this.#unescape(chunk[from] ?? 0, bytes, to);
        from += 1;
      }
    }
    return to === 0 ? nothing : bytes.subarray(0, to);
  }

  end(): void {
    if (this.#at !== 'plain' || this.#surrogate !== 0) throw unchecked();
  }

  #unescape(byte: number, bytes: Buffer, to: number): number {
    if (this.#at === 'escape') {
      if (byte === LETTER_U) {
        this.#at = 'unicode';
        this.#digits = 0;
        this.#code = 0;
        return to;
      }
      const plain = escapedByte.get(byte);
      if (plain === undefined || this.#surrogate !== 0) throw unchecked();
      this.#at = 'plain';
      bytes[to] = plain;
      return to + 1;
    }
    const digit = hexDigit(byte);
    if (digit < 0) throw unchecked();
    this.#code = this.#code * 16 + digit;
    this.#digits += 1;
    if (this.#digits < 4) return to;
    this.#at = 'plain';
    const code = this.#code;
    if (this.#surrogate !== 0) {
      const joined = joinSurrogates(this.#surrogate, code);
      this.#surrogate = 0;
      return to + bytes.write(String.fromCodePoint(joined), to);
    }
    if (isHighSurrogate(code)) {
      this.#surrogate = code;
      return to;
    }
    return to + bytes.write(String.fromCodePoint(code), to);
  }
}

function unchecked(): Error {
  return new Error('the inside of a string that was never checked');
}
