// Owns the fingerprint of a text or of bytes: policy versions, configuration hashes and key pins are made with it.
// It does not know what it names.
import { createHash } from 'node:crypto';

/** SHA-256 over bytes, or over the UTF-8 bytes of a text, 64 lower-case hex digits. */
export function sha256Hex(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
