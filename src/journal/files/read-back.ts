// Reads a journal back from its newest records: pieces of whole lines, the last first, without inflating what comes before.

import { gunzipSync } from 'node:zlib';
import { readRegular } from '../../host/machine/regular-file.js';
import { JournalFault } from '../../host/ports/faults.js';
import {
  inflated,
  inMembers,
  keptBytesMax,
  memberStart,
  type Piece,
  readMember,
  type Wants,
  windowBytes,
} from './compressed.js';
import { firstLineOf, openPlain, readBegin, type TrailFile } from './trail.js';

/** Pieces of whole lines, the last first, of about `bytesOf()` bytes; they stay valid. Undefined: a damaged end. Throws a JournalFault. */
export async function* readPiecesBack(
  file: TrailFile,
  bytesOf: () => number,
  wants?: Wants,
): AsyncGenerator<Piece | undefined> {
  const handle = file.isCompressed
    ? undefined
    : await openPlain(file.path).catch((error: unknown) => {
        throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
      });
  if (handle === undefined) {
    yield* inflatedBack(file.isCompressed ? file.path : `${file.path}.gz`, bytesOf, wants);
    return;
  }
  try {
    // Lines that are appended while this reads are left out.
    for (let end = (await handle.stat()).size; end > 0; ) {
      const begin = Math.max(0, end - Math.max(bytesOf(), keptBytesMax));
      const bytes = Buffer.allocUnsafe(end - begin);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, begin);
      if (bytesRead < bytes.length) throw new Error('it has become shorter');
      const piece = lastLines(bytes, bytes.length, begin === 0);
      end -= piece.bytes.length;
      yield piece;
    }
  } catch (error) {
    if (error instanceof JournalFault) throw error;
    throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
  } finally {
    await handle.close();
  }
}

/** The largest assumed change of the clock, back and forth, within one file. */
export const clockDoubtMs = 3_600_000;

/**
 * The files that may contain records up to a time, with an hour of doubt for steps of the clock; undefined: all. Found by binary search. A
 * file of that hour is left out if the next one shows that it is later.
 */
export async function filesUntil(
  files: readonly TrailFile[],
  untilMs: number | undefined,
): Promise<readonly TrailFile[]> {
  if (untilMs === undefined) return files;
  const beginOf = async (file: TrailFile | undefined) =>
    file === undefined ? undefined : readBegin(await firstLineOf(file));
  const stepsAtEnd = (await beginOf(files.at(-1)))?.stepsMs ?? 0;
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const began = await beginOf(files[middle]);
    const isLater =
      began !== undefined && began.timeMs + Math.min(0, stepsAtEnd - began.stepsMs) - clockDoubtMs > untilMs;
    if (isLater) high = middle;
    else low = middle + 1;
  }
  const chosen = files.slice(0, low);
  let next = await beginOf(files[low]);
  for (let at = low - 1; at >= 0; at -= 1) {
    const began = await beginOf(files[at]);
    if (began !== undefined && began.timeMs < untilMs) break;
    if (next?.before === files[at]?.name && (next?.earliestMs ?? 0) >= untilMs) chosen.splice(at, 1);
    next = began;
  }
  return chosen;
}

/** Larger files are foreign, and not held whole. */
const compressedBytesMax = 64 * 1024 ** 2;

/** The whole lines of bytes that may begin within a line. Without a line end, all of them: that is not a line of the journal. */
function lastLines(bytes: Buffer, length: number, isStart: boolean): Piece {
  const start = isStart ? 0 : bytes.indexOf(0x0a) + 1;
  const whole = start < length ? bytes.subarray(start, length) : bytes;
  return { bytes: whole, endsInLine: whole[whole.length - 1] === 0x0a };
}

/** In pieces of whole lines, the last ones first, inflated member by member. An empty piece: a member was passed over. */
async function* inflatedBack(
  path: string,
  bytesOf: () => number,
  wants?: Wants,
): AsyncGenerator<Piece | undefined> {
  const bytes = readWhole(path);
  let end = bytes.length;
  /** The end of a line that begins in the previous member. */
  let tail = empty;
  while (end > 0) {
    const start = bytes.lastIndexOf(memberStart, end - 1);
    if (start >= 0 && tail.length === 0 && isUnwanted(bytes.subarray(start, end), wants)) {
      end = start;
      yield { bytes: empty, endsInLine: true };
      continue;
    }
    const member = start < 0 ? undefined : inflateMember(bytes.subarray(start, end));
    if (member === undefined) break;
    const text = Buffer.concat([member, tail]);
    let left = text.length;
    while (left > 0) {
      const from = Math.max(0, left - Math.max(bytesOf(), keptBytesMax));
      const piece = lastLines(text.subarray(from, left), left - from, start === 0 && from === 0);
      if (from === 0 && start > 0 && piece.bytes.length === left && left <= keptBytesMax) break;
      left -= piece.bytes.length;
      yield piece;
    }
    tail = text.subarray(0, left);
    end = start;
  }
  if (end > 0 || bytes.length === 0) yield* inflatedForward(path, end || Infinity, tail, bytesOf);
}

function isUnwanted(packed: Buffer, wants: Wants | undefined): boolean {
  const member = wants && readMember(packed);
  return member?.bytes === packed.length && member.sketch !== undefined && wants?.(member.sketch) === false;
}

/** Empty: it is unreadable, or too large to be held whole. */
function readWhole(path: string): Buffer {
  try {
    return readRegular(path, compressedBytesMax);
  } catch {
    return empty;
  }
}

/** Undefined: it is damaged, too long, or not a member. */
function inflateMember(bytes: Buffer): Buffer | undefined {
  try {
    return gunzipSync(bytes, inMembers);
  } catch {
    return undefined;
  }
}

const empty = Buffer.alloc(0);

async function* inflatedTo(path: string, place: number, tail: Buffer): AsyncGenerator<Buffer> {
  yield* inflated(path, place);
  yield tail;
}

/** The text up to a position, followed by `tail` in its last line: inflated from the start, once for each window. */
async function* inflatedForward(
  path: string,
  place: number,
  tail: Buffer,
  bytesOf: () => number,
): AsyncGenerator<Piece | undefined> {
  for (let end = Infinity; end > 0; ) {
    const held: Buffer[] = [];
    let heldBytes = 0;
    let total = 0;
    try {
      for await (const chunk of inflatedTo(path, place, tail)) {
        held.push(chunk);
        heldBytes += chunk.length;
        total += chunk.length;
        while (heldBytes - (held[0]?.length ?? 0) >= windowBytes) heldBytes -= held.shift()?.length ?? 0;
        if (total >= end) break;
      }
    } catch {
      yield undefined;
    }
    const begin = total - heldBytes;
    const text = Buffer.concat(held).subarray(0, Math.min(total, end) - begin);
    let left = text.length;
    while (left > 0) {
      const from = Math.max(0, left - Math.max(bytesOf(), keptBytesMax));
      const piece = lastLines(text.subarray(from, left), left - from, begin + from === 0);
      // The first line begins in the part before: it is read with that part.
      if (from === 0 && begin > 0 && piece.bytes.length === left && left < text.length) break;
      left -= piece.bytes.length;
      yield piece;
    }
    // Progress is required: otherwise a file that became shorter would be read forever.
    end = begin + left < end ? begin + left : 0;
  }
}
