// Goal: who waits hears of it, leaves in time, and leaves nothing behind. Phases: told, late, given up before and meanwhile, served.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPatience } from '../../../src/gateway/command/patience.js';
import { LeaseRefusal } from '../../../src/gateway/pool/lease.js';
import { createFakeClock } from '../../kit/fake-clock.js';

function start(timeoutMs: number, outer = new AbortController()) {
  const clock = createFakeClock();
  const told: string[] = [];
  const patience = createPatience({
    signal: () => outer.signal,
    clock,
    timeoutMs,
    onWaiting: (position) => void told.push(`${clock.now()}: ${position}`),
  });
  return { clock, told, patience, outer };
}

void test('told after 5 s, 15 s, 35 s, each time where it stands then', async () => {
  const { clock, told, patience } = start(60_000);
  await clock.advance(5_000);
  patience.stand(() => 3);
  await clock.advance(10_000);
  patience.stand(() => 2);
  await clock.advance(20_000);
  const startMs = clock.now() - 35_000;
  assert.deepEqual(
    told,
    [5, 15, 35].map((seconds, at) => `${startMs + seconds * 1000}: ${[1, 3, 2][at]}`),
  );
  assert.equal(patience.signal.aborted, false);
  patience.end();
  assert.equal(clock.timers, 0);
  await clock.advance(60_000);
  assert.equal(patience.signal.aborted, false);
});

void test('late: the time of a queue is over, and nothing is told any more', async () => {
  const { clock, told, patience } = start(5_000);
  await clock.advance(5_000);
  const { reason } = patience.signal;
  assert.ok(reason instanceof LeaseRefusal && reason.why === 'queue-timeout');
  await clock.advance(60_000);
  assert.ok(told.length <= 1);
  patience.end();
  assert.equal(clock.timers, 0);
});

void test('given up from outside, before or meanwhile, with that reason', () => {
  const gone = new AbortController();
  gone.abort('left');
  assert.equal(start(1_000, gone).patience.signal.reason, 'left');
  const { patience, outer } = start(1_000);
  assert.equal(patience.signal.aborted, false);
  outer.abort('drained');
  assert.equal(patience.signal.reason, 'drained');
});
