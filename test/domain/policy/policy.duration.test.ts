// Goal: durations mean what they say, and nothing is guessed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, parseDuration } from '../../../src/domain/policy/policy.js';

void test('durations', () => {
  const table = {
    '500ms': 500,
    '5s': 5000,
    '10m': 600_000,
    '2h': 7_200_000,
    '7d': 604_800_000,
    '2w': 1_209_600_000,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDuration(text), ms, text);
  for (const text of [
    '',
    '5',
    's',
    '5 s',
    '-5s',
    '1.5s',
    '5S',
    '5M',
    '5min',
    '1e3s',
    '9999999999s',
    '5s\n',
  ]) {
    assert.equal(parseDuration(text), undefined, JSON.stringify(text));
  }
});

void test('durations are written back as short as can be', () => {
  for (const text of ['500ms', '5s', '90s', '10m', '2h', '36h', '7d', '1500ms']) {
    const ms = parseDuration(text) ?? 0;
    assert.equal(parseDuration(formatDuration(ms)), ms);
  }
  assert.equal(formatDuration(86_400_000), '1d');
});
