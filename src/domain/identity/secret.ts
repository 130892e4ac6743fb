// Owns the one type for values that must never be shown: passwords, keys, tokens.
// It does not know where a secret comes from or what it is for.
// The rule: whoever calls reveal() hands the bytes straight to the wire or to a hash, and keeps no copy.
import { createHash, timingSafeEqual } from 'node:crypto';

const shown = '[secret]';

/**
 * Bytes that no log, template string, JSON or inspector can print: each of them shows `[secret]`.
 * The bytes live in a private field, so copying the object's properties does not carry them along either.
 */
export class Secret {
  readonly #bytes: Buffer;

  /** Takes a copy of the bytes; a string is taken as UTF-8. */
  constructor(bytes: Buffer | string) {
    this.#bytes = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : Buffer.from(bytes);
  }

  /** A fresh copy of the bytes; the caller may overwrite it when it is done. */
  reveal(): Buffer {
    return Buffer.from(this.#bytes);
  }

  get isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  /**
   * Whether these are the same bytes, whole length, in a time that does not depend on where they differ
   * (both sides are hashed first, so that not even the length shows).
   */
  equals(other: Buffer): boolean {
    return timingSafeEqual(digest(this.#bytes), digest(other));
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [Symbol.toPrimitive](): string {
    return shown;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return shown;
  }
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
