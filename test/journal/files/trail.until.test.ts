// The files that may hold records before a time: few of a journal whose segments tell their earliest time, and never one too few, wherever
// the clock was set.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readTrail } from '../../../src/evidence/reading/read-trail.js';
import { createSearch } from '../../../src/evidence/trail/search.js';
import { filesUntil } from '../../../src/journal/files/read-back.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import { admission, completion, openWatched } from './opening.js';
import { readWhole, segmentFiles, temporaryDirectory } from './reading.js';

const minute = 60_000;
const startMs = Date.UTC(2026, 10, 20);
const fileOf = (number: number): string => `${String(number).padStart(8, '0')}.jsonl`;

/**
 * A journal of segments with an admission at each of the minutes, and the completion of the fifth one before it; every third segment is
 * compressed. `isOlder`: as a release wrote it whose segments do not tell their earliest time. Returns the text of all.
 */
function write(directory: string, segments: readonly (readonly number[])[], isOlder = false): Buffer {
  const ledger = new Ledger('dovegate 1', undefined, 'J');
  const lines: string[] = [];
  let before = 0;
  let count = 0;
  for (const [at, minutes] of segments.entries()) {
    const own: string[] = [];
    if (at > 0) {
      const { earliest, ...place } = ledger.beginSegment(fileOf(at));
      const first = { ...ledger.checkpoint(startMs + before * minute), ...place };
      own.push(ledger.sealSigned(isOlder ? first : { ...first, earliest }));
    }
    for (const now of minutes) {
      const time = startMs + now * minute;
      if (now < before || now > before + 1)
        own.push(ledger.seal(encodeBody({ time, event: 'clock', step_ms: (now - before - 1) * minute })));
      own.push(ledger.seal(encodeBody({ ...admission(`E${count}`), time })));
      if (count > 4) own.push(ledger.seal(encodeBody({ ...completion(`E${count - 5}`), time })));
      before = now;
      count += 1;
    }
    const path = join(directory, fileOf(at + 1));
    if (at % 3 === 1) writeFileSync(`${path}.gz`, gzipSync(own.join('')));
    else writeFileSync(path, own.join(''));
    lines.push(...own);
  }
  return Buffer.from(lines.join(''));
}

/** So many segments of ten minutes each. */
const steady = (count: number): number[][] =>
  Array.from({ length: count }, (_, at) => Array.from({ length: 10 }, (__, n) => at * 10 + n));

/** Numbers of the files that may hold records before a minute. */
async function found(directory: string, until: number): Promise<string> {
  const files = await filesUntil(findTrail([directory]).files, startMs + until * minute);
  return files.map(({ name }) => Number.parseInt(name, 10)).join(' ');
}

/** A page before a minute holds the commands that a search of everything finds. */
async function assertWhole(directory: string, all: Buffer, until: number): Promise<void> {
  const filter = { untilMs: startMs + until * minute };
  const newest = { before: undefined, rows: 5_000 };
  const asked = { look: 'search', filter, cursor: undefined, newest } as const;
  const limits = { rowsMax: 10_000, bytesMax: 64 << 20, timeMs: 60_000 };
  const task = { directory, asked, users: undefined, ownKey: '', limits };
  const { text } = await readTrail(task, { now: () => 0 });
  const search = createSearch(filter);
  const wanted = [...search.take(all), ...search.finish()]
    .filter(({ admittedSeq }) => admittedSeq !== undefined)
    .toSorted((one, other) => (other.admittedSeq ?? 0) - (one.admittedSeq ?? 0));
  const lines = text.split('\n').slice(0, -2);
  assert.ok(until < 1 || wanted.length > 0);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).row).filter(({ admittedSeq }) => admittedSeq !== undefined),
    JSON.parse(JSON.stringify(wanted)),
    `until minute ${until}`,
  );
}

