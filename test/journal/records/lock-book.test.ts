// Goal: the book of locks follows the records, and what it carries makes an equal book. What must not happen: a step of the clock that
// changes how long a lock lasts; a record that nobody vouches for that lifts, shortens or changes one; records that make it grow without
// limit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { lockTarget } from '../../../src/doveadm/codes/lock-target.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { parseLine } from '../../../src/host/values/values.js';
import { formatTime } from '../../../src/host/words/instants.js';
import { encodeBody, encodeRecord } from '../../../src/journal/records/encode.js';
import { concernsLocks, isHold, LockBook, whyTooLong } from '../../../src/journal/records/lock-book.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { held, lockExpired, locked, unlockAsked, unlocked } from '../../kit/plain/lock-records.js';

const t = 1_800_000_000_000;
const hour = 3_600_000;
const nobody = { to: undefined, identities: undefined };
const step = (ms: number): JournalRecord => ({ time: t, event: 'clock', step_ms: ms });

/** As a reader of the journal sees a record. */
function read(record: JournalRecord): Readonly<Record<string, unknown>> {
  return parseLine(`{"seq":1,${encodeBody(record)}}`) ?? {};
}

function bookOf(...records: readonly JournalRecord[]): LockBook {
  const book = new LockBook();
  for (const record of records) book.follow(read(record));
  return book;
}

/** A book of what this one carries. */
function carriedBy(book: LockBook, nowMs: number): LockBook {
  const again = new LockBook();
  for (const each of book.carried(nowMs)) again.follow(read(each));
  return again;
}

function left(book: LockBook, nowMs = t): string[] {
  return [...book.entries].map(({ id, untilMs }) => `${id} ${(untilMs - nowMs) / hour}h`);
}

void test('a lock is in force up to the record of its end', () => {
  const book = bookOf(locked('L1', t), locked('L2', t, { ...nobody, backend: 'mail1' }));
  assert.deepEqual(left(book), ['L1 1h', 'L2 1h']);
  const targets = [...book.entries].map(({ locked: record }) => lockTarget(record));
  assert.deepEqual(targets, ['carol', 'backend:mail1']);
  book.follow(unlocked('L1', t + 1));
  assert.deepEqual(left(book), ['L2 1h']);
  book.follow(unlocked('L1', t + 2));
  book.follow(lockExpired('L2', t + 3));
  assert.equal(book.size, 0);
});

void test('a lock lasts as long after a step of the clock, forward or back', () => {
  for (const ms of [hour, -hour, 400 * 24 * hour])
    assert.deepEqual(left(bookOf(locked('L1', t), step(ms)), t + ms), ['L1 1h']);
  const paused = bookOf(locked('L1', t));
  paused.shift(2 * hour);
  assert.deepEqual(left(paused), ['L1 3h']);
});

void test('a record that nobody vouches for locks and prolongs, and does nothing else', () => {
  const book = bookOf(locked('L1', t));
  const before = structuredClone([...book.entries]);
  for (const record of [
    unlocked('L1', t + 1),
    lockExpired('L1', t + 1),
    step(-hour),
    locked('L1', t, { until: formatTime(t + 1), identities: ['uid:1'], carried: true, at: formatTime(t) }),
  ])
    book.follow(read(record), false);
  assert.deepEqual([...book.entries], before);
  book.follow(read(locked('L2', t)), false);
  book.follow(read(step(hour)), false);
  assert.deepEqual(left(book), ['L1 2h', 'L2 2h']);
  book.follow(read(locked('L1', t, { until: formatTime(t + 9 * hour), identities: ['uid:1'] })), false);
  assert.deepEqual(left(book), ['L1 9h', 'L2 2h']);
  assert.equal(book.find('L1')?.locked.identities?.[0], 'person:carol');
});

