// Goal: the locks in force after each kind of restart, crash and forgery, with the real writer. What must not happen: a lock that ends by
// what became of `state`, by the clock, or by a record without this host's signature behind it; a lock that was lifted and comes back after
// an orderly stop or a crash.

import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LockBook } from '../../../src/journal/records/lock-book.js';
import type { AuditRecord, JournalRecord } from '../../../src/journal/records/record.js';
import { held, lockExpired, locked, unlockAsked, unlocked } from '../../kit/plain/lock-records.js';
import {
  append,
  checkpoint,
  faultsOf,
  fixedKey,
  kill,
  loseState,
  type Place,
  placeFor,
  type Run,
  restoreState,
  startRun,
  stop,
  write,
} from './forged-run.js';

const t0 = Date.UTC(2026, 10, 20);
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** Ten minutes later. */
const later = t0 + 10 * minute;

type Options = Parameters<typeof startRun>[1];

/** Ids with the minutes that are left, after a start. */
function locksAt({ found }: Run, nowMs: number): string[] {
  const book = new LockBook();
  for (const record of found.access.records) book.follow(record);
  return [...book.entries].map(({ id, untilMs, asked }) => {
    const end = Number.isFinite(untilMs) ? `${Math.round((untilMs - nowMs) / minute)}m` : 'held';
    return `${id} ${end}${asked === undefined ? '' : `, ${asked.record.by ?? ''} asked`}`;
  });
}

function assertLocks(place: Place, locks: readonly string[], options: Options = {}): void {
  const wallMs = options.wallMs ?? later;
  const run = startRun(place, { wallMs, ...options });
  assert.deepEqual(locksAt(run, wallMs), locks);
  stop(run, wallMs);
}

const filler = (time: number): AuditRecord => ({ time, event: 'log', text: 'x'.repeat(500) });

/** A run in which two locks were made under a checkpoint. */
function locking(place: Place, options: Options = {}): Run {
  const run = startRun(place, { wallMs: t0, ...options });
  write(run, locked('L1', t0), locked('L2', t0, { until: new Date(t0 + 2 * hour).toISOString() }));
  checkpoint(run, t0);
  return run;
}

const both = ['L1 60m', 'L2 120m'];
/** A run is stopped, or killed. */
const ends = [(run: Run, atMs = t0) => void stop(run, atMs), (run: Run) => kill(run)];

void test('an orderly stop, and a crash: locks stay, and the time of the stop does not count', async (t) => {
  for (const end of ends) {
    const place = placeFor(t);
    end(locking(place));
    assertLocks(place, both);
    assertLocks(place, both, { wallMs: t0 + 5 * day });
    assert.deepEqual(await faultsOf(place, place.state), []);
  }
});

void test('a lift under a checkpoint is one after a stop and after a crash', (t) => {
  for (const end of ends) {
    const place = placeFor(t);
    const run = locking(place);
    write(run, unlocked('L1', t0 + minute));
    checkpoint(run, t0 + minute);
    end(run, t0 + minute);
    assertLocks(place, ['L2 119m']);
  }
});

void test('after a crash, records that no checkpoint covers lock and do not lift', (t) => {
  const place = placeFor(t);
  const run = locking(place, { hasRing: true });
  write(run, unlocked('L1', t0), locked('L3', t0));
  run.publish(lockExpired('L2', t0), locked('L4', t0));
  kill(run);
  assertLocks(place, ['L1 60m', 'L2 120m', 'L3 60m', 'L4 60m'], { hasRing: true });
});

void test('each segment begins with the locks', (t) => {
  const place = placeFor(t);
  const run = locking(place, { segmentBytes: 16_384 });
  for (let at = 0; at < 100; at += 1) write(run, filler(t0 + at));
  stop(run, t0 + 100);
  assertLocks(place, both);
});

