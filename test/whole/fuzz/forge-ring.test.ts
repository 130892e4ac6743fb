// The file of the records in memory, and what leads to it, are changed after a crash: by damage anywhere, by other files in its place, and
// by files that somebody plants who can write to the audit directory. The next start adds nothing to the journal that the run before had
// not put there, nothing twice and nothing in another order; and it says so where something is missing (docs/security.md).
//
// Not tried: an older copy of the file, or checksums made anew. Who can write the file is root or the daemon's own user.
import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRing } from '../../../src/journal/files/ring-file.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import {
  checkpoint,
  kill,
  type Place,
  placeIn,
  plantRing,
  ringBytes,
  startRun,
  stop,
  verdictOf,
} from '../../journal/files/forged-run.js';
import { pick, type Random, randomInteger } from '../../kit/plain/chunkings.js';
import { forgedRecord, journalId, partsOf, pickEdits, play, type Round } from './forge-kit.js';
import { exchange, lastOf, linesIn, put } from './forge-truth.js';

const wallMs = Date.UTC(2026, 10, 2);

interface Scene {
  readonly random: Random;
  readonly place: Place;
}

function inRing({ place }: Scene, change: (bytes: Buffer) => Buffer): void {
  writeFileSync(place.ring, change(readFileSync(place.ring)), { mode: 0o600 });
}

/** Somewhere, mostly where records and the words of the header are. */
function somewhere(random: Random, bytes: Buffer): number {
  const most = pick(random, [192, 4096 + 2000, bytes.length]);
  return randomInteger(random, 0, Math.min(most, bytes.length) - 1);
}

function forged({ random, place }: Scene): JournalRecord[] {
  return Array.from({ length: randomInteger(random, 1, 3) }, () =>
    forgedRecord(random, lastOf(place.directory)),
  );
}

function inNote({ place }: Scene, change: (text: string) => string): void {
  const path = join(place.directory, 'ring.json');
  writeFileSync(path, change(readFileSync(path, 'utf8')), { mode: 0o600 });
}

