// Reading a segment from any place on: while it is written, compressed, removed, damaged.
import assert from 'node:assert/strict';
import { appendFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import {
  openSegmentReader,
  type SegmentReader,
  segmentName,
} from '../../../src/adapters/journal/segments.js';
import { temporaryDirectory } from './reading.js';

const text = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251));

async function opened(t: TestContext, form: 'plain' | 'compressed', bytes: Buffer = text) {
  const directory = temporaryDirectory(t);
  const isCompressed = form === 'compressed';
  const name = segmentName(1);
  const path = join(directory, isCompressed ? `${name}.gz` : name);
  // In members, as the journal compresses.
  const members = [bytes.subarray(0, 100_000), bytes.subarray(100_000)].map((part) => gzipSync(part));
  writeFileSync(path, isCompressed ? Buffer.concat(members) : bytes);
  const reader = await openSegmentReader(directory, { number: 1, name, isCompressed });
  assert.ok(reader !== undefined);
  t.after(() => reader.close());
  return { directory, path, reader };
}

async function assertReads(reader: SegmentReader, at: number, bytes: number): Promise<void> {
  const got = await reader.read(at, bytes);
  assert.ok(got.equals(text.subarray(at, at + bytes)), `${bytes} bytes at ${at}: ${got.length} others`);
}

for (const form of ['plain', 'compressed'] as const) {
  void test(`${form}: so many bytes from there on, up to the end, also a second time and backwards`, async (t) => {
    const { reader } = await opened(t, form);
    for (const at of [0, 1, 65_536, 65_536, 99_999, 250_000, 299_999, 300_000, 400_000, 5, 150_000, 0]) {
      for (const bytes of [1, 65_536]) await assertReads(reader, at, bytes);
    }
  });

  void test(`${form}: a file that is gone is read on, and cannot be opened`, async (t) => {
    const { directory, path, reader } = await opened(t, form);
    await assertReads(reader, 0, 10);
    rmSync(path);
    await assertReads(reader, 200_000, 65_536);
    assert.equal(await openSegmentReader(directory, reader.segment), undefined);
  });
}

void test('plain: what is written later is read later, what was cut off is not there any more', async (t) => {
  const { path, reader } = await opened(t, 'plain', text.subarray(0, 100));
  assert.equal((await reader.read(90, 100)).length, 10);
  appendFileSync(path, text.subarray(100, 150));
  await assertReads(reader, 90, 60);
  truncateSync(path, 95);
  assert.equal((await reader.read(90, 100)).length, 5);
  assert.equal((await reader.read(120, 100)).length, 0);
});

void test('compressed: damage is told, by every read that meets it', async (t) => {
  const { path, reader } = await opened(t, 'compressed');
  await assertReads(reader, 0, 10);
  const directory = temporaryDirectory(t);
  const name = segmentName(2);
  writeFileSync(join(directory, `${name}.gz`), gzipSync(text).subarray(0, -20));
  const damaged = await openSegmentReader(directory, { number: 2, name, isCompressed: true });
  assert.ok(damaged !== undefined);
  t.after(() => damaged.close());
  await assert.rejects(damaged.read(0, 300_001), { code: 'Z_BUF_ERROR' });
  await assert.rejects(damaged.read(0, 300_001), { code: 'Z_BUF_ERROR' });
  assert.ok(path.endsWith('.gz'));
});
