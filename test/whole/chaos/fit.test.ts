// The line that `npm run lab -- soak` judges by: numbers worked out by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitLine, median, percentile } from './fit.js';

void test('points on a line have its slope, and nothing is unsure', () => {
  const { slope, halfWidth } = fitLine([0, 1, 2, 3].map((x) => ({ x, y: 5 - 2 * x })));
  assert.equal(slope, -2);
  assert.equal(halfWidth, 0);
});

void test('the interval is that of Student', () => {
  // Means 1.5 and 1; products 1.5 + 0 + 0 + 1.5 of squares 5.
  const { slope, halfWidth } = fitLine([
    { x: 0, y: 0 },
    { x: 1, y: 1 },
    { x: 2, y: 1 },
    { x: 3, y: 2 },
  ]);
  assert.ok(Math.abs(slope - 0.6) < 1e-12);
  // Rest: 0.1² + 0.3² + 0.3² + 0.1² = 0.2; error sqrt(0.1 / 5); t of two degrees 4.3.
  assert.ok(Math.abs(halfWidth - 4.3 * Math.sqrt(0.1 / 5)) < 1e-12);
});

void test('two points are too few', () => {
  assert.throws(
    () =>
      fitLine([
        { x: 0, y: 0 },
        { x: 1, y: 1 },
      ]),
    RangeError,
  );
});

void test('percentiles', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(percentile([1, 2, 3, 4], 0.99), 4);
  assert.equal(percentile([4, 3, 2, 1], 0.25), 1);
});
