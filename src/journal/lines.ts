// Reads a plain segment line by line with bounded memory, synchronously, for the writer's thread and for tools.
// It does not judge the lines. A line longer than any of ours is reported once, cut short, as no line at all.

import { readSync } from 'node:fs';

const chunkBytes = 1 << 20;
/** No line of ours is longer than 7 KiB; what is longer is damage, and only its start is kept. */
const keptBytesMax = 65_536;

export interface RawLine {
  /** Without LF; valid only until the next line is read. */
  readonly bytes: Buffer;
  /** Where in the file it begins. */
  readonly at: number;
  /** Where the byte after its LF is. */
  readonly end: number;
  /** False: the file ended before the LF, or the line is too long to be held whole. */
  readonly isWhole: boolean;
}

/** Calls `take` for every line from `from` on, until it returns false or the file ends. Returns the bytes of the file. */
export function readLines(descriptor: number, from: number, take: (line: RawLine) => boolean): number {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  let kept: Buffer | undefined;
  let keptAt = from;
  let isCut = false;
  let at = from;
  for (;;) {
    const read = readSync(descriptor, chunk, 0, chunkBytes, at);
    if (read === 0) break;
    let start = 0;
    for (;;) {
      const lf = chunk.subarray(0, read).indexOf(0x0a, start);
      if (lf < 0) break;
      const part = chunk.subarray(start, lf);
      const bytes = kept === undefined ? part : Buffer.concat([kept, part]);
      const line = {
        bytes,
        at: kept === undefined ? at + start : keptAt,
        end: at + lf + 1,
        isWhole: !isCut && bytes.length <= keptBytesMax,
      };
      kept = undefined;
      isCut = false;
      start = lf + 1;
      if (!take(line)) return line.end;
    }
    if (start < read) {
      if (kept === undefined) keptAt = at + start;
      const rest = Buffer.concat([kept ?? Buffer.alloc(0), chunk.subarray(start, read)]);
      isCut ||= rest.length > keptBytesMax;
      kept = Buffer.from(rest.subarray(0, keptBytesMax));
    }
    at += read;
  }
  if (kept !== undefined) take({ bytes: kept, at: keptAt, end: at, isWhole: false });
  return at;
}
