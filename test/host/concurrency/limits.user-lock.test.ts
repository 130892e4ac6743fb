// Goal: never two backends for one user at the same time, nobody left waiting, nothing left behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserLock, type Waiting, WaitTimeout } from '../../../src/host/concurrency/limits.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

/** Somebody who waits for ever, unless `signal` says something else. */
const asking = (signal: AbortSignal = new AbortController().signal): Waiting => ({
  signal: () => signal,
  clock: createFakeClock(),
  timeoutMs: 30_000,
  onWaiting: () => undefined,
});
const never = asking();

void test('one backend: all at once; another: when they are gone, in order', async () => {
  const lock = new UserLock();
  const order: string[] = [];
  const one = lock.take(['alice'], 'mail1', never);
  const two = lock.take(['alice'], 'mail1', never);
  assert.ok(typeof one === 'function' && typeof two === 'function');
  const later = Promise.resolve(lock.take(['alice'], 'mail2', never)).then((back) => {
    order.push('mail2');
    return back;
  });
  const last = Promise.resolve(lock.take(['alice'], 'mail1', never)).then((back) => {
    order.push('mail1');
    return back;
  });
  const other = lock.take(['bob'], 'mail2', never);
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
  const first = await lock.take(['alice'], 'mail1', never);
  const controller = new AbortController();
  const gone = Promise.resolve(lock.take(['alice'], 'mail2', asking(controller.signal)));
  const behind = Promise.resolve(lock.take(['alice'], 'mail1', never));
  controller.abort('left');
  await assert.rejects(gone, (reason) => reason === 'left');
  (await behind)();
  first();
  await assert.rejects(
    (async () => {
      const back = await lock.take(['alice'], 'mail1', never);
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
  const alice = await lock.take(['alice'], 'mail1', never);
  const bob = await lock.take(['bob'], 'mail1', never);
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
