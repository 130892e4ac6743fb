// Checks a position that another process reports: whether the journal has that record there. It reads one piece of one file.

import { bounds } from '../../host/bounds/bounds.js';
import { readClaim } from '../records/ledger.js';
import type { Mark } from './handover.js';
import { openSegmentReader, segmentName } from './segments.js';

/** After a record: its segment, the bytes of that segment's text up to its LF, its seq and its hash. */
export type JournalPosition = Pick<Mark, 'segment' | 'bytes' | 'seq' | 'hash'>;

/** False too if the segment is gone, or cannot be read. Never rejects. */
export async function hasRecord(
  directory: string,
  { segment: number, bytes, seq, hash }: JournalPosition,
): Promise<boolean> {
  const length = Math.min(bytes, 2 * bounds.recordBytes);
  const segment = { number, name: segmentName(number), isCompressed: false };
  const reader = await openSegmentReader(directory, segment).catch(() => undefined);
  if (reader === undefined) return false;
  try {
    const text = await reader.read(bytes - length, length);
    if (text.length !== length || text.at(-1) !== 0x0a) return false;
    const claim = readClaim(text.subarray(text.lastIndexOf(0x0a, length - 2) + 1, length - 1));
    return claim?.seq === seq && claim.hash === hash;
  } catch {
    return false;
  } finally {
    await reader.close();
  }
}
