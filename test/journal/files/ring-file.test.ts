// The ring of a run that was killed, at the next start: what was published and is not in the journal yet is taken, in order, once;
// damage is told, and the damaged file is kept; a start never fails for it. The full figures (all 131,072 flips of a bit, the start
// after each): DOVEGATE_ROUNDS=64.

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
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
import { findTail } from '../../../src/journal/files/recover.js';
import { readRingHeader, ringHeaderBytes } from '../../../src/journal/files/ring.js';
import {
  createRing,
  dropRing,
  forgetRing,
  keepNote,
  readLeftRing,
} from '../../../src/journal/files/ring-file.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';
import { temporaryDirectory } from './reading.js';
import {
  copyOf,
  flipBit,
  journalId,
  keptIn,
  killedAt,
  lastStart,
  makeKilled,
  makeRun,
  type Run,
  recordsIn,
  recover,
  ringBytes,
  setNote,
} from './ring-run.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

void test('a ring is a file of ours with every page, whole or not there', (t) => {
  const run = makeRun(t);
  const identity = createRing(run.directory, run.path, ringBytes, journalId);
  const { size, mode, blocks } = lstatSync(run.path);
  assert.deepEqual([size, mode & 0o7777, blocks * 512], [ringBytes, 0o600, ringBytes]);
  assert.deepEqual(readRingHeader(readFileSync(run.path)), { version: 1, ...identity });
  const other = createRing(run.directory, run.path, ringBytes, journalId);
  assert.notEqual(other.generation, identity.generation);
  assert.deepEqual(readdirSync(join(run.path, '..')), ['audit.ring']);
  const left = readLeftRing(run.directory, journalId);
  const found = [left?.state, left?.lost, left?.text, left?.unwritten({ seq: 1 })];
  assert.deepEqual(found, [undefined, undefined, undefined, []]);
  forgetRing(run.directory);
  assert.equal(readLeftRing(run.directory, journalId), undefined);
  forgetRing(run.directory);
});

void test('where no ring can be made, the text says where and why, and nothing is left behind', (t) => {
  const run = makeRun(t);
  const folder = join(run.path, '..');
  const refused = (path: string, why: RegExp): void => {
    assert.throws(() => createRing(run.directory, path, ringBytes, journalId), why);
    assert.equal(readLeftRing(run.directory, journalId), undefined);
  };
  const none = join(folder, 'none', 'audit.ring');
  refused(none, /^Error: audit\.memory: .*\/none\/audit\.ring cannot be made: ENOENT/);
  refused(join(run.path, 'audit.ring'), /ENOTDIR|ENOENT/);
  mkdirSync(`${run.path}.new`);
  refused(run.path, /cannot be made/);
  rmSync(`${run.path}.new`, { recursive: true });
  // A volume of Kubernetes: who may write there can take the file away, which is told, but can put nothing into it.
  chmodSync(folder, 0o777);
  createRing(run.directory, run.path, ringBytes, journalId);
  chmodSync(folder, 0o700);
  // What a creation that was killed left is no hindrance, also where it is a link.
  symlinkSync(join(run.directory, 'ring.json'), `${run.path}.new`);
  createRing(run.directory, run.path, ringBytes, journalId);
  assert.equal(readLeftRing(run.directory, journalId)?.state, undefined);
});

void test('a full tmpfs: there is no ring, and no half of one that takes its room', async (t) => {
  const run = makeRun(t);
  const isThere = await withSmallDisk('tmpfs', async (place) => {
    const path = join(place, 'audit.ring');
    const made = () => createRing(run.directory, path, 4 << 20, journalId);
    assert.throws(made, /audit\.ring cannot be made: ENOSPC/);
    assert.deepEqual(readdirSync(place), []);
    createRing(run.directory, path, 1 << 20, journalId);
    await Promise.resolve();
  });
  if (!isThere) t.skip('no tmpfs can be mounted here (needs root)');
});

void test('what lies in the place of a new ring and is no old one of this journal is kept', (t) => {
  const run = makeRun(t);
  forgetRing(run.directory);
  writeFileSync(run.path, 'a key', { mode: 0o600 });
  createRing(run.directory, run.path, ringBytes, journalId);
  const target = join(run.directory, '..', 'target');
  writeFileSync(target, 'another');
  forgetRing(run.directory);
  rmSync(run.path);
  symlinkSync(target, run.path);
  createRing(run.directory, run.path, ringBytes, journalId);
  assert.equal(readFileSync(target, 'utf8'), 'another');
  createRing(run.directory, run.path, ringBytes, 'k'.repeat(32));
  assert.equal(keptIn(run).length, 3);
  assert.ok(keptIn(run).some((name) => readFileSync(join(run.path, '..', name), 'utf8') === 'a key'));
});

