// The ring of records in memory: what was published is read back, whatever was being published when the process ended, and whatever
// bit flipped since. No record that was not published is ever read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  type Frame,
  formatRing,
  frameBytes,
  makeWord,
  RingReader,
  RingWriter,
  readRingHeader,
  readWord,
  ringHeaderBytes,
} from '../../../src/journal/files/ring.js';
import { flipBit } from './ring-run.js';

const bytes = 16_384;
const identity = { bytes, journal: 'j'.repeat(32), generation: 0x0123456789abcdefn };

function makeRing(position = 0) {
  const memory = new ArrayBuffer(bytes);
  formatRing(new Uint8Array(memory), identity);
  const writer = new RingWriter(memory, identity.generation, position);
  return { memory, writer, reader: new RingReader(memory, identity.generation) };
}

function textsOf(frames: readonly Frame[]): string[] {
  return frames.map(({ body }) => body.toString());
}

/** What a start would read of these bytes. */
function readCopy(memory: ArrayBuffer, generation = identity.generation) {
  const { frames, isDamaged, lost } = new RingReader(memory.slice(0), generation).readAll();
  return { texts: textsOf(frames), frames, isDamaged, lost };
}

const record = (number: number): string => `"n":${number},"text":"${'ü'.repeat((number * 53) % 200)}"`;

/** All before a position is given free. */
function release({ writer, reader }: ReturnType<typeof makeRing>, position = writer.head): void {
  reader.tail = position;
  writer.tail = position;
}

/** A right checksum for the frame at this place, whatever it holds. */
function seal(frames: Buffer, at: number, end = at + frameBytes): void {
  const seed = Buffer.alloc(8);
  seed.writeBigUInt64LE(identity.generation);
  const head = crc32(frames.subarray(at, at + 12), crc32(seed));
  frames.writeUInt32LE(crc32(frames.subarray(at + frameBytes, end), head), at + 12);
}

void test('a header says whose ring it is, and a flipped bit of it is seen', () => {
  const { memory } = makeRing();
  const header = new Uint8Array(memory);
  assert.deepEqual(readRingHeader(header), { version: 1, ...identity });
  for (let bit = 0; bit < 64 * 8; bit += 1) {
    flipBit(header, bit);
    assert.equal(readRingHeader(header), undefined, `bit ${bit}`);
    flipBit(header, bit);
  }
  assert.equal(readRingHeader(header.subarray(0, ringHeaderBytes - 1)), undefined);
});

void test('the bytes of a ring are those of its format', () => {
  const position = 2 ** 32 + 8192;
  const { memory, writer, reader } = makeRing(position);
  reader.tail = position;
  assert.ok(writer.publish(['"n":1,"ü":2'], writer.dataBytes));
  assert.ok(writer.publish(['"n":2', '"n":3'], writer.dataBytes));
  reader.stamp(position, 258);
  const hex = (from: number, to: number): string => Buffer.from(memory).toString('hex', from, to);
  const place = ringHeaderBytes + (position % writer.dataBytes);
  // Magic, version, bytes, journal, generation, zeros, CRC; then the two words.
  assert.equal(hex(0, 16), '44564752494e47310100000000400000');
  assert.equal(hex(16, 48), '6a'.repeat(32));
  assert.equal(hex(48, 64), 'efcdab896745230100000000740b6cef');
  assert.equal(hex(64, 72), '802000000100b5e1');
  assert.equal(hex(128, 136), '0020000001009535');
  // Position, bytes, CRC, number, zeros, body and zeros to a multiple of 8.
  const first =
    '00200000010000000c000000cdb664f0020100000000012f0000000000000000226e223a312c22c3bc223a3200000000';
  const second = '302000000100000005000000c47fe213000000000000100e0000000000000000226e223a32000000';
  const third = '582000000100000005000000c25710f1000000000000100e0000000000000000226e223a33000000';
  assert.equal(hex(place, place + 128), first + second + third);
});

void test('a record takes its frame, and what is skipped at the end of the data counts as used, to the byte', () => {
  const { dataBytes } = makeRing().writer;
  for (let left = 8; left <= 96; left += 8)
    for (let size = 0; size <= 40; size += 1)
      for (const body of ['x'.repeat(size), 'ü'.repeat(size)]) {
        const from = 2 * dataBytes - left;
        const needed = frameBytes + 8 * Math.ceil(Buffer.byteLength(body) / 8);
        const used = needed > left ? left + needed : needed;
        const { memory, writer, reader } = makeRing(from);
        reader.tail = from;
        const name = `${left} bytes left, body of ${Buffer.byteLength(body)}`;
        assert.equal(writer.publish([body], used - 1), false, name);
        assert.deepEqual([writer.used, readCopy(memory).texts], [0, []], name);
        assert.equal(writer.publish([body], used), true, name);
        assert.deepEqual([writer.used, writer.head, reader.head], [used, from + used, from + used], name);
        const { texts, isDamaged, lost } = readCopy(memory);
        assert.deepEqual({ texts, isDamaged, lost }, { texts: [body], isDamaged: false, lost: 0 }, name);
      }
});

