// What lies where the ring of the last run should be and is not that ring, or not all of it: nothing of it is taken, that is told, it
// is kept, and there is a new ring. DOVEGATE_ROUNDS=64 cuts it off at every byte.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { createRing, readLeftRing } from '../../../src/adapters/journal/ring-file.js';
import {
  copyOf,
  journalId,
  keptIn,
  lastStart,
  makeKilled,
  recordsIn,
  recover,
  ringBytes,
  setNote,
} from './ring-run.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

void test('a ring that is cut off at any byte, or longer, is told and set aside', (t) => {
  const run = makeKilled(t);
  const ring = readFileSync(run.path);
  const step = rounds >= 64 ? 1 : 61;
  for (let bytes = 0; bytes < ringBytes + 2 * step; bytes += step) {
    writeFileSync(run.path, ring);
    truncateSync(run.path, bytes);
    const left = readLeftRing(run.directory, journalId);
    if (bytes === ringBytes) continue;
    assert.deepEqual(
      [left?.state, left?.lost, left?.unwritten({ seq: 0 })],
      ['foreign', 'unknown', []],
      `${bytes}`,
    );
    assert.match(left?.text ?? '', /it has \d+ bytes instead of 16384/);
  }
  truncateSync(run.path, 5000);
  assert.match(recover(run.directory, run.path).ring ?? '', /it has 5000 bytes/);
  assert.deepEqual(
    keptIn(run).map((name) => statSync(join(run.path, '..', name)).size),
    [5000],
  );
});

type Place = ReturnType<typeof copyOf>;

/** States of files in which nothing is taken; `kept`: what was there is not thrown away. */
const strangers: Readonly<
  Record<string, { readonly why: RegExp; readonly kept: number; readonly make: (at: Place) => void }>
> = {
  'no file': { why: /ENOENT/, kept: 0, make: ({ path }) => rmSync(path) },
  'ring.json cut off': {
    why: /ring\.json is damaged/,
    kept: 1,
    make: ({ directory }) => truncateSync(join(directory, 'ring.json'), 40),
  },
  'ring.json empty': {
    why: /ring\.json is damaged/,
    kept: 1,
    make: ({ directory }) => truncateSync(join(directory, 'ring.json'), 0),
  },
  'another generation': {
    why: /of another run/,
    kept: 1,
    make: ({ directory }) => setNote(directory, { generation: '0123456789abcdef' }),
  },
  'another boot': {
    why: /machine was started/,
    kept: 1,
    make: ({ directory }) => setNote(directory, { boot: 'b' }),
  },
  'another size in ring.json': {
    why: /bytes instead of/,
    kept: 1,
    make: ({ directory }) => setNote(directory, { bytes: 8192 }),
  },
  'another journal in ring.json': {
    why: /of another journal/,
    kept: 1,
    make: ({ directory }) => setNote(directory, { journal: 'k'.repeat(32) }),
  },
  'the ring of another journal': {
    why: /of another journal/,
    // And ours, which that journal put aside.
    kept: 2,
    make: ({ directory, path }) => {
      const note = readFileSync(join(directory, 'ring.json'));
      createRing(directory, path, ringBytes, 'k'.repeat(32));
      writeFileSync(join(directory, 'ring.json'), note);
    },
  },
  'the ring of a later version': {
    why: /version 2/,
    kept: 1,
    make: ({ path }) => {
      const ring = readFileSync(path);
      ring.writeUInt32LE(2, 8);
      ring.writeUInt32LE(crc32(ring.subarray(0, 60)), 60);
      writeFileSync(path, ring);
    },
  },
  'a symbolic link': {
    why: /symbolic link/,
    kept: 1,
    make: ({ path, directory }) => {
      renameSync(path, join(directory, '..', 'target'));
      symlinkSync(join(directory, '..', 'target'), path);
    },
  },
  'readable by others': { why: /mode 0600/, kept: 1, make: ({ path }) => chmodSync(path, 0o644) },
  'a directory': {
    why: /not a plain file/,
    kept: 1,
    make: ({ path }) => {
      rmSync(path);
      mkdirSync(path);
    },
  },
};

for (const [name, { why, kept, make }] of Object.entries(strangers)) {
  void test(`nothing is taken, and that is told, with ${name}; then there is a new ring`, (t) => {
    const run = makeKilled(t);
    const before = recordsIn(run.directory);
    const at = copyOf(t, run);
    make(at);
    const target = join(at.directory, '..', 'target');
    const held = existsSync(target) ? readFileSync(target) : undefined;
    const { recovered, ring } = recover(at.directory, at.path);
    assert.match(ring ?? '', why);
    assert.equal(lastStart(at.directory)['lost'], 'unknown');
    assert.equal(recovered, 0);
    assert.deepEqual(recordsIn(at.directory), before);
    const files = readdirSync(at.folder).filter((file) => file.includes('.damaged-'));
    assert.equal(files.length, kept, String(files));
    if (held !== undefined) assert.deepEqual(readFileSync(target), held, 'nothing is written through a link');
    const next = recover(at.directory, at.path);
    assert.deepEqual([next.ring, next.recovered], [undefined, 0]);
  });
}

void test('without ring.json there was no ring, and nothing is told', (t) => {
  const run = makeKilled(t);
  rmSync(join(run.directory, 'ring.json'));
  assert.equal(readLeftRing(run.directory, journalId), undefined);
});

void test('a file of another user is not taken and not written to', {
  skip: process.geteuid?.() !== 0,
}, (t) => {
  const run = makeKilled(t);
  const ring = readFileSync(run.path);
  chownSync(run.path, 65_534, 65_534);
  recover(run.directory, run.path);
  assert.equal(lastStart(run.directory)['ring'], 'foreign');
  const [name = ''] = keptIn(run);
  const kept = join(run.path, '..', name);
  assert.deepEqual([readFileSync(kept), statSync(kept).uid], [ring, 65_534]);
});
