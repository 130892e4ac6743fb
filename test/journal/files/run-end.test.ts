// What a start makes of a directory that somebody wrote to since the run before, with write access to it, but without the key and `state`:
// lines, segments, a ring of records, a step of the clock. They are moved away, reported and bounded, nothing of it is signed by the next
// start; and what it leaves alone.

import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { runEndName } from '../../../src/journal/files/kept-end.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger, sealLine } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import {
  append,
  carry,
  chained,
  checkpoint,
  faultsOf,
  kill,
  lastFile,
  lastLine,
  lastLines,
  type Place,
  placeFor,
  plantRing,
  type Run,
  restart,
  startRun,
  stop,
  verdictOf,
  write,
} from './forged-run.js';
import { admission, completion } from './opening.js';
import { readWhole, segmentFiles } from './reading.js';

const first = '00000001.jsonl';

function textOf({ directory }: Place, file = segmentFiles(directory).at(-1) ?? ''): string {
  return readFileSync(join(directory, file), 'utf8');
}

function asideOf({ directory }: Place): string[] {
  return readdirSync(directory).filter((name) => name.includes('.appended'));
}

/** A journal that was stopped in order. */
function stopped(t: TestContext): Place {
  const place = placeFor(t);
  stop(begun(place));
  return place;
}

/** A run with an exchange. */
function begun(place: Place, hasRing = false): Run {
  const run = startRun(place, { hasRing });
  write(run, admission('A'), completion('A'));
  return run;
}

/** Exchanges until there are so many segments. */
function fill(place: Place, segments: number): Run {
  const run = startRun(place, { segmentBytes: 4096 });
  for (let count = 0; segmentFiles(place.directory).length < segments; count += 1)
    write(run, admission(`E${count}`), completion(`E${count}`));
  return run;
}

const forged = [admission('X'), completion('X')];

void test('an orderly stop leaves its checkpoint beside the segments and in state; the next start names it', async (t) => {
  const place = stopped(t);
  const [kept = ''] = readFileSync(join(place.state, runEndName), 'utf8').split('\n');
  assert.equal(kept, readFileSync(join(place.directory, 'checkpoint.json'), 'utf8').trimEnd());
  assert.equal(statSync(join(place.state, runEndName)).mode & 0o7777, 0o600);
  const last = JSON.parse(kept);
  assert.equal(last.action, 'stop');
  restart(place);
  const found = readWhole(place.directory).findLast(({ event }) => event === 'start');
  assert.deepEqual([found?.['last_seq'], found?.['last_hash']], [last.seq, last.hash]);
  assert.deepEqual(await faultsOf(place), []);
  assert.deepEqual(asideOf(place), []);
});

void test('appended after a stop: moved away as it was, whatever lies in it, also where the copies of the checkpoint are gone', async (t) => {
  const tricks: Readonly<Record<string, (place: Place) => void>> = {
    'as it is': () => undefined,
    'checkpoint.json removed': ({ directory }) => rmSync(join(directory, 'checkpoint.json')),
    'the copy in state removed': ({ state }) => rmSync(join(state, runEndName)),
    'checkpoint.json rolled back': ({ directory }) => {
      const [, line] = readFileSync(join(directory, first), 'utf8').split('\n');
      writeFileSync(join(directory, 'checkpoint.json'), `${line}\n`);
    },
    'checkpoint.json forged': (place) => {
      const ledger = new Ledger('dovegate test', makeSignKey().secretPem, 'ab'.repeat(16));
      const { seq, hash } = JSON.parse(lastLine(place));
      const names = { journal: 'ab'.repeat(16), stepsMs: 0, open: new Map(), oldestSeq: 1, timeMs: 0 };
      ledger.resume({ ...names, seq, hash });
      const line = ledger.sealSigned(ledger.checkpoint(Date.now()));
      writeFileSync(join(place.directory, 'checkpoint.json'), line);
    },
  };
  for (const [name, trick] of Object.entries(tricks)) {
    const place = stopped(t);
    const signed = textOf(place);
    trick(place);
    const lines = append(place, forged);
    writeFileSync(join(place.directory, first), 'no record\n{"seq":', { flag: 'a' });
    assert.deepEqual(restart(place).appended?.file, `${first}.appended`, name);
    assert.equal(textOf(place, `${first}.appended`), `${lines}no record\n{"seq":`);
    assert.ok(textOf(place, first).startsWith(signed));
    assert.deepEqual(await faultsOf(place), ['journal-appended'], name);
  }
});