void test('steps of the clock, while running and across a restart', async (t) => {
  const step = (time: number, ms: number): JournalRecord => ({ time, event: 'clock', step_ms: ms });
  for (const [name, steps, wallMs] of [
    ['forward while running', [400 * day], later + 400 * day],
    ['back while running', [-400 * day], later - 400 * day],
    ['forward and back', [day, -day], later],
    ['back and forward', [-day, day], later],
    ['forward across a restart', [], later + 400 * day],
    ['forward by a day across a restart', [], later + day],
    ['back across a restart', [], t0 - 400 * day],
    ['back by an hour across a restart', [], t0 - hour],
  ] as const) {
    const place = placeFor(t);
    const run = locking(place);
    let time = t0;
    for (const ms of steps) {
      time += ms;
      write(run, step(time, ms));
    }
    checkpoint(run, time);
    stop(run, time);
    assertLocks(place, both, { wallMs });
    assert.deepEqual(await faultsOf(place, place.state), [], name);
  }
});

void test('`state` is lost, or that of before the lock or of before the lift', (t) => {
  for (const end of ends) {
    const place = placeFor(t);
    const keep = (name: string) => cpSync(place.state, join(place.elsewhere, name), { recursive: true });
    const restore = (name: string): void => restoreState(place, join(place.elsewhere, name));
    end(startRun(place, { wallMs: t0 }));
    keep('before');
    end(locking(place));
    keep('locked');
    restore('before');
    assertLocks(place, both);
    const run = startRun(place, { wallMs: later });
    write(run, unlocked('L1', later));
    checkpoint(run, later);
    end(run, later);
    restore('locked');
    assertLocks(place, ['L2 120m']);
    restore('before');
    assertLocks(place, ['L2 120m']);
    loseState(place);
    assertLocks(place, ['L2 120m']);
    // Its key was there, too.
    loseState(place);
    assertLocks(place, ['L2 120m'], { secretPem: fixedKey(2).secretPem });
  }
});

void test('a lifted lock does not come back with another key, nor one in force end', async (t) => {
  const other = { secretPem: fixedKey(2).secretPem };
  for (const end of ends)
    for (const [name, before, after] of [
      ['another key', {}, other],
      ['a key for the first time', { isSigned: false }, {}],
      ['without a key from now on', {}, { isSigned: false }],
    ] as const) {
      const place = placeFor(t);
      const run = locking(place, before);
      write(run, held('H1', t0), unlocked('L1', t0 + minute));
      checkpoint(run, t0 + minute);
      end(run, t0 + minute);
      const next = startRun(place, { wallMs: later, ...after });
      assert.deepEqual(locksAt(next, later), ['L2 119m', 'H1 held'], name);
    }
});

void test('lines that somebody appends lift nothing', (t) => {
  for (const end of ends) {
    const place = placeFor(t);
    end(locking(place));
    append(place, [unlocked('L1', t0), lockExpired('L2', t0)]);
    assertLocks(place, both);
  }
});

void test('a hold stays through stops, crashes, segments, and a `state` that is lost or of before', (t) => {
  for (const end of ends) {
    const place = placeFor(t);
    end(startRun(place, { wallMs: t0 }));
    cpSync(place.state, join(place.elsewhere, 'before'), { recursive: true });
    const run = startRun(place, { wallMs: t0, segmentBytes: 16_384 });
    write(run, held('H1', t0), held('H2', t0), unlockAsked('H2', t0));
    for (let at = 0; at < 100; at += 1) write(run, filler(t0 + at));
    checkpoint(run, t0 + 100);
    end(run);
    assertLocks(place, ['H1 held', 'H2 held, anna asked']);
    assertLocks(place, ['H1 held', 'H2 held, anna asked'], { wallMs: t0 + 5 * 365 * day });
    restoreState(place, join(place.elsewhere, 'before'));
    assertLocks(place, ['H1 held', 'H2 held, anna asked']);
    loseState(place);
    // What nobody vouches for asks nothing.
    assertLocks(place, ['H1 held', 'H2 held'], { secretPem: fixedKey(2).secretPem });
  }
});

void test('lines that somebody appends neither ask to lift a hold nor lift it', (t) => {
  for (const end of ends) {
    const place = placeFor(t);
    const run = startRun(place, { wallMs: t0 });
    write(run, held('H1', t0));
    checkpoint(run, t0);
    end(run);
    append(place, [unlockAsked('H1', t0), unlocked('H1', t0)]);
    assertLocks(place, ['H1 held']);
  }
});

void test('a line of a time that is not yet, which nobody signed, ends no lock', (t) => {
  const place = placeFor(t);
  kill(locking(place));
  append(place, [{ time: t0 + 5 * hour, event: 'log', text: 'x' }]);
  assertLocks(place, both);
});