void test('a hold needs no end; it is lifted by a record, and the first step of a lift is carried', () => {
  const book = bookOf(held('H1', t), held('H2', t, { until: formatTime(t + hour) }));
  assert.deepEqual(left(book), ['H1 Infinityh', 'H2 1h']);
  assert.ok([...book.entries].every(isHold));
  book.follow(step(hour));
  book.follow(unlockAsked('H1', t + 1));
  book.follow(unlockAsked('nothing', t + 1));
  const again = carriedBy(book, t + 2 * hour);
  assert.deepEqual(left(again), ['H1 Infinityh', 'H2 2h']);
  assert.deepEqual(again.find('H1')?.asked?.record.identities, ['page:anna']);
  assert.equal(again.find('H1')?.asked?.record.time, t + 1);
  // Counted as locks are: a step of the clock after it moves it, too.
  const day = 24 * hour;
  assert.equal(again.find('H1')?.asked?.untilMs, t + 1 + day);
  again.follow(step(hour));
  assert.equal(again.find('H1')?.asked?.untilMs, t + 1 + day + hour);
  again.follow(step(-hour));
  assert.deepEqual(again.carried(t), book.carried(t));
  again.follow(unlocked('H1', t + 3));
  assert.deepEqual(left(again), ['H2 2h']);
  // A lock is lifted by one.
  const locks = bookOf(locked('L1', t), unlockAsked('L1', t));
  assert.equal(locks.find('L1')?.asked, undefined);
});

void test('a record that nobody vouches for holds and prolongs a hold, and neither asks nor lifts', () => {
  const book = bookOf(held('H1', t, { until: formatTime(t + hour) }), locked('L1', t));
  for (const record of [
    unlockAsked('H1', t),
    unlocked('H1', t),
    lockExpired('H1', t),
    held('L1', t),
    locked('H1', t, { until: formatTime(t) }),
  ])
    book.follow(read(record), false);
  assert.deepEqual(left(book), ['H1 1h', 'L1 1h']);
  assert.equal(book.find('H1')?.asked, undefined);
  assert.ok(!isHold(book.find('L1') ?? assert.fail()));
  book.follow(read(held('H1', t)), false);
  book.follow(read(held('H2', t)), false);
  assert.deepEqual(left(book), ['H1 Infinityh', 'L1 1h', 'H2 Infinityh']);
});

void test('what a book carries makes an equal book, whatever came before', () => {
  const record = fc.tuple(
    fc.constantFrom('L1', 'L2', 'L3'),
    fc.constantFrom(0, 1, 2, 3, 4, 5),
    fc.integer({ min: -hour, max: hour }),
  );
  fc.assert(
    fc.property(fc.array(record, { maxLength: 30 }), (steps) => {
      const kinds = [locked, unlocked, lockExpired, undefined, held, unlockAsked] as const;
      const book = bookOf(...steps.map(([id, kind, ms]) => kinds[kind]?.(id, t) ?? step(ms)));
      const again = carriedBy(book, t + hour);
      assert.deepEqual(left(again), left(book));
      assert.deepEqual(again.carried(t), book.carried(t));
      const copy = book.copy();
      copy.follow(unlocked('L1', t));
      assert.deepEqual(left(again), left(book));
    }),
  );
});

