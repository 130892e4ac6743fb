// Lines of the protocol and their escaped fields.
//
//     VERSION TAB doveadm-server TAB 1 TAB 2 LF   TAB alice TAB quota get CR LF
//     a TAB b  ->  a SOH t b               SOH (01) and one of 0 1 t r n stands for NUL SOH TAB CR LF
//
// Escaping is defined by Dovecot in src/lib/strescape.c (str_tabescape). No byte is looked at twice, however small the chunks are. A
// client's command is read strictly. Dovecot takes SOH X for X and drops a SOH at the end, so one field has many spellings there, and
// policy would have to judge them all.
import { WireFault } from '../../host/ports/faults.js';

export const TAB = 0x09;
export const SOH = 0x01;
export const LF = 0x0a;
export const CR = 0x0d;
const nothing = Buffer.alloc(0);

const escapedText = /[\0\x01\t\r\n]/;
/** SOH first: the other replacements insert further ones. */
const pairs = [
  ['\x01', '\x011'],
  ['\0', '\x010'],
  ['\t', '\x01t'],
  ['\r', '\x01r'],
  ['\n', '\x01n'],
] as const;
/** The byte for each letter after SOH. */
const byteFor: ReadonlyMap<number | undefined, number> = new Map([
  [0x30, 0x00],
  [0x31, SOH],
  [0x74, TAB],
  [0x72, CR],
  [0x6e, LF],
]);
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The result has no NUL, TAB, CR or LF. */
export function escapeText(text: string): string {
  if (!escapedText.test(text)) return text;
  // One pass for each pair: a text of 64 KiB may hold nothing else, and a call for each character costs ten times as much.
  let escaped = text;
  for (const [plain, pair] of pairs) escaped = escaped.replaceAll(plain, pair);
  return escaped;
}

/**
 * Undoes escapeText. Escapes are ASCII, so it makes no difference whether bytes are decoded before or after. Throws WireFault bad-escape
 * for SOH at the end, and for SOH before anything but 0 1 t r n.
 */
export function unescapeText(field: string): string {
  if (!field.includes('\x01')) return field;
  // In place, byte by byte: a field of 64 KiB can be nothing but escapes, and one call for each costs ten times as much.
  const bytes = Buffer.from(field);
  let to = 0;
  for (let from = 0; from < bytes.length; from += 1) {
    let byte = bytes[from] ?? 0;
    if (byte === SOH) {
      from += 1;
      byte = byteFor.get(bytes[from]) ?? refuse();
    }
    bytes[to++] = byte;
  }
  return bytes.toString('utf8', 0, to);
}

/** Undoes escaping as Dovecot does it, for cells of a server: SOH X is X, and a SOH at the end is dropped. Copies only if needed. */
export function unescapeLenient(field: Buffer): Buffer {
  let soh = field.indexOf(SOH);
  if (soh < 0) return field;
  const plain = Buffer.allocUnsafe(field.length);
  let to = 0;
  let from = 0;
  while (soh >= 0) {
    to += field.copy(plain, to, from, soh);
    const letter = field[soh + 1];
    from = soh + 2;
    if (letter !== undefined) plain[to++] = byteFor.get(letter) ?? letter;
    soh = field.indexOf(SOH, from);
  }
  if (from < field.length) to += field.copy(plain, to, from);
  return plain.subarray(0, to);
}

/** The bytes as text, or undefined when they are not UTF-8. A byte order mark is a character like any other. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function refuse(): never {
  throw new WireFault('bad-escape', 'a field has an escape sequence that is none');
}

/**
 * Collects the bytes of a value that arrives in pieces. Pieces are copied, never kept: a list of one-byte slices costs a hundred times its
 * bytes and pins the chunks that they were cut from. Doubling keeps the copying linear. A class, as every decoder of a session: an object
 * made with a getter gets a shape of its own, and V8 keeps that shape, and everything the getter can reach, until the next full collection
 * (measured: the whole of every short session).
 */
export class Gather {
  length = 0;
  readonly #bytesMax: number;
  #store: Buffer = nothing;

