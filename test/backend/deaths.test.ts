import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDeaths } from '../../src/backend/deaths.js';

void test('PROTOCOL 8: one that ends without a word, while others live, was killed by its command', () => {
  const deaths = createDeaths();
  deaths.died('mail1-1', false, 1_000);
  assert.equal(deaths.isPoisoned('mail1-1', 3, 1_000), true);
  assert.equal(deaths.isPoisoned('mail1-2', 3, 1_000), false, 'that one did not die');
});

void test('the only one there is was killed by its command too', () => {
  const deaths = createDeaths();
  deaths.died('mail1-1', false, 1_000);
  assert.equal(deaths.isPoisoned('mail1-1', 0, 1_000), true);
  deaths.died('mail1-2', false, 3_000);
  assert.equal(deaths.isPoisoned('mail1-2', 0, 3_000), true, 'the other death is long ago');
});

void test('all at once is the backend', () => {
  const deaths = createDeaths();
  for (const upstream of ['mail1-1', 'mail1-2', 'mail1-3']) deaths.died(upstream, false, 1_000);
  assert.equal(deaths.isPoisoned('mail1-3', 0, 1_000), false);
  assert.equal(deaths.isPoisoned('mail1-2', 0, 1_000), false);
});

void test('PROTOCOL 12 trap 27: after idle ones died, or a signal was told of, no command is blamed for half a minute', () => {
  for (const sign of ['peer-ended', 'spoke-while-idle', 'killed'] as const) {
    const deaths = createDeaths();
    if (sign === 'killed') deaths.died('mail1-1', true, 1_000);
    else assert.equal(deaths.closed(sign, 1_000), true);
    deaths.died('mail1-2', false, 13_000);
    assert.equal(deaths.isPoisoned('mail1-2', 1, 13_000), false, sign);
    assert.equal(deaths.isPoisoned('mail1-1', 1, 1_000), false, sign);
    deaths.died('mail1-3', false, 31_001);
    assert.equal(deaths.isPoisoned('mail1-3', 1, 31_001), true, sign);
  }
});

void test('what we close ourselves is no death', () => {
  const deaths = createDeaths();
  for (const reason of ['lifetime', 'idle-timeout', 'aborted', 'draining'] as const) {
    assert.equal(deaths.closed(reason, 1_000), false);
  }
  deaths.died('mail1-1', false, 1_000);
  assert.equal(deaths.isPoisoned('mail1-1', 1, 1_000), true);
});
