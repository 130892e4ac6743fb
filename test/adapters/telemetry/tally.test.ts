// Counting by labels, and what of it a reader sees.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { Tally } from '../../../src/adapters/telemetry/tally.js';

const shown = async (registry: Registry): Promise<string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

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
