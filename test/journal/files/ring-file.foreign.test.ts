// What lies where the ring of the last run should be and is not that ring, or not all of it: nothing of it is taken, that is told, it
// is kept, and there is a new ring. DOVEGATE_ROUNDS=64 cuts it off at every byte.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { readRingHeader } from '../../../src/journal/files/ring.js';
import { createRing, dropRing, keepNote, readLeftRing } from '../../../src/journal/files/ring-file.js';
import { temporaryDirectory } from './reading.js';
import {
  copyOf,
  flipBit,
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
    const found = [left?.state, left?.lost, left?.unwritten({ seq: 0 })];
    assert.deepEqual(found, ['foreign', 'unknown', []], `${bytes}`);
    assert.match(left?.text ?? '', /it has \d+ bytes instead of 16384/);
  }
  truncateSync(run.path, 5000);
  assert.match(recover(run.directory, run.path).ring ?? '', /it has 5000 bytes/);
  const sizes = keptIn(run).map((name) => statSync(join(run.path, '..', name)).size);
  assert.deepEqual(sizes, [5000]);
});

type Place = ReturnType<typeof copyOf>;

const noteOf = ({ directory }: Place): string => join(directory, 'ring.json');
const noted = (change: Readonly<Record<string, unknown>>) => (at: Place) => setNote(at.directory, change);
const otherJournal = 'k'.repeat(32);

/** States of files in which nothing is taken. */
const strangers: Readonly<Record<string, readonly [why: RegExp, make: (at: Place) => void]>> = {
  'no file': [/ENOENT/, ({ path }) => rmSync(path)],
  'ring.json cut off': [/ring\.json is damaged/, (at) => truncateSync(noteOf(at), 40)],
  'ring.json empty': [/ring\.json is damaged/, (at) => truncateSync(noteOf(at), 0)],
  'another generation': [/of another run/, noted({ generation: '0123456789abcdef' })],
  'another boot': [/machine was started/, noted({ boot: 'b' })],
  'another size in ring.json': [/bytes instead of/, noted({ bytes: 8192 })],
  'another journal in ring.json': [/of another journal/, noted({ journal: otherJournal })],
  'the ring of another journal': [
    /of another journal/,
    (at) => {
      const own = readFileSync(noteOf(at));
      createRing(at.directory, at.path, ringBytes, otherJournal);
      writeFileSync(noteOf(at), own);
      // Ours, which that journal kept.
      for (const name of keptIn(at)) rmSync(join(at.path, '..', name));
    },
  ],
  'the ring of a later version': [
    /version 2/,
    ({ path }) => {
      const ring = readFileSync(path);
      ring.writeUInt32LE(2, 8);
      ring.writeUInt32LE(crc32(ring.subarray(0, 60)), 60);
      writeFileSync(path, ring);
    },
  ],
  'a symbolic link': [
    /symbolic link/,
    ({ path, directory }) => {
      renameSync(path, join(directory, '..', 'target'));
      symlinkSync(join(directory, '..', 'target'), path);
    },
  ],
  'readable by others': [/mode 0600/, ({ path }) => chmodSync(path, 0o644)],
  'a directory': [
    /not a plain file/,
    ({ path }) => {
      rmSync(path);
      mkdirSync(path);
    },
  ],
};

for (const [name, [why, make]] of Object.entries(strangers)) {
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
    const files = keptIn(at);
    assert.equal(files.length, name === 'no file' ? 0 : 1, 'what was there is not thrown away');
    if (held !== undefined) assert.deepEqual(readFileSync(target), held, 'nothing is written through a link');
    const next = recover(at.directory, at.path);
    assert.deepEqual([next.ring, next.recovered], [undefined, 0]);
  });
}

