// Compressed segments: as a stream from their start, and from their end without inflating the rest.

import { createGunzip, type Gunzip, gunzipSync, constants as zlib } from 'node:zlib';
import { bounds } from '../../bounds/bounds.js';
import { openRegularFile, readRegular, tooLarge } from '../host/regular-file.js';

export interface Piece {
  /** Valid only until the next piece is requested. */
  readonly bytes: Buffer;
  /** False: the last line has no LF, because the file ends or because it is too long to be a line of ours. */
  readonly endsInLine: boolean;
}

const chunkBytes = 1 << 20;
const inputBytes = 1 << 16;
/** The journal's lines have at most 7 KiB; a longer one is damage, and only its start is kept. */
export const keptBytesMax = bounds.readLineBytes;
/** The beginning of a member of a gzip file: the journal makes one for each MiB. If a member contains these bytes, only speed suffers. */
const memberStart = Buffer.from('1f8b080000000000', 'hex');
/** Larger files are foreign, and not held whole. */
const compressedBytesMax = bounds.compressedBytes;
/** Limit of held text of a compressed file; a longer one is inflated once for each window. */
const windowBytes = bounds.inflatedBytes;

/** The whole lines of bytes that may begin within a line. Without a line end, all of them: that is not a line of the journal. */
export function lastLines(bytes: Buffer, length: number, isStart: boolean): Piece {
  const start = isStart ? 0 : bytes.indexOf(0x0a) + 1;
  const whole = start < length ? bytes.subarray(start, length) : bytes;
  return { bytes: whole, endsInLine: whole[whole.length - 1] === 0x0a };
}

/** The readable text of a gzip file whose end is missing. */
export function inflateStart(bytes: Buffer): Buffer {
  // With this flag the decoder accepts a missing end.
  return gunzipSync(bytes, { finishFlush: zlib.Z_SYNC_FLUSH });
}

export async function* inflated(path: string, place = Infinity): AsyncGenerator<Buffer> {
  const file = await openRegularFile(path, bounds.plainSegmentBytes);
  try {
    yield* inflate(file, path, place, chunkBytes);
  } finally {
    await file.close();
  }
}

interface OpenFile {
  read(into: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
}

/** The text of an open file, up to a position. Throws an `EFBIG` error if it is longer than a segment can be. */
export async function* inflate(
  file: OpenFile,
  name: string,
  place: number,
  chunkSize: number,
): AsyncGenerator<Buffer, undefined> {
  const gunzip = createGunzip({ chunkSize });
  // Not a stream over the file: that would close it.
  feed(file, place, gunzip).catch((error: unknown) =>
    gunzip.destroy(error instanceof Error ? error : undefined),
  );
  let bytes = 0;
  // The decoder is destroyed where the reader stops.
  for await (const chunk of gunzip as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bounds.plainSegmentBytes) throw tooLarge(`the text of ${name}`, bounds.plainSegmentBytes);
    yield chunk;
  }
  // Other bytes may follow the text. They are not read any more: the caller closes the file now.
  gunzip.destroy();
  return undefined;
}

async function feed(file: OpenFile, place: number, gunzip: Gunzip): Promise<void> {
  for (let at = 0; !gunzip.destroyed; ) {
    const wanted = Math.min(inputBytes, place - at);
    const buffer = Buffer.allocUnsafe(wanted);
    const { bytesRead } = wanted > 0 ? await file.read(buffer, 0, wanted, at) : { bytesRead: 0 };
    if (bytesRead === 0) return void gunzip.end();
    at += bytesRead;
    await new Promise<void>((resolve) => {
      gunzip.write(buffer.subarray(0, bytesRead), () => resolve());
    });
  }
}

/** In pieces of whole lines, the last ones first, as `readPiecesBack`; inflated member by member. */
export async function* inflatedBack(path: string, bytesOf: () => number): AsyncGenerator<Piece | undefined> {
  const bytes = readWhole(path);
  let end = bytes.length;
  /** The end of a line that begins in the previous member. */
  let tail = empty;
  while (end > 0) {
    const start = bytes.lastIndexOf(memberStart, end - 1);
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
    return gunzipSync(bytes, { maxOutputLength: windowBytes });
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
