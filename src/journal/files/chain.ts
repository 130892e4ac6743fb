// Reads the chain of a journal for the journal's own threads: the lines of a segment in either form, the first record of one, and where the
// journal begins. `verify` follows the chain with its own code, so that a mistake here is not repeated there.

import { fstatSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { bounds } from '../../host/bounds/bounds.js';
import { openRegular, readRegular } from '../../host/machine/regular-file.js';
import { parseLine } from '../../host/values/values.js';
import { readClaim } from '../records/ledger.js';
import { asTimeMs } from '../records/record.js';
import { inflateStart } from './compressed.js';
import { fileName, listSegments, openSegment, type Segment, withFile } from './segments.js';
import { eachLine, type RawLine, readLines } from './trail.js';

/** Calls `take` for each line from a position on, until it returns false. Returns the end in the text. Throws the system's error. */
export function readSegment(
  directory: string,
  segment: Segment,
  from: number,
  take: (line: RawLine) => boolean,
): number {
  if (!segment.isCompressed)
    return withFile(openSegment(directory, segment.name), (descriptor) => readLines(descriptor, from, take));
  let end = 0;
  let isOver = false;
  eachLine({ bytes: inflateSegment(directory, segment), endsInLine: false }, (bytes, isWhole) => {
    if (isOver) return;
    end += bytes.length + 1;
    isOver = end > from && !take({ bytes, end, isWhole });
  });
  return end;
}

/** The text of a compressed segment. Throws the system's error, or that of zlib. */
export function inflateSegment(
  directory: string,
  segment: Segment,
  bytesMax: number = bounds.plainSegmentBytes,
): Buffer {
  const file = readRegular(join(directory, fileName(segment)), bytesMax);
  return gunzipSync(file, { maxOutputLength: bytesMax });
}

/** A first record is a line of at most 7 KiB; a compressed file also contains it within this number of bytes. */
const headBytes = 65_536;

/** The first line of a segment; empty: none is readable. Throws the system's error. */
export function readFirstLine(directory: string, segment: Segment): string {
  const head = withFile(openRegular(join(directory, fileName(segment))), (descriptor) => {
    const bytes = Buffer.alloc(Math.min(headBytes, fstatSync(descriptor).size));
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0));
  });
  let text: Buffer = head;
  try {
    if (segment.isCompressed) text = inflateStart(head);
  } catch {
    return '';
  }
  return text.toString('utf8', 0, Math.max(0, text.indexOf(0x0a)));
}

/** As `readFirstLine`; empty too if the file cannot be read. */
export function firstLine(directory: string, segment: Segment): string {
  try {
    return readFirstLine(directory, segment);
  } catch {
    return '';
  }
}

/** The first existing record; undefined: its line is unreadable. */
export function firstSeqIn(directory: string): number | undefined {
  const [first] = listSegments(directory);
  return first === undefined ? undefined : firstSeqOf(directory, first);
}

/** The first record of a segment; undefined: its line is unreadable. */
export function firstSeqOf(directory: string, segment: Segment): number | undefined {
  return readClaim(Buffer.from(firstLine(directory, segment)))?.seq;
}

/** Time of a segment's first record, in milliseconds since 1970; undefined: it is not readable. */
export function firstTimeIn(directory: string, segment: Segment): number | undefined {
  return asTimeMs(parseLine(firstLine(directory, segment))?.['time']);
}

/** The last record missing between segments; undefined: none is. An unused number is no gap: the next first record shows that. */
export function missingBetween(directory: string, segments: readonly Segment[]): number | undefined {
  let last: number | undefined;
  for (const [index, segment] of segments.entries()) {
    const before = segments[index - 1];
    if (before === undefined || segment.number === before.number + 1) continue;
    const line = firstLine(directory, segment);
    const seq = readClaim(Buffer.from(line))?.seq;
    if (seq !== undefined && parseLine(line)?.['segment'] !== before.name) last = seq - 1;
  }
  return last;
}

/** Calls `take` for the lines of the plain segments, beginning with the one that contains record `seq`, until it returns false in one. */
export function scanFrom(
  directory: string,
  segments: readonly Segment[],
  seq: number,
  take: (line: RawLine, segment: Segment) => boolean,
): void {
  const plain = segments.filter((one) => !one.isCompressed);
  const begin = plain.findLastIndex((one) => (firstSeqOf(directory, one) ?? Infinity) <= seq);
  for (const segment of plain.slice(Math.max(begin, 0)))
    readSegment(directory, segment, 0, (line) => take(line, segment));
}
