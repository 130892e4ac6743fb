// Compressed segments: as a stream from their start, and from their end without inflating the rest.

import { hash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { createGunzip, type Gunzip, gunzipSync, gzipSync, constants as zlib } from 'node:zlib';
import { bounds } from '../../bounds/bounds.js';
import { makeSketch, readSketch, type Sketch } from '../../domain/records/trail/sketch.js';
import { openRegular, openRegularFile, readRegular, tooLarge } from '../host/regular-file.js';

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
const memberStart = Buffer.from('1f8b080400000000', 'hex');
/** Larger files are foreign, and not held whole. */
const compressedBytesMax = bounds.compressedBytes;
/** Limit of held text of a compressed file; a longer one is inflated once for each window. */
const windowBytes = bounds.inflatedBytes;

/** A member holds about as much text as a chunk: it is inflated in one, without copies. */
const inMembers = { maxOutputLength: windowBytes, chunkSize: chunkBytes };

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
function readMember(
  head: Buffer,
): { readonly bytes: number; readonly sketch: Sketch | undefined } | undefined {
  if (head.length < sketchAt || !head.subarray(0, memberStart.length).equals(memberStart)) return undefined;
  const end = markAt + head.readUInt16LE(10);
  const bytes = head.readUInt32LE(sizeAt);
  if (!head.subarray(markAt, markAt + 2).equals(mark) || end > head.length || bytes <= end) return undefined;
  return bytes > windowBytes ? undefined : { bytes, sketch: readSketch(head.subarray(sketchAt, end)) };
}

export interface Member {
  /** Where it lies in its file. */
  readonly at: number;
  readonly packed: Buffer;
  readonly text: Buffer;
}

/** All of a compressed segment as `packMember` made it; undefined: it is damaged, or not only such members. */
export function readMembers(bytes: Buffer): readonly Member[] | undefined {
  const members: Member[] = [];
  let textBytes = 0;
  for (let at = 0; at < bytes.length; ) {
    const member = readMember(bytes.subarray(at, at + memberHeadBytes));
    const packed = bytes.subarray(at, at + (member?.bytes ?? 0));
    const text = packed.length === member?.bytes ? inflateMember(packed) : undefined;
    textBytes += text?.length ?? 0;
    if (text === undefined || textBytes > bounds.plainSegmentBytes) return undefined;
    members.push({ at, packed, text });
    at += packed.length;
  }
  return members;
}

/** Whether a part of a file has to be read; the text of the others is passed over. */
export type Wants = (sketch: Sketch) => boolean;

/** A member of a compressed segment, with its signed hash and sketch. */
export interface VouchedMember extends Pick<Member, 'at'> {
  /** The number of the segment. */
  readonly segment: number;
  readonly bytes: number;
  readonly sha256: Buffer;
  /** As `makeSketch` makes it; empty: the member is always read. */
  readonly sketch: Buffer;
}

/** Of the segments of a directory, in their order. */
export interface Vouched {
  readonly members: readonly VouchedMember[];
  /** The file of a segment. */
  readonly pathOf: (segment: number) => string;
  /** The member is another one now, or unreadable: it is passed over. */
  readonly differs: (member: VouchedMember) => void;
}

/** The texts of the members that are as they were signed; nothing else of the files is read. */
export function* vouchedTexts({ members, pathOf, differs }: Vouched, wants?: Wants): Generator<Buffer> {
  let open: { readonly segment: number; readonly file: number } | undefined;
  try {
    for (const member of members) {
      const sketch = wants && readSketch(member.sketch);
      if (sketch !== undefined && wants?.(sketch) === false) continue;
      const text = textOf(member);
      if (text === undefined) differs(member);
      else yield text;
    }
  } finally {
    close();
  }

  function textOf({ segment, at, bytes, sha256 }: VouchedMember): Buffer | undefined {
    try {
      if (open?.segment !== segment) close();
      open ??= { segment, file: openRegular(pathOf(segment)) };
      const packed = Buffer.allocUnsafe(bytes);
      const isRead = readSync(open.file, packed, 0, bytes, at) === bytes;
      return isRead && hash('sha256', packed, 'buffer').equals(sha256) ? inflateMember(packed) : undefined;
    } catch {
      return undefined;
    }
  }

  function close(): void {
    if (open !== undefined) closeSync(open.file);
    open = undefined;
  }
}

export async function* inflated(path: string, place = Infinity, wants?: Wants): AsyncGenerator<Buffer> {
  const file = await openRegularFile(path, bounds.plainSegmentBytes);
  try {
    const at = wants === undefined ? 0 : yield* wantedMembers(file, path, wants);
    if (at < place) yield* inflate(file, path, place, chunkBytes, at);
  } finally {
    await file.close();
  }
}

/** Returns where the rest begins that is not in members of ours; Infinity: there is none. */
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

/** In pieces of whole lines, the last ones first, inflated member by member. An empty piece: a member was passed over. */
export async function* inflatedBack(
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
