// How the benches take medians and compare a run with a recorded one (test/bench/load/rounds.ts, report.ts).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareRatios, parseDocument, type Row } from '../bench/load/report.js';
import { differenceOf, measureRounds, ratioOf, spreadOf } from '../bench/load/rounds.js';

const row = (name: string, median: number, more: Partial<Row> = {}): Row => {
  return { name, unit: 'x', median, from: median, to: median, isMost: false, ...more };
};

test('ratios and differences are taken within a round, and their median counts', async () => {
  // The machine gets slower from round to round; the first one warms up.
  let speed = 16;
  const candidates = {
    gate: async () => ({ figure: speed, costs: {} }),
    direct: async () => {
      speed /= 2;
      return { figure: speed * 4, costs: {} };
    },
  };
  const rounds = await measureRounds(3, 1, candidates);
  assert.equal(rounds.length, 3);
  assert.deepEqual(ratioOf(rounds, 'gate', 'direct'), { median: 0.5, from: 0.5, to: 0.5 });
  assert.deepEqual(differenceOf(rounds, 'gate', 'direct'), { median: -4, from: -8, to: -2 });
  assert.throws(() => ratioOf(rounds, 'gate', 'sudo'), /"sudo" was not measured/);
});

test('of an even number the lower one is the median; what is no number does not count', () => {
  assert.deepEqual(spreadOf([4, 1, Number.NaN, 3, 2]), { median: 2, from: 1, to: 4 });
  assert.deepEqual(spreadOf([]), { median: Number.NaN, from: Number.NaN, to: Number.NaN });
});

test('a ratio is worse when it lost more than a tenth, in the direction that counts', () => {
  const verdicts = (was: Row, is: Row) => compareRatios([was], [is]).map(({ verdict }) => verdict);
  assert.deepEqual(verdicts(row('a', 1), row('a', 0.91)), ['ok']);
  assert.deepEqual(verdicts(row('a', 1), row('a', 0.89)), ['WORSE']);
  assert.deepEqual(verdicts(row('a', 1), row('a', 2)), ['ok']);
  const most = { isMost: true };
  assert.deepEqual(verdicts(row('a', 1, most), row('a', 1.09, most)), ['ok']);
  assert.deepEqual(verdicts(row('a', 1, most), row('a', 1.11, most)), ['WORSE']);
});

test('figures of the machine are not compared; a recorded ratio that is not in the run is a failure, a new one is not', () => {
  const recorded = [row('us', 50, { unit: 'us' }), row('gone', 2)];
  const compared = compareRatios(recorded, [row('us', 500, { unit: 'us' }), row('new', 1)]);
  assert.deepEqual(compared, [{ name: 'gone', verdict: 'MISSING', was: 2, is: Number.NaN }]);
});

test('a recorded run is read with what npm printed before it; other files are refused', () => {
  const document = JSON.stringify({ bench: 'compare', rows: [row('a', 1)] });
  const text = `\n> dovegate@0.1.0 bench\n> node scripts/bench.mjs compare --json\n\n${document}\n`;
  assert.deepEqual(parseDocument(text, 'compare'), [row('a', 1)]);
  for (const wrong of [
    '',
    '{}',
    '{',
    '{"bench":"compare","rows":[1]}',
    document.replace('compare', 'dovecot'),
  ])
    assert.throws(() => parseDocument(wrong, 'compare'), /not made by/);
});
