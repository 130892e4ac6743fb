// The histogram of a search: as many commands as all its pages have, at their times, through any view; what is hidden is in no number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTrail } from '../../../src/evidence/reading/read-trail.js';
import type { Exclusion } from '../../../src/evidence/story/leave-out.js';
import { createHistogram } from '../../../src/evidence/views/histogram.js';
import type { Histogram } from '../../../src/evidence/views/trail.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { opened, ours, recordsOf, searched, startMs, writeJournal } from './written-journal.js';

const still = { now: () => 0 };

interface Asking {
  readonly directory: string;
  readonly users?: readonly string[] | undefined;
  readonly filter?: TrailFilter;
  readonly not?: readonly Exclusion[];
  readonly timeMs?: number;
  readonly clock?: { now(): number };
}

async function ask({ directory, users, filter = {}, not = [], timeMs = 60_000, clock = still }: Asking) {
  const asked = { look: 'histogram', filter, cursor: undefined, not } as const;
  const limits = { rowsMax: 1, bytesMax: 1, timeMs };
  const { text, rows } = await readTrail({ directory, asked, users, ownKey: '', limits }, clock);
  const histogram: Histogram = JSON.parse(text);
  return { histogram, rows, text };
}

function expected(all: Buffer, users: readonly string[] | undefined, filter: TrailFilter) {
  const counted = createHistogram();
  for (const row of searched(all, users, filter)) counted.take(row);
  return { rows: counted.rows, buckets: counted.finish(undefined, undefined).buckets };
}

const sum = ({ buckets }: Pick<Histogram, 'buckets'>): number =>
  buckets.reduce((all, { ok, denied, failed, unknown }) => all + ok + denied + failed + unknown, 0);

/** Its times within that hour, and its step in seconds. */
const spanOf = ({ from, to, step }: Histogram) => {
  const [begin = '', end = ''] = [from, to].map((time) => /^2026-11-20T(00:\d\d):00\.000Z$/.exec(time)?.[1]);
  return [begin, end, step];
};

void test('it counts what a search from the start finds, through any view', async (t) => {
  const { directory, all } = opened(t, 3_000, 1000);
  const filters: readonly TrailFilter[] = [
    {},
    { user: 'alice3@example.com' },
    { user: 'bob3@other.org' },
    { outcome: 'open' },
    { outcome: 'ok', user: 'alice*' },
    { text: 'other.org' },
    { id: 'X97' },
    { session: 'none' },
  ];
  for (const users of [ours, undefined])
    for (const filter of filters) {
      const { histogram, rows } = await ask({ directory, users, filter });
      const wanted = expected(all, users, filter);
      const what = JSON.stringify([users, filter]);
      assert.deepEqual([rows, sum(histogram), histogram.isWhole], [wanted.rows, wanted.rows, true], what);
      assert.deepEqual(histogram.buckets, wanted.buckets, what);
    }
  const not = [{ key: 'outcome', value: 'ok' }] as const;
  const others = await ask({ directory, users: ours, not });
  const [whole, ok] = [expected(all, ours, {}).rows, expected(all, ours, { outcome: 'ok' }).rows];
  assert.ok(ok > 0 && whole > ok);
  assert.equal(sum(others.histogram), whole - ok, 'what is left out of the rows is in no bar');
  const { histogram } = await ask({ directory });
  assert.deepEqual(spanOf(histogram), ['00:00', '00:50', 30]);
  const second = { at: '2026-11-20T00:00:30.000Z', ok: 29, denied: 0, failed: 0, unknown: 1 };
  assert.deepEqual(histogram.buckets[1], second);
  assert.equal(histogram.looked?.fromSeq, 1);
});

void test('an effect is left out of the bars as it is shown', async (t) => {
  const directory = temporaryDirectory(t);
  const records = ['text', 'uid'].map((field, at) => {
    const fetch = { command: 'fetch', effect: 'read', args: [field, '--', 'all'], series: '2.4' } as const;
    return { time: startMs + at, event: 'admission', session: 'S', id: `X${at}`, ...fetch } as const;
  });
  writeJournal(directory, [...records, { time: startMs + 9, event: 'session-close', session: 'S' }]);
  const without = async (value: string) => (await ask({ directory, not: [{ key: 'effect', value }] })).rows;
  assert.deepEqual([await without('read'), await without('content'), await without('write')], [1, 1, 2]);
});

void test('what a flood left without records is told beside the bars, for the same search and view', async (t) => {
  const directory = temporaryDirectory(t);
  const flood = { event: 'limit', principal: 'anna@desk', action: 'refused', count: 15 } as const;
  writeJournal(directory, [...recordsOf(9), { time: startMs + 20, ...flood }]);
  const told = async (asking: Partial<Asking>) => (await ask({ directory, ...asking })).histogram.counted;
  assert.equal(await told({}), 'and 15 more refusals were counted only: a flood limit; 24 in all');
  assert.match(String(await told({ not: [{ key: 'command', value: 'who' }] })), /whether they match$/);
  assert.equal(await told({ filter: { principal: 'bob@*' } }), undefined);
  assert.equal(await told({ users: ours }), undefined);
});

void test('with times it covers what was asked for, as far as the journal goes', async (t) => {
  const { directory } = opened(t, 3_000, 1000);
  const within = { sinceMs: startMs + 600_000, untilMs: startMs + 1_200_000 };
  const { histogram } = await ask({ directory, filter: within });
  assert.deepEqual([...spanOf(histogram), sum(histogram)], ['00:10', '00:20', 5, 600]);
  const beyond = { sinceMs: 0, untilMs: startMs * 2 };
  const { histogram: all } = await ask({ directory, filter: beyond });
  assert.deepEqual([...spanOf(all), sum(all)], ['00:00', '00:50', 30, 3_000]);
  const { histogram: few } = await ask({ directory, filter: { ...within, id: 'X700' } });
  assert.deepEqual([few.buckets.length, sum(few)], [120, 1], 'empty ones are shown');
});

void test('when time runs out the newest are counted, and it says so; an empty journal has nothing', async (t) => {
  const { directory } = opened(t, 3_000, 1000);
  let nowMs = 0;
  const clock = { now: () => (nowMs += 10) };
  const { histogram } = await ask({ directory, timeMs: 25, clock });
  assert.equal(histogram.isWhole, false);
  assert.ok(sum(histogram) > 0 && sum(histogram) < 2_000, String(sum(histogram)));
  assert.ok((histogram.looked?.fromSeq ?? 0) > 1);
  assert.equal(histogram.to, '2026-11-20T00:50:00.000Z');
  nowMs = 0;
  const timed = await ask({ directory, timeMs: 25, clock, filter: { sinceMs: startMs } });
  assert.ok(timed.histogram.from > '2026-11-20T00:10', 'what was not read is not shown as empty');
  const none = await ask({ directory: temporaryDirectory(t), filter: { sinceMs: startMs } });
  const { buckets, looked, isWhole } = none.histogram;
  assert.deepEqual([buckets, looked, isWhole], [[], undefined, true]);
});
