import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Abortable } from '../../../src/concurrency/abortable.js';
import { Waiter } from '../../../src/gateway/pool/waiter.js';
import { createFakeClock, type FakeClock } from '../../kit/fake-clock.js';

const timeoutMs = 60_000;

/** A waiter, what it was told, and how often it left by itself. */
function wait(clock: FakeClock, isToldOf = true) {
  const abortable = new Abortable();
  const told: number[] = [];
  const left: Waiter[] = [];
  const onWaiting = (): void => void told.push(told.length + 1);
  const waiter = new Waiter(
    {
      principal: 'a@b',
      origin: 'uid 1',
      weight: 1,
      isFresh: false,
      abortable,
      ...(isToldOf ? { onWaiting } : {}),
    },
    1,
    timeoutMs,
    {
      clock,
      owner: { left: (who) => void left.push(who) },
    },
  );
  return { waiter, told, left, abort: (reason: string): void => abortable.abort(reason) };
}

void test('who is aborted leaves with the reason; who is refused is taken out by who refuses', async () => {
  const clock = createFakeClock();
  const aborted = wait(clock);
  aborted.abort('gone');
  await assert.rejects(aborted.waiter.upstream, (reason) => reason === 'gone');
  assert.deepEqual(aborted.left, [aborted.waiter]);
  const refused = wait(clock);
  refused.waiter.reject('no');
  refused.abort('too late');
  await assert.rejects(refused.waiter.upstream, (fault) => fault === 'no');
  assert.deepEqual([refused.left.length, clock.timers], [0, 0]);
});

void test('who waits is told after 5 s, and then ever less often', async () => {
  const clock = createFakeClock();
  const { waiter, told } = wait(clock);
  waiter.upstream.catch(() => undefined);
  const times: number[] = [];
  for (let second = 1; second <= 60; second += 1) {
    const before = told.length;
    await clock.advance(1_000);
    if (told.length > before) times.push(second);
  }
  assert.deepEqual(
    [times, told],
    [
      [5, 15, 35],
      [1, 2, 3],
    ],
  );
  assert.equal(clock.timers, 0);
});
