// Owns digests that nobody outside of this process can compute: what is remembered by them cannot be looked up in a dump
// of a table, and nobody can choose values that fall together. It does not know what it digests.
import { createHmac, randomBytes } from 'node:crypto';

/** One text for equal lists of parts, 32 base64 digits; different lists have different texts. */
export type KeyedDigest = (parts: readonly (string | Buffer)[]) => string;

/** Digests under a key of its own, which is made here and never leaves it. */
export function createKeyedDigest(): KeyedDigest {
  const key = randomBytes(32);
  return (parts) => {
    const hmac = createHmac('sha256', key);
    for (const part of parts) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(part));
      hmac.update(length).update(part);
    }
    return hmac.digest('base64').slice(0, 32);
  };
}