void test('what was published and has no line is taken, in order; a second start takes nothing', (t) => {
  const run = makeKilled(t);
  const { recovered, ring } = recover(run.directory, run.path);
  assert.deepEqual([recovered, ring], [14, undefined]);
  const { recovered: told, ring: state, lost } = lastStart(run.directory);
  assert.deepEqual([told, state, lost], [14, undefined, undefined]);
  assert.deepEqual(recordsIn(run.directory), run.bodies);
  assert.equal(recover(run.directory, run.path).recovered, 0);
  assert.deepEqual(keptIn(run), []);
});

void test('a consumer that is killed after any of its steps: each record has one line', (t) => {
  const steps: ((run: Run) => void)[] = [];
  for (let count = 0; count <= 12; count += rounds < 64 ? 3 : 1) {
    // C2 of some; C3, ended within a line or at its end; a rotation in between; C5; and all of it again after a failed write.
    steps.push((run) => void run.stamp(count));
    for (const part of [0.01, 0.3, 0.5, 0.77, 0.999, 1])
      steps.push((run) => {
        const lines = run.stamp(count);
        run.append(lines.slice(0, lines.length * part));
      });
    steps.push((run) => {
      run.append(run.stamp(count));
      run.rotate();
      run.append(run.stamp(6).slice(0, -30));
    });
    steps.push((run) => run.consume(count));
    for (const part of [0, 0.6, 1])
      steps.push((run) => {
        const lines = run.stampAgain(9, count);
        run.append(lines.slice(0, lines.length * part));
      });
  }
  for (const [at, step] of steps.entries()) {
    const run = makeRun(t);
    run.publish(20);
    run.consume(15);
    run.publish(12);
    step(run);
    run.kill();
    recover(run.directory, run.path);
    assert.deepEqual(recordsIn(run.directory), run.bodies, `step ${at}`);
  }
});

void test('a start that is killed where `state` knows the ring of the run before: nothing is called lost', (t) => {
  const run = makeKilled(t);
  const { directory, path } = copyOf(t, run);
  recover(directory, path);
  const place = join(directory, '..');
  const before = join(run.directory, '..', 'before');
  cpSync(place, before, { recursive: true });
  let isOver = false;
  for (let at = 0; !isOver; at += 1) {
    rmSync(place, { recursive: true });
    cpSync(before, place, { recursive: true });
    isOver = !killedAt(at, false, () => void recover(directory, path));
    assert.deepEqual([recover(directory, path).ring, keptIn({ path })], [undefined, []], `step ${at}`);
  }
});

/** Where the frame of a record begins. */
function placeOf(ring: Buffer, number: number): number {
  const at = ring.lastIndexOf('"time":', ring.indexOf(`"id":"E${number}"`));
  assert.ok(at > ringHeaderBytes);
  return at - 32;
}

/** Ways to spoil what a run left: each changes its ring, and returns the records that are lost by it. */
type Spoil = (ring: Buffer, run: ReturnType<typeof makeKilled>) => readonly number[] | void;
const damages: Readonly<Record<string, Spoil>> = {
  'no damage': () => undefined,
  'all numbers damaged': (ring, run) => {
    for (let number = run.known - 8; number < run.bodies.length; number += 1)
      flipBit(ring, (placeOf(ring, number) + 17) * 8 + 2);
  },
  'both words gone': (ring) => void ring.fill(0, 64, 136),
  'the header gone': (ring) => void ring.fill(0x20, 0, ringHeaderBytes),
  'two records damaged': (ring, run) => {
    const lost = [run.known + 3, run.known + 9];
    for (const number of lost) flipBit(ring, (placeOf(ring, number) + 60) * 8);
    return lost;
  },
};

for (const [name, spoil] of Object.entries(damages)) {
  void test(`a start that is killed at each of its steps, and the next one too: each record has one line (${name})`, (t) => {
    const run = makeKilled(t);
    const ring = readFileSync(run.path);
    const lost = spoil(ring, run) ?? [];
    writeFileSync(run.path, ring);
    const bodies = run.bodies.filter((_, number) => !lost.includes(number));
    let steps = 0;
    for (const isHalf of [false, true]) {
      for (let at = 0, isOver = false; !isOver; at += rounds < 64 ? 7 : 1) {
        const { directory, folder, path } = copyOf(t, run);
        isOver = !killedAt(at, isHalf, () => void recover(directory, path));
        killedAt((at * 7) % 130, !isHalf, () => void recover(directory, path));
        const { ring: told } = recover(directory, path);
        const label = `${name}, ${isHalf ? 'half of ' : ''}step ${at}`;
        assert.deepEqual(recordsIn(directory), bodies, label);
        // It is told until it is kept.
        const kept = readdirSync(folder).filter((file) => file.includes('.damaged-'));
        const isDamaged = name !== 'no damage';
        assert.equal(kept.length, isDamaged ? 1 : 0, label);
        if (isDamaged) assert.equal(statSync(join(folder, kept[0] ?? '')).mode & 0o7777, 0o600);
        assert.ok(told === undefined || isDamaged, label);
        assert.deepEqual(readdirSync(folder).length, 1 + kept.length, label);
        rmSync(join(directory, '..'), { recursive: true });
        steps += 1;
      }
    }
    t.diagnostic(`${steps} steps`);
  });
}

