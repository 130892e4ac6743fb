// Numbers, durations and sizes as people read them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agoWords,
  bytesWords,
  countWords,
  daysWords,
  durationWords,
  plural,
  rateWords,
  timesWords,
} from '../../../src/host/words/words.js';

void test('a duration has at most two units, and is never rounded to sixty of one', () => {
  const s = 1000;
  const min = 60 * s;
  const h = 60 * min;
  const cases: [number, string][] = [
    [0, '0 ms'],
    [-5, '0 ms'],
    [250.4, '250 ms'],
    [999, '999 ms'],
    [1000, '1 s'],
    [4700, '4.7 s'],
    [9960, '10 s'],
    [59_400, '59 s'],
    [59_960, '1 min'],
    [192 * s, '3 min 12 s'],
    [h - 100, '1 h'],
    [h - 1000, '59 min 59 s'],
    [2 * h + 5 * min, '2 h 5 min'],
    [24 * h - 10 * s, '1 day'],
    [28 * h, '1 day 4 h'],
    [3 * 24 * h, '3 days'],
    [40 * 24 * h + 5 * h, '40 days'],
    [Number.NaN, 'unknown'],
  ];
  for (const [ms, words] of cases) assert.equal(durationWords(ms), words, String(ms));
});

void test('how long ago, in whole seconds', () => {
  assert.deepEqual([-3, 0, 1999, 9999, 70_000].map(agoWords), ['0 ms', '0 s', '1 s', '9 s', '1 min 10 s']);
});

void test('numbers and sizes', () => {
  assert.deepEqual([0, 999, 1000, 8_412_233].map(countWords), ['0', '999', '1,000', '8,412,233']);
  assert.deepEqual([0.001, 0.042, 0.0951].map(rateWords), ['0.01', '0.04', '0.1']);
  assert.deepEqual([0, 0.42, 9.94, 9.96, 1234.4].map(rateWords), ['0', '0.4', '9.9', '10', '1,234']);
  const bytes = ['0 bytes', '1 byte', '1,023 bytes', '1 KiB', '12.5 KiB', '48 GiB', '1 MiB', '1,024 PiB'];
  assert.deepEqual([0, 1, 1023, 1024, 12_800, 48 * 2 ** 30, 1024 ** 2 - 1, 2 ** 60].map(bytesWords), bytes);
  assert.equal(plural(1, 'command waits', 'commands wait'), '1 command waits');
  assert.equal(plural(12_004, 'record', 'records'), '12,004 records');
});

void test('what is left, and how often', () => {
  const day = 24 * 3_600_000;
  const days = ['less than a day', 'less than a day', '1 day', '2 days'];
  assert.deepEqual([-1, day - 1, day, 2.9 * day].map(daysWords), days);
  assert.deepEqual([1, 2, 1200].map(timesWords), ['once', '2 times', '1,200 times']);
});
