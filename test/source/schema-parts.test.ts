// Goal: quantities mean what they say, and nothing is guessed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, parseDuration, parseRate, parseSize } from '../../src/source/schema-parts.js';

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

void test('sizes', () => {
  const table = { '512B': 512, '64KiB': 65_536, '1MiB': 1_048_576, '2GiB': 2_147_483_648 };
  for (const [text, bytes] of Object.entries(table)) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', '64', '64KB', '64k', '64 KiB', '-1KiB', '999999999TiB']) {
    assert.equal(parseSize(text), undefined, text);
  }
});

void test('rates', () => {
  assert.deepEqual(parseRate('20/hour'), { count: 20, windowMs: 3_600_000 });
  assert.deepEqual(parseRate('60/minute'), { count: 60, windowMs: 60_000 });
  for (const text of ['20', '/hour', '0/hour', '20/fortnight', '20 / hour', '-1/hour']) {
    assert.equal(parseRate(text), undefined, text);
  }
});
