// How late a timer is, and that nothing is left behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchLoopLag } from '../../../src/gate/telemetry/loop-lag.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

test('a beat in time is 0, one behind a block is late by what the block took longer', async () => {
  const clock = createFakeClock();
  let lateMs = 0;
  const beats: number[] = [];
  // The beat that is due fires when the block is over.
  const lag = watchLoopLag({ ...clock, now: () => clock.now() + lateMs }, (ms) => beats.push(ms));
  await clock.advance(250);
  assert.deepEqual(beats, [0, 0]);
  lateMs = 700;
  await clock.advance(50);
  assert.deepEqual(beats, [0, 0, 700]);
  await clock.advance(100);
  assert.deepEqual(beats, [0, 0, 700, 0]);
  lag.end();
  assert.equal(clock.timers, 0);
});

test('beats pause after 10 s in which nothing happened, and begin again with the next event', async () => {
  const clock = createFakeClock();
  const beats: number[] = [];
  const lag = watchLoopLag(clock, (ms) => beats.push(ms));
  await clock.advance(9_000);
  lag.noted();
  await clock.advance(9_000);
  assert.deepEqual([beats.length, clock.timers], [180, 1]);
  await clock.advance(60_000);
  assert.deepEqual([beats.length, clock.timers], [190, 0], 'no timer is left');
  lag.noted();
  lag.noted();
  await clock.advance(200);
  assert.deepEqual([beats.length, beats.at(-1), clock.timers], [192, 0, 1], 'the pause is no lag');
  lag.end();
  lag.noted();
  assert.equal(clock.timers, 0);
});
