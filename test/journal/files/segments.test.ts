// What starts put aside has a limit, and goes with its segment.

import assert from 'node:assert/strict';
import { appendFileSync, cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openSegmentReader, type SegmentReader, segmentName } from '../../../src/journal/files/segments.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { until } from '../../kit/plain/until.js';
import { admission, fillSegments, keepAll, openFor } from './opening.js';
import { readWhole, segmentFiles, temporaryDirectory } from './reading.js';

const memory = { path: undefined, bytes: 1 << 20 };
const first = '00000001.jsonl';

void test('of one segment so many torn ends are kept; of more, length and hash', async (t) => {
  const directory = temporaryDirectory(t);
  const running = join(directory, 'running');
  const crashed = join(directory, 'crashed');
  const { journal } = await openFor(t, running, { memory });
  await journal.appendDurable(admission('A'));
  cpSync(running, crashed, { recursive: true });
  appendFileSync(join(crashed, first), '{"seq":torn');
  for (let count = 1; count <= 16; count += 1)
    writeFileSync(join(crashed, `${first}.torn${count === 1 ? '' : `-${count}`}`), `${count}`);
  const again = await openFor(t, crashed, { memory });
  await again.journal.close();
  await journal.close();
  const torn = readWhole(crashed).filter(({ event }) => event === 'start')[1]?.['torn'];
  assert.ok(typeof torn === 'object' && torn !== null && 'file' in torn && 'bytes' in torn);
  assert.deepEqual([torn.file, torn.bytes], ['', 11]);
  assert.equal(readdirSync(crashed).filter((file) => file.includes('.torn')).length, 16);
});

void test('what was put aside of a segment goes with it', async (t) => {
  const directory = temporaryDirectory(t);
  let limits = keepAll;
  const more = { segmentBytes: 8192, signKey: makeSignKey().secretPem, limits: () => limits };
  const watched = await openFor(t, directory, { ...more, tendIntervalMs: 20 });
  const { journal, events } = watched;
  const rounds = (): number => events.filter(({ kind }) => kind === 'tended').length;
  await fillSegments(watched, directory, 4);
  const last = segmentFiles(directory).at(-1) ?? '';
  for (const name of [`${first}.torn`, `${first}.gz.appended-2`, `${last}.torn-3`, 'other.torn'])
    writeFileSync(join(directory, name), 'x');
  // A round that had listed the directory before would retire the segment without them.
  const before = rounds();
  await until(() => rounds() >= before + 2, 'a round that saw them');
  limits = { ...keepAll, sizeMax: { bytes: 1 } };
  await until(() => segmentFiles(directory).length === 1, 'only the last segment is left');
  await journal.close();
  const left = readdirSync(directory).filter((file) => /torn|appended/.test(file));
  assert.deepEqual(left.toSorted(), [`${last}.torn-3`, 'other.torn'].toSorted());
});

// Reading a segment from any place on: while it is written, compressed, removed, damaged.

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
