import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ByteBudget,
  KeyedSemaphore,
  TokenBuckets,
  UserLock,
  type Waiting,
  WaitTimeout,
} from '../../../src/host/concurrency/limits.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

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

// Goal: a user is at one backend at a time; every waiting caller gets its turn; no entry stays in memory.

/** A caller that waits until `signal` aborts. */
const asking = (signal: AbortSignal = new AbortController().signal): Waiting => ({
  signal: () => signal,
  clock: createFakeClock(),
  timeoutMs: 30_000,
  onWaiting: () => undefined,
});
const patient = asking();

void test('one backend: all at once; another: when they are gone, in order', async () => {
  const lock = new UserLock();
  const order: string[] = [];
  const one = lock.take(['alice'], 'mail1', patient);
  const two = lock.take(['alice'], 'mail1', patient);
  assert.ok(typeof one === 'function' && typeof two === 'function');
  const later = Promise.resolve(lock.take(['alice'], 'mail2', patient)).then((back) => {
    order.push('mail2');
    return back;
  });
  const last = Promise.resolve(lock.take(['alice'], 'mail1', patient)).then((back) => {
    order.push('mail1');
    return back;
  });
  const other = lock.take(['bob'], 'mail2', patient);
  assert.ok(typeof other === 'function');
  one();
  one();
  await settle();
  assert.deepEqual(order, []);
  two();
  (await later)();
  (await last)();
  other();
  assert.deepEqual(order, ['mail2', 'mail1']);
  assert.equal(lock.size, 0);
});

void test('who gives up waits no longer, and those behind go on', async () => {
  const lock = new UserLock();
  const first = await lock.take(['alice'], 'mail1', patient);
  const controller = new AbortController();
  const gone = Promise.resolve(lock.take(['alice'], 'mail2', asking(controller.signal)));
  const behind = Promise.resolve(lock.take(['alice'], 'mail1', patient));
  controller.abort('left');
  await assert.rejects(gone, (reason) => reason === 'left');
  (await behind)();
  first();
  await assert.rejects(
    (async () => {
      const back = await lock.take(['alice'], 'mail1', patient);
      const late = Promise.resolve(lock.take(['alice'], 'mail2', asking(controller.signal)));
      back();
      await late;
    })(),
    (reason) => reason === 'left',
  );
  assert.equal(lock.size, 0);
});

void test('who waits is told after 5 s and ever less often, and no more when it is served; its wait for all its users has one end', async () => {
  const lock = new UserLock();
  const clock = createFakeClock();
  const startMs = clock.now();
  const told: string[] = [];
  const impatient = (name: string): Waiting => ({
    ...asking(),
    clock,
    timeoutMs: 60_000,
    onWaiting: () => void told.push(`${name} ${clock.now() - startMs}`),
  });
  const alice = await lock.take(['alice'], 'mail1', patient);
  const bob = await lock.take(['bob'], 'mail1', patient);
  const ahead = Promise.resolve(lock.take(['alice'], 'mail2', impatient('ahead')));
  const late = Promise.resolve(lock.take(['alice', 'bob'], 'mail2', impatient('late')));
  let isLate = false;
  late.catch(() => {
    isLate = true;
  });
  await clock.advance(5_000);
  alice();
  (await ahead)();
  // It has alice now, and waits for bob.
  await clock.advance(54_999);
  assert.deepEqual([told, isLate], [['ahead 5000', 'late 5000', 'late 15000', 'late 35000'], false]);
  await clock.advance(1);
  await assert.rejects(late, WaitTimeout);
  bob();
  assert.deepEqual([lock.size, clock.timers], [0, 0]);
});