void test('a segment of its own, a compressed one, and the last one compressed with what was appended', async (t) => {
  const place = stopped(t);
  append(place, forged, { file: '00000002.jsonl' });
  assert.equal(restart(place).appended?.file, '00000002.jsonl.appended');
  const text = textOf(place) + append(place, forged, { file: '00000009.jsonl' });
  rmSync(join(place.directory, '00000009.jsonl'));
  writeFileSync(join(place.directory, '00000009.jsonl.gz'), gzipSync(text), { mode: 0o600 });
  assert.equal(restart(place).appended?.file, '00000009.jsonl.gz.appended');
  const signed = textOf(place, first);
  append(place, forged);
  writeFileSync(join(place.directory, `${first}.gz`), gzipSync(readFileSync(join(place.directory, first))));
  rmSync(join(place.directory, first));
  assert.equal(restart(place).appended?.file, `${first}.appended`);
  assert.ok(textOf(place, first).startsWith(signed));
  assert.equal(readWhole(place.directory).filter(({ event }) => event === 'admission').length, 1);
});

// bounds.plainSegmentBytes (with a limit of the test: the text of the table's would take that much memory)
test('a compressed last segment is made plain up to a bound, and left as it is above', (t) => {
  assert.equal(bounds.plainSegmentBytes, 2 ** 30);
  for (const over of [0, 1]) {
    const place = stopped(t);
    const text = readFileSync(join(place.directory, first));
    const packed = join(place.directory, `${first}.gz`);
    // Zeros after the text: a line without an end.
    writeFileSync(packed, gzipSync(Buffer.concat([text, Buffer.alloc(8 << 20)])), { mode: 0o600 });
    rmSync(join(place.directory, first));
    const { damage } = restart(place, { plainBytesMax: text.length + (8 << 20) - over });
    assert.deepEqual([damage, existsSync(packed)], over === 0 ? [undefined, false] : ['rewritten', true]);
  }
});

void test('names are never taken twice, and there is a bound for files and for bytes', async (t) => {
  const place = stopped(t);
  for (let count = 1; count <= 16; count += 1)
    writeFileSync(join(place.directory, `${first}.appended${count === 1 ? '' : `-${count}`}`), `${count}`);
  append(place, forged);
  const { appended } = restart(place);
  assert.equal(appended?.file, '');
  assert.ok(appended.bytes > 0);
  assert.equal(asideOf(place).length, 16);
  assert.equal(textOf(place, `${first}.appended-2`), '2');
  for (const name of asideOf(place)) rmSync(join(place.directory, name));
  const bytes = 64 * 1024 ** 2 + 4096;
  truncateSync(join(place.directory, first), statSync(join(place.directory, first)).size + bytes);
  assert.equal(restart(place).appended?.bytes, bytes);
  assert.equal(statSync(join(place.directory, `${first}.appended`)).size, 64 << 20);
});

void test('so many segments are searched for the end of the run before, and no more', async (t) => {
  for (const [decoys, isFound] of [
    [7, true],
    [8, false],
  ] as const) {
    const place = stopped(t);
    const { line } = sealLine(2, encodeBody(admission('X')), 'ef'.repeat(32));
    for (let number = 2; number < decoys + 2; number += 1)
      writeFileSync(join(place.directory, `0000000${number}.jsonl`), line, { mode: 0o600 });
    assert.equal(restart(place).appended?.file, isFound ? '00000002.jsonl.appended' : undefined);
  }
});

void test('after a crash the records count that are chained after the last checkpoint, and no others', async (t) => {
  const place = placeFor(t);
  const run = startRun(place);
  write(run, admission('A'));
  checkpoint(run);
  write(run, completion('A'), admission('B'), completion('B'));
  const genuine = textOf(place);
  assert.equal(restart(place).appended, undefined);
  assert.ok(textOf(place).startsWith(genuine));
  assert.deepEqual(await faultsOf(place), []);

  const other = placeFor(t);
  begun(other);
  const before = textOf(other);
  const lines = append(other, forged, { prev: 'ef'.repeat(32) });
  assert.equal(restart(other).appended?.bytes, lines.length);
  assert.ok(textOf(other).startsWith(before));
  assert.deepEqual(await faultsOf(other), ['journal-appended']);
});

