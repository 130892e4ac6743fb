// Reads files of other programs for display: whatever the path leads to, the read is short and bounded.

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { predicateOf } from '../kinds/kinds.js';

export type SmallFile =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'forbidden' }
  | { readonly kind: 'no-file' }
  | { readonly kind: 'too-large' }
  /** `text`: the system's code. */
  | { readonly kind: 'fault'; readonly text: string };

export const isSmallFile = predicateOf<SmallFile>();

/** The text of a file of at most so many bytes. Never rejects. */
export async function readSmallFile(path: string, bytesMax: number): Promise<SmallFile> {
  try {
    // A pipe without a writer would block forever.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (!found.isFile()) return { kind: 'no-file' };
      if (found.size > bytesMax) return { kind: 'too-large' };
      // One byte more: it may have grown since.
      const bytes = Buffer.allocUnsafe(found.size + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
        length += bytesRead;
        if (bytesRead === 0 || length === bytes.length) break;
      }
      return { kind: 'text', text: bytes.toString('utf8', 0, length) };
    } finally {
      await file.close();
    }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    return code === 'EACCES' ? { kind: 'forbidden' } : { kind: 'fault', text: code };
  }
}
