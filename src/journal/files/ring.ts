// The ring of records, in a mapped file or in shared memory: the main thread publishes, the journal's thread consumes, and
// published records survive the end of the process. A record counts once the `head` word covers it, and nothing is overwritten
// before it is reported as on disk.
//
// Header, 4,096 bytes, little endian: magic (8), u32 version, u32 bytes of the file, journal id (32), u64 generation, at 60 a
// CRC-32 of all that; at 64 the `head` word, at 128 the `tail` word, each in a cache line of its own.
// After it, frames at positions that only grow (place in the file: 4096 + position mod data bytes), aligned to 8, never split:
// u64 position, u32 bytes of the body, u32 CRC-32 (of the 12 bytes before and the body, seeded with the generation), `seq` word,
// u64 zero, body. Fewer than 32 bytes before the end are skipped by both sides.
// A word is a u64: 48 bits of value, above them a CRC-16 of it; stored at once, so it is never half written.

import { crc32 } from 'node:zlib';

export const ringHeaderBytes = 4096;
/** The smallest ring: half of its data must hold the longest record. */
export const ringBytesMin = 32_768;
const magic = 'DVGRING1';
export const ringVersion = 1;
const versionAt = 8;
const bytesAt = 12;
const journalAt = 16;
const journalChars = 32;
const generationAt = 48;
const headerCrcAt = 60;
/** Indexes of 64-bit words. */
const headWord = 64 / 8;
const tailWord = 128 / 8;
export const frameBytes = 32;
/** The index of the `seq` word in a frame. */
export const seqAt = 16;
/** In place of the size of a body: no more frames until the end of the data. */
const filler = 0xffffffff;
const twoTo32 = 2 ** 32;
/** A word holds no more. */
const positionMax = 2 ** 48;

/** The identity of a ring; in its header and, synced, beside the segments. */
export interface RingIdentity {
  readonly bytes: number;
  readonly journal: string;
  /** Random at creation. */
  readonly generation: bigint;
}

export interface Frame {
  readonly position: number;
  /** The encoded record, without seq, prev and hash: a view of the ring. */
  readonly body: Buffer;
  /** The number from the journal's thread; 0: none yet; undefined: its word is damaged. */
  readonly seq: number | undefined;
}

export interface Leftovers {
  /** In order; the journal may have the first ones. */
  readonly frames: readonly Frame[];
  readonly isDamaged: boolean;
  /** Damaged stretches, each of one record or more. */
  readonly lost: number | 'unknown';
}

/** Writes the header of an empty ring; the rest of `memory` is zero. */
export function formatRing(memory: Uint8Array, identity: RingIdentity): void {
  const header = Buffer.from(memory.buffer, memory.byteOffset, ringHeaderBytes);
  header.fill(0);
  header.write(magic, 0, 'latin1');
  header.writeUInt32LE(ringVersion, versionAt);
  header.writeUInt32LE(identity.bytes, bytesAt);
  header.write(identity.journal, journalAt, journalChars, 'latin1');
  header.writeBigUInt64LE(identity.generation, generationAt);
  header.writeUInt32LE(crc32(header.subarray(0, headerCrcAt)), headerCrcAt);
  for (const word of [headWord, tailWord]) header.writeBigUInt64LE(makeWord(0), word * 8);
}

export function readRingHeader(
  memory: Uint8Array,
): (RingIdentity & { readonly version: number }) | undefined {
  if (memory.length < ringHeaderBytes) return undefined;
  const header = Buffer.from(memory.buffer, memory.byteOffset, ringHeaderBytes);
  const isRight =
    header.toString('latin1', 0, magic.length) === magic &&
    header.readUInt32LE(headerCrcAt) === crc32(header.subarray(0, headerCrcAt));
  if (!isRight) return undefined;
  return {
    version: header.readUInt32LE(versionAt),
    bytes: header.readUInt32LE(bytesAt),
    journal: header.toString('latin1', journalAt, journalAt + journalChars),
    generation: header.readBigUInt64LE(generationAt),
  };
}

/** Views of one ring; each thread makes its own. */
class Views {
  readonly dataBytes: number;
  protected readonly bytes: Buffer;
  protected readonly halves: Uint32Array;
  protected readonly words: BigUint64Array;
  /** The start value of a frame's CRC-32. */
  protected readonly seed: number;

  constructor(memory: ArrayBufferLike, generation: bigint) {
    this.dataBytes = memory.byteLength - ringHeaderBytes;
    this.bytes = Buffer.from(memory);
    this.halves = new Uint32Array(memory);
    this.words = new BigUint64Array(memory);
    const seed = Buffer.alloc(8);
    seed.writeBigUInt64LE(generation);
    this.seed = crc32(seed);
  }

  protected placeOf(position: number): number {
    return ringHeaderBytes + (position % this.dataBytes);
  }

