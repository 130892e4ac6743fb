// Digests of contents.

import { createHash } from 'node:crypto';

/** SHA-256 over bytes, or over the UTF-8 bytes of a text, 64 lower-case hex digits. */
export function sha256Hex(content: string | Buffer): string {
  return sha256(content).toString('hex');
}

export function sha256(content: string | Buffer): Buffer {
  return createHash('sha256').update(content).digest();
}
