// Goal: a place that was saved is found again, and a file that is anything else counts for nothing.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { createPlaceFile, type KeptPlace } from '../../../src/ship/carriers/place-file.js';
import { temporaryDirectory } from '../../journal/files/reading.js';

const place: KeptPlace = {
  journal: 'ab'.repeat(16),
  segment: 3,
  bytes: 4711,
  seq: 90,
  hash: 'c'.repeat(64),
  sinceMs: 12,
  reached: 95,
  aside: [91, 94],
};

void test('a place, with what was dropped, is found again', async (t) => {
  const directory = join(temporaryDirectory(t), 'state');
  const file = createPlaceFile(directory, 'chat');
  assert.equal(await file.load(), undefined);
  await file.save(place);
  assert.deepEqual(await file.load(), place);
  const dropped = { count: 3, fromMs: 1, toMs: 2, seq: 80 };
  const next = { ...place, segment: -1, seq: 0, bytes: 0, hash: '', dropped };
  await file.save(next);
  assert.deepEqual(await createPlaceFile(directory, 'chat').load(), next);
  assert.deepEqual(readdirSync(directory), ['notices-chat.json']);
  assert.equal(await createPlaceFile(directory, 'other').load(), undefined);
});

void test('what is not of us counts for nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'notices-chat.json');
  const file = createPlaceFile(directory, 'chat');
  const kept = { receiver: 'chat', ...place };
  const bad: object[] = [
    {},
    { ...kept, receiver: 'mail' },
    { ...kept, seq: -1 },
    { ...kept, bytes: 1.5 },
    { ...kept, hash: 'x' },
    { ...kept, sinceMs: 'x' },
    // No instant is that far away, and a mail has a date.
    { ...kept, sinceMs: 8.64e15 + 1 },
    { ...kept, segment: 1e300 },
    { ...kept, seq: 2 ** 53 },
    { ...kept, dropped: { count: 1, fromMs: 1, toMs: 8.64e15 + 1, seq: 1 } },
    { ...kept, dropped: { count: 1 } },
    { ...kept, dropped: 7 },
    { ...kept, reached: -1 },
    { ...kept, aside: [-1] },
    { ...kept, aside: Array.from({ length: bounds.noticesAside + 1 }, () => 1) },
    { ...kept, journal: 7 },
  ];
  for (const text of ['', '{', 'x'.repeat(100), ...bad.map((each) => JSON.stringify(each))]) {
    writeFileSync(path, text);
    assert.equal(await file.load(), 'foreign', text);
  }
  rmSync(path);
  writeFileSync(join(directory, 'elsewhere'), JSON.stringify(kept));
  symlinkSync('elsewhere', path);
  assert.equal(await file.load(), 'foreign');
  rmSync(path);
  mkdirSync(path);
  assert.equal(await file.load(), 'foreign');
});
