import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeaseRefusal } from '../../src/backend/lease.js';
import { createWaiter } from '../../src/backend/waiter.js';
import { createFakeClock } from '../kit/fake-clock.js';

test('a waiter leaves once, with its timer and its listener', async () => {
  const clock = createFakeClock();
  let left = 0;
  const leave = (): void => {
    left += 1;
  };
  const late = createWaiter(new AbortController().signal, 1000, clock, false, leave);
  const isLate = assert.rejects(
    late.upstream,
    (fault) => fault instanceof LeaseRefusal && fault.why === 'queue-timeout',
  );
  await clock.advance(1000);
  await isLate;

  const controller = new AbortController();
  const given = createWaiter(controller.signal, 1000, clock, true, leave);
  assert.equal(given.isFresh, true);
  const isGiven = assert.rejects(given.upstream, (reason) => reason === 'gone');
  controller.abort('gone');
  await isGiven;

  const refused = createWaiter(new AbortController().signal, 1000, clock, false, leave);
  const isRefused = assert.rejects(refused.upstream, (fault) => fault === 'no');
  refused.reject('no');
  await isRefused;
  assert.equal(left, 3);
  assert.equal(clock.timers, 0);
});
