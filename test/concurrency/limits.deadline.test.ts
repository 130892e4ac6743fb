import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadline } from '../../src/concurrency/limits.js';
import { createFakeClock } from '../kit/fake-clock.js';

function open() {
  const clock = createFakeClock();
  const due: number[] = [];
  const startMs = clock.now();
  const deadline = new Deadline(clock, () => due.push(clock.now() - startMs));
  return { clock, due, deadline };
}

void test('a limit is told once, when it is reached; one that is moved away is told then', async () => {
  const { clock, due, deadline } = open();
  deadline.set(100);
  await clock.advance(60);
  deadline.set(100);
  assert.equal(clock.timers, 1);
  await clock.advance(99);
  assert.deepEqual(due, []);
  await clock.advance(1_000);
  assert.deepEqual([due, clock.timers], [[160], 0]);
});

void test('a nearer limit counts from when it is set', async () => {
  const { clock, due, deadline } = open();
  deadline.set(1_000);
  deadline.set(10);
  assert.equal(clock.timers, 1);
  await clock.advance(2_000);
  assert.deepEqual(due, [10]);
});

void test('cleared, it tells nothing, and its timer goes when it falls due; ended, it leaves none', async () => {
  const { clock, due, deadline } = open();
  deadline.set(10);
  deadline.clear();
  await clock.advance(10);
  assert.deepEqual([due, clock.timers], [[], 0]);
  deadline.set(10);
  deadline.end();
  assert.equal(clock.timers, 0);
  deadline.set(5);
  await clock.advance(5);
  assert.deepEqual([due, clock.timers], [[], 0]);
});
