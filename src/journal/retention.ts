// Decides which segments retention may remove, and which may be compressed. It reads sizes and first records, and removes
// nothing: the writer does, after a retire record is on disk.
// The rule: age is counted by the records' own times, without the steps of the wall clock that the journal recorded: a
// clock that leaps a year ahead removes nothing.

import { closeSync, openSync, readSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, constants as zlib } from 'node:zlib';
import { parseLine, readHead } from '../audit/line.js';
import { parseTime } from '../audit/time.js';
import type { RetentionLimits } from './messages.js';
import { listSegments, type Segment } from './segments.js';

/** A segment, and what the first record of the one behind it says about its end. */
export interface Shelved extends Segment {
  readonly bytes: number;
  /** Hash of its last record; the first seq, and the time without steps, of the segment behind it. */
  readonly lastHash: string;
  readonly nextSeq: number;
  readonly endMs: number;
}

export interface Shelf {
  /** All but the segment that is written to, oldest first, up to the first whose end is not known. */
  readonly closed: readonly Shelved[];
  /** Bytes of all segments. */
  readonly bytes: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** Most of a line's 7 KiB is in its first record of a segment already; a gzip member of ours starts with as much. */
const headBytes = 65_536;

export function readShelf(directory: string): Shelf {
  const segments = listSegments(directory);
  const closed: Shelved[] = [];
  let bytes = 0;
  let isKnown = true;
  for (const [at, segment] of segments.entries()) {
    const size = statSync(join(directory, fileName(segment))).size;
    bytes += size;
    const next = segments[at + 1];
    const first = next === undefined ? undefined : readFirst(directory, next);
    // Damage: what its successor does not name is not removed by a program.
    isKnown &&= first?.segment === segment.name;
    if (isKnown && first !== undefined) closed.push({ ...segment, bytes: size, ...first });
  }
  const { bsize, bavail, blocks } = statfsSync(directory);
  return { closed, bytes, freeBytes: bsize * bavail, totalBytes: bsize * blocks };
}

/** The segments that may go, oldest first. `nowMs`: the time without steps. `openSeq`: what a restart must read from. */
export function chooseRetired(
  shelf: Shelf,
  limits: RetentionLimits,
  nowMs: number,
  openSeq: number,
): readonly Shelved[] {
  const retired: Shelved[] = [];
  const sizeMax = 'bytes' in limits.sizeMax ? limits.sizeMax.bytes : limits.sizeMax.share * shelf.totalBytes;
  const isShipped = (segment: Shelved) =>
    limits.shippedSeq === undefined || segment.nextSeq - 1 <= limits.shippedSeq;
  let bytes = shelf.bytes;
  let unshippedBytes = shelf.bytes;
  for (const segment of shelf.closed) if (isShipped(segment)) unshippedBytes -= segment.bytes;
  for (const segment of shelf.closed) {
    if (segment.nextSeq > openSeq) break;
    if (nowMs - segment.endMs <= limits.keepMs && bytes <= sizeMax) break;
    if (!isShipped(segment)) {
      if (limits.shippedSeq !== undefined && unshippedBytes <= limits.unshippedBytesMax) break;
      unshippedBytes -= segment.bytes;
    }
    retired.push(segment);
    bytes -= segment.bytes;
  }
  return retired;
}

/** Plain segments that a restart does not read, oldest first. */
export function chooseCompressible(shelf: Shelf, openSeq: number): readonly Shelved[] {
  return shelf.closed.filter((segment) => !segment.isCompressed && segment.nextSeq <= openSeq);
}

export function fileName(segment: Segment): string {
  return segment.isCompressed ? `${segment.name}.gz` : segment.name;
}

function readFirst(
  directory: string,
  segment: Segment,
): { segment: unknown; lastHash: string; nextSeq: number; endMs: number } | undefined {
  const descriptor = openSync(join(directory, fileName(segment)), 'r');
  let text: string;
  try {
    const head = Buffer.alloc(headBytes);
    const bytes = head.subarray(0, readSync(descriptor, head, 0, headBytes, 0));
    text = segment.isCompressed ? inflateStart(bytes) : bytes.toString('utf8');
  } finally {
    closeSync(descriptor);
  }
  const line = text.slice(0, text.indexOf('\n'));
  const record = parseLine(line);
  const timeMs = parseTime(readHead(line)?.time ?? '');
  const { segment: before, segment_hash: lastHash, seq, steps_ms: stepsMs } = record ?? {};
  if (timeMs === undefined || typeof lastHash !== 'string' || typeof seq !== 'number') return undefined;
  return {
    segment: before,
    lastHash,
    nextSeq: seq,
    endMs: timeMs - (typeof stepsMs === 'number' ? stepsMs : 0),
  };
}

/** What can be had of a gzip file of which only the start was read. */
function inflateStart(bytes: Buffer): string {
  try {
    // Told that more will come, the decoder does not mind the missing end.
    return gunzipSync(bytes, { finishFlush: zlib.Z_SYNC_FLUSH }).toString('utf8');
  } catch {
    return '';
  }
}
