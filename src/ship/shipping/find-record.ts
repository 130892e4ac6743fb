// Finds a record in a journal's files by its seq, without reading all of them: by the first record of each segment, then by the lines of
// one. Damaged or missing parts are skipped. The result shows where the journal continues.

import { JournalFault } from '../../host/ports/faults.js';
import {
  findSegments,
  openSegmentReader,
  type Segment,
  type SegmentReader,
} from '../../journal/files/segments.js';
import { readClaim } from '../../journal/records/ledger.js';

export interface FoundRecord {
  readonly seq: number;
  readonly hash: string;
  readonly prev: string;
  readonly segment: number;
  /** The offsets of its line in the segment's text: of its first byte, and after its LF. */
  readonly start: number;
  readonly end: number;
}

const batchBytes = 1 << 16;

/** Rejects with the system's error, or with a JournalFault if neither such a record nor a later one can be read. */
export async function findRecord(directory: string, seq: number): Promise<FoundRecord> {
  const segments = await findSegments(directory);
  for (const segment of segments.slice(await startOf(directory, segments, seq))) {
    const found = await withReader(directory, segment, (reader) => firstFrom(reader, seq, Infinity));
    if (found !== undefined) return found;
  }
  throw new JournalFault('unreadable', `${directory} has no record ${seq}, and none behind it`);
}

/** Index of a segment that begins at or before the record, as near to it as can be read. */
async function startOf(directory: string, segments: readonly Segment[], seq: number): Promise<number> {
  let low = 0;
  let high = segments.length;
  while (high - low > 1) {
    let at = (low + high) >> 1;
    let first: number | undefined;
    // An empty segment, or one with a damaged beginning, has no first record: use an earlier one.
    for (; at > low; at -= 1) {
      const segment = segments[at];
      first = segment && (await withReader(directory, segment, (reader) => firstFrom(reader, 0, 1)))?.seq;
      if (first !== undefined) break;
    }
    if (first !== undefined && first <= seq) low = at;
    else high = Math.max(at, low + 1);
  }
  return low;
}

/** The first record from that seq on, within a limited number of reads. */
async function firstFrom(
  reader: SegmentReader,
  seq: number,
  readsMax: number,
): Promise<FoundRecord | undefined> {
  for (let at = 0, reads = 0; reads < readsMax; reads += 1) {
    const bytes = await reader.read(at, batchBytes);
    let start = 0;
    for (;;) {
      const lf = bytes.indexOf(0x0a, start);
      if (lf < 0) break;
      const claim = readClaim(bytes.subarray(start, lf));
      if (claim !== undefined && claim.seq >= seq) {
        return { ...claim, segment: reader.segment.number, start: at + start, end: at + lf + 1 };
      }
      start = lf + 1;
    }
    if (bytes.length < batchBytes) return undefined;
    // A piece without any line end is skipped as a whole.
    at += start === 0 ? bytes.length : start;
  }
  return undefined;
}

/** Undefined too if the file is missing, or cannot be inflated. */
async function withReader<Value>(
  directory: string,
  segment: Segment,
  use: (reader: SegmentReader) => Promise<Value | undefined>,
): Promise<Value | undefined> {
  const reader = await openSegmentReader(directory, segment);
  if (reader === undefined) return undefined;
  try {
    return await use(reader);
  } catch (fault) {
    if (!reader.segment.isCompressed) throw fault;
    return undefined;
  } finally {
    await reader.close();
  }
}
