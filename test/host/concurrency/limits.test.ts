import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteBudget, KeyedSemaphore, TokenBuckets } from '../../../src/host/concurrency/limits.js';
import { settle } from '../../kit/plain/fake-clock.js';

const never = new AbortController().signal;

test('so many at once, then in the order in which they came; keys do not touch each other', async () => {
  const turns = new KeyedSemaphore();
  const first = await turns.take('a', 2, never);
  const second = await turns.take('a', 2, never);
  const order: string[] = [];
  const [third, fourth] = ['third', 'fourth'].map(async (name) => {
    const back = await turns.take('a', 2, never);
    order.push(name);
    return back;
  });
  const other = await turns.take('b', 1, never);
  assert.deepEqual(order, []);
  first();
  first();
  const back3 = await (third ?? assert.fail());
  assert.deepEqual(order, ['third']);
  second();
  const back4 = await (fourth ?? assert.fail());
  back3();
  back4();
  other();
  assert.equal(turns.size, 0);
});

test('who gives up takes no turn', async () => {
  const turns = new KeyedSemaphore();
  const back = await turns.take('a', 1, never);
  const controller = new AbortController();
  const waiting = turns.take('a', 1, controller.signal);
  controller.abort('gone');
  await assert.rejects(waiting, (reason) => reason === 'gone');
  await assert.rejects(turns.take('a', 1, controller.signal), (reason) => reason === 'gone');
  back();
  assert.equal(turns.size, 0);
});

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
  assert.deepEqual(['a', 'b', 'c', 'd'].map(fill), [500, 250, 130, 60]);
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

void test('so many at once, then one for each refill, and each source by itself', () => {
  const buckets = new TokenBuckets({ burst: 20, refillMs: 1000, sourcesMax: 10 });
  const taken = (source: string, nowMs: number): boolean => buckets.take(source, nowMs) === undefined;
  assert.equal(Array.from({ length: 50 }, () => taken('bob', 0)).filter(Boolean).length, 20);
  assert.equal(buckets.take('bob', 250), 750, 'it says when the next one is there');
  assert.equal(taken('alice', 250), true);
  let minute = 0;
  for (let at = 250; at < 60_250; at += 10) if (taken('bob', at)) minute += 1;
  assert.equal(minute, 60);
  assert.equal(Array.from({ length: 50 }, () => taken('bob', 3_600_000)).filter(Boolean).length, 20);
});

void test('how long a source waits for a token is known without taking one', () => {
  const buckets = new TokenBuckets({ burst: 2, refillMs: 1000, sourcesMax: 10 });
  const waits = (nowMs: number): number => buckets.waitMs('bob', nowMs);
  assert.deepEqual([waits(0), buckets.size], [0, 0]);
  for (let n = 0; n < 2; n += 1) {
    assert.deepEqual([waits(0), waits(0)], [0, 0]);
    buckets.take('bob', 0);
  }
  assert.deepEqual([waits(0), waits(0.5), waits(999), waits(1000), waits(9000)], [1000, 1000, 1, 0, 0]);
  assert.equal(buckets.take('bob', 1000), undefined);
  assert.equal(waits(1000), 1000);
  assert.equal(buckets.size, 1);
});

// bounds.questionSources
void test('a full table refuses new sources and forgets no used one', () => {
  const buckets = new TokenBuckets({ burst: 1, refillMs: 1000, sourcesMax: 2 });
  const waits = ['a', 'b', 'c', 'a'].map((source) => buckets.take(source, 0));
  assert.deepEqual(waits, [undefined, undefined, 1000, 1000]);
  assert.equal(buckets.take('c', 1000), undefined, 'buckets that are full again make room');
});
