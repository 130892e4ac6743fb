// From counts of the daemon to what charts show: differences in steps, gaps where nothing is known, and a memory with a bound.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoorTraffic } from '../../src/gate/door/door.js';
import type { Series, Span } from '../../src/page/answers/history.js';
import { percentile, TrafficHistory } from '../../src/page/traffic-history.js';

const bucketBounds = [0.01, 0.1, 1];
const wallMs = Date.UTC(2026, 0, 2, 3, 4, 5);

type Team = DoorTraffic['teams'][number];

const none = { ended: 0, denied: 0, failed: 0, buckets: [0, 0, 0, 0] };

const team = (name: string, ended: number, more: Partial<Team> = {}): Team => ({
  ...none,
  name,
  ended,
  buckets: [ended, 0, 0, 0],
  ...more,
});

function traffic(teams: readonly Team[], more: Partial<DoorTraffic> = {}): DoorTraffic {
  return { run: 'first', bounds: bucketBounds, teams, ...more };
}

/** A history and its clock: `take` samples after a time. */
function begin(first: DoorTraffic) {
  let nowMs = 5_000.5;
  const history = new TrafficHistory(first, nowMs);
  const seriesOf = (span: Span = '10m') => history.history(span, nowMs, wallMs).series;
  return {
    history,
    take(sample: DoorTraffic, afterMs = 10_000) {
      nowMs += afterMs;
      history.take(sample, nowMs);
    },
    pass: (ms: number) => void (nowMs += ms),
    at: (span: Span = '10m') => history.history(span, nowMs, wallMs),
    seriesOf,
    team: (name: string, span: Span = '10m'): Series =>
      seriesOf(span).find((each) => each.name === name) ?? assert.fail(`no ${name}`),
  };
}

void test('rates are differences a second, labelled with the time of the wall; most commands first', () => {
  const kept = begin(traffic([team('jobs', 1000), team('support', 50)]));
  kept.take(traffic([team('jobs', 1005), team('support', 150, { denied: 20, failed: 5 })]));
  kept.take(traffic([team('jobs', 1005), team('support', 160, { denied: 20, failed: 5 })]));
  assert.deepEqual(kept.at(), {
    since: '2026-01-02T03:03:45.000Z',
    until: '2026-01-02T03:04:05.000Z',
    step: 10,
    series: [
      {
        name: 'support',
        rate: [10, 1],
        denied: [2, 0],
        failed: [0.5, 0],
        p50: [5, 5],
        p99: [9.9, 9.9],
        all: { rate: 5.5, denied: 1, failed: 0.25, p50: 5, p99: 9.9 },
      },
      {
        name: 'jobs',
        rate: [0.5, 0],
        denied: [0, 0],
        failed: [0, 0],
        p50: [5, null],
        p99: [9.9, null],
        all: { rate: 0.25, denied: 0, failed: 0, p50: 5, p99: 9.9 },
      },
    ],
  });
});

void test('one slow command in a step of its own is not the p99 of the whole time', () => {
  const kept = begin(traffic([team('a', 0)]));
  kept.take(traffic([team('a', 1000)]));
  kept.take(traffic([team('a', 1001, { buckets: [1000, 0, 0, 1] })]));
  kept.take(traffic([], { run: 'second' }));
  const { p99, all } = kept.team('a');
  assert.deepEqual(p99, [9.9, 1000, null]);
  assert.deepEqual([all.rate, all.p99], [50.05, 9.91]);
});

void test('a sample that is late or early does not change the rate; a step is as long as it was', () => {
  const kept = begin(traffic([team('a', 0)]));
  kept.take(traffic([team('a', 120)]), 12_000);
  kept.take(traffic([team('a', 200)]), 8_000);
  assert.deepEqual(kept.team('a').rate, [10, 10]);
  // One that came so late that it took the place of the next one.
  kept.take(traffic([team('a', 360)]), 16_000);
  kept.take(traffic([team('a', 400)]), 4_000);
  kept.take(traffic([team('a', 500)]), 10_000);
  assert.deepEqual(kept.team('a').rate, [10, 10, null, null, 10]);
});

void test('where samples are missing nothing is shown, also not at the first one after them', () => {
  const kept = begin(traffic([team('a', 0)]));
  kept.take(traffic([team('a', 10)]));
  kept.pass(45_000);
  assert.deepEqual(kept.team('a').rate, [1, null, null, null], 'a gap while nothing comes');
  kept.take(traffic([team('a', 900)]), 5_000);
  kept.take(traffic([team('a', 920)]));
  const { rate, p50 } = kept.team('a');
  assert.deepEqual(rate, [1, null, null, null, null, null, 2]);
  assert.equal(p50[5], null);
});

void test('counts that begin again make no rate: by a restart, by a smaller number, by another list of teams', () => {
  const kept = begin(traffic([team('a', 500)]));
  kept.take(traffic([team('a', 510)]));
  kept.take(traffic([team('a', 900)], { run: 'second' }));
  kept.take(traffic([team('a', 920)], { run: 'second' }));
  kept.take(traffic([team('a', 3)], { run: 'second' }));
  kept.take(traffic([team('a', 13)], { run: 'second' }));
  assert.deepEqual(kept.team('a').rate, [1, null, 2, null, 1]);
  // One bucket alone went down.
  kept.take(traffic([team('a', 20, { buckets: [0, 20, 0, 0] })], { run: 'second' }));
  assert.equal(kept.team('a').rate.at(-1), null);
  // A listener that a reload took out and another one put back: the daemon counted it before, too.
  kept.take(traffic([team('b', 700)], { run: 'second' }));
  kept.take(traffic([team('a', 5_000), team('b', 710)], { run: 'second' }));
  kept.take(traffic([team('a', 5_010), team('b', 720)], { run: 'second' }));
  assert.deepEqual(kept.team('a').rate.slice(-3), [null, null, 1]);
  assert.deepEqual(kept.team('b').rate.slice(-3), [null, 1, 1]);
});