  /** `bytesMax`: the capacity does not grow beyond it, unless more is appended; callers check their limit first. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  append(piece: Buffer): void {
    const needed = this.length + piece.length;
    if (needed > this.#store.length) {
      const grown = Buffer.allocUnsafe(
        Math.max(needed, Math.min(this.#bytesMax, Math.max(16, this.#store.length * 2))),
      );
      this.#store.copy(grown, 0, 0, this.length);
      this.#store = grown;
    }
    piece.copy(this.#store, this.length);
    this.length = needed;
  }

  /** Returns the collected bytes, which the caller owns from now on; the gather is empty afterwards. */
  take(): Buffer {
    const taken = this.#store.subarray(0, this.length);
    this.#store = nothing;
    this.length = 0;
    return taken;
  }
}

/**
 * Cuts a byte stream into lines, on request, because any line can change the meaning of the bytes after it: a ClientHello after STARTTLS, a
 * mail after `save`, multiplexing after `+`.
 */
export class LineSplitter {
  readonly #lineBytesMax: number;
  /** The searched beginning of a line, which has no LF. */
  readonly #partial: Gather;
  /** The unsearched bytes: queue[head] from `from` on, and all later chunks. */
  #queue: Buffer[] = [];
  #head = 0;
  #from = 0;
  #queuedBytes = 0;
  #isTooLong = false;
  /** After a line that was too long: whether its LF had come already. */
  hasCutLineEnd = false;

  /**
   * `lineBytesMax`: the limit of a line before its LF, the CR included; stops a peer that never sends an LF. Between two calls the splitter
   * holds at most that and the unread bytes.
   */
  constructor({ lineBytesMax }: { lineBytesMax: number }) {
    this.#lineBytesMax = lineBytesMax;
    this.#partial = new Gather(lineBytesMax);
  }

  /** Bytes held: pushed, and neither read as lines nor taken. */
  get pendingBytes(): number {
    return this.#partial.length + this.#queuedBytes;
  }

  /** The memory stays in use until it was read; lines are slices of it where that is possible. */
  push(chunk: Buffer): void {
    if (chunk.length === 0 || this.#isTooLong) return;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
  }

  /**
   * The next line without LF and one CR before it; undefined: more bytes must come. Throws WireFault line-too-long, also at later calls.
   */
  next(): Buffer | undefined {
    if (this.#isTooLong) this.#refuse();
    const partial = this.#partial;
    for (;;) {
      const chunk = this.#queue[this.#head];
      if (chunk === undefined) return undefined;
      const lf = chunk.indexOf(LF, this.#from);
      const count = (lf < 0 ? chunk.length : lf) - this.#from;
      if (partial.length + count > this.#lineBytesMax) this.#refuse();
      if (lf < 0) {
        partial.append(this.#eat(chunk, count));
        continue;
      }
      let line = this.#eat(chunk, count + 1).subarray(0, count);
      if (partial.length > 0) {
        partial.append(line);
        line = partial.take();
      }
      return line[line.length - 1] === CR ? line.subarray(0, -1) : line;
    }
  }

  /** All bytes after the lines that were read. The splitter is empty afterwards. */
  takeRest(): Buffer {
    const pieces = this.#partial.length === 0 ? [] : [this.#partial.take()];
    for (let chunk = this.#queue[this.#head]; chunk !== undefined; chunk = this.#queue[this.#head]) {
      pieces.push(this.#eat(chunk, chunk.length - this.#from));
    }
    const [first] = pieces;
    return first === undefined ? nothing : pieces.length === 1 ? first : Buffer.concat(pieces);
  }

  /** Moves on by `count` bytes of the first chunk and returns them. */
  #eat(chunk: Buffer, count: number): Buffer {
    const from = this.#from;
    const eaten = from === 0 && count === chunk.length ? chunk : chunk.subarray(from, from + count);
    this.#from += count;
    this.#queuedBytes -= count;
    if (this.#queuedBytes === 0) {
      this.#queue = [];
      this.#head = 0;
      this.#from = 0;
      this.#queuedBytes = 0;
    } else if (this.#from === chunk.length) {
      this.#queue[this.#head] = nothing;
      this.#head += 1;
      this.#from = 0;
      // A peer that always sends ahead of the reader must not grow the list forever.
      if (this.#head >= 64 && this.#head * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
    }
    return eaten;
  }

  #refuse(): never {
    if (!this.#isTooLong) {
      this.#isTooLong = true;
      this.hasCutLineEnd = this.takeRest().includes(LF);
    }
    throw new WireFault('line-too-long', `a line has more than ${this.#lineBytesMax} bytes`);
  }
}
