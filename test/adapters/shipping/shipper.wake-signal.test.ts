import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WakeSignal } from '../../../src/adapters/shipping/shipper.js';
import { createFakeClock, settle } from '../../kit/fake-clock.js';

void test('a ring wakes who waits, or the next one who does', async () => {
  const clock = createFakeClock();
  const bell = new WakeSignal(clock);
  const waits = bell.wait();
  bell.ring();
  await waits;
  bell.ring();
  bell.ring();
  await bell.wait();
  let isWoken = false;
  void bell.wait().then(() => {
    isWoken = true;
  });
  await settle();
  assert.equal(isWoken, false, 'two rings that nobody heard are one');
  bell.ring();
  await settle();
  assert.equal(isWoken, true);
});

void test('a time ends a wait, and leaves no timer or ring behind', async () => {
  const clock = createFakeClock();
  const bell = new WakeSignal(clock);
  const timed = bell.wait(100);
  await clock.advance(100);
  await timed;
  const early = bell.wait(100);
  bell.ring();
  await early;
  assert.equal(clock.timers, 0);
  let isWoken = false;
  void bell.wait(100).then(() => {
    isWoken = true;
  });
  await clock.advance(99);
  assert.equal(isWoken, false);
  await clock.advance(1);
  assert.equal(isWoken, true);
});
