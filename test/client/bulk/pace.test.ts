// Goal: a bulk run sends no more than it is asked to, and nothing while it is held.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPace, parsePace } from '../../../src/client/bulk/pace.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

const never = new AbortController().signal;

/** When each of so many turns came, in milliseconds. */
async function turnsOf(perSecond: number | undefined, count: number, workers = 1) {
  const clock = createFakeClock();
  const pace = createPace(clock, perSecond);
  const startMs = clock.now();
  const atMs: number[] = [];
  const done = Promise.all(
    Array.from({ length: workers }, async () => {
      while (atMs.length < count) {
        await pace.turn(never);
        atMs.push(clock.now() - startMs);
        if (atMs.length === 3) pace.hold(10_000);
      }
    }),
  );
  await clock.advance(60_000);
  await done;
  return { atMs: atMs.slice(0, count), timers: clock.timers };
}

void test('so many a second, over all workers, and none while it is held', async () => {
  for (const workers of [1, 3]) {
    const { atMs, timers } = await turnsOf(4, 6, workers);
    assert.deepEqual(atMs, [0, 250, 500, 10_500, 10_500, 10_750], `${workers} workers`);
    assert.equal(timers, 0);
  }
  assert.deepEqual((await turnsOf(undefined, 5)).atMs, [0, 0, 0, 10_000, 10_000]);
});

void test('a stop ends the wait', async () => {
  const clock = createFakeClock();
  const pace = createPace(clock, undefined);
  pace.hold(5_000);
  assert.equal(pace.heldMs, 5_000);
  const stop = new AbortController();
  const waiting = pace.turn(stop.signal);
  await settle();
  stop.abort(new Error('stopped'));
  await assert.rejects(waiting, /stopped/);
  await assert.rejects(pace.turn(stop.signal), /stopped/);
  assert.equal(clock.timers, 0);
});

void test('a pace has a number above 0 and a unit', () => {
  assert.deepEqual(['10/s', '30/m', '0.5/s', '3600/h'].map(parsePace), [10, 0.5, 0.5, 1]);
  for (const text of ['', '10', '0/s', '0.0/m', '-1/s', '1/d', '1e3/s', ' 1/s', '1/s ', 'Infinity/s', '1/'])
    assert.equal(parsePace(text), undefined, text);
});