void test('a ring that another journal finds in its place is kept and told, and taken by a start of its own', (t) => {
  const run = makeKilled(t);
  const folder = join(run.path, '..');
  const { generation } = readRingHeader(readFileSync(run.path)) ?? assert.fail('no header');
  const left = `audit.ring.left-${generation.toString(16).padStart(16, '0')}`;
  const other = join(temporaryDirectory(t, 'memory'), 'audit');
  const found = recover(other, run.path);
  assert.deepEqual([found.recovered, found.ring], [0, undefined]);
  assert.equal(
    found.ringKept,
    `${run.path} is the ring of another journal (${journalId}): it is ${join(folder, left)} now, and a start of that journal takes its records from there`,
  );
  assert.deepEqual(readdirSync(folder).toSorted(), ['audit.ring', left]);
  const mine = recover(run.directory, run.path);
  assert.deepEqual([mine.recovered, mine.ring], [14, undefined]);
  assert.deepEqual(recordsIn(run.directory), run.bodies);
  // Now that of the other one is kept, and ours is gone.
  assert.match(mine.ringKept ?? '', /is the ring of another journal/);
  const [kept = '', ...more] = keptIn(run);
  assert.deepEqual([kept.startsWith('audit.ring.left-'), kept !== left, more], [true, true, []]);
});

void test('a ring that another journal has kept is judged as one in its place: damage is told, and kept', (t) => {
  const run = makeKilled(t);
  const folder = join(run.path, '..');
  recover(join(temporaryDirectory(t, 'memory'), 'audit'), run.path);
  const [name = ''] = keptIn(run);
  const ring = readFileSync(join(folder, name));
  flipBit(ring, 64 * 8);
  writeFileSync(join(folder, name), ring);
  const { recovered, ring: text } = recover(run.directory, run.path);
  assert.deepEqual([recovered, text], [14, `${join(folder, name)}: it is damaged; records that are lost: 0`]);
  assert.deepEqual(
    keptIn(run).map((each) => each.replace(/[0-9a-f]{16}$/, '')),
    ['audit.ring.damaged-', 'audit.ring.left-'],
  );
});

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

void test('a note that is not whole, or of another version, is damaged: where the ring lies is unknown', (t) => {
  const run = makeKilled(t);
  const note = readFileSync(join(run.directory, 'ring.json'), 'utf8');
  const { generation }: { generation: string } = JSON.parse(note);
  const others = [7, `0${generation}`, `${generation}0`, generation.replace(/.$/, 'g')];
  const changes: readonly Readonly<Record<string, unknown>>[] = [
    ...Object.entries({ version: 2, path: 7, bytes: '16384', journal: null, boot: true }),
    ...others.map((value) => ['generation', value] as const),
  ].map(([key, value]) => ({ [key]: value }));
  for (const change of changes) {
    setNote(run.directory, change);
    const left = readLeftRing(run.directory, journalId);
    const found = [left?.state, left?.lost, left?.text, left?.unwritten({ seq: 0 })];
    const text = 'ring.json is damaged: where the ring of records lies is unknown';
    assert.deepEqual(found, ['missing', 'unknown', text, []], JSON.stringify(change));
    const given = readLeftRing(run.directory, journalId, JSON.stringify({ ...JSON.parse(note), ...change }));
    assert.equal(given?.state, 'missing', JSON.stringify(change));
    writeFileSync(join(run.directory, 'ring.json'), note);
  }
  rmSync(join(run.directory, 'ring.json'));
  assert.equal(readLeftRing(run.directory, journalId, note.trimEnd())?.state, undefined);
});

void test('note and ring of another journal together are foreign; a ring that is gone is missing', (t) => {
  const run = makeKilled(t);
  createRing(run.directory, run.path, ringBytes, 'k'.repeat(32));
  const foreign = readLeftRing(run.directory, journalId);
  const text = `${run.path}: it is the ring of another journal`;
  assert.deepEqual([foreign?.state, foreign?.lost, foreign?.text], ['foreign', 'unknown', text]);
  assert.equal(readLeftRing(run.directory, 'k'.repeat(32))?.state, undefined);
  rmSync(run.path);
  const missing = readLeftRing(run.directory, 'k'.repeat(32));
  assert.deepEqual([missing?.state, missing?.lost], ['missing', 'unknown']);
});

