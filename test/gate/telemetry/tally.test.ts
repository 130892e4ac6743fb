// Counting by labels, and what of it a reader sees.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { Durations, Tally } from '../../../src/gate/telemetry/tally.js';

const shown = async (registry: Registry): Promise<string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

function seenBy(visit: (see: (what: unknown) => void) => void): unknown[] {
  const seen: unknown[] = [];
  visit((what) => seen.push(what));
  return seen;
}

test('counts by every combination of labels, and reading changes nothing', async () => {
  const registry = new Registry();
  const tally = new Tally(registry, 'x_total', 'things', ['where', 'what']);
  assert.deepEqual(await shown(registry), []);
  tally.add(1, 'a', 'b');
  tally.add(2, 'a', 'b');
  tally.add(5, 'b', 'a');
  tally.add(0, 'a', 'c');
  const lines = [
    'x_total{where="a",what="b"} 3',
    'x_total{where="a",what="c"} 0',
    'x_total{where="b",what="a"} 5',
  ];
  assert.deepEqual(await shown(registry), lines);
  assert.deepEqual(await shown(registry), lines);
  assert.deepEqual(
    seenBy((see) => tally.each((values, count) => see([[...values], count]))),
    [
      [['a', 'b'], 3],
      [['a', 'c'], 0],
      [['b', 'a'], 5],
    ],
  );
});

test('values that look like names of JavaScript objects are values', async () => {
  const registry = new Registry();
  const tally = new Tally(registry, 'x_total', 'things', ['what']);
  for (const value of ['__proto__', 'constructor', 'hasOwnProperty', '"\n}']) tally.add(1, value);
  assert.deepEqual(await shown(registry), [
    'x_total{what="__proto__"} 1',
    'x_total{what="constructor"} 1',
    'x_total{what="hasOwnProperty"} 1',
    'x_total{what="\\"\\n}"} 1',
  ]);
});

// What histograms look like to whoever reads them: text format 0.0.4, counts that add up, labels that cannot break out.

test('each bucket holds those before it; a value on a bound is within it', () => {
  const durations = new Durations('seconds', 'How long.', [0.1, 1], []);
  for (const seconds of [0.05, 0.1, 0.5, 1.5]) durations.add(seconds);
  assert.equal(
    durations.render(),
    `# HELP seconds How long.
# TYPE seconds histogram
seconds_bucket{le="0.1"} 2
seconds_bucket{le="1"} 3
seconds_bucket{le="+Inf"} 4
seconds_sum 2.15
seconds_count 4
`,
  );
});

test('one series for each pair of labels, none before it was seen, and no value breaks its quotes', () => {
  const durations = new Durations('seconds', 'How long.', [1], ['listener', 'backend']);
  assert.deepEqual(durations.render().split('\n').length, 3);
  durations.add(0.5, 'a",\\b', 'x\ny');
  durations.add(2, 'a",\\b', 'z');
  durations.add(2, 'a",\\b', 'z');
  const first = 'listener="a\\",\\\\b",backend="x\\ny"';
  const second = 'listener="a\\",\\\\b",backend="z"';
  assert.deepEqual(durations.render().split('\n').slice(2), [
    `seconds_bucket{le="1",${first}} 1`,
    `seconds_bucket{le="+Inf",${first}} 1`,
    `seconds_sum{${first}} 0.5`,
    `seconds_count{${first}} 1`,
    `seconds_bucket{le="1",${second}} 0`,
    `seconds_bucket{le="+Inf",${second}} 2`,
    `seconds_sum{${second}} 4`,
    `seconds_count{${second}} 2`,
    '',
  ]);
  assert.deepEqual(
    seenBy((see) => durations.each((values, counts) => see([[...values], [...counts]]))),
    [
      [
        ['a",\\b', 'x\ny'],
        [1, 0],
      ],
      [
        ['a",\\b', 'z'],
        [0, 2],
      ],
    ],
  );
});
