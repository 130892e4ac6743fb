// Goal: what is owed to owners is on disk as it was given, and a file that is not of us, of another journal or too long counts for nothing.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createOwnerFile } from '../../../src/adapters/notices/owner-file.js';
import { bounds } from '../../../src/bounds/bounds.js';
import type { OwnerPlan } from '../../../src/domain/records/report/owner-digest.js';
import { temporaryDirectory } from '../journal/reading.js';

const plan: OwnerPlan = {
  day: '2026-11-29',
  told: 4711,
  start: 4000,
  sinceMs: 0,
  owed: new Map([['bob@example.com', { from: 12, start: 1, tried: '2026-11-29', grants: ['G1'] }]]),
  held: new Map([['Q1', { untilMs: 1_764_144_000_000, start: 1 }]]),
};

void test('kept and read again; everything else counts for nothing', async (t) => {
  const directory = join(temporaryDirectory(t), 'state');
  mkdirSync(directory);
  const file = createOwnerFile(directory, 'owners', 'ab'.repeat(16));
  assert.equal(await file.load(), undefined);
  await file.save(plan);
  assert.deepEqual(await file.load(), plan);
  assert.equal(await createOwnerFile(directory, 'owners', 'cd'.repeat(16)).load(), 'foreign');
  const path = join(directory, 'owners-owners.json');
  const text = readFileSync(path, 'utf8');
  const wrong = [
    '',
    '-',
    text.replace('4711', '-1'),
    text.replace('"owners"', '"other"'),
    text.replace('"told"', '"x"'),
    text.replace('2026-11-29', 'today'),
    text.padEnd(bounds.ownerFileBytes + 1),
  ];
  for (const each of wrong) {
    writeFileSync(path, each);
    assert.equal(await file.load(), 'foreign', each.slice(0, 60));
  }
  writeFileSync(path, text);
  assert.deepEqual(await file.load(), plan);
});