const edits: Readonly<Record<string, (scene: Scene) => void>> = {
  'bits flipped': (scene) =>
    inRing(scene, (bytes) => {
      for (let count = randomInteger(scene.random, 1, 3); count > 0; count -= 1) {
        const at = somewhere(scene.random, bytes);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << randomInteger(scene.random, 0, 7));
      }
      return bytes;
    }),
  'stretch filled': (scene) =>
    inRing(scene, (bytes) => {
      const at = somewhere(scene.random, bytes);
      return bytes.fill(pick(scene.random, [0, 0xff]), at, Math.min(bytes.length, at + 40));
    }),
  'stretch copied': (scene) =>
    inRing(scene, (bytes) => {
      const from = 4096 + 8 * randomInteger(scene.random, 0, 250);
      const to = 4096 + 8 * randomInteger(scene.random, 0, 250);
      return bytes.copyWithin(to, from, from + 8 * randomInteger(scene.random, 1, 100));
    }),
  'end of the file removed': (scene) =>
    inRing(scene, (bytes) => bytes.subarray(0, randomInteger(scene.random, 0, bytes.length))),
  'bytes behind the file': (scene) => inRing(scene, (bytes) => Buffer.concat([bytes, Buffer.alloc(8)])),
  'file removed': ({ place }) => rmSync(place.ring),
  'link in its place': ({ place }) => {
    renameSync(place.ring, join(place.elsewhere, 'moved'));
    symlinkSync(join(place.elsewhere, 'moved'), place.ring);
  },
  'directory in its place': ({ place }) => {
    rmSync(place.ring);
    mkdirSync(place.ring);
  },
  'readable for others': ({ place }) => chmodSync(place.ring, 0o644),
  'empty file in its place': ({ place }) => writeFileSync(place.ring, '', { mode: 0o600 }),
  'ring of another run in its place': (scene) => {
    plantRing({ ...scene.place, directory: scene.place.elsewhere }, scene.place.ring, forged(scene));
  },
  'ring of another journal in its place': ({ place }) => {
    createRing(place.elsewhere, place.ring, ringBytes, 'cd'.repeat(16));
  },
  'ring planted': (scene) => plantRing(scene.place, join(scene.place.elsewhere, 'ring'), forged(scene)),
  'note removed': ({ place }) => rmSync(join(place.directory, 'ring.json')),
  'note damaged': (scene) =>
    inNote(scene, (text) => text.slice(0, randomInteger(scene.random, 0, text.length - 2))),
  'note of another run': (scene) => inNote(scene, (text) => text.replace(/"generation":"..../, '$&0')),
  'note of another journal': (scene) => inNote(scene, (text) => text.replace(journalId, 'cd'.repeat(16))),
  'copy beside it': ({ place }) => copyFileSync(place.ring, `${place.ring}.new`),
};
const names = Object.keys(edits);

/** What the run before left in memory alone. */
function makeRecords(random: Random): JournalRecord[] {
  return Array.from({ length: randomInteger(random, 1, 12) }, (_, at) => {
    const named = { session: 'S', id: `M${at}`, listener: 'support', principal: 'bob@support' };
    const text = 'x'.repeat(randomInteger(random, 0, 300));
    return pick<JournalRecord>(random, [
      { time: wallMs, event: 'admission', ...named, command: 'quota get', decision: 'allow', effect: 'read' },
      { time: wallMs, event: 'completion', ...named, outcome: 'ok' },
      { time: wallMs, event: 'log', id: `M${at}`, text },
    ]);
  });
}

const ofStart = new Set(['start', 'checkpoint', 'clock']);

async function attack({ random, folder, edits: done }: Round): Promise<string> {
  const place = placeIn(folder);
  const run = startRun(place, { wallMs, hasRing: true });
  for (let count = randomInteger(random, 0, 5); count > 0; count -= 1)
    put(run, exchange(random, `E${count}`, wallMs));
  if (random() < 0.5) checkpoint(run, wallMs);
  const records = makeRecords(random);
  run.publish(...records);
  kill(run);
  const before = linesIn(place.directory);
  const chosen = random() < 0.05 ? [] : pickEdits(random, names);
  let isChanged = false;
  for (const name of chosen) {
    try {
      edits[name]?.({ random, place });
      isChanged = true;
      done.push(name);
    } catch {
      // An edit before it took the file away.
    }
  }
  const next = startRun(place, { wallMs: wallMs + 60_000, hasRing: random() < 0.5 });
  put(next, exchange(random, 'LATER', wallMs + 60_000));
  stop(next, wallMs + 60_000);
  const lines = linesIn(place.directory);
  assert.deepEqual(lines.slice(0, before.length), before, 'records that were on disk are others');
  const startAt = lines.findIndex(({ event }, at) => at >= before.length && event === 'start');
  const bodies = records.map((record) => encodeBody(record));
  let left = bodies;
  for (const { text, event } of lines.slice(before.length, startAt)) {
    const body = partsOf(text)?.body ?? '';
    const at = left.indexOf(body);
    if (at >= 0) left = left.slice(at + 1);
    else {
      const isOwn = ofStart.has(event) || (event === 'completion' && text.includes('"outcome":"unknown"'));
      assert.ok(isOwn && !text.includes('FORGED'), `not of the run before, twice, or too late: ${text}`);
    }
  }
  const found = new Set(lines.map(({ text }) => partsOf(text)?.body));
  const isMissing = bodies.some((body) => !found.has(body));
  assert.ok(!isMissing || isChanged, 'records of an unchanged file are missing');
  const { faults, forgotten } = await verdictOf(place, place.state);
  assert.deepEqual(faults, []);
  const { ring } = JSON.parse(lines[startAt]?.text ?? '{}');
  assert.equal(forgotten.length > 0, ring !== undefined, 'verify and the start do not say the same');
  assert.ok(!isMissing || ring !== undefined, 'records are missing, and the start does not say so');
  return `${isMissing ? 'missing' : 'whole'}, ${ring ?? 'in order'}`;
}

void test('a start adds no record of a changed memory that was not there, and says what is missing', (t) =>
  play(t, 'ring', 40, attack));
