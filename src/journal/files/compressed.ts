// Compressed segments: as a stream from their start, and from their end without inflating the rest.

import type { FileHandle } from 'node:fs/promises';
import { createGunzip, type Gunzip, gunzipSync, gzipSync, constants as zlib } from 'node:zlib';
import { bounds } from '../../host/bounds/bounds.js';
import { openRegularFile, tooLarge } from '../../host/machine/regular-file.js';
import { makeSketch, readSketch, type Sketch } from '../records/sketch.js';

export interface Piece {
  /** Valid only until the next piece is requested. */
  readonly bytes: Buffer;
  /** False: the last line has no LF, because the file ends or because it is too long to be a line of ours. */
  readonly endsInLine: boolean;
}

const chunkBytes = 1 << 20;
const inputBytes = 1 << 16;
/** The journal's lines have at most 7 KiB; a longer one is damage, and only its start is kept. */
export const keptBytesMax = 65_536;
/** The beginning of a member of a gzip file: the journal makes one for each MiB. If a member contains these bytes, only speed suffers. */
export const memberStart = Buffer.from('1f8b080400000000', 'hex');
/** Limit of held text of a compressed file; a longer one is inflated once for each window. */
export const windowBytes = 32 * 1024 ** 2;

/** A member holds about as much text as a chunk: it is inflated in one, without copies. */
export const inMembers = { maxOutputLength: windowBytes, chunkSize: chunkBytes };

/** The readable text of a gzip file whose end is missing. */
export function inflateStart(bytes: Buffer): Buffer {
  // With this flag the decoder accepts a missing end.
  return gunzipSync(bytes, { finishFlush: zlib.Z_SYNC_FLUSH });
}

/** The header of a member: that of every gzip file, and in its extra field our mark, the bytes of the member, and a sketch of its text. */
const mark = Buffer.from('DH');
const markAt = 12;
const sizeAt = markAt + 4;
const sketchAt = sizeAt + 4;
const memberHeadBytes = 16_384;

/** A member of whole lines, which readers of gzip files take as any other. */
export function packMember(text: Buffer): Buffer {
  const packed = gzipSync(text);
  const sketch = makeSketch(text);
  const head = Buffer.alloc(sketchAt);
  memberStart.copy(head);
  packed.copy(head, memberStart.length, memberStart.length, 10);
  head.writeUInt16LE(sketchAt - markAt + sketch.length, 10);
  mark.copy(head, markAt);
  head.writeUInt16LE(sketchAt - sizeAt + sketch.length, markAt + 2);
  head.writeUInt32LE(head.length + sketch.length + packed.length - 10, sizeAt);
  return Buffer.concat([head, sketch, packed.subarray(10)]);
}

/** Undefined: it does not begin as `packMember` makes one. */
export function readMember(
  head: Buffer,
): { readonly bytes: number; readonly sketch: Sketch | undefined } | undefined {
  if (head.length < sketchAt || !head.subarray(0, memberStart.length).equals(memberStart)) return undefined;
  const end = markAt + head.readUInt16LE(10);
  const bytes = head.readUInt32LE(sizeAt);
  if (!head.subarray(markAt, markAt + 2).equals(mark) || end > head.length || bytes <= end) return undefined;
  return bytes > windowBytes ? undefined : { bytes, sketch: readSketch(head.subarray(sketchAt, end)) };
}

/** Whether a part of a file has to be read; the text of the others is passed over. */
export type Wants = (sketch: Sketch) => boolean;

export async function* inflated(path: string, place = Infinity, wants?: Wants): AsyncGenerator<Buffer> {
  const file = await openRegularFile(path, bounds.plainSegmentBytes);
  try {
    const at = wants === undefined ? 0 : yield* wantedMembers(file, path, wants);
    if (at < place) yield* inflate(file, path, place, chunkBytes, at);
  } finally {
    await file.close();
  }
}

/** Returns where our members end and the rest begins; Infinity: there is no rest. */
async function* wantedMembers(file: FileHandle, path: string, wants: Wants): AsyncGenerator<Buffer, number> {
  const head = Buffer.alloc(memberHeadBytes);
  const { size } = await file.stat();
  let textBytes = 0;
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(head, 0, head.length, at);
    const member = readMember(head.subarray(0, bytesRead));
    if (member === undefined) return at > 0 && bytesRead === 0 ? Infinity : at;
    // A member without its end is damage; it is reported.
    if (member.sketch === undefined || at + member.bytes > size || wants(member.sketch)) {
      const packed = Buffer.allocUnsafe(member.bytes);
      const { bytesRead: length } = await file.read(packed, 0, packed.length, at);
      const text = gunzipSync(packed.subarray(0, length), inMembers);
      textBytes += text.length;
      if (textBytes > bounds.plainSegmentBytes)
        throw tooLarge(`the text of ${path}`, bounds.plainSegmentBytes);
      yield text;
    }
    at += member.bytes;
  }
}

interface OpenFile {
  read(into: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
}

/** The text of an open file, between the beginning of a member and a position. Throws an `EFBIG` error if it is too long for a segment. */
export async function* inflate(
  file: OpenFile,
  name: string,
  place: number,
  chunkSize: number,
  begin = 0,
): AsyncGenerator<Buffer, undefined> {
  const gunzip = createGunzip({ chunkSize });
  // Not a stream over the file: that would close it.
  feed(file, begin, place, gunzip).catch((error: unknown) =>
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

async function feed(file: OpenFile, begin: number, place: number, gunzip: Gunzip): Promise<void> {
  for (let at = begin; !gunzip.destroyed; ) {
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
