// Goal: a command that waits for its user is told so, and leaves nothing behind once it is served. Who is late or gives up: limits.user-lock.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserLock } from '../../src/concurrency/limits.js';
import { createFakeClock } from '../kit/fake-clock.js';

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
