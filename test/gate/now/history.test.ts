// Goal: rates of the last ten minutes, in the same memory after a year.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from '../../../src/gate/now/history.js';

void test('nothing yet', () => {
  const history = new History(12_345.5);
  assert.deepEqual(history.rates(12_345.5), { perSecond: 0, history: [], failed: 0, denied: 0 });
});

void test('a number for each 5 s, which does not change any more', () => {
  const history = new History(10_000);
  for (let ms = 10_000; ms < 15_000; ms += 500) history.ended(ms, 'other');
  assert.deepEqual(history.rates(14_999).history, []);
  assert.deepEqual(history.rates(15_000).history, [2]);
  assert.equal(history.rates(15_000).perSecond, 2);
  history.ended(19_000, 'failed');
  history.ended(19_100, 'denied');
  history.ended(19_200, 'denied');
  const { history: numbers, perSecond, failed, denied } = history.rates(20_100);
  assert.deepEqual([numbers, perSecond, failed, denied], [[2, 0.6], 0.6, 1, 2]);
});

void test('the second that runs does not count yet', () => {
  const history = new History(0);
  history.ended(20_500, 'other');
  assert.equal(history.rates(20_900).perSecond, 0);
  assert.equal(history.rates(21_000).perSecond, 0.2);
  assert.equal(history.rates(25_999).perSecond, 0.2);
  assert.equal(history.rates(26_000).perSecond, 0);
});

void test('what is older than ten minutes is gone, also after a long silence', () => {
  const history = new History(0);
  history.ended(1_000, 'failed');
  assert.equal(history.rates(600_999).failed, 1);
  assert.equal(history.rates(602_000).failed, 0);
  history.ended(603_000, 'denied');
  const later = history.rates(400 * 86_400_000);
  assert.deepEqual([later.failed, later.denied, later.perSecond], [0, 0, 0]);
  assert.deepEqual([later.history.length, later.history.every((each) => each === 0)], [120, true]);
});

void test('never more than 120 numbers, wherever the second stands', () => {
  const history = new History(3_000);
  for (let ms = 3_000; ms < 1_300_000; ms += 1_000) {
    history.ended(ms, 'other');
    const { history: numbers } = history.rates(ms);
    assert.ok(numbers.length <= 120, `${numbers.length} at ${ms}`);
    assert.ok(
      numbers.every((each) => each === 1),
      `${ms}: ${numbers.join(' ')}`,
    );
  }
});
