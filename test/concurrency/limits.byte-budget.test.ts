import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBudget } from '../../src/concurrency/limits.js';
import { settle } from '../kit/fake-clock.js';

const never = new AbortController().signal;

void test('one count: full at its limit, and again not when something is given back', async () => {
  const buffered = new ByteBudget(100);
  await buffered.room(never, 'b');
  buffered.take(60, 'a');
  assert.deepEqual([buffered.bytes, buffered.isFull], [60, false]);
  buffered.take(60, 'a');
  assert.deepEqual([buffered.bytes, buffered.isFull], [120, true]);
  let woken = 0;
  const waiting = [1, 2, 3].map(async () => {
    await buffered.room(never, 'b');
    woken += 1;
  });
  buffered.give(20, 'a');
  await settle();
  assert.deepEqual([buffered.isFull, woken], [true, 0]);
  buffered.give(1, 'a');
  await Promise.all(waiting);
  assert.deepEqual([buffered.isFull, woken], [false, 3]);
});

void test('who gives up waiting is not woken', async () => {
  const buffered = new ByteBudget(1);
  buffered.take(1, 'a');
  const controller = new AbortController();
  const waiting = buffered.room(controller.signal, 'b');
  controller.abort('client-gone');
  await assert.rejects(waiting, (reason) => reason === 'client-gone');
  await assert.rejects(buffered.room(controller.signal, 'b'), (reason) => reason === 'client-gone');
  buffered.give(1, 'a');
  await buffered.room(never, 'b');
});

// bounds.bufferedPercent
void test('a holder has as much as is left to others: however many fill it, something is left', async () => {
  const buffered = new ByteBudget(1_000);
  const fill = (holder: string): number => {
    let bytes = 0;
    for (; !buffered.isFullFor(holder); bytes += 10) buffered.take(10, holder);
    return bytes;
  };
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((holder) => fill(holder)),
    [500, 250, 130, 60],
  );
  assert.deepEqual([buffered.isFull, buffered.isFullFor('newcomer')], [false, false]);
  let isWoken = false;
  const waiting = buffered.room(never, 'b').then(() => {
    isWoken = true;
  });
  buffered.give(60, 'd');
  buffered.take(60, 'd');
  await settle();
  assert.equal(isWoken, false, 'it holds more than is left');
  buffered.give(500, 'a');
  await waiting;
  for (const [holder, bytes] of [
    ['b', 250],
    ['c', 130],
    ['d', 60],
  ] as const)
    buffered.give(bytes, holder);
  assert.deepEqual([buffered.bytes, fill('a')], [0, 500]);
});
