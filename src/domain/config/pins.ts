// Owns how keys of certificates are written. It does not know whose they are.
import type { Cursor } from './written.js';

/** `key_pins`: hex or base64 (with or without padding) to lower-case hex. */
export function parsePins(cursor: Cursor): string[] {
  return cursor.words('key_pins').flatMap(({ text }, index) => {
    const digits = /^sha256:([0-9A-Fa-f]{64})$/.exec(text)?.[1];
    if (digits !== undefined) return [digits.toLowerCase()];
    const base64 = /^sha256:([A-Za-z0-9+/]{43}=?)$/.exec(text)?.[1];
    const bytes = base64 === undefined ? undefined : Buffer.from(base64, 'base64');
    if (bytes?.length === 32) return [bytes.toString('hex')];
    cursor.error(
      ['key_pins', index],
      'must be "sha256:" and the SHA-256 of the SubjectPublicKeyInfo in base64 or 64 hex digits',
    );
    return [];
  });
}
