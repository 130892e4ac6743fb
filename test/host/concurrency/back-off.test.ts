// Pauses between tries that fail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOffMs } from '../../../src/host/concurrency/back-off.js';

void test('it doubles up to the longest, and up to half of it is chance', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 2000].map((failures) => backOffMs(failures, 500, 10_000)),
    [500, 1000, 2000, 4000, 8000, 10_000, 10_000],
  );
  assert.deepEqual(
    [0, 0.5, 1].map((chance) => backOffMs(2, 500, 10_000, chance)),
    [1000, 750, 500],
  );
  assert.equal(backOffMs(2000, 500, 10_000, 1), 5_000);
});
