// Traffic in words and in charts: averages over what is known.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series } from '../../../src/page/answers/history.js';
import {
  areaPath,
  linePath,
  meanOf,
  momentsOf,
  runsOf,
  stacked,
  ticksOf,
} from '../../../src/page/web/chart.js';
import {
  layersOf,
  listOf,
  measureOf,
  nextLookMs,
  padded,
  shareWords,
  shortSince,
  spanNamed,
  valueOf,
} from '../../../src/page/web/traffic.js';

const series: Series = {
  name: 'desk',
  rate: [null, 2, 4],
  denied: [null, 0, 1],
  failed: [null, 0, 0.3],
  p50: [null, 5, 7],
  p99: [null, 50, 70],
  all: { rate: 3, denied: 0.5, failed: 0.15, p50: 6, p99: 60 },
};

void test('rates and times are of all that is known; at a moment it is what was then', () => {
  assert.equal(valueOf(series, 'rate', undefined), 3);
  assert.equal(valueOf(series, 'p99', undefined), 60);
  assert.equal(valueOf(series, 'rate', 0), undefined);
  assert.equal(valueOf(series, 'rate', 1), 2);
  assert.equal(valueOf({ ...series, all: { ...series.all, p99: null } }, 'p99', undefined), undefined);
});

void test('denied and failed are shares of all that ended, and none where nothing did', () => {
  assert.equal(shareWords(valueOf(series, 'failed', undefined) ?? 0), '5.0 %');
  assert.equal(valueOf(series, 'denied', 2), 0.25);
  assert.deepEqual(listOf(series, 'denied'), [null, 0, 0.25]);
  assert.deepEqual(listOf({ ...series, rate: [null, 0, 4] }, 'failed'), [null, null, 0.075]);
  assert.equal(valueOf({ ...series, all: { ...series.all, rate: 0 } }, 'failed', undefined), undefined);
  assert.deepEqual([0, 0.0004, 0.05, 0.5, 1].map(shareWords), ['0 %', '< 0.1 %', '5.0 %', '50 %', '100 %']);
});

void test('averages of less than their span say since when, and a look comes just after the end of a step', () => {
  const [since, until] = ['2026-11-21T10:00:00Z', '2026-11-21T10:09:50Z'];
  const history = { since, until, step: 10, series: [series] };
  assert.equal(shortSince(history, '10m'), since);
  assert.equal(shortSince({ ...history, until: '2026-11-21T10:10:00Z' }, '10m'), undefined);
  const untilMs = Date.parse(until);
  assert.equal(nextLookMs(history, untilMs + 4_000), 6_700);
  const looks = [-60_000, 10_500, 90_000].map((ms) => nextLookMs(history, untilMs + ms));
  assert.deepEqual(looks, [10_000, 2_000, 2_000]);
});

void test('a chart covers its whole span: nothing is known from before the first sample', () => {
  const history = { since: '', until: '2026-11-21T10:00:00Z', step: 10, series: [series] };
  const rate = padded(history, '10m').series[0]?.rate ?? [];
  assert.equal(rate.length, 60);
  assert.deepEqual(rate.slice(-3), [null, 2, 4]);
  assert.deepEqual(new Set(rate.slice(0, -3)), new Set([null]));
});

void test('an address with a word that is none shows the first', () => {
  assert.equal(spanNamed('1h'), '1h');
  assert.equal(spanNamed('1y'), '10m');
  assert.equal(measureOf('p99').value, 'p99');
  assert.equal(measureOf('toString').value, 'rate');
});

void test('a rate has two layers: what was served by name, and what failed of all; where nothing is known, neither', () => {
  const other: Series = { ...series, name: 'jobs', rate: [null, 1, 1], failed: [null, 1, 0] };
  const history = { since: '', until: '', step: 10, series: [series, other] };
  assert.deepEqual(layersOf(history, 'rate'), [
    { name: 'desk', values: [null, 2, 3.7] },
    { name: 'jobs', values: [null, 0, 1] },
    { name: 'failed', values: [null, 1, 0.3], color: 's-bad' },
  ]);
  const layers = layersOf(history, 'p50')
    .map(({ name }) => name)
    .join(' ');
  assert.equal(layers, 'desk jobs');
});

// What charts draw: axes that begin at zero and end at a round number, gaps where there is no sample, the times of an axis.

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
