// Goal: a place that was saved is found again, and a file that is anything else counts for nothing.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { createPlaceFile, type KeptPlace } from '../../../src/ship/carriers/place-file.js';
import { temporaryDirectory } from '../../journal/files/reading.js';

const end = { segment: 3, bytes: 4711, seq: 90, hash: 'c'.repeat(64) };
const place: KeptPlace = { journal: 'ab'.repeat(16), ...end, sinceMs: 12, reached: 95, aside: [91, 94] };

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
  // No instant is farther away than that, and a mail has a date.
  const farMs = 8.64e15 + 1;
  const bad: readonly (readonly [key: string, ...values: unknown[]])[] = [
    ['receiver', 'mail'],
    ['seq', -1, 2 ** 53],
    ['bytes', 1.5],
    ['hash', 'x'],
    ['sinceMs', 'x', farMs],
    ['segment', 1e300],
    ['dropped', { count: 1, fromMs: 1, toMs: farMs, seq: 1 }, { count: 1 }, 7],
    ['reached', -1],
    ['aside', [-1], Array.from({ length: bounds.noticesAside + 1 }, () => 1)],
    ['journal', 7],
  ];
  const objects = bad.flatMap(([key, ...values]) => values.map((value) => ({ ...kept, [key]: value })));
  for (const text of ['', '{', 'x'.repeat(100), ...[{}, ...objects].map((each) => JSON.stringify(each))]) {
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
