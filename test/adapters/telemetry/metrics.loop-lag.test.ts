// How late a timer is, and that nothing is left behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchLoopLag } from '../../../src/adapters/telemetry/metrics.js';
import { createFakeClock } from '../../kit/fake-clock.js';

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
