// Compressed segments from their end: the same lines as from their start, however the file was compressed, and what can be had of a damaged
// one.

import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { readPiecesBack } from '../../../src/journal/files/read-back.js';
import { temporaryDirectory } from './reading.js';

const MiB = 1 << 20;

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** Bytes of buffers that something still holds: what nothing holds is given back by another thread, some turns after the collection. */
async function heldBytes(): Promise<number> {
  assert.ok(typeof collect === 'function');
  for (let before = -1; ; ) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const held = process.memoryUsage().arrayBuffers;
    if (held === before) return held;
    before = held;
  }
}

/** Lines of different lengths, with what compresses badly. */
function linesOf(bytes: number): Buffer {
  const lines: string[] = [];
  for (let at = 0, length = 0; length < bytes; at += 1) {
    const line = `{"seq":${at},"text":"${Buffer.from(String(Math.sin(at)))
      .toString('hex')
      .repeat(at % 23)}"}\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join(''));
}

/** As the journal compresses: a member of each so many bytes, with an extra field in its header. */
function inMembers(text: Buffer, memberBytes = MiB, level = 6): Buffer[] {
  const members: Buffer[] = [];
  for (let at = 0; at < text.length; at += memberBytes)
    members.push(withField(gzipSync(text.subarray(at, at + memberBytes), { level })));
  return members;
}

function withField(member: Buffer): Buffer {
  return Buffer.concat([memberStart, member.subarray(8, 10), Buffer.alloc(2), member.subarray(10)]);
}

const memberStart = Buffer.from('1f8b080400000000', 'hex');

interface Back {
  readonly text: Buffer;
  readonly pieces: readonly Buffer[];
  readonly damaged: number;
}

async function readBack(t: TestContext, compressed: Buffer, pieceBytes = 200_000): Promise<Back> {
  const path = join(temporaryDirectory(t), '00000001.jsonl.gz');
  writeFileSync(path, compressed);
  const pieces: Buffer[] = [];
  let damaged = 0;
  const file = { path, name: '00000001.jsonl', isCompressed: true };
  for await (const piece of readPiecesBack(file, () => pieceBytes)) {
    if (piece === undefined) damaged += 1;
    else pieces.unshift(Buffer.from(piece.bytes));
  }
  return { text: Buffer.concat(pieces), pieces, damaged };
}

void test('all lines once, whatever the members and the pieces', async (t) => {
  const text = linesOf(3.3 * MiB);
  const afterLine = text.lastIndexOf(0x0a, MiB) + 1;
  const files = [
    Buffer.concat(inMembers(text)),
    Buffer.concat(inMembers(text, afterLine)),
    Buffer.concat(inMembers(text, 5_000)),
    Buffer.concat(inMembers(text, MiB, 9)),
    gzipSync(text),
  ];
  for (const [at, file] of files.entries()) {
    for (const pieceBytes of [1, 100_000, 4 * MiB]) {
      const { text: found, damaged } = await readBack(t, file, pieceBytes);
      assert.ok(found.equals(text), `file ${at} by ${pieceBytes}`);
      assert.equal(damaged, 0);
    }
  }
});

void test('a line of more than a member, and text that ends within a line', async (t) => {
  const text = Buffer.concat([linesOf(MiB), Buffer.alloc(3 * MiB, 'x'), Buffer.from('\n'), linesOf(MiB)]);
  const { text: found } = await readBack(t, Buffer.concat(inMembers(text, MiB / 2)));
  assert.ok(found.equals(text));
  const cut = linesOf(2 * MiB).subarray(0, -5);
  assert.ok((await readBack(t, Buffer.concat(inMembers(cut)))).text.equals(cut));
});

void test('a file that is longer than what is held of it is read whole, each line once', async (t) => {
  // Not in members of ours, so it is inflated once for each window of 32 MiB; the windows meet within a line.
  const lines = Array.from({ length: 5_500 }, (_, seq) => `{"seq":${seq},"text":"${'y'.repeat(6_500)}"}\n`);
  const text = Buffer.from(lines.join(''));
  const { text: found, pieces, damaged } = await readBack(t, gzipSync(text, { level: 1 }), 4 * MiB);
  assert.ok(found.equals(text));
  for (const piece of pieces)
    assert.equal(piece.toString('latin1', 0, 7), '{"seq":', 'no line is in two pieces');
  assert.equal(damaged, 0);
});

void test('of a file that is damaged in the middle: what is before and after', async (t) => {
  const text = linesOf(5 * MiB);
  const members = inMembers(text);
  members[2]?.fill(0x55, 1000, 2000);
  const { text: found, damaged } = await readBack(t, Buffer.concat(members));
  assert.ok(damaged > 0);
  assert.ok(found.subarray(0, MiB).equals(text.subarray(0, MiB)));
  assert.ok(found.subarray(-MiB).equals(text.subarray(-MiB)));
});

void test('a compressed file that is too large for one of ours is never held whole', async (t) => {
  for (const [bytes, isHeld] of [
    [64 * 1024 ** 2, true],
    [64 * 1024 ** 2 + 1, false],
  ] as const) {
    const path = join(temporaryDirectory(t), '00000001.jsonl.gz');
    writeFileSync(path, withField(gzipSync(linesOf(1_000))));
    // The rest is damage, of which nothing is stored.
    truncateSync(path, bytes);
    const before = await heldBytes();
    const pieces = readPiecesBack({ path, name: '00000001.jsonl', isCompressed: true }, () => 65_536);
    await pieces.next();
    const held = (await heldBytes()) - before;
    assert.equal(held > (64 * 1024 ** 2) / 2, isHeld, `${held} bytes`);
    await pieces.return?.(undefined);
  }
});
