// Decides which segments retention may remove, and which may be compressed; and reads what it needs to know of them.
// It removes nothing. The rule: age is counted by the records' own times, without the steps of the wall clock that the
// journal recorded: a clock that leaps a year ahead removes nothing.

import { closeSync, openSync, readSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, constants as zlib } from 'node:zlib';
import { parseLine, readHead } from '../../domain/audit/line.js';
import { parseTime } from '../../domain/audit/time.js';
import type { RetentionLimits, Retired, Shelf, Shelved } from './messages.js';
import { listSegments, reserveName, type Segment } from './segments.js';

/** A first record is a line of at most 7 KiB; compressed, the first piece of a file holds it all the more. */
const headBytes = 65_536;

/** Looks at the segments above a number; `mark`: that of the mark's. Takes a while where there are thousands. */
export function readShelf(directory: string, above: number, mark: number): Shelf {
  const segments = listSegments(directory).filter(({ number }) => number > above);
  const closed: Shelved[] = [];
  let otherBytes = 0;
  let damaged: string | undefined;
  for (const [at, segment] of segments.entries()) {
    const bytes = statSync(join(directory, fileName(segment))).size;
    // Healing may cut off what lies behind the mark and begin the next segment anew: until then none of it is closed.
    const next = segment.number < mark ? segments[at + 1] : undefined;
    const first = next === undefined ? undefined : readFirst(directory, next);
    // What its successor does not name is not removed by a program.
    if (next !== undefined && first?.before !== segment.name) damaged ??= segment.name;
    if (damaged === undefined && first !== undefined) {
      const { lastHash, nextSeq, endMs, endWallMs } = first;
      closed.push({ ...segment, bytes, lastHash, nextSeq, endMs, endWallMs });
    } else otherBytes += bytes;
  }
  const { bsize, bavail, blocks } = statfsSync(directory);
  const reserve = statSync(join(directory, reserveName), { throwIfNoEntry: false });
  const sizes = { freeBytes: bsize * bavail, totalBytes: bsize * blocks, reserveBytes: reserve?.size ?? 0 };
  return { closed, damaged, otherBytes, ...sizes };
}

/** What retention does with the segments that there are. */
export interface Choice {
  /** Oldest first. */
  readonly retired: readonly Retired[];
  /** What stays is above the size, and too young to go. */
  readonly isFull: boolean;
}

/** `nowMs`: the time without steps. `openSeq`: what a restart must read from. */
export function chooseRetired(shelf: Shelf, limits: RetentionLimits, nowMs: number, openSeq: number): Choice {
  const retired: Retired[] = [];
  const sizeMax = 'bytes' in limits.sizeMax ? limits.sizeMax.bytes : limits.sizeMax.share * shelf.totalBytes;
  const { shippedSeq } = limits;
  const isShipped = (segment: Shelved) => shippedSeq === undefined || segment.nextSeq - 1 <= shippedSeq;
  let bytes = bytesOf(shelf);
  let unshippedBytes = bytes;
  for (const segment of shelf.closed) if (isShipped(segment)) unshippedBytes -= segment.bytes;
  for (const segment of shelf.closed) {
    if (segment.nextSeq > openSeq) break;
    const ageMs = nowMs - segment.endMs;
    const isOld = ageMs > limits.keepMs;
    if (!isOld && bytes <= sizeMax) break;
    // Else somebody who writes enough records, refused ones too, could choose what is forgotten.
    if (!isOld && ageMs < limits.keepMinMs) return { retired, isFull: true };
    if (!isShipped(segment)) {
      if (unshippedBytes <= limits.unshippedBytesMax) break;
      unshippedBytes -= segment.bytes;
    }
    retired.push({ ...segment, why: isOld ? 'age' : 'size' });
    bytes -= segment.bytes;
  }
  return { retired, isFull: false };
}

/** Plain segments that a restart does not read, oldest first. */
export function chooseCompressible(shelf: Shelf, openSeq: number): readonly Shelved[] {
  return shelf.closed.filter((segment) => !segment.isCompressed && segment.nextSeq <= openSeq);
}

/** Bytes of all segments. */
export function bytesOf(shelf: Shelf): number {
  return shelf.closed.reduce((sum, { bytes }) => sum + bytes, shelf.otherBytes);
}

/** The name of the file that a segment is in. */
export function fileName(segment: Segment): string {
  return segment.isCompressed ? `${segment.name}.gz` : segment.name;
}

interface FirstRecord {
  readonly before: unknown;
  readonly lastHash: string;
  readonly nextSeq: number;
  readonly endMs: number;
  readonly endWallMs: number;
}

function readFirst(directory: string, segment: Segment): FirstRecord | undefined {
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
  const { segment: before, segment_hash: lastHash, seq, steps_ms: stepsMs } = parseLine(line) ?? {};
  const timeMs = parseTime(readHead(line)?.time ?? '');
  if (timeMs === undefined || typeof lastHash !== 'string' || typeof seq !== 'number') return undefined;
  const endMs = timeMs - (typeof stepsMs === 'number' ? stepsMs : 0);
  return { before, lastHash, nextSeq: seq, endMs, endWallMs: timeMs };
}

/** What can be had of a gzip file of which only the start was read. */
function inflateStart(bytes: Buffer): string {
  try {
    // Told that more will come, the decoder does not mind the missing end.
    return gunzipSync(bytes, { finishFlush: zlib.Z_SYNC_FLUSH, maxOutputLength: 1 << 26 }).toString('utf8');
  } catch {
    return '';
  }
}
