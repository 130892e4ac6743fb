import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBudget } from '../../src/concurrency/limits.js';
import { settle } from '../kit/fake-clock.js';

const never = new AbortController().signal;

void test('one count: full at its limit, and again not when something is given back', async () => {
  const buffered = new ByteBudget(100);
  await buffered.room(never);
  buffered.take(60);
  assert.deepEqual([buffered.bytes, buffered.isFull], [60, false]);
  buffered.take(60);
  assert.deepEqual([buffered.bytes, buffered.isFull], [120, true]);
  let woken = 0;
  const waiting = [1, 2, 3].map(async () => {
    await buffered.room(never);
    woken += 1;
  });
  buffered.give(20);
  await settle();
  assert.deepEqual([buffered.isFull, woken], [true, 0]);
  buffered.give(1);
  await Promise.all(waiting);
  assert.deepEqual([buffered.isFull, woken], [false, 3]);
});

void test('who gives up waiting is not woken', async () => {
  const buffered = new ByteBudget(1);
  buffered.take(1);
  const controller = new AbortController();
  const waiting = buffered.room(controller.signal);
  controller.abort('client-gone');
  await assert.rejects(waiting, (reason) => reason === 'client-gone');
  await assert.rejects(buffered.room(controller.signal), (reason) => reason === 'client-gone');
  buffered.give(1);
  await buffered.room(never);
});