void test('each flipped bit of a ring: no wrong record, none twice, all others in order, damage told and kept', (t) => {
  const run = makeKilled(t);
  const ring = readFileSync(run.path);
  const tail = findTail(run.directory);
  const expected = run.bodies.slice(run.known);
  const stepBits = rounds >= 64 ? 1 : Math.floor(576 / rounds);
  let [flips, told, lostOnes] = [0, 0, 0];
  const stepAt = (bit: number): number =>
    bit < 192 * 8 ? 1 : stepBits + (bit % 3 === 0 && stepBits > 1 ? 1 : 0);
  for (let bit = 0; bit < ringBytes * 8; bit += stepAt(bit)) {
    flipBit(ring, bit);
    writeFileSync(run.path, ring, { mode: 0o600 });
    flipBit(ring, bit);
    const found = readLeftRing(run.directory, journalId);
    assert.ok(found !== undefined);
    const taken = found.unwritten(tail).map(({ body }) => body.toString());
    const missing = expected.length - taken.length;
    for (const name of keptIn(run)) rmSync(join(run.path, '..', name));
    flips += 1;
    told += found.state === undefined ? 0 : 1;
    lostOnes += missing;
    // Nothing but published records without a line, in their order: at most the one with the bit is missing, and then it is told.
    assert.ok(missing === 0 || missing === 1, `bit ${bit}`);
    const gap = taken.findIndex((body, index) => body !== expected[index]);
    const left = missing === 0 ? expected : expected.toSpliced(gap < 0 ? taken.length : gap, 1);
    assert.deepEqual(taken, left, `bit ${bit}`);
    assert.ok(missing === 0 || (found.state === 'damaged' && found.lost === 1), `bit ${bit}: ${found.text}`);
    const isChecked = bit < 64 * 8 || bit >> 6 === 8 || bit >> 6 === 16;
    if (isChecked) assert.deepEqual([found.state, found.lost], ['damaged', 0], `bit ${bit}`);
  }
  assert.ok(told > flips / 10 && lostOnes > 0);
  t.diagnostic(`${flips} flips: ${told} told, ${lostOnes} records lost`);
});

void test('a ring at another path than before is taken from where it was, and removed there', (t) => {
  const run = makeKilled(t);
  const path = join(run.path, '..', 'other.ring');
  assert.equal(recover(run.directory, path).recovered, 14);
  assert.deepEqual(recordsIn(run.directory), run.bodies);
  assert.deepEqual(readdirSync(join(path, '..')), ['other.ring']);
});

void test('a record whose line was compressed or removed counts as written', (t) => {
  const run = makeRun(t);
  run.publish(6);
  run.append(run.stamp(3));
  run.rotate();
  run.append(run.stamp(2));
  run.kill();
  rmSync(join(run.directory, '00000001.jsonl'));
  const left = readLeftRing(run.directory, journalId);
  const taken = left?.unwritten(findTail(run.directory)).map(({ body }) => body.toString());
  assert.deepEqual(taken, run.bodies.slice(5));
});

void test('a record whose number was skipped, because the journal was cut off, is taken', (t) => {
  const run = makeRun(t);
  run.publish(6);
  run.append(run.stamp(2));
  // Lines 4 to 6 are lost with what was cut off, and a start that was killed went on with 7.
  run.stamp(3);
  run.write(encodeBody({ time: 3, event: 'clock', step_ms: 5 }));
  run.kill();
  const left = readLeftRing(run.directory, journalId);
  const taken = left?.unwritten({ seq: 7 }).map(({ body }) => body.toString());
  assert.deepEqual(taken, run.bodies.slice(2));
});

void test('of equal records, each line answers for one', (t) => {
  const run = makeRun(t);
  run.bodies.push('"time":"2023-11-14T22:13:20.000Z","event":"log","text":"once more"');
  for (let count = 0; count < 5; count += 1) assert.ok(run.writer.publish([run.bodies[0] ?? ''], 8192));
  run.append(run.stamp(3));
  const numbers = new BigUint64Array(run.memory);
  // The numbers of the second and the third are gone.
  for (const { position, seq } of run.reader.readAll().frames)
    if (seq === 3 || seq === 4) numbers[(ringHeaderBytes + position + 16) / 8] = 0x77n;
  run.kill();
  const left = readLeftRing(run.directory, journalId);
  assert.equal(left?.unwritten(findTail(run.directory)).length, 2);
  assert.deepEqual([left?.state, left?.lost], ['damaged', 0]);
});

// What lies where the ring of the last run should be and is not that ring, or not all of it: nothing of it is taken, that is told, it
// is kept, and there is a new ring. DOVEGATE_ROUNDS=64 cuts it off at every byte.

void test('a ring that is cut off at any byte, or longer, is told and set aside', (t) => {
  const run = makeKilled(t);
  const ring = readFileSync(run.path);
  const step = rounds >= 64 ? 1 : 253;
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
  const other = join(temporaryDirectory(t), 'audit');
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
  recover(join(temporaryDirectory(t), 'audit'), run.path);
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
