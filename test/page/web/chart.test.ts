// What charts draw: axes that begin at zero and end at a round number, gaps where there is no sample, the times of an axis.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  areaPath,
  linePath,
  meanOf,
  momentsOf,
  runsOf,
  stacked,
  ticksOf,
} from '../../../src/page/web/chart.js';

const same = (value: number): number => value;

void test('an axis begins at zero, ends at or above the greatest value, and has few round steps', () => {
  assert.deepEqual(ticksOf(0), [0, 1]);
  assert.deepEqual(ticksOf(Number.NaN), [0, 1]);
  assert.deepEqual(ticksOf(1), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(ticksOf(1000), [0, 250, 500, 750, 1000]);
  assert.deepEqual(ticksOf(0.1), [0, 0.025, 0.05, 0.075, 0.1]);
  for (const max of [0.003, 0.37, 7, 11, 99, 101, 1234, 98_765_432]) {
    const ticks = ticksOf(max);
    const isFit = ticks.length >= 3 && ticks.length <= 6 && (ticks.at(-1) ?? 0) >= max;
    assert.ok(isFit, `${max}: ${ticks.join(' ')}`);
  }
});

void test('a line has a gap where there is no sample, and a sample alone is seen', () => {
  assert.equal(runsOf([null, 1, 2, null, null, 3]).join(' '), '1,2 5,5');
  assert.equal(linePath([1, 2, null, 3], same, same), 'M0 1L1 2M1.5 3h3');
  assert.equal(linePath([null, null], same, same), '');
  assert.equal(areaPath([1, 2], undefined, same, same), 'M0 1L1 2L1 0L0 0Z');
});

void test('areas lie on each other; a moment without any sample stays one', () => {
  const [lower, upper] = [
    [1, null, null],
    [2, 3, null],
  ];
  assert.deepEqual(stacked([lower, upper]), [lower, [3, 3, null]]);
  assert.equal(meanOf([null, 2, 4]), 3);
  assert.equal(meanOf([null]), undefined);
});

void test('times of an axis are round by the clock of the zone', () => {
  const from = Date.parse('2026-11-21T10:03:00Z');
  const hours = momentsOf(from, from + 24 * 3_600_000, 6, 3_600_000).map((ms) => new Date(ms).toISOString());
  assert.deepEqual(hours.slice(0, 2), ['2026-11-21T11:00:00.000Z', '2026-11-21T15:00:00.000Z']);
  const half = momentsOf(from, from + 4 * 3_600_000, 4, 5.5 * 3_600_000);
  assert.equal(new Date(half[0] ?? 0).toISOString(), '2026-11-21T10:30:00.000Z');
  assert.ok(momentsOf(from, from + 600_000, 4, 0).length <= 4);
});