void test('a line that was taken out of the end after a crash is missing, and nothing is called appended', async (t) => {
  for (const removed of [0, 1, 2]) {
    const place = placeFor(t);
    const run = startRun(place);
    checkpoint(run);
    const signed = textOf(place);
    write(run, admission('A'), completion('A'), admission('B'), completion('B'));
    const unsigned = lastLines(place).slice(-4);
    writeFileSync(lastFile(place), signed + unsigned.toSpliced(removed, 1).join(''));
    const { isGap, appended } = restart(place);
    assert.equal(isGap, true, `line ${removed}`);
    assert.equal(appended?.bytes, unsigned.slice(removed + 1).join('').length);
    assert.match(textOf(place), /"error":"journal-gap"/);
    assert.deepEqual(await faultsOf(place), ['cut'], `line ${removed}`);
  }
});

void test('after a crash, what a daemon that signs would have signed is not believed without a signature', async (t) => {
  const retire = { event: 'retire', segment: '00000000.jsonl', segment_hash: 'ef'.repeat(32), oldest_seq: 2 };
  const tricks: readonly ((place: Place) => void)[] = [
    (place) => append(place, [{ ...retire, time: Date.now(), event: 'retire' }, ...forged]),
    (place) => append(place, [{ time: Date.now(), event: 'checkpoint', oldest_seq: 2 }, ...forged]),
    // A segment of its own, whose first record says where a start has to read from, and what the clock did.
    (place) => append(place, forged, { file: '00000002.jsonl' }),
  ];
  for (const trick of tricks) {
    const place = placeFor(t);
    begun(place);
    const genuine = textOf(place);
    trick(place);
    assert.ok((restart(place).appended?.bytes ?? 0) > 0);
    assert.ok(textOf(place, first).startsWith(genuine));
    assert.doesNotMatch(textOf(place, first), /"id":"X"/);
    assert.deepEqual(await faultsOf(place), ['journal-appended']);
  }
});

void test('a start that is killed after its first record is no appended line for the next one', async (t) => {
  const place = stopped(t);
  const signed = textOf(place);
  const run = startRun(place);
  const whole = textOf(place).slice(signed.length);
  const [startLine = ''] = whole.split('\n');
  const kept = readFileSync(join(place.state, runEndName), 'utf8');
  stop(run);
  // As a kill left it: the start record is written, its checkpoint is not; `state` says that a run began.
  writeFileSync(join(place.directory, first), `${signed}${startLine}\n`);
  const stopLine = signed.trimEnd().split('\n').at(-1) ?? '';
  writeFileSync(join(place.directory, 'checkpoint.json'), `${stopLine}\n`);
  const [, more = ''] = kept.split('\n');
  const hasBegun = more.replace('"has_begun":false', '"has_begun":true');
  assert.notEqual(hasBegun, more);
  writeFileSync(join(place.state, runEndName), `${stopLine}\n${hasBegun}\n`);
  assert.equal(restart(place).appended, undefined);
  assert.deepEqual(await faultsOf(place), []);
});

void test('removed segments: told once, and never signed away; what retention removed is no damage', async (t) => {
  const place = placeFor(t);
  stop(fill(place, 5));
  const { seq, segment, segment_hash } = JSON.parse(textOf(place, '00000003.jsonl').split('\n')[0] ?? '');
  rmSync(join(place.directory, first));
  rmSync(join(place.directory, '00000002.jsonl'));
  const of = { time: Date.now(), oldest_seq: seq };
  append(place, [{ ...of, event: 'retire', segment, segment_hash, action: 'age' }]);
  // Unsigned too: what it says of the beginning is believed as little.
  append(place, [{ ...of, event: 'checkpoint', journal: 'ab'.repeat(16), format: 1 }]);
  const second = startRun(place);
  assert.deepEqual([second.found.isBeginningRemoved, second.found.damage], [true, undefined]);
  const started = readWholeFrom(place).findLast((line) => line.includes('"event":"start"')) ?? '';
  assert.match(started, /"error":"journal-removed journal-appended"/);
  stop(second);
  assert.match(readFileSync(join(place.directory, 'checkpoint.json'), 'utf8'), /"oldest_seq":1,/);
  assert.equal(restart(place).isBeginningRemoved, false);
  assert.deepEqual((await faultsOf(place)).toSorted(), ['cut', 'journal-appended', 'segment-missing']);

  const honest = placeFor(t);
  const tended = fill(honest, 4);
  const head = JSON.parse(textOf(honest, '00000002.jsonl').split('\n')[0] ?? '');
  const retired = { number: 1, name: first, isCompressed: false, bytes: 1, why: 'age' } as const;
  const ends = { lastHash: String(head.segment_hash), nextSeq: Number(head.seq) };
  const segments = [{ ...retired, ...ends, endMs: 0, endWallMs: Date.now() }];
  const policies = { versions: [], startSeq: 0 };
  const behind = tended.ring.writer.head;
  const order = { do: 'retire', behind, segments, policies, wallMs: Date.now() } as const;
  assert.equal(carry(tended, order).kind, 'written');
  rmSync(join(honest.directory, first));
  // Killed: the checkpoint beside the segments is older than the retire record.
  const [early] = textOf(honest, '00000002.jsonl').split('\n');
  writeFileSync(join(honest.directory, 'checkpoint.json'), `${early}\n`);
  rmSync(join(honest.state, runEndName));
  const after = restart(honest, { segmentBytes: 4096 });
  assert.deepEqual([after.isBeginningRemoved, after.appended], [false, undefined]);
  assert.deepEqual(await faultsOf(honest), []);
});

