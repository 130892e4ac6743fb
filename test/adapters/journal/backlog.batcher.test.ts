// When records go to the writer's thread, with a clock that is turned by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatcher } from '../../../src/adapters/journal/backlog.js';
import { createHandClock } from './hand-clock.js';

function begin(deadlineMs = 2_000) {
  const clock = createHandClock();
  let sent = 0;
  const gathering = createBatcher(clock, deadlineMs, () => {
    sent += 1;
  });
  return { clock, gathering, sent: () => sent };
}

void test('records that hold somebody up go at the end of the turn, together', async () => {
  const { clock, gathering, sent } = begin();
  for (let count = 0; count < 3; count += 1) gathering.came(false, false);
  await Promise.resolve();
  assert.deepEqual([gathering.isDue, sent()], [false, 0]);
  await clock.nextTurn();
  await clock.nextTurn();
  assert.deepEqual([gathering.isDue, sent()], [true, 1]);
  gathering.went(false);
  assert.equal(gathering.isDue, false);
});

void test('those that hold nobody up linger, unless others take them along', async () => {
  const { clock, gathering, sent } = begin();
  gathering.came(true, false);
  gathering.came(true, true);
  assert.equal(clock.timers, 1);
  await clock.nextTurn();
  assert.equal(sent(), 0);
  clock.turn();
  assert.deepEqual([gathering.isDue, sent(), clock.timers], [true, 1, 0]);
  gathering.went(false);
  gathering.came(true, false);
  gathering.went(false);
  clock.turn();
  assert.deepEqual([gathering.isDue, sent(), clock.timers], [false, 1, 0]);
  gathering.came(true, false);
  gathering.cancel();
  assert.equal(clock.timers, 0);
});

void test('behind an order that is under way nobody waits for a turn', () => {
  const { gathering, sent } = begin();
  gathering.came(false, true);
  assert.deepEqual([gathering.isDue, sent()], [true, 0]);
  gathering.went(true);
  assert.equal(gathering.isDue, true, 'what did not fit in goes next');
});

void test('nothing lingers for a good part of the deadline', () => {
  for (const [deadlineMs, atMost] of [
    [2_000, 20],
    [50, 5],
  ] as const) {
    const { clock, gathering, sent } = begin(deadlineMs);
    const startMs = clock.now();
    gathering.came(true, false);
    clock.turn();
    assert.deepEqual([sent(), clock.now() - startMs], [1, atMost]);
  }
});
