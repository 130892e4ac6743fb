// A ring in memory of the process, with both its sides.

import type { RingShare } from '../../../src/journal/files/handover.js';
import { formatRing, RingReader, RingWriter } from '../../../src/journal/files/ring.js';

export interface SharedRing {
  readonly share: RingShare;
  readonly bytes: Buffer;
  readonly writer: RingWriter;
  /** Each thread has one of its own. */
  readonly reader: () => RingReader;
}

export function createSharedRing(bytes = 1 << 20): SharedRing {
  const memory = new SharedArrayBuffer(bytes);
  formatRing(new Uint8Array(memory), { bytes, journal: 'ab'.repeat(16), generation: 0n });
  return {
    share: { memory, generation: 0n },
    bytes: Buffer.from(memory),
    writer: new RingWriter(memory, 0n),
    reader: () => new RingReader(memory, 0n),
  };
}