void test('a ring may be full to its last byte, and words further apart are no lap', () => {
  const body = 'x'.repeat(1024 - frameBytes);
  const { memory, writer, reader } = makeRing();
  for (let at = 0; at < 12; at += 1) assert.ok(writer.publish([body], writer.dataBytes));
  assert.equal(writer.publish([''], writer.dataBytes), false);
  assert.deepEqual(readCopy(memory).lost, 0);
  assert.equal(readCopy(memory).texts.length, 12);
  const words = new BigUint64Array(memory);
  for (const [tail, head] of [
    [8, writer.dataBytes + 16],
    [writer.dataBytes + 8, writer.dataBytes],
  ]) {
    reader.tail = tail ?? 0;
    words[8] = makeWord(head ?? 0);
    const { texts, isDamaged, lost } = readCopy(memory);
    assert.deepEqual([texts.length, isDamaged, lost], [12, true, 'unknown'], `${tail} ${head}`);
  }
});

void test('a word with one flipped bit is repaired, and nothing is lost; a number with a flipped bit is none', () => {
  const { memory, texts, writer } = makeUsed();
  for (const word of [8, 16])
    for (let bit = 0n; bit < 64n; bit += 1n) {
      const copy = memory.slice(0);
      const words = new BigUint64Array(copy);
      words[word] = (words[word] ?? 0n) ^ (1n << bit);
      const found = readCopy(copy);
      assert.deepEqual([found.texts, found.isDamaged, found.lost], [texts, true, 0], `${word} ${bit}`);
    }
  const place = (ringHeaderBytes + (writer.tail % writer.dataBytes)) / 8;
  const copy = memory.slice(0);
  new BigUint64Array(copy)[place + 2] = makeWord(7) ^ 1n;
  const found = readCopy(copy);
  assert.deepEqual([found.isDamaged, found.lost, found.frames[0]?.seq], [true, 0, undefined]);
  assert.deepEqual(
    found.frames.slice(1).map(({ seq }) => seq),
    texts.slice(1).map(() => 0),
  );
});

void test('a word is its value, and no word within three flipped bits of it is another value', () => {
  for (const value of [0, 8, 4096, 2 ** 32 - 8, 2 ** 32, 2 ** 48 - 8]) {
    const word = makeWord(value);
    assert.equal(readWord(word), value);
    for (let one = 0n; one < 64n; one += 1n)
      for (let two = one; two < 64n; two += 1n)
        for (let three = two; three < 64n; three += 7n) {
          const flipped =
            word ^ (1n << one) ^ (two === one ? 0n : 1n << two) ^ (three === two ? 0n : 1n << three);
          assert.equal(readWord(flipped), undefined, `${value}: ${one}, ${two}, ${three}`);
        }
  }
});

// bounds.ringBytes
void test('records of all lengths are read in order over many laps, and never more than there is room for', () => {
  const { writer, reader } = makeRing();
  const waiting: string[] = [];
  let next = 0;
  let taken = 0;
  for (let round = 0; round < 400; round += 1) {
    const usedMax = round % 2 === 0 ? writer.dataBytes : writer.dataBytes / 2;
    while (writer.publish([record(next)], usedMax)) waiting.push(record(next++));
    assert.ok(writer.used <= usedMax || round % 2 === 1);
    const count = 1 + (round % waiting.length);
    let end = writer.tail;
    let left = count;
    const gaps = reader.walk(writer.tail, writer.head, (frame) => {
      if (left-- <= 0) return;
      assert.equal(frame.body.toString(), waiting.shift());
      assert.equal(frame.seq, 0);
      reader.stamp(frame.position, ++taken);
      end = frame.position + frameBytes + ((frame.body.length + 7) & ~7);
    });
    assert.equal(gaps, 0);
    reader.tail = end;
    writer.tail = end;
    assert.deepEqual([reader.head, reader.tail], [writer.head, writer.tail]);
  }
  assert.ok(writer.head > 20 * writer.dataBytes);
});