/** The records of one segment. */
function readSegment(directory: string, file: string): Record<string, unknown>[] {
  const bytes = readFileSync(join(directory, file));
  const lines = String(file.endsWith('.gz') ? gunzipSync(bytes) : bytes)
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line));
}

void test('no file that begins after the time is read, while the clock was not set', async (t) => {
  const directory = temporaryDirectory(t);
  const all = write(directory, steady(20));
  assert.equal(await found(directory, 35), '1 2 3 4');
  assert.equal(await found(directory, 29), '1 2 3');
  // Nothing tells how the clock was set in the last one.
  assert.equal(await found(directory, 175), `${Array.from({ length: 18 }, (_, at) => at + 1).join(' ')} 20`);
  for (const until of [1, 35, 101, 175, 300]) await assertWhole(directory, all, until);
});

void test('segments that do not tell their earliest time are read up to an hour after it', async (t) => {
  const directory = temporaryDirectory(t);
  const all = write(directory, steady(20), true);
  assert.equal(await found(directory, 35), '1 2 3 4 5 6 7 8 9 10');
  for (const until of [1, 35, 101, 175, 300]) await assertWhole(directory, all, until);
});

void test('a clock that was set back in the middle of a segment, and right again: that segment is read', async (t) => {
  const directory = temporaryDirectory(t);
  const segments = steady(20);
  segments[6] = [60, 61, 32, 33, 34, 65, 66, 67, 68, 69];
  const all = write(directory, segments);
  const steps = [fileOf(7), `${fileOf(8)}.gz`].map((file) => readSegment(directory, file)[0]?.['steps_ms']);
  assert.deepEqual(steps, [0, 0], 'the sum of the steps does not tell');
  assert.equal(await found(directory, 35), '1 2 3 4 7');
  for (const until of [31, 33, 35, 62, 66]) await assertWhole(directory, all, until);
});

void test('a file whose next one is missing is read', async (t) => {
  const directory = temporaryDirectory(t);
  write(directory, steady(20));
  rmSync(join(directory, fileOf(7)));
  assert.equal(await found(directory, 35), '1 2 3 4 6');
});

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

void test('nothing is missed wherever the clock is set within half an hour', async (t) => {
  let random = 7;
  const below = (most: number): number => {
    random = (random * 48_271) % 0x7fff_ffff;
    return random % most;
  };
  for (let round = 0; round < 4 * rounds; round += 1) {
    let offset = 0;
    const segments = steady(20).map((minutes) =>
      minutes.map((now) => {
        if (below(8) === 0) offset = below(5) === 0 ? 0 : below(51) - 25;
        return Math.max(0, now + offset);
      }),
    );
    const directory = temporaryDirectory(t);
    const all = write(directory, segments, round % 4 === 3);
    for (let until = 20; until < 200; until += 17) await assertWhole(directory, all, until);
  }
});

void test('a journal tells the earliest time of each segment that one run wrote', async (t) => {
  const directory = temporaryDirectory(t);
  for (const run of [0, 1]) {
    const { journal } = await openWatched(directory, { segmentBytes: 8192 });
    for (let count = 0; count < 60; count += 1) {
      const time = Date.now() - (count % 7) * minute;
      await journal.appendDurable({ ...admission(`R${run}E${count}`), time });
      journal.append(completion(`R${run}E${count}`));
    }
    await journal.close();
  }
  readWhole(directory);
  const files = segmentFiles(directory);
  assert.ok(files.length > 8, `${files.length} segments`);
  const segments = files.map((file) => readSegment(directory, file));
  const told = segments.slice(1).map(([first]) => first?.['earliest']);
  const earliest = segments.map((records) => records.map(({ time }) => String(time)).toSorted()[0]);
  const byTwo = segments.findIndex((records, at) => at > 0 && records.some(({ event }) => event === 'start'));
  assert.ok(byTwo > 0);
  for (const [at, time] of told.entries())
    assert.equal(time, at === 0 || at === byTwo ? undefined : earliest[at], `segment ${at + 1}`);
});