void test('buckets of another release do not fit', () => {
  const { history } = begin(traffic([]));
  assert.equal(history.fits(traffic([], { run: 'second' })), true);
  assert.equal(history.fits(traffic([], { bounds: [0.01, 0.1, 2] })), false);
  assert.equal(history.fits(traffic([], { bounds: [0.01, 0.1] })), false);
});

void test('an hour in steps of 10 s, a day in minutes, and nothing older', () => {
  const kept = begin(traffic([team('a', 0)]));
  let ended = 0;
  const steps = 25 * 360 + 3;
  for (let step = 1; step <= steps; step += 1) {
    // One command more in each minute than in the one before.
    ended += Math.floor((step - 1) / 6) * 10;
    kept.take(traffic([team('a', ended)]));
  }
  const last = Math.floor((steps - 1) / 6);
  const minute = kept.team('a', '10m');
  const hour = kept.team('a', '1h');
  const day = kept.team('a', '24h');
  assert.deepEqual([minute.rate.length, hour.rate.length, day.rate.length], [60, 360, 1440]);
  assert.deepEqual([minute.rate.at(-1), hour.rate[0], hour.rate.at(-1)], [last, last - 60, last]);
  assert.deepEqual([day.rate[0], day.rate[1], day.rate.at(-1)], [last - 1440, last - 1439, last - 1]);
  const { since, until, step } = kept.at('24h');
  assert.deepEqual([since, until, step], ['2026-01-01T02:03:35.000Z', '2026-01-02T03:03:35.000Z', 60]);
  // Nothing for two hours, then it goes on.
  kept.pass(2 * 3_600_000);
  assert.deepEqual(kept.seriesOf('1h'), [], 'nothing in this hour');
  kept.take(traffic([team('a', ended)]));
  kept.take(traffic([team('a', ended + 10)]));
  assert.deepEqual(kept.team('a', '1h').rate.slice(-2), [null, 1]);
  assert.equal(kept.team('a', '1h').rate.filter((each) => each !== null).length, 1);
  // Two hours, without the parts of minutes at both ends.
  assert.equal(kept.team('a', '24h').rate.filter((each) => each === null).length, 119);
});

void test('beyond (8 * 1024 ** 2) the smallest are one series, with their percentiles, and the larger ones get their own', () => {
  const names = Array.from({ length: 400 }, (_, index) => `team${index}`);
  const long = [...Array(15).keys()];
  const many = (round: number, big = '') => {
    return traffic(
      names.map((name, index) => {
        const ended = round * (index < 300 ? 10 : 20) * (name === big ? 1000 : 1);
        return team(name, ended, { buckets: [...long.map(() => 0), ended] });
      }),
      { bounds: long },
    );
  };
  const kept = begin(many(0));
  kept.take(many(1));
  const before = kept.seriesOf();
  const own = before.length - 1;
  assert.equal(before[0]?.name, 'other');
  const all = (300 * 10 + 100 * 20) / 10;
  const sum = (at: number): number =>
    kept.seriesOf().reduce((total, { rate }) => total + Math.round((rate.at(at) ?? 0) * 10), 0) / 10;
  assert.equal(sum(-1), all, 'nothing is lost');
  assert.deepEqual(before[0]?.p50, [14_000], 'the highest bound is told');
  assert.ok(own >= 20, `${own} teams have a series`);
  kept.take(many(2, 'team399'));
  kept.take(many(3, 'team399'));
  const big = kept.team('team399');
  assert.deepEqual([big.rate.length, big.rate[0], big.rate[1]], [3, null, null]);
  assert.equal(big.rate[2], 2000);
  assert.equal(kept.seriesOf().length, own + 1);
  assert.equal(sum(0), all, 'the past of who lost it is among the others');
  const { bytes } = kept.history;
  assert.ok(bytes <= 8 * 1024 ** 2 && bytes > 8 * 1024 ** 2 * 0.9, `${bytes} bytes`);
  // Teams of the same size do not take places from each other.
  for (let round = 4; round < 60; round += 1) kept.take(many(round));
  const shown = (): ReadonlySet<string> => new Set(kept.seriesOf().map(({ name }) => name));
  const places = shown();
  for (let round = 60; round < 70; round += 1) kept.take(many(round));
  assert.deepEqual(shown(), places);
  assert.equal(kept.history.bytes, bytes);
});

void test('a team that is called as the others are is one of them', () => {
  const kept = begin(traffic([team('other', 0)]));
  kept.take(traffic([team('other', 10)]));
  assert.deepEqual(kept.team('other').rate, [1]);
});

void test('percentiles are interpolated within their bucket', () => {
  assert.equal(percentile([0, 0, 0, 0], bucketBounds, 0.5), null);
  assert.equal(percentile([100, 0, 0, 0], bucketBounds, 0.5), 5);
  assert.equal(percentile([0, 100, 0, 0], bucketBounds, 0.5), 55);
  assert.equal(percentile([50, 50, 0, 0], bucketBounds, 0.5), 10);
  assert.equal(percentile([50, 48, 2, 0], bucketBounds, 0.99), 550);
  assert.equal(percentile([0, 0, 0, 1], bucketBounds, 0.99), 1000, 'above the last bound');
  assert.equal(percentile([1, 0, 0, 0], bucketBounds, 0.99), 9.9);
});