  /** The CRC of a frame's first 12 bytes. */
  protected headCrc(place: number): number {
    let crc = ~this.seed;
    for (let at = place; at < place + 12; at += 1)
      crc = (crc >>> 8) ^ (crcTable[(crc ^ (this.bytes[at] ?? 0)) & 0xff] ?? 0);
    return ~crc >>> 0;
  }
}

export class RingWriter extends Views {
  head: number;
  /** Bytes before it may be overwritten: they are on disk, as reported. */
  tail: number;

  /** `position`: the position of an empty ring. */
  constructor(memory: ArrayBufferLike, generation: bigint, position = 0) {
    super(memory, generation);
    this.head = position;
    this.tail = position;
  }

  /** Bytes that are not known to be on disk. */
  get used(): number {
    return this.head - this.tail;
  }

  /** Of several bodies a crash leaves all or none. False: above `usedMax` bytes would be used, and nothing was published. */
  publish(bodies: readonly string[], usedMax: number): boolean {
    let position = this.head;
    // Space for all of them first: if both words are damaged, a frame that was written but never published could be taken for a record.
    for (let isWritten = bodies.length === 1; ; isWritten = true) {
      position = this.head;
      for (const body of bodies) {
        const end = this.#place(body, position, usedMax, isWritten);
        if (end === undefined) return false;
        position = end;
      }
      if (isWritten) break;
    }
    this.head = position;
    Atomics.store(this.words, headWord, makeWord(position));
    return true;
  }

  /** Writes a frame at a position, or after the gap there; returns its end. Undefined: there is no space. */
  #place(body: string, from: number, usedMax: number, isWritten: boolean): number | undefined {
    let position = from;
    let left = this.dataBytes - (position % this.dataBytes);
    if (left < frameBytes) {
      position += left;
      left = this.dataBytes;
    }
    // A unit of a string has at most three bytes in UTF-8: they are counted only near the end or the limit.
    let most = frameBytes + body.length * 3 + 7;
    if (!isWritten || most > left || position + most - this.tail > usedMax) {
      most = frameBytes + padded(Buffer.byteLength(body));
      const skipped = most > left ? left : 0;
      if (position + skipped + most - this.tail > usedMax) return undefined;
      if (skipped > 0) {
        if (isWritten) this.#writeHead(position, filler, this.bytes.length - left);
        position += skipped;
        left = this.dataBytes;
      }
    }
    if (!isWritten) return position + most;
    const place = this.bytes.length - left;
    const bodyAt = place + frameBytes;
    const bytes = this.bytes.write(body, bodyAt, 'utf8');
    this.#writeHead(position, bytes, place);
    this.words[(place + seqAt) / 8] = unwritten;
    this.words[(place + seqAt) / 8 + 1] = 0n;
    return position + frameBytes + padded(bytes);
  }

  #writeHead(position: number, bytes: number, place: number): void {
    const at = place / 4;
    this.halves[at] = position % twoTo32;
    this.halves[at + 1] = position / twoTo32;
    this.halves[at + 2] = bytes;
    const bodyAt = place + frameBytes;
    const head = this.headCrc(place);
    this.halves[at + 3] = bytes === filler ? head : crc32(this.bytes.subarray(bodyAt, bodyAt + bytes), head);
  }
}

/** The side that consumes, also used on the remains of a process. */
export class RingReader extends Views {
  /** End of the published bytes; undefined: the word is damaged. */
  get head(): number | undefined {
    return readWord(Atomics.load(this.words, headWord));
  }

  /** Bytes before it are on disk; undefined: the word is damaged. */
  get tail(): number | undefined {
    return readWord(Atomics.load(this.words, tailWord));
  }

  set tail(position: number) {
    Atomics.store(this.words, tailWord, makeWord(position));
  }

  /** Notes the number of the record at a position, before its line is written. */
  stamp(position: number, seq: number): void {
    Atomics.store(this.words, (this.placeOf(position) + seqAt) / 8, makeWord(seq));
  }