void test('damage is kept at once, and stays known when a start was killed before it ended', (t) => {
  const run = makeKilled(t);
  const ring = readFileSync(run.path);
  ring.writeUInt8((ring[20] ?? 0) ^ 1, 20);
  writeFileSync(run.path, ring);
  const damaged = readLeftRing(run.directory, journalId);
  const text = `${run.path}: it is damaged; records that are lost: 0`;
  assert.deepEqual([damaged?.state, damaged?.lost, damaged?.text], ['damaged', 0, text]);
  assert.deepEqual(keptIn(run).length, 1);
  // The start had noted numbers, and repaired nothing; now the header is as it should be.
  ring.writeUInt8((ring[20] ?? 0) ^ 1, 20);
  writeFileSync(run.path, ring);
  const again = readLeftRing(run.directory, journalId);
  assert.deepEqual([again?.state, again?.lost, again?.text], ['damaged', 0, text]);
  again?.putAside();
  assert.deepEqual([existsSync(run.path), keptIn(run).length], [false, 1]);
  assert.equal(readLeftRing(run.directory, journalId), undefined);
});

void test('an intact ring that is put aside is removed, and only the ring that is meant is dropped', (t) => {
  const run = makeKilled(t);
  readLeftRing(run.directory, journalId)?.putAside();
  const left = readLeftRing(run.directory, journalId);
  assert.deepEqual([existsSync(run.path), keptIn(run), left], [false, [], undefined]);
  const identity = createRing(run.directory, run.path, ringBytes, journalId);
  dropRing(run.directory, run.path, { ...identity, generation: identity.generation ^ 1n });
  assert.deepEqual([existsSync(run.path), readLeftRing(run.directory, journalId)], [true, undefined]);
  keepNote(run.directory, run.path, identity);
  assert.equal(readLeftRing(run.directory, journalId)?.state, undefined);
  const note = readFileSync(join(run.directory, 'ring.json'), 'utf8');
  keepNote(run.directory, 'elsewhere', identity);
  assert.equal(readFileSync(join(run.directory, 'ring.json'), 'utf8'), note);
  dropRing(run.directory, run.path, identity);
  assert.deepEqual([existsSync(run.path), readLeftRing(run.directory, journalId)], [false, undefined]);
});

void test('of damaged rings the oldest go first, and other files beside them stay', (t) => {
  const run = makeKilled(t);
  const folder = join(run.path, '..');
  const aside = (name: string): string => `audit.ring.damaged-${name}`;
  const others = [aside('0123'), aside('x'.repeat(16)), `x${aside('0'.repeat(16))}`, aside('0'.repeat(17))];
  for (const name of others) writeFileSync(join(folder, name), '');
  for (let number = 0; number < 4; number += 1) {
    const name = join(folder, aside(`${9 - (number % 10)}`.repeat(16 - (number >> 3)).padEnd(16, 'f')));
    writeFileSync(name, String(number));
    utimesSync(name, 1000 + number, 1000 + number);
  }
  // One more name of an old ring of ours is no stranger's.
  writeFileSync(run.path, 'a stranger', { mode: 0o600 });
  createRing(run.directory, run.path, ringBytes, journalId);
  const kept = keptIn(run)
    .filter((name) => !others.includes(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  const expected = [...Array(4).keys()].slice(1).map(String);
  assert.deepEqual(kept.toSorted(), [...expected, 'a stranger'].toSorted());
  for (const name of others) assert.ok(existsSync(join(folder, name)), name);
});

void test('an old ring of this journal is replaced, unless the note is damaged or it has another name', (t) => {
  const run = makeKilled(t);
  createRing(run.directory, run.path, ringBytes, journalId);
  assert.deepEqual(keptIn(run), []);
  linkSync(run.path, join(run.directory, '..', 'link'));
  createRing(run.directory, run.path, ringBytes, 'k'.repeat(32));
  assert.deepEqual(keptIn(run), [], 'its other name keeps it');
  createRing(run.directory, run.path, ringBytes, journalId);
  assert.equal(keptIn(run).length, 1, 'of another journal');
  truncateSync(join(run.directory, 'ring.json'), 10);
  createRing(run.directory, run.path, ringBytes, journalId);
  assert.equal(keptIn(run).length, 2, 'the note is damaged');
});

void test('a ring of any size has all its bytes', (t) => {
  const run = makeKilled(t);
  for (const bytes of [ringBytes, (1 << 20) + 4096, (3 << 20) + 8]) {
    createRing(run.directory, run.path, bytes, journalId);
    const found = statSync(run.path);
    assert.deepEqual([found.size, found.blocks * 512 >= bytes], [bytes, true]);
  }
});
