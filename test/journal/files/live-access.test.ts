// Goal: what lives of temporary access after each kind of restart, crash and forgery, with the real writer. What must not happen: a grant
// that lives on without this host's signature over the end of the journal; a reader of the newest segment that comes to another book than
// one of the whole journal; a start that reads old segments.

import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import * as fc from 'fast-check';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { parseLine } from '../../../src/host/values/values.js';
import { AccessBook, LastEnds } from '../../../src/journal/records/access-book.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { sealLine } from '../../../src/journal/records/ledger.js';
import type { AuditRecord, JournalRecord } from '../../../src/journal/records/record.js';
import { approved, granted, grantRecords, over, requested } from '../../kit/plain/access-records.js';
import {
  append,
  checkpoint,
  editLast,
  faultsOf,
  fixedKey,
  kill,
  lastLine,
  loseState,
  type Place,
  placeFor,
  placeIn,
  type Run,
  startRun,
  stop,
  write,
} from './forged-run.js';
import { type StoredRecord, segmentFiles } from './reading.js';

const t0 = Date.UTC(2026, 10, 20);
const minute = 60_000;
const hour = 60 * minute;
const year = 365 * 24 * hour;

/** What lives according to a start: ids with state, uses and the minutes left. */
function livesAt({ found }: Run, nowMs: number): string[] {
  const book = new AccessBook();
  for (const record of found.access.records) book.follow(record);
  return [...book.entries].map(
    ({ id, state, usesLeft, untilMs }) =>
      `${id} ${state} ${usesLeft ?? 'any'} ${Math.round((untilMs - nowMs) / minute)}m`,
  );
}

function recordsOf({ directory }: Place): StoredRecord[] {
  return segmentFiles(directory).flatMap((file) => recordsIn(join(directory, file)));
}

function recordsIn(path: string): StoredRecord[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line): StoredRecord => JSON.parse(line));
}

