// Goal: what lives of temporary access, and which locks are in force, after each kind of restart, crash and forgery, with the real writer.
// What must not happen: a grant that lives on without this host's signature over the end of the journal; a lock that ends by what became of
// `state`, by the clock, or by a record without this host's signature behind it, or that was lifted and comes back after a stop or a
// crash; a reader of the newest segment that comes to another book than one of the whole journal; a start that reads old segments.

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
import { LockBook } from '../../../src/journal/records/lock-book.js';
import type { AuditRecord, JournalRecord } from '../../../src/journal/records/record.js';
import { approved, granted, grantRecords, over, requested } from '../../kit/plain/access-records.js';
import { compareStories } from '../../kit/plain/approved.js';
import { held, lockExpired, locked, unlockAsked, unlocked } from '../../kit/plain/lock-records.js';
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
  restoreState,
  startRun,
  stop,
  write,
} from './forged-run.js';
import { type StoredRecord, segmentFiles } from './reading.js';

const t0 = Date.UTC(2026, 10, 20);
const minute = 60_000;
const hour = 60 * minute;

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

/** What only stories have. */
const recordsOfStories: typeof recordsFor = {
  ...recordsFor,
  approve: (id, time) => [approved(id, time)],
  granted: (id, time) => [granted(id, time)],
  refuse: (id, time) => [over('refused', id, time, 'request', { reason: 'ask anna herself' })],
  admit: (id, time) => [{ time, event: 'admission', id, decision: 'allow' }],
  complete: (id, time) => [{ time, event: 'completion', id, outcome: 'ok' }],
  lock: (id, time) => [locked(id, time)],
  'lock-2h': (id, time) => [locked(id, time, { until: new Date(time + 2 * hour).toISOString() })],
  hold: (id, time) => [held(id, time)],
  'ask-lift': (id, time) => [unlockAsked(id, time)],
  lift: (id, time) => [unlocked(id, time)],
  expire: (id, time) => [lockExpired(id, time)],
  log: (_, time) => [filler(time)],
};

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

/** Locks in force according to a start: ids with the minutes left. */
function locksAt({ found }: Run, nowMs: number): string[] {
  const book = new LockBook();
  for (const record of found.access.records) book.follow(record);
  return [...book.entries].map(({ id, untilMs, asked }) => {
    const end = Number.isFinite(untilMs) ? `${Math.round((untilMs - nowMs) / minute)}m` : 'held';
    return `${id} ${end}${asked === undefined ? '' : `, ${asked.record.by ?? ''} asked`}`;
  });
}

/** What lives, the locks, and how what a start did not find any more ended. */
function toldBy(run: Run, nowMs: number): string {
  const [book, ends] = [new AccessBook(), new LastEnds()];
  for (const record of run.found.access.records) ends.add(book.follow(record));
  const told = [...ends.entries].map(
    ({ id, ended, used, approvals }) =>
      `${id} ${ended?.action}: ${ended?.reason ?? ended?.text ?? '-'}, used ${used}, approvals ${approvals.length}`,
  );
  const lives = [...livesAt(run, nowMs), ...locksAt(run, nowMs)].join('; ') || 'nothing lives';
  return [lives, `ended by the start: ${run.found.access.ended}`, ...told].join('\n');
}

/** Milliseconds of a sum as `365d-10m`. */
function msOf(text: string): number {
  const units: Readonly<Record<string, number>> = { m: minute, h: hour, d: 24 * hour };
  const terms = [...text.matchAll(/(-?\d+)([mhd])/g)];
  return terms.reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? NaN), 0);
}

/** Runs over one place, one after another. */
interface Story extends Place {
  run: Run;
  time: number;
}

function begin(place: Place, wallMs: number, json = '{}'): Run {
  const { key, ...options } = JSON.parse(json);
  const named = key === undefined ? {} : { secretPem: fixedKey(key).secretPem };
  return startRun(place, { wallMs, ...named, ...options });
}

/** A start, and a stop; what it found. */
function beginAndStop(place: Place, wallMs: number, json?: string): string {
  const run = begin(place, wallMs, json);
  stop(run, wallMs);
  const [all, last] = books(place);
  assert.deepEqual(all, last);
  return toldBy(run, wallMs);
}

