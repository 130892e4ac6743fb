// What someone with write access to the audit directory, but without the key and `state`, puts between two runs besides lines in the last
// segment: a ring of records, a compressed segment, a step of the clock. Nothing of it is signed by the next start.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import { sealLine } from '../../../src/domain/audit/ledger.js';
import type { JournalRecord } from '../../../src/domain/audit/record.js';
import {
  append,
  chained,
  checkpoint,
  faultsOf,
  kill,
  lastLine,
  type Place,
  placeFor,
  plantRing,
  startRun,
  stop,
  verdictOf,
  write,
} from './forged-run.js';
import { admission, completion } from './opening.js';
import { readWhole } from './reading.js';

const forged = [admission('X'), completion('X')];
const yearMs = 400 * 86_400_000;
const stepBack = (): JournalRecord => ({ time: Date.now(), event: 'clock', step_ms: -yearMs });
const names = { journal: 'ab'.repeat(16), format: 1, program: 'dovegate test' };

function admitted(place: Place): unknown[] {
  return readWhole(place.directory)
    .filter(({ event }) => event === 'admission')
    .map((record) => record['id']);
}

/** The sum of the clock's steps that the daemon goes on with. */
function stepsOf(place: Place): number {
  const run = startRun(place);
  const report = run.writer.carryOut({ do: 'look', behind: 0 });
  stop(run);
  return report.kind === 'written' ? report.mark.stepsMs : assert.fail(report.kind);
}

void test('after an orderly stop no ring is read, wherever ring.json leads', async (t) => {
  for (const records of [forged, [stepBack()], [{ ...completion('A'), outcome: 'unknown' } as const]]) {
    const place = placeFor(t);
    const run = startRun(place, { hasRing: true });
    write(run, admission('A'), completion('A'));
    stop(run);
    plantRing(place, join(place.elsewhere, 'ring'), records);
    const signed = readWhole(place.directory).length;
    const next = startRun(place, { hasRing: true });
    assert.equal(next.found.recovered, 0);
    stop(next);
    const added = readWhole(place.directory).slice(signed);
    assert.deepEqual(
      added.map(({ event }) => event),
      ['start', 'checkpoint', 'stop', 'checkpoint'],
    );
    assert.deepEqual(await faultsOf(place, place.state), []);
  }
});

void test('after a crash the ring is the one that state names, also where ring.json leads elsewhere or is gone', async (t) => {
  const tricks: readonly ((place: Place) => void)[] = [
    () => undefined,
    ({ directory }) => rmSync(join(directory, 'ring.json')),
    (place) => plantRing(place, join(place.elsewhere, 'ring'), forged),
    ({ directory }) => writeFileSync(join(directory, 'ring.json'), 'no note\n'),
    ({ directory }) => rmSync(join(directory, 'checkpoint.json')),
  ];
  for (const trick of tricks) {
    const place = placeFor(t);
    const run = startRun(place, { hasRing: true });
    write(run, admission('A'), completion('A'));
    run.publish(admission('B'));
    kill(run);
    trick(place);
    const next = startRun(place, { hasRing: true });
    assert.deepEqual([next.found.recovered, next.found.ring], [1, undefined], trick.toString());
    stop(next);
    assert.deepEqual(admitted(place), ['A', 'B'], trick.toString());
    assert.deepEqual(await faultsOf(place, place.state), []);
  }
});

void test('a ring that is gone after a crash is missing, although ring.json is gone too', async (t) => {
  const place = placeFor(t);
  const run = startRun(place, { hasRing: true });
  run.publish(admission('B'));
  kill(run);
  rmSync(place.ring);
  rmSync(join(place.directory, 'ring.json'));
  stop(startRun(place, { hasRing: true }));
  const { faults, forgotten } = await verdictOf(place, place.state);
  assert.deepEqual([faults.length, forgotten.length], [0, 1]);
});

void test('where the ring cannot be mapped, or is off, a crash misses none, and reads none', async (t) => {
  const place = placeFor(t);
  const run = startRun(place, { hasRing: true });
  assert.equal(run.writer.carryOut({ do: 'attach', ring: run.ring.share }).kind, 'kept');
  kill(run);
  const second = startRun(place);
  kill(second);
  plantRing(place, join(place.elsewhere, 'ring'), [...forged, stepBack()]);
  const third = startRun(place);
  stop(third);
  assert.deepEqual([second.found.recovered, third.found.recovered], [0, 0]);
  const { faults, forgotten } = await verdictOf(place, place.state);
  assert.deepEqual([faults.length, forgotten.length], [0, 0]);
});

void test('after a crash a compressed segment needs a signature as a plain one does', async (t) => {
  for (const isReadable of [true, false]) {
    const place = placeFor(t);
    const run = startRun(place);
    write(run, admission('A'), completion('A'));
    kill(run);
    const last: { seq: number; hash: string } = JSON.parse(lastLine(place));
    const before = { segment: '00000001.jsonl', segment_hash: last.hash, head: last.hash };
    const head = { time: Date.now(), event: 'checkpoint', ...names, ...before, oldest_seq: 1 } as const;
    const { line } = sealLine(last.seq + 1, encodeBody({ ...head, steps_ms: -yearMs }), last.hash);
    const bytes = gzipSync([line, ...chained(line, forged)].join(''));
    const file = join(place.directory, '00000002.jsonl.gz');
    writeFileSync(file, isReadable ? bytes : bytes.subarray(0, -9), { mode: 0o600 });
    const next = startRun(place);
    const moved = isReadable ? '00000002.jsonl.appended' : '00000002.jsonl.gz.appended';
    assert.equal(next.found.appended?.file, moved);
    stop(next);
    assert.ok(existsSync(join(place.directory, moved)) && !existsSync(file));
    assert.deepEqual(admitted(place), ['A']);
    assert.deepEqual(await faultsOf(place, place.state), ['journal-appended']);
    assert.equal(stepsOf(place), 0);
  }
});

void test('a step of the clock back counts for retention by its signature, which follows at once', (t) => {
  const place = placeFor(t);
  const run = startRun(place);
  write(run, admission('A'), completion('A'));
  checkpoint(run);
  kill(run);
  append(place, [stepBack()]);
  assert.equal(stepsOf(place), 0);

  const honest = placeFor(t);
  const stepped = startRun(honest);
  write(stepped, { time: Date.now(), event: 'clock', step_ms: -5000 });
  assert.match(lastLine(honest), /"event":"checkpoint"/);
  assert.equal(readFileSync(join(honest.directory, 'checkpoint.json'), 'utf8').trimEnd(), lastLine(honest));
  kill(stepped);
  assert.equal(stepsOf(honest), -5000);
});