  /** Calls `take` for the frames between two positions, in order. Returns the number of skipped damaged stretches. */
  walk(from: number, to: number, take: (frame: Frame) => void): number {
    let gaps = 0;
    let isInGap = false;
    for (let position = from; position < to; ) {
      const left = this.dataBytes - (position % this.dataBytes);
      const bytes = left < frameBytes ? filler : this.#fits(position, Math.min(left, to - position));
      if (bytes === undefined && !isInGap) gaps += 1;
      isInGap = bytes === undefined;
      if (bytes === undefined) position += 8;
      else if (bytes === filler) position += left;
      else {
        take(this.#frame(position, bytes));
        position += frameBytes + padded(bytes);
      }
    }
    return gaps;
  }

  /** Everything that a process left in the ring. There must be no publisher meanwhile. */
  readAll(): Leftovers {
    const words = [tailWord, headWord].map((word) => Atomics.load(this.words, word));
    const [tail, head] = words.map((word) => aligned(readWord(word) ?? repairWord(word)));
    const frames: Frame[] = [];
    const take = (frame: Frame): void => void frames.push(frame);
    let lost: Leftovers['lost'];
    if (tail !== undefined && head !== undefined && tail <= head && head - tail <= this.dataBytes)
      lost = this.walk(tail, head, take);
    else {
      // Two intact but contradicting words prove nothing.
      const isBoth = tail !== undefined && head !== undefined;
      const [from, to] = this.#bounds(isBoth ? undefined : tail, isBoth ? undefined : head);
      this.walk(from, to, take);
      lost = 'unknown';
    }
    const isDamaged =
      lost !== 0 ||
      words.some((word) => readWord(word) === undefined) ||
      frames.some(({ seq }) => seq === undefined);
    return { frames, isDamaged, lost };
  }

  /** Where the last lap begins and ends. A word of the header that is unknown is found from the positions in the frames. */
  #bounds(tail: number | undefined, head: number | undefined): [from: number, to: number] {
    let from = tail ?? Infinity;
    let to = head ?? tail ?? 0;
    const found: number[] = [];
    for (let place = ringHeaderBytes; place + frameBytes <= this.bytes.length; place += 8) {
      const position = this.#positionAt(place);
      // Above it, adding to a position may not change it.
      if (position > positionMax || this.placeOf(position) !== place) continue;
      const bytes = this.#fits(position, this.bytes.length - place);
      if (bytes === undefined || bytes === filler) continue;
      found.push(position);
      if (head === undefined) to = Math.max(to, position + frameBytes + padded(bytes));
    }
    for (const position of found)
      if (tail === undefined && position < to && position >= to - this.dataBytes)
        from = Math.min(from, position);
    return [Math.max(from, to - this.dataBytes), to];
  }

  #positionAt(place: number): number {
    return (this.halves[place / 4] ?? 0) + (this.halves[place / 4 + 1] ?? 0) * twoTo32;
  }

  /** Bytes of the body of the frame at a position (or `filler`), at most `room`; undefined: there is none. */
  #fits(position: number, room: number): number | undefined {
    if (room < frameBytes) return undefined;
    const place = this.placeOf(position);
    if (this.#positionAt(place) !== position) return undefined;
    const bytes = this.halves[place / 4 + 2] ?? 0;
    // Compared by itself, too: rounded up, a length above 2^31 is negative, and reading would go back.
    if (bytes !== filler && (bytes > room || frameBytes + padded(bytes) > room)) return undefined;
    const bodyAt = place + frameBytes;
    const head = this.headCrc(place);
    const crc = bytes === filler ? head : crc32(this.bytes.subarray(bodyAt, bodyAt + bytes), head);
    return crc === this.halves[place / 4 + 3] ? bytes : undefined;
  }

  #frame(position: number, bytes: number): Frame {
    const place = this.placeOf(position);
    const body = this.bytes.subarray(place + frameBytes, place + frameBytes + bytes);
    return { position, body, seq: readWord(Atomics.load(this.words, (place + seqAt) / 8)) };
  }
}

/** The word of a value below 2^48. */
export function makeWord(value: number): bigint {
  wordHalves[0] = value % twoTo32;
  wordHalves[1] = value / twoTo32;
  wordHalves[1] = (wordHalves[1] & 0xffff) | (crc16() << 16);
  return wordWhole[0] ?? 0n;
}

export function readWord(word: bigint): number | undefined {
  wordWhole[0] = word;
  const high = wordHalves[1] ?? 0;
  return high >>> 16 === crc16() ? (wordHalves[0] ?? 0) + (high & 0xffff) * twoTo32 : undefined;
}

/** The value of a damaged word if one of its bits flipped: two intact words differ in four bits or more. */
function repairWord(word: bigint): number | undefined {
  for (let bit = 0n; bit < 64n; bit += 1n) {
    const value = readWord(word ^ (1n << bit));
    if (value !== undefined) return value;
  }
  return undefined;
}

function aligned(position: number | undefined): number | undefined {
  return position !== undefined && position % 8 === 0 ? position : undefined;
}

const wordWhole = new BigUint64Array(1);
const wordHalves = new Uint32Array(wordWhole.buffer);
const wordBytes = new Uint8Array(wordWhole.buffer);

/** CRC-16/CCITT-FALSE of the six bytes of value in the scratch word; the CRC of zero is not zero. */
function crc16(): number {
  let crc = 0xffff;
  for (let at = 0; at < 6; at += 1)
    crc = ((crc << 8) & 0xffff) ^ (crc16Table[(crc >>> 8) ^ (wordBytes[at] ?? 0)] ?? 0);
  return crc;
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

const crc16Table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});
const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320;
  return crc;
});
const unwritten = makeWord(0);