/** Access records that are events, not copies: action, id and text. */
function eventsOf(place: Place): string[] {
  return recordsOf(place)
    .filter(({ event, carried }) => event === 'access' && carried === undefined)
    .map(({ action, grant, request, text }) => [action, grant ?? request, text].filter(isText).join(' '));
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** The book of the whole journal, and the book of its newest head. */
function books(place: Place): readonly [readonly unknown[], readonly unknown[]] {
  const all = new AccessBook();
  const records = recordsOf(place);
  for (const record of records) all.follow(record);
  const head = records.findLastIndex(({ carries }) => carries !== undefined);
  const last = new AccessBook();
  for (const record of records.slice(head)) last.follow(record);
  return [shown(all), shown(last)];
}

function shown(book: AccessBook): readonly unknown[] {
  return [...book.entries].map((entry) => structuredClone(entry));
}

function admissionOf(grant: string, time = t0): AuditRecord {
  return { time, event: 'admission', id: `E${time}`, decision: 'allow', grant };
}

function completionOf(grant: string, sent: boolean, time = t0): AuditRecord {
  return { time, event: 'completion', id: `E${time}`, outcome: 'ok', sent, grant };
}

const filler = (time: number): AuditRecord => ({ time, event: 'log', text: 'x'.repeat(500) });

/** A run with a live grant and a request, under a checkpoint. */
function granting(place: Place, options: Parameters<typeof startRun>[1] = {}): Run {
  const run = startRun(place, { wallMs: t0, ...options });
  write(run, ...grantRecords('G1', t0), requested('R1', t0));
  checkpoint(run, t0);
  return run;
}

const live = ['G1 granted 3 50m', 'R1 requested 3 1430m'];
/** Ten minutes later. */
const later = t0 + 10 * minute;

/** Starts again, checks what lives and that the journal is right, and stops. */
async function assertLives(
  place: Place,
  lives: readonly string[],
  ended: number,
  options: Parameters<typeof startRun>[1] = {},
): Promise<void> {
  const wallMs = options.wallMs ?? later;
  const run = startRun(place, { wallMs, ...options });
  assert.deepEqual(livesAt(run, wallMs), lives);
  assert.equal(run.found.access.ended, ended);
  stop(run, wallMs);
  const [all, last] = books(place);
  assert.deepEqual(all, last);
  assert.equal(all.length, lives.length);
}

void test('an orderly stop: requests and grants live on', async (t) => {
  const place = placeFor(t);
  stop(granting(place), t0 + minute);
  await assertLives(place, live, 0);
  // Nothing was written in between, and they do not live longer by it.
  await assertLives(place, ['G1 granted 3 49m', 'R1 requested 3 1429m'], 0, { wallMs: later + minute });
  assert.deepEqual(await faultsOf(place, place.state), []);
});

// bounds.accessOver
void test('a start hands over how requests and grants ended since the last head, for their requesters', async (t) => {
  for (const end of [(run: Run) => stop(run, t0 + minute), kill]) {
    const place = placeFor(t);
    const run = granting(place);
    const refusal = { ...over('refused', 'R1', t0 + 5, 'request'), reason: 'ask anna herself' };
    write(run, refusal, admissionOf('G1', t0 + 6), over('revoked', 'G1', t0 + 7));
    write(run, ...grantRecords('G2', t0 + 8));
    end(run);
    const next = startRun(place, { wallMs: t0 + 2 * hour });
    assert.deepEqual(livesAt(next, t0), []);
    const book = new AccessBook();
    const ends = new LastEnds();
    for (const record of next.found.access.records) ends.add(book.follow(record));
    const told = ['R1', 'G1', 'G2', 'G3'].map((id) => {
      const { ended, used, approvals } = ends.find(id) ?? {};
      return `${ended?.action} ${ended?.reason ?? '-'} ${used} ${approvals?.length}`;
    });
    const refused = 'refused ask anna herself 0 0';
    assert.deepEqual(told, [refused, 'revoked - 1 1', 'expired - 0 1', 'undefined - undefined undefined']);
    stop(next, t0 + 2 * hour);
  }
});

// bounds.accessDecided, bounds.accessUnreviewedMs
void test('what ended stays known over rotations and restarts: the newest, for a month', async (t) => {
  const place = placeFor(t);
  const run = granting(place, { segmentBytes: 16_384 });
  write(
    run,
    over('refused', 'R1', t0 + 5, 'request'),
    admissionOf('G1', t0 + 6),
    over('revoked', 'G1', t0 + 7),
  );
  for (let at = 0; at < 100; at += 1) write(run, filler(t0 + 10 + at));
  stop(run, t0 + minute);
  const endsAt = (wallMs: number, more: readonly JournalRecord[] = []): readonly string[] => {
    const next = startRun(place, { wallMs, segmentBytes: 16_384 });
    assert.deepEqual(livesAt(next, wallMs), []);
    const [book, ends] = [new AccessBook(), new LastEnds()];
    for (const record of next.found.access.records) ends.add(book.follow(record));
    for (let at = 0; at < more.length; at += 10) write(next, ...more.slice(at, at + 10));
    stop(next, wallMs);
    return [...ends.entries].map(({ id, ended, used }) => `${id} ${ended?.action} ${used}`);
  };
  assert.deepEqual(endsAt(later), ['R1 refused 0', 'G1 revoked 1']);
  assert.deepEqual(endsAt(later + minute), ['R1 refused 0', 'G1 revoked 1']);
  const many = Array.from({ length: bounds.accessDecided }, (_, at) => [
    requested(`M${at}`, later + hour),
    over('refused', `M${at}`, later + hour, 'request'),
  ]).flat();
  endsAt(later + hour, many);
  // Those of the last run are known; the next start has the newest of them.
  assert.equal(endsAt(later + 2 * hour).length, bounds.accessDecided + 2);
  const newest = endsAt(later + 3 * hour);
  assert.equal(newest.length, bounds.accessDecided);
  assert.deepEqual([newest[0], newest.at(-1)], ['M0 refused 0', `M${bounds.accessDecided - 1} refused 0`]);
  endsAt(later + hour + bounds.accessUnreviewedMs);
  assert.deepEqual(endsAt(later + 2 * hour + bounds.accessUnreviewedMs), []);
  assert.deepEqual(await faultsOf(place, place.state), []);
});

void test('a crash: what a checkpoint covers lives on, and later records only take away', async (t) => {
  const place = placeFor(t);
  const run = granting(place);
  write(run, ...grantRecords('G2', t0 + 1), requested('R2', t0 + 1), ...grantRecords('G3', t0 + 2));
  write(run, admissionOf('G3', t0 + 3), completionOf('G3', false, t0 + 3));
  checkpoint(run, t0 + 5);
  const used = [admissionOf('G1', t0 + 6), completionOf('G1', false, t0 + 6), admissionOf('G1', t0 + 7)];
  write(run, ...used, over('revoked', 'G2', t0 + 8), approved('R2', t0 + 9), ...grantRecords('G4', t0 + 9));
  kill(run);
  // The use is not given back: that record might be forged.
  await assertLives(place, ['G1 granted 1 50m', 'R1 requested 3 1430m', 'G3 granted 3 50m'], 2);
  assert.deepEqual(eventsOf(place).slice(-2), [
    'ended R2 no signed checkpoint covers it',
    'ended G4 no signed checkpoint covers it',
  ]);
  assert.deepEqual(await faultsOf(place, place.state), []);
});

void test('a crash before any checkpoint covers access: nothing lives on, and the journal is not said to differ', async (t) => {
  for (const hasRing of [false, true]) {
    const place = placeFor(t);
    const run = startRun(place, { wallMs: t0, hasRing });
    write(run, requested('R1', t0));
    kill(run);
    await assertLives(place, [], 1, { hasRing });
    assert.deepEqual(eventsOf(place), ['requested R1', 'ended R1 no signed checkpoint covers it']);
    assert.deepEqual(await faultsOf(place, place.state), []);
  }
});

void test('SIGKILL, and the records after the last checkpoint are cut off: the ring shows it, and nothing comes back', async (t) => {
  const place = placeFor(t);
  const run = granting(place, { hasRing: true });
  write(run, { time: t0 + 6, event: 'admission', id: 'E', decision: 'allow' }, over('revoked', 'G1', t0 + 7));
  run.publish({ time: t0 + 8, event: 'completion', id: 'E', outcome: 'ok' });
  kill(run);
  const isCheckpoint = (line: string): boolean => line.includes('"event":"checkpoint"');
  editLast(place, (lines) => lines.slice(0, lines.findLastIndex(isCheckpoint) + 1));
  await assertLives(place, [], 2, { hasRing: true });
  assert.match(eventsOf(place).at(-1) ?? '', /^ended R1 the journal ends before the ring of records/);
});

void test('steps of the clock by a year, while running and across a restart', async (t) => {
  const step = (time: number, ms: number): JournalRecord => ({ time, event: 'clock', step_ms: ms });
  const expired: string[] = [];
  for (const [name, steps, wallMs, lives] of [
    ['forward while running', [year], later + year, expired],
    ['back while running', [-year], later - year, live],
    ['forward and back', [year, -year], later, expired],
    ['back and forward', [-year, year], later, expired],
    ['forward across a restart', [], later + year, expired],
    ['back across a restart', [], t0 - year, ['G1 granted 3 59m', 'R1 requested 3 1439m']],
    ['back by an hour across a restart', [], t0 - hour, ['G1 granted 3 59m', 'R1 requested 3 1439m']],
  ] as const) {
    const place = placeFor(t);
    const run = granting(place);
    let time = t0;
    for (const ms of steps) {
      time += ms;
      write(run, step(time, ms));
    }
    stop(run, time + minute);
    await assertLives(place, lives, lives.length === 0 ? 2 : 0, { wallMs });
    assert.deepEqual(await faultsOf(place, place.state), [], name);
  }
});

/** Each line of the newest segment sealed again, with more uses in the body of one. */
function sealedAgain(lines: readonly string[]): string[] {
  let prev = String(parseLine(lines[0] ?? '')?.['prev']);
  return lines.map((line) => {
    const body = line.slice(line.indexOf(',') + 1, line.indexOf(',"prev":"')).replace('"uses":3', '"uses":9');
    const sealed = sealLine(Number(parseLine(line)?.['seq']), body, prev);
    prev = sealed.hash;
    return sealed.line;
  });
}

/** The last record is a grant, with a right hash. */
function endsInGrant(lines: readonly string[]): string[] {
  const { seq, prev } = parseLine(lines.at(-1) ?? '') ?? {};
  return [...lines.slice(0, -1), sealLine(Number(seq), encodeBody(granted('R1', t0)), String(prev)).line];
}

/** Each changes the files, or the configuration, between two runs. */
type Change = (place: Place) => Parameters<typeof startRun>[1] | void;
const changes: readonly (readonly [what: string, Change, why: RegExp])[] = [
  ['no key', () => ({ isSigned: false }), /not signed/],
  ['another key', () => ({ secretPem: fixedKey(2).secretPem }), /another key/],
  ['state is lost', loseState, /audit-end.json/],
  [
    'records at the end are gone',
    (place) => editLast(place, (lines) => lines.slice(0, -1)),
    /journal was changed .*cut/,
  ],
  [
    'a record at the end is another one',
    (place) => editLast(place, endsInGrant),
    /journal was changed .*rewritten/,
  ],
  [
    'lines after the stop',
    (place) => void append(place, grantRecords('G9', t0)),
    /journal was changed .*appended/,
  ],
  [
    'a record in the middle is another one',
    (place) => editLast(place, (lines) => [lines.join('').replace('"uses":3', '"uses":9')]),
    /differs from what was signed/,
  ],
  [
    'all the hashes are right again, too',
    (place) => editLast(place, sealedAgain),
    /journal was changed|differs/,
  ],
];

for (const [name, change, text] of changes)
  void test(`all ends: ${name}`, async (t) => {
    const place = placeFor(t);
    stop(granting(place), t0 + minute);
    await assertLives(place, [], 2, change(place) ?? {});
    const ends = eventsOf(place).slice(-2);
    for (const [at, id] of ['G1', 'R1'].entries()) {
      assert.match(ends[at] ?? '', new RegExp(`^ended ${id} `));
      assert.match(ends[at] ?? '', text);
    }
  });

void test('a grant that somebody appended after a crash, with a right chain, does not live', async (t) => {
  const place = placeFor(t);
  kill(granting(place));
  append(place, [granted('R1', t0 + 1), ...grantRecords('G9', t0 + 1)]);
  await assertLives(place, ['G1 granted 3 50m'], 2);
});

void test('a checkpoint of another key covers nothing', async (t) => {
  const place = placeFor(t);
  const other = placeFor(t);
  kill(granting(place));
  const foreign = startRun(other, { wallMs: t0, secretPem: fixedKey(3).secretPem });
  stop(foreign, t0);
  const line = readFileSync(join(other.directory, 'checkpoint.json'), 'utf8').trimEnd();
  append(place, [...grantRecords('G9', t0 + 1)]);
  const body = line.slice(line.indexOf(',') + 1, line.indexOf(',"prev":"'));
  const { seq, hash } = parseLine(lastLine(place)) ?? {};
  editLast(place, (lines) => [...lines, sealLine(Number(seq) + 1, body, String(hash)).line]);
  await assertLives(place, [], 3);
});

void test('a copy of the directory from an earlier day: all ends', async (t) => {
  const place = placeFor(t);
  const run = granting(place);
  stop(run, t0 + 1);
  cpSync(place.directory, join(place.elsewhere, 'copy'), { recursive: true });
  const second = startRun(place, { wallMs: t0 + minute });
  write(second, over('revoked', 'G1', t0 + minute));
  stop(second, t0 + minute);
  rmSync(place.directory, { recursive: true });
  cpSync(join(place.elsewhere, 'copy'), place.directory, { recursive: true });
  await assertLives(place, [], 2);
});

void test('each segment begins with what lives', async (t) => {
  const place = placeFor(t);
  const run = granting(place, { segmentBytes: 16_384 });
  for (let at = 0; at < 100; at += 1) write(run, filler(t0 + at));
  write(run, admissionOf('G1', t0 + 200), over('refused', 'R1', t0 + 200, 'request'));
  for (let at = 0; at < 100; at += 1) write(run, filler(t0 + 300 + at));
  stop(run, t0 + minute);
  const files = segmentFiles(place.directory);
  assert.ok(files.length > 5);
  for (const file of files.slice(1)) {
    const [head, ...rest] = recordsIn(join(place.directory, file));
    const carries = Number(head?.['carries']);
    assert.ok(carries === 4 || carries === 5, `${carries}`);
    assert.ok(rest.slice(0, carries).every(({ carried }) => carried === true));
    assert.equal(rest[carries]?.event, 'checkpoint');
  }
  // Only the newest one is read: nothing else is there.
  for (const file of files.slice(0, -2)) rmSync(join(place.directory, file));
  const started = startRun(place, { wallMs: later });
  assert.deepEqual(livesAt(started, later), ['G1 granted 2 50m']);
  stop(started, later);
});

void test('a crash within the head of a new segment: the segment before is read as well', async (t) => {
  const place = placeFor(t);
  const run = granting(place, { segmentBytes: 16_384 });
  for (let at = 0; at < 40; at += 1) write(run, filler(t0 + at));
  kill(run);
  const [, second = ''] = segmentFiles(place.directory);
  const text = readFileSync(join(place.directory, second), 'utf8');
  const lines = text.split('\n');
  for (const count of [1, 2, 4, 5]) {
    const copy = placeIn(join(place.elsewhere, `cut-${count}`));
    cpSync(place.state, copy.state, { recursive: true });
    cpSync(place.directory, copy.directory, { recursive: true });
    for (const file of segmentFiles(copy.directory).slice(2)) rmSync(join(copy.directory, file));
    writeFileSync(join(copy.directory, second), `${lines.slice(0, count).join('\n')}\n`);
    // As if the crash had come before the copies of the checkpoint were written.
    const known = lines[0] ?? '';
    writeFileSync(join(copy.directory, 'checkpoint.json'), `${known}\n`);
    const more = readFileSync(join(copy.state, 'audit-end.json'), 'utf8').split('\n').slice(1);
    writeFileSync(
      join(copy.state, 'audit-end.json'),
      [known, (more[0] ?? '').replace(place.directory, copy.directory), ...more.slice(1)].join('\n'),
    );
    await assertLives(copy, live, 0);
  }
});

// bounds.accessGrants, bounds.accessBytes
void test('10,000 grants: a head is bounded, and a segment is not all head', async (t) => {
  const place = placeFor(t);
  const segmentBytes = 8 << 20;
  let run = startRun(place, { wallMs: t0, segmentBytes });
  const ids = Array.from({ length: bounds.accessGrants }, (_, at) => `G${at}`);
  for (let at = 0; at < ids.length; at += 20)
    write(run, ...ids.slice(at, at + 20).flatMap((id) => grantRecords(id, t0)));
  checkpoint(run, t0);
  const before = segmentFiles(place.directory).length;
  const rss = process.memoryUsage().rss;
  for (let at = 0; at < 30_000; at += 50) write(run, ...Array.from({ length: 50 }, () => filler(t0 + 1)));
  stop(run, t0 + minute);
  const files = segmentFiles(place.directory);
  // 30,000 records are 24 MB.
  assert.ok(files.length - before < 6, `${files.length - before}`);
  const largest = Math.max(...files.map((file) => statSync(join(place.directory, file)).size));
  assert.ok(largest < bounds.accessBytes + 2 * segmentBytes, `${largest}`);
  run = startRun(place, { wallMs: later, segmentBytes });
  assert.equal(livesAt(run, later).length, bounds.accessGrants);
  assert.ok(process.memoryUsage().rss - rss < 512 << 20);
  stop(run, later);
});

void test('old segments are not read at a start', async (t) => {
  const place = placeFor(t);
  const run = granting(place, { segmentBytes: 16_384 });
  for (let at = 0; at < 300; at += 1) write(run, filler(t0 + at));
  stop(run, t0 + minute);
  const files = segmentFiles(place.directory);
  assert.ok(files.length > 10);
  // Their content is anything; names and first lines stay.
  for (const file of files.slice(1, -2)) {
    const path = join(place.directory, file);
    const text = readFileSync(path, 'utf8');
    const end = text.indexOf('\n') + 1;
    writeFileSync(path, `${text.slice(0, end)}${'?'.repeat(text.length - end)}`);
  }
  const started = startRun(place, { wallMs: later });
  assert.deepEqual(livesAt(started, later), live);
  stop(started, later);
});

/** What may happen to a journal: records of an id, or something of the run. */
const recordsFor: Readonly<Record<string, (id: string, time: number, count: number) => JournalRecord[]>> = {
  grant: (id, time) => grantRecords(id, time),
  request: (id, time) => [requested(id, time)],
  glass: (id, time) => [requested(id, time, { approvals: 0 }), granted(id, time)],
  use: (id, time) => [admissionOf(id, time)],
  unsent: (id, time) => [completionOf(id, false, time)],
  revoke: (id, time) => [over('revoked', id, time)],
  review: (id, time) => [over('reviewed', id, time)],
  step: (_, time, count) => [{ time, event: 'clock', step_ms: count % 2 === 0 ? -2000 : 2000 }],
  fill: (_, time) => Array.from({ length: 9 }, () => filler(time)),
};
const anyEvent = fc.oneof(
  fc.tuple(fc.constantFrom(...Object.keys(recordsFor)), fc.integer({ min: 0, max: 3 })),
  fc.tuple(fc.constantFrom('checkpoint', 'stop', 'kill'), fc.constant(0)),
);

void test('property: after random records, rotations, stops and kills the newest head is the whole book', (t: TestContext) => {
  let count = 0;
  const root = placeFor(t);
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
      count += 1;
      const place = placeIn(join(root.elsewhere, String(count)));
      let time = t0;
      let kills = 0;
      let run = startRun(place, { wallMs: time, segmentBytes: 8192 });
      for (const [what, number] of events) {
        time += 10;
        // No id is used again after an end that only a start knows.
        const id = `G${number}.${kills}`;
        const records = recordsFor[what]?.(id, time, count);
        if (records !== undefined) write(run, ...records);
        if (what === 'checkpoint') checkpoint(run, time);
        if (what === 'stop' || what === 'kill') {
          if (what === 'stop') stop(run, time);
          else kill(run);
          if (what === 'kill') kills += 1;
          run = startRun(place, { wallMs: time, segmentBytes: 8192 });
          const lived = new AccessBook();
          for (const record of run.found.access.records) lived.follow(record);
          const [all] = books(place);
          assert.deepEqual(shown(lived), all);
        }
        const [all, last] = books(place);
        assert.deepEqual(last, all);
      }
      stop(run, time);
      rmSync(join(root.elsewhere, String(count)), { recursive: true });
    }),
    { numRuns: 40 },
  );
});
