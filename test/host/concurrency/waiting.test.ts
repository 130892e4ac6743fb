import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { pause, Wakes } from '../../../src/host/concurrency/waiting.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';

function watched(promise: Promise<void>): { isOver: boolean } {
  const state = { isOver: false };
  void promise.then(() => {
    state.isOver = true;
  });
  return state;
}

test('a pause ends after its time, or at the abort, and leaves neither timer nor listener', async () => {
  const clock = createFakeClock();
  const early = new AbortController();
  const whole = watched(pause(clock, 100));
  const cut = watched(pause(clock, 100, early.signal));
  await clock.advance(99);
  await settle();
  assert.deepEqual([whole.isOver, cut.isOver], [false, false]);
  early.abort();
  await settle();
  assert.deepEqual([whole.isOver, cut.isOver], [false, true]);
  await clock.advance(1);
  await settle();
  assert.equal(whole.isOver, true);
  assert.equal(getEventListeners(early.signal, 'abort').length, 0);
  assert.equal(clock.timers, 0);
  await pause(clock, 100, early.signal);
  assert.equal(clock.timers, 0);
});

test('who waits is woken once: what happened before counts for nobody who comes after it', async () => {
  const clock = createFakeClock();
  const { signal } = new AbortController();
  const wakes = new Wakes();
  wakes.wake();
  const both = [wakes.next(signal), wakes.next(signal, { clock, ms: 50 })].map(watched);
  await settle();
  assert.deepEqual(both, [{ isOver: false }, { isOver: false }]);
  wakes.wake();
  await settle();
  assert.deepEqual(both, [{ isOver: true }, { isOver: true }]);
  const next = [wakes.next(signal), wakes.next(signal, { clock, ms: 50 })].map(watched);
  await clock.advance(50);
  await settle();
  assert.deepEqual(next, [{ isOver: false }, { isOver: true }]);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
});

test('where wakes are kept, one that nobody heard counts once for the next who waits', async () => {
  const clock = createFakeClock();
  const wakes = new Wakes(true);
  wakes.wake();
  wakes.wake();
  const waits = [wakes.next(), wakes.next(undefined, { clock, ms: 50 })].map(watched);
  await settle();
  assert.deepEqual(waits, [{ isOver: true }, { isOver: false }]);
  wakes.wake();
  const next = watched(wakes.next());
  await settle();
  assert.deepEqual([waits[1], next], [{ isOver: true }, { isOver: false }]);
  assert.equal(clock.timers, 0);
});
