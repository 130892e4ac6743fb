// Goal: a command that waits for its user is told so, leaves in time, and leaves nothing behind. Phases: told, late, given up before and
// meanwhile, served.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserLock, WaitTimeout } from '../../src/concurrency/limits.js';
import { createFakeClock, settle } from '../kit/fake-clock.js';

/** A command on another backend than the one that the user is on. */
function start(timeoutMs: number, outer = new AbortController()) {
  const clock = createFakeClock();
  const lock = new UserLock();
  const told: number[] = [];
  const startMs = clock.now();
  const waiting = {
    signal: () => outer.signal,
    clock,
    timeoutMs,
    onWaiting: () => void told.push(clock.now() - startMs),
  };
  const first = lock.take(['alice'], 'mail1', waiting);
  assert.ok(typeof first === 'function');
  const taken = Promise.resolve(lock.take(['alice'], 'mail2', waiting));
  taken.catch(() => undefined);
  return { clock, told, taken, outer, lock, leave: first };
}

void test('told after 5 s, 15 s, 35 s, and no more when it is served', async () => {
  const { clock, told, taken, leave, lock } = start(60_000);
  for (const ms of [5_000, 10_000, 20_000]) await clock.advance(ms);
  assert.deepEqual(told, [5_000, 15_000, 35_000]);
  leave();
  (await taken)();
  assert.equal(clock.timers, 0);
  await clock.advance(60_000);
  assert.equal(told.length, 3);
  assert.equal(lock.size, 0);
});

void test('late: the time of a queue is over, and nothing is told any more', async () => {
  const { clock, told, taken, leave, lock } = start(5_000);
  await clock.advance(5_000);
  await assert.rejects(taken, WaitTimeout);
  await clock.advance(60_000);
  assert.ok(told.length <= 1);
  assert.equal(clock.timers, 0);
  leave();
  assert.equal(lock.size, 0);
});

void test('given up from outside, before or meanwhile, with that reason', async () => {
  const gone = new AbortController();
  gone.abort('left');
  await assert.rejects(start(1_000, gone).taken, (reason) => reason === 'left');
  const { taken, outer, clock } = start(1_000);
  await settle();
  outer.abort('drained');
  await assert.rejects(taken, (reason) => reason === 'drained');
  assert.equal(clock.timers, 0);
});