/** The memory after each store of the publisher, in the order in which it makes them. */
function storesOf(memory: ArrayBuffer, writer: RingWriter, publish: () => void): ArrayBuffer[] {
  const states: ArrayBuffer[] = [];
  const note = (): void => void states.push(memory.slice(0));
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key === 'write') {
          return (text: string, at: number, encoding: BufferEncoding): number => {
            const body = Buffer.from(text, encoding);
            for (let done = 0; done < body.length; done += 1) {
              new Uint8Array(memory)[at + done] = body[done] ?? 0;
              if (done % 64 === 63) note();
            }
            note();
            return body.length;
          };
        }
        return typeof value === 'function' ? value.bind(target) : value;
      },
      set(_, key, value) {
        Reflect.set(target, key, value, target);
        note();
        return true;
      },
    });
  const views = ['bytes', 'halves', 'words'] as const;
  const real = views.map((name): object => Reflect.get(writer, name));
  const { store } = Atomics;
  for (const [at, name] of views.entries()) Reflect.set(writer, name, watch(real[at] ?? {}));
  Reflect.set(Atomics, 'store', (_: unknown, index: number, value: bigint) => {
    const stored = store(new BigUint64Array(memory), index, value);
    note();
    return stored;
  });
  try {
    publish();
  } finally {
    Atomics.store = store;
    for (const [at, name] of views.entries()) Reflect.set(writer, name, real[at]);
  }
  return states;
}

void test('several records are there together or not at all, also around the end of the ring and where there is no room', () => {
  const { memory, writer, reader } = makeRing();
  let refused = 0;
  for (let round = 0; round < 60; round += 1) {
    const bodies = Array.from({ length: 5 }, (_, at) => record(round * 5 + at));
    const before = readCopy(memory).texts;
    const headBefore = writer.head;
    let isTaken = false;
    const all = storesOf(memory, writer, () => {
      isTaken = writer.publish(bodies, writer.dataBytes / 2);
    });
    for (const [at, state] of all.entries()) {
      const { texts, isDamaged } = readCopy(state);
      assert.equal(isDamaged, false);
      assert.deepEqual(texts, at === all.length - 1 ? [...before, ...bodies] : before, `round ${round}`);
    }
    if (isTaken) continue;
    refused += 1;
    assert.equal(all.length, 0, 'nothing was put down');
    assert.equal(writer.head, headBefore);
    reader.tail = writer.head;
    writer.tail = writer.head;
  }
  assert.ok(refused > 3 && writer.head > 3 * writer.dataBytes, `${refused} ${writer.head}`);
});

void test('a publisher that is killed after any of its stores: the records before are there, and this one if its head word is', () => {
  let fillers = 0;
  let states = 0;
  const { memory, writer, reader } = makeRing();
  for (let number = 0; number < 300; number += 1) {
    while (writer.used + 2048 > writer.dataBytes) {
      // The oldest half goes.
      let end = writer.tail;
      reader.walk(writer.tail, writer.head, ({ position }) => {
        if (position < writer.head - writer.dataBytes / 2) end = position;
      });
      reader.tail = end;
      writer.tail = end;
    }
    const before = readCopy(memory);
    const headBefore = writer.head;
    const all = storesOf(memory, writer, () => assert.ok(writer.publish([record(number)], writer.dataBytes)));
    fillers += writer.head - headBefore > frameBytes + Buffer.byteLength(record(number)) + 8 ? 1 : 0;
    for (const [at, state] of all.entries()) {
      const { texts, isDamaged } = readCopy(state);
      const isPublished = at === all.length - 1;
      assert.equal(isDamaged, false, `record ${number}, store ${at}`);
      assert.deepEqual(texts, isPublished ? [...before.texts, record(number)] : before.texts);
      // With the words gone, a record may be taken that was whole and not published; nothing else.
      if (at % 5 !== 0) continue;
      new BigUint64Array(state)[8] = 0n;
      const scanned = readCopy(state);
      const whole = [...before.texts, record(number)];
      assert.ok(scanned.isDamaged);
      assert.deepEqual(scanned.texts, whole.slice(0, scanned.texts.length));
      assert.ok(scanned.texts.length >= before.texts.length);
    }
    states += all.length;
  }
  assert.ok(fillers > 5 && states > 2000, `${fillers} fillers, ${states} states`);
});

/** A ring in its third lap, with a filler between its oldest and its newest record. */
function makeUsed() {
  const ring = makeRing();
  const { writer } = ring;
  const texts: string[] = [];
  for (let number = 0; ; number += 1) {
    if (writer.used > writer.dataBytes / 2) {
      release(ring);
      texts.length = 0;
    }
    assert.ok(writer.publish([record(number)], writer.dataBytes));
    texts.push(record(number));
    const lap = (position: number): number => Math.floor(position / writer.dataBytes);
    if (lap(writer.head) > lap(writer.tail) && writer.head > 2.1 * writer.dataBytes)
      return { ...ring, texts };
  }
}

