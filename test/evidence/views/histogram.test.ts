// Commands by time: few buckets whatever the times are, each command in one of them, and each outcome in one class.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHistogram } from '../../../src/evidence/views/histogram.js';
import type { RecordedOutcome } from '../../../src/journal/records/record.js';

const startMs = Date.UTC(2026, 10, 20);

function count(times: readonly number[], fromMs?: number, toMs?: number) {
  const histogram = createHistogram();
  for (const ms of times) histogram.take(rowAt(ms, 'ok'));
  return histogram.finish(fromMs, toMs);
}

function rowAt(ms: number, outcome: string | undefined) {
  const fields = { time: new Date(ms).toISOString(), outcome };
  const completedSeq = outcome === undefined ? undefined : 2;
  return { fields, admittedSeq: 1, completedSeq, completedTime: undefined };
}

const okOf = ({ buckets }: ReturnType<typeof count>): readonly number[] => buckets.map(({ ok }) => ok);

void test('nothing: no bucket, and an empty range', () => {
  assert.deepEqual(count([]), {
    from: '1970-01-01T00:00:00.000Z',
    to: '1970-01-01T00:00:00.000Z',
    step: 1,
    buckets: [],
  });
});

void test('buckets begin at whole steps, are without gaps, and cover what was asked for', () => {
  const { from, to, step, buckets } = count([startMs + 4_200, startMs + 1_000, startMs + 1_999]);
  assert.deepEqual([from, to, step], ['2026-11-20T00:00:01.000Z', '2026-11-20T00:00:05.000Z', 1]);
  assert.deepEqual(
    buckets.map(({ at, ok }) => [at.slice(17, 19), ok]),
    [
      ['01', 2],
      ['02', 0],
      ['03', 0],
      ['04', 1],
    ],
  );
  const day = count([startMs + 4_200], startMs, startMs + 86_400_000);
  assert.deepEqual(
    [day.from, day.to, day.step],
    ['2026-11-20T00:00:00.000Z', '2026-11-21T00:00:00.000Z', 1800],
  );
  assert.deepEqual([day.buckets.length, okOf(day)[0]], [48, 1]);
  // Asked for in the wrong order: there is nothing to cover.
  assert.equal(count([], startMs, startMs - 5).buckets.length, 1);
});

void test('at most 120, however far times are apart, and none is lost by joining', () => {
  for (const spanMs of [
    60_000,
    119_999,
    120_000,
    3_600_000,
    86_400_000,
    400 * 86_400_000,
    60 * 366 * 86_400_000,
  ]) {
    const times = Array.from(
      { length: 1_001 },
      (_, at) => startMs - Math.floor((spanMs * (at % 7) * at) / 7_000),
    );
    const { buckets, step } = count(times);
    assert.ok(buckets.length <= 120, `${buckets.length}`);
    assert.ok(buckets.length > 5, `${spanMs}: ${buckets.length} of ${step} s`);
    assert.equal(
      buckets.reduce((sum, { ok }) => sum + ok, 0),
      times.length,
    );
    // The same in another order.
    assert.deepEqual(count(times.toReversed()).buckets, buckets);
  }
});

void test('every outcome has its class; one without an end is unknown; a time that is none counts nowhere', () => {
  const outcomes: Readonly<Record<RecordedOutcome, true>> = {
    ok: true,
    denied: true,
    unparsable: true,
    limited: true,
    failed: true,
    partly: true,
    timeout: true,
    aborted: true,
    unknown: true,
  };
  const classes = Object.keys(outcomes).map((outcome) => {
    const histogram = createHistogram();
    histogram.take(rowAt(startMs, outcome));
    const [bucket] = histogram.finish(undefined, undefined).buckets;
    return `${outcome}: ${Object.entries(bucket ?? {}).find(([, value]) => value === 1)?.[0]}`;
  });
  assert.deepEqual(classes.toSorted(), [
    'aborted: unknown',
    'denied: denied',
    'failed: failed',
    'limited: denied',
    'ok: ok',
    'partly: failed',
    'timeout: failed',
    'unknown: unknown',
    'unparsable: denied',
  ]);
  const histogram = createHistogram();
  histogram.take(rowAt(startMs, undefined));
  histogram.take({ ...rowAt(startMs, 'ok'), fields: { time: 'yesterday', outcome: 'ok' } });
  histogram.take({ ...rowAt(startMs, 'ok'), fields: { outcome: 'ok' } });
  assert.equal(histogram.rows, 1);
  const { buckets } = histogram.finish(undefined, undefined);
  assert.deepEqual(buckets, [{ at: '2026-11-20T00:00:00.000Z', ok: 0, denied: 0, failed: 0, unknown: 1 }]);
});
