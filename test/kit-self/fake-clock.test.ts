// The clock that tests turn: order of timers, promises between them, the wall clock apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../kit/fake-clock.js';

void test('timers fire in the order of their times, then of their setting, at their own time', async () => {
  const clock = createFakeClock();
  const start = clock.now();
  const fired: [string, number][] = [];
  const set = (name: string, ms: number): void => {
    clock.setTimer(ms, () => fired.push([name, clock.now() - start]));
  };
  set('c', 30);
  set('a', 10);
  set('b', 30);
  set('never', 101);
  await clock.advance(50);
  await clock.advance(50);
  assert.deepEqual(fired, [
    ['a', 10],
    ['c', 30],
    ['b', 30],
  ]);
  assert.deepEqual([clock.now() - start, clock.timers, clock.nextTimerMs], [100, 1, 1]);
});

void test('a timer that a promise sets while time goes on still fires within it', async () => {
  const clock = createFakeClock();
  const start = clock.now();
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      clock.setTimer(ms, resolve);
    });
  let seen = 0;
  const work = (async () => {
    for (let round = 0; round < 3; round += 1) await wait(20);
    seen = clock.now() - start;
  })();
  await clock.advance(59);
  assert.equal(seen, 0);
  await clock.advance(1);
  await work;
  assert.equal(seen, 60);
});

void test('a cancelled timer never fires, cancelling again does nothing', () => {
  const clock = createFakeClock();
  let fired = 0;
  const timer = clock.setTimer(5, () => {
    fired += 1;
  });
  const other = clock.setTimer(1, () => timer.cancel());
  clock.advanceNow(10);
  other.cancel();
  timer.cancel();
  assert.deepEqual([fired, clock.timers, clock.nextTimerMs], [0, 0, undefined]);
});

void test('the wall clock goes along and leaps alone', () => {
  const clock = createFakeClock();
  const start = [clock.now(), clock.wallMs()] as const;
  clock.advanceNow(1000);
  clock.leap(-3_600_000);
  assert.equal(clock.now() - start[0], 1000);
  assert.equal(clock.wallMs() - start[1], 1000 - 3_600_000);
  assert.ok(Number.isInteger(clock.wallMs()));
});