void test('a damaged lock stops its own target where that can be read, and else nobody knows whom', () => {
  for (const [change, whom] of [
    [{ identities: ['uid:1002', { more: 138, bytes: 900, sha256: 'ab' }] }, ['uid:1002']],
    [{ identities: 7 }, ['person:carol', 'name:carol']],
    [{ identities: ['uid:0', 'name:root', 'uid:1002'] }, ['uid:1002']],
    [{ to: ['carol'] }, ['person:carol', 'uid:1002', 'key:carol']],
    [{ ...nobody, user: 'bob@example.org', users: [{ more: 2 }] }, 'bob@example.org'],
    [{ ...nobody, user: '*', users: ['bob@example.org'] }, 'bob@example.org'],
    [{ ...nobody, user: '*' }, undefined],
    [{ ...nobody, user: 'b'.repeat(bounds.lockWordBytes + 1) }, undefined],
    [{ ...nobody, backend: { cut: 'mail' } }, undefined],
    [nobody, undefined],
  ] as const)
    for (const isProven of [true, false]) {
      const book = new LockBook();
      book.follow({ ...read(locked('L1', t)), ...change }, isProven);
      const { locked: record, isUnread } = book.find('L1') ?? {};
      const isDropped = whom === undefined && !isProven;
      assert.deepEqual(record?.user ?? record?.identities, whom, JSON.stringify(change));
      assert.equal(book.size, isDropped ? 0 : 1);
      assert.equal(isUnread, whom === undefined && isProven ? true : undefined);
      const dropped = book.damages.map((each) => each.isDropped);
      assert.deepEqual(dropped, [isDropped], JSON.stringify(change));
    }
  const raw = read(locked('L1', t));
  for (const change of [{ until: 'soon' }, { until: undefined }, { action: 7 }, { lock: undefined }]) {
    const book = new LockBook();
    book.follow({ ...raw, ...change });
    const [entry] = book.entries;
    assert.equal(entry?.untilMs, t + hour);
    assert.ok(!isHold(entry) && book.damages.length <= 1);
    assert.deepEqual(left(carriedBy(book, t)), left(book));
  }
  // About one that is known: nothing is lifted, and what was read stays.
  const known = bookOf(locked('L1', t), held('H1', t));
  for (const [id, change] of [
    ['L1', { action: 7 }],
    ['L1', nobody],
    ['H1', { action: 'held', user: 7, ...nobody }],
  ] as const)
    known.follow({ ...raw, lock: id, ...change });
  assert.deepEqual([...known.entries], [...bookOf(locked('L1', t), held('H1', t)).entries]);
  assert.equal(known.damages.length, 2);
});

void test('records of words add to the lock before them; that one is missing is said', () => {
  const identities = Array.from({ length: 140 }, (_, at) => `key:carol-with-a-long-name-${at}`);
  const bodies = encodeRecord(locked('L1', t, { identities }));
  assert.ok(bodies.length > 2);
  const follow = (some: readonly string[], isProven: boolean): LockBook => {
    const book = new LockBook();
    for (const body of some) book.follow(parseLine(`{${body}}`) ?? {}, isProven);
    return book;
  };
  for (const isProven of [true, false]) {
    const whole = follow(bodies, isProven);
    assert.deepEqual(whole.find('L1')?.locked.identities, identities);
    assert.deepEqual(whole.damages, []);
    const part = follow(bodies.slice(0, -1), isProven);
    assert.equal(part.damages.length, 1);
    const [, ...words] = bodies;
    assert.equal(follow(words, isProven).size, 0);
  }
  // Nobody makes a lock of others longer.
  const book = follow(bodies, true);
  for (const body of bodies.slice(1))
    book.follow(parseLine(`{${body.replaceAll('key:carol', 'key:dave')}}`) ?? {}, false);
  assert.deepEqual(book.find('L1')?.locked.identities, identities);
});

// bounds.lockWords, bounds.lockWordBytes
void test('what could not be recorded whole is not locked', () => {
  const words = (count: number): string[] => Array.from({ length: count }, (_, at) => `uid:${at}`);
  assert.equal(whyTooLong({ identities: words(bounds.lockWords) }), undefined);
  assert.match(whyTooLong({ identities: words(bounds.lockWords + 1) }) ?? '', /more than 1000 words/);
  assert.equal(whyTooLong({ to: 'x'.repeat(bounds.lockWordBytes) }), undefined);
  assert.match(whyTooLong({ to: 'x'.repeat(bounds.lockWordBytes + 1) }) ?? '', /more than 512 bytes/);
});

// bounds.locks
void test('the book is bounded, and takes no lock of nothing', () => {
  const book = bookOf(...Array.from({ length: bounds.locks + 5 }, (_, at) => locked(`L${at}`, t)));
  assert.equal(book.size, bounds.locks);
  book.follow(locked('L0', t, { until: formatTime(t + 2 * hour) }));
  assert.equal(book.find('L0')?.untilMs, t + 2 * hour);
});

void test('records that do not concern locks are recognized by their bytes', () => {
  const bodies = (record: JournalRecord): Buffer => Buffer.from(encodeBody(record));
  assert.ok(concernsLocks(bodies(locked('L1', t)), 0));
  assert.ok(!concernsLocks(bodies({ time: t, event: 'log', text: 'lock' }), 1));
  assert.ok(!concernsLocks(bodies(step(1)), 0));
  assert.ok(concernsLocks(bodies(step(1)), 1));
});