function assertFinds(place: Place, isRemoved: boolean): void {
  const { damage, isBeginningRemoved } = restart(place);
  assert.deepEqual([damage, isBeginningRemoved], [undefined, isRemoved]);
}

void test('an empty directory begins a new journal where state knows none there', (t) => {
  const place = stopped(t);
  const elsewhere = { ...place, directory: join(place.directory, '..', 'other') };
  assertFinds(elsewhere, false);
  rmSync(elsewhere.directory, { recursive: true });
  rmSync(join(elsewhere.state, runEndName));
  assertFinds(elsewhere, false);
  assert.ok(existsSync(join(elsewhere.directory, first)));
});

void test('a journal that is gone at a start goes on behind its end, and is whole once its files are back', async (t) => {
  const place = stopped(t);
  const away = `${place.directory}-away`;
  renameSync(place.directory, away);
  assertFinds(place, true);
  assert.deepEqual(segmentFiles(place.directory), ['00000002.jsonl']);
  assert.deepEqual(await faultsOf(place), ['segment-missing', 'cut']);
  // Once is enough to tell it.
  assert.equal(restart(place).isBeginningRemoved, false);
  copyFileSync(join(away, first), join(place.directory, first));
  assert.deepEqual(await faultsOf(place), []);
  assertFinds(place, false);
  assert.deepEqual(await faultsOf(place), []);
});

function readWholeFrom({ directory }: Place): string[] {
  return segmentFiles(directory).flatMap((file) => readFileSync(join(directory, file), 'utf8').split('\n'));
}

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
    stop(begun(place, true));
    plantRing(place, join(place.elsewhere, 'ring'), records);
    const signed = readWhole(place.directory).length;
    assert.equal(restart(place, { hasRing: true }).recovered, 0);
    const added = readWhole(place.directory).slice(signed);
    assert.equal(added.map(({ event }) => event).join(' '), 'start checkpoint stop checkpoint');
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
    const run = begun(place, true);
    run.publish(admission('B'));
    kill(run);
    trick(place);
    const { recovered, ring } = restart(place, { hasRing: true });
    assert.deepEqual([recovered, ring], [1, undefined], trick.toString());
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

void test('after a crash a compressed segment needs a signature as a plain one does', async (t) => {
  for (const isReadable of [true, false]) {
    const place = placeFor(t);
    kill(begun(place));
    const last: { seq: number; hash: string } = JSON.parse(lastLine(place));
    const before = { segment: '00000001.jsonl', segment_hash: last.hash, head: last.hash };
    const head = { time: Date.now(), event: 'checkpoint', ...names, ...before, oldest_seq: 1 } as const;
    const { line } = sealLine(last.seq + 1, encodeBody({ ...head, steps_ms: -yearMs }), last.hash);
    const bytes = gzipSync([line, ...chained(line, forged)].join(''));
    const file = join(place.directory, '00000002.jsonl.gz');
    writeFileSync(file, isReadable ? bytes : bytes.subarray(0, -9), { mode: 0o600 });
    const moved = isReadable ? '00000002.jsonl.appended' : '00000002.jsonl.gz.appended';
    assert.equal(restart(place).appended?.file, moved);
    assert.ok(existsSync(join(place.directory, moved)) && !existsSync(file));
    assert.deepEqual(admitted(place), ['A']);
    assert.deepEqual(await faultsOf(place, place.state), ['journal-appended']);
    assert.equal(stepsOf(place), 0);
  }
});

void test('a step of the clock back counts for retention by its signature, which follows at once', (t) => {
  const place = placeFor(t);
  const run = begun(place);
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
