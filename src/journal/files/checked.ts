// The text of a file as a check has read it, so that it can be read again without trusting the disk: another process may replace a file
// after the check. A running daemon may append to it meanwhile, or compress it: neither changes the checked part.

import { createHash } from 'node:crypto';
import { JournalFault } from '../../host/ports/faults.js';

export interface CheckedText {
  readonly bytes: number;
  /** The hash of that many bytes, hex. */
  readonly sha256: string;
}

export function createTextDigest() {
  const digest = createHash('sha256');
  let bytes = 0;
  let sha256: string | undefined;
  return {
    take(piece: Buffer): void {
      digest.update(piece);
      bytes += piece.length;
    },
    get bytes(): number {
      return bytes;
    },
    /** The text is complete: nothing is taken after this. */
    get sha256(): string {
      sha256 ??= digest.digest('hex');
      return sha256;
    },
  } satisfies CheckedText & { readonly take: (piece: Buffer) => void };
}

/** The checked part. Throws a JournalFault after the last chunk if the text differs. */
export async function* asChecked(
  path: string,
  text: AsyncIterable<Buffer>,
  { bytes, sha256 }: CheckedText,
): AsyncGenerator<Buffer> {
  const found = createTextDigest();
  if (bytes > 0)
    for await (const chunk of text) {
      const part = chunk.subarray(0, bytes - found.bytes);
      found.take(part);
      yield part;
      if (found.bytes === bytes) break;
    }
  if (found.sha256 === sha256) return;
  const advice = 'do not use this output, and start again';
  throw new JournalFault('unreadable', `${path} is not what it was when it was checked: ${advice}`);
}