/** `grant G1 request R1`: the records of each id, with the time of the step. */
function recordsNamed(words: string, time: number): JournalRecord[] {
  const pairs = [...words.matchAll(/(\S+) (\S+)/g)];
  return pairs.flatMap(
    ([, kind = '', id = '']) => recordsOfStories[kind]?.(id, time, 0) ?? assert.fail(kind),
  );
}

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

const edits: Readonly<Record<string, (lines: string[]) => readonly string[]>> = {
  cut: (lines) => lines.slice(0, -1),
  'cut behind the checkpoint': (lines) =>
    lines.slice(0, lines.findLastIndex((line) => line.includes('"event":"checkpoint"')) + 1),
  'end in a grant': endsInGrant,
  'more uses': (lines) => [lines.join('').replace('"uses":3', '"uses":9')],
  'more uses; all sealed again': sealedAgain,
};

/** The checkpoint of another key, as the next record of the journal. */
function appendForeign(place: Place): void {
  const other = placeIn(join(place.elsewhere, 'foreign'));
  stop(startRun(other, { wallMs: t0, secretPem: fixedKey(3).secretPem }), t0);
  const line = readFileSync(join(other.directory, 'checkpoint.json'), 'utf8').trimEnd();
  const body = line.slice(line.indexOf(',') + 1, line.indexOf(',"prev":"'));
  const { seq, hash } = parseLine(lastLine(place)) ?? {};
  editLast(place, (lines) => [...lines, sealLine(Number(seq) + 1, body, String(hash)).line]);
}

const keptOf = ({ elsewhere }: Place, name: string): string => join(elsewhere, name);

/** Steps of live-access.txt; what a string says is shown. */
const steps: Readonly<Record<string, (story: Story, words: string, json: string) => unknown>> = {
  at: (story, words) => (story.time = t0 + msOf(words)),
  wait: (story, words) => (story.time += msOf(words)),
  start: (story, _, json) => (story.run = begin(story, story.time, json)),
  again: (story, _, json) => beginAndStop(story, story.time, json),
  checkpoint: ({ run, time }) => checkpoint(run, time),
  stop: ({ run, time }) => stop(run, time),
  kill: ({ run }) => kill(run),
  fill({ run, time }, count) {
    for (let left = Number(count); left > 0; left -= 1) write(run, filler(time));
  },
  write: ({ run, time }, words) => write(run, ...recordsNamed(words, time)),
  publish: ({ run, time }, words) => run.publish(...recordsNamed(words, time)),
  append: (story, words) => void append(story, recordsNamed(words, story.time)),
  foreign: appendForeign,
  edit: (story, words) => editLast(story, edits[words] ?? assert.fail(words)),
  step(story, words) {
    story.time += msOf(words);
    write(story.run, { time: story.time, event: 'clock', step_ms: msOf(words) });
  },
  keep: (story, name) => cpSync(story.state, keptOf(story, name), { recursive: true }),
  restore: (story, name) => restoreState(story, keptOf(story, name)),
  lose: loseState,
  copy: (story) => cpSync(story.directory, keptOf(story, 'copy'), { recursive: true }),
  back(story) {
    rmSync(story.directory, { recursive: true });
    cpSync(keptOf(story, 'copy'), story.directory, { recursive: true });
  },
  events: (story) => eventsOf(story).join('\n').replaceAll(story.state, 'STATE'),
  faults: async (story) => `faults: ${(await faultsOf(story, story.state)).join(' ')}`,
};

// bounds.accessOver
void test('what lives after each kind of restart, crash and forgery, as live-access.txt has it', (t) =>
  compareStories('test/journal/files/live-access.txt', () => {
    const story: Story = { ...placeFor(t), run: Object.create(null), time: t0 };
    return async (line) => {
      const told: unknown[] = [];
      for (const each of line.split(', ')) {
        const [, verb = '', words = '', json = '{}'] = /^(\S+) ?(.*?) ?(\{.*\})?$/.exec(each) ?? [];
        told.push(await (steps[verb] ?? assert.fail(verb))(story, words, json));
        // Records of one step have one time, and those of the next another.
        story.time += 1;
      }
      return told.filter(isText).join('\n');
    };
  }));

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

void test('a crash within the head of a new segment: the segment before is read as well', (t) => {
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
    assert.equal(beginAndStop(copy, later), `${live.join('; ')}\nended by the start: 0`);
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