void test('both words damaged at once, or one of them, by one bit or by all: the records are there, in order', () => {
  const { memory, texts } = makeUsed();
  const [head = 0n, tail = 0n] = [8, 16].map((index) => new BigUint64Array(memory)[index]);
  const lie = makeWord(2 ** 48 - 8);
  const wrong = (word: bigint) => [word, word ^ 1n, word ^ (1n << 63n), 0n, ~word, makeWord(4), lie];
  const known = (word: bigint): boolean => word === head || word === tail;
  for (const newHead of wrong(head)) {
    for (const newTail of wrong(tail)) {
      if (known(newHead) && known(newTail)) continue;
      // A wrong word with a right CRC is no accident: it is noticed where the other word contradicts it.
      if ((newHead === lie && !known(newTail)) || (newTail === lie && !known(newHead))) continue;
      const copy = memory.slice(0);
      new BigUint64Array(copy)[8] = newHead;
      new BigUint64Array(copy)[16] = newTail;
      const found = readCopy(copy);
      const name = `${newHead.toString(16)} ${newTail.toString(16)}`;
      assert.ok(found.isDamaged, name);
      // Without the tail, older records are read too; the journal has them.
      assert.deepEqual(found.texts.slice(-texts.length), texts, name);
      if (newTail === tail && newHead !== lie) assert.equal(found.texts.length, texts.length, name);
    }
  }
});

void test('a frame at a position that no word holds is none, and reading ends', () => {
  const { memory, writer } = makeRing();
  writer.publish([record(1)], writer.dataBytes);
  const forged = Buffer.from(memory);
  const at = ringHeaderBytes + 2048;
  for (const position of [2n ** 53n, 2n ** 60n, 2n ** 63n]) {
    forged.writeBigUInt64LE(position + 2048n - (position % BigInt(writer.dataBytes)), at);
    forged.writeUInt32LE(0, at + 8);
    seal(forged, at);
    for (const word of [64, 128]) forged.fill(0xa5, word, word + 8);
    assert.deepEqual(readCopy(memory).texts, [record(1)], String(position));
  }
});

void test('a frame whose length is forged to be above 2 GiB is none, and reading ends', () => {
  for (const length of [2 ** 31, 2 ** 32 - 32, 2 ** 32 - 40]) {
    const { memory, writer } = makeRing();
    writer.publish([record(1)], writer.dataBytes);
    const forged = Buffer.from(memory);
    forged.writeUInt32LE(length, ringHeaderBytes + 8);
    seal(forged, ringHeaderBytes, forged.length);
    const { texts, isDamaged } = readCopy(memory);
    assert.deepEqual([texts, isDamaged], [[], true], String(length));
  }
});

void test('frames of another generation are none', () => {
  const { memory } = makeUsed();
  const { texts, isDamaged } = readCopy(memory, identity.generation ^ 1n);
  assert.deepEqual([texts, isDamaged], [[], true]);
});

void test('an empty ring is intact, wherever it stands', () => {
  assert.deepEqual(readCopy(makeRing().memory), { texts: [], frames: [], isDamaged: false, lost: 0 });
  const { memory, writer, reader } = makeUsed();
  reader.tail = writer.head;
  assert.deepEqual(readCopy(memory), { texts: [], frames: [], isDamaged: false, lost: 0 });
});

void test('a damaged stretch is stepped over and counted once, also at the end of the data and over a filler', () => {
  const { memory, texts, reader, writer } = makeUsed();
  const positions: number[] = [];
  reader.walk(writer.tail, writer.head, ({ position }) => void positions.push(position));
  for (const [at, position] of positions.entries()) {
    for (const count of [1, 2, 3]) {
      const copy = memory.slice(0);
      const end = positions[at + count] ?? writer.head;
      for (let byte = position; byte < end; byte += 1) {
        const place = ringHeaderBytes + (byte % writer.dataBytes);
        flipBit(new Uint8Array(copy), place * 8 + (byte % 7));
      }
      const found = readCopy(copy);
      assert.deepEqual(found.texts, [...texts.slice(0, at), ...texts.slice(at + count)]);
      assert.ok(found.isDamaged && (found.lost === 1 || found.lost === 2), String(found.lost));
    }
  }
});

void test('a ring goes on at the position where an empty one stands', () => {
  const { memory, writer, reader } = makeRing(3 * (bytes - ringHeaderBytes) + 4000);
  reader.tail = writer.head;
  assert.ok(writer.publish([record(1)], writer.dataBytes));
  assert.deepEqual(readCopy(memory).texts, [record(1)]);
});
