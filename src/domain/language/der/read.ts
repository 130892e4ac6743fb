// Reads DER (ITU-T X.690) of strangers: tags of one byte, definite lengths in as few bytes as they need. Anything else, and anything that
// stands where nothing should, is a DerFault. Nothing is copied, and nothing recurses.

export class DerFault extends Error {}

/** One element. `bytes`: all of it. */
export interface Der {
  readonly tag: number;
  readonly bytes: Buffer;
  readonly content: Buffer;
}

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Context-specific `[number]`: primitive, or with elements in it. */
export const primitive = (number: number): number => 0x80 | number;
export const constructed = (number: number): number => 0xa0 | number;

/** The elements of a text, one after the other. Each call throws a DerFault where the text is not what is asked for. */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  next(): Der {
    const bytes = this.#bytes;
    const from = this.#at;
    const tag = bytes[from];
    const first = bytes[from + 1];
    if (tag === undefined || first === undefined) throw new DerFault('it ends early');
    if ((tag & 0x1f) === 0x1f) throw new DerFault('a tag has several bytes');
    let at = from + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      // 4 GiB and more is longer than whatever is read here.
      if (count === 0 || count > 4 || at + count > bytes.length) throw new DerFault('a length is none');
      length = bytes.readUIntBE(at, count);
      at += count;
      if (length < 0x80 || length < 2 ** (8 * (count - 1)))
        throw new DerFault('a length is not the shortest');
    }
    if (length > bytes.length - at) throw new DerFault('it ends early');
    this.#at = at + length;
    return { tag, bytes: bytes.subarray(from, this.#at), content: bytes.subarray(at, this.#at) };
  }

  take(tag: number): Der {
    const found = this.next();
    if (found.tag !== tag) throw new DerFault(`tag ${found.tag} where ${tag} should be`);
    return found;
  }

  maybe(tag: number): Der | undefined {
    return this.#bytes[this.#at] === tag ? this.next() : undefined;
  }

  /** The elements within the next one. */
  into(tag: number): DerReader {
    return new DerReader(this.take(tag).content);
  }

  maybeInto(tag: number): DerReader | undefined {
    const found = this.maybe(tag);
    return found && new DerReader(found.content);
  }

  /** All elements that are left. */
  rest(): Der[] {
    const found: Der[] = [];
    while (!this.isAtEnd) found.push(this.next());
    return found;
  }

  end(): void {
    if (!this.isAtEnd) throw new DerFault('more stands behind it');
  }
}

/** The reader of a whole text that is one element of this tag. */
export function readWhole(bytes: Buffer, tag: number): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.into(tag);
  outer.end();
  return inner;
}

/** Its dotted form. */
export function identifierOf({ content }: Der): string {
  const parts: number[] = [];
  let value = 0;
  let isOpen = true;
  for (const byte of content) {
    // No identifier that is compared here has parts as long as this.
    if (value > 2 ** 44 || (value === 0 && isOpen && byte === 0x80))
      throw new DerFault('an identifier is none');
    value = value * 128 + (byte & 0x7f);
    isOpen = byte < 0x80;
    if (!isOpen) continue;
    parts.push(value);
    value = 0;
  }
  const [first] = parts;
  if (first === undefined || !isOpen) throw new DerFault('an identifier is none');
  const top = Math.min(Math.floor(first / 40), 2);
  return [top, first - 40 * top, ...parts.slice(1)].join('.');
}

/** A small INTEGER from 0 on. */
export function numberOf({ content }: Der): number {
  const [first = 0x80] = content;
  if (first >= 0x80 || content.length > 6) throw new DerFault('a number is none, or too large');
  return content.readUIntBE(0, content.length);
}

/** A GeneralizedTime of UTC, with or without a fraction of a second, as milliseconds since 1970. */
export function timeOf({ content }: Der): number {
  const form = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/;
  const [, year, month, day, hour, minute, second, fraction = '0'] =
    form.exec(content.toString('latin1')) ?? [];
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (!Number.isFinite(ms)) throw new DerFault('a time is none');
  return ms + Math.floor(Number(`0.${fraction}`) * 1000);
}
