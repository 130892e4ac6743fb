import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOffMs } from '../../../src/adapters/shipping/shipper.js';

// bounds.receiverPauseMs
void test('it doubles up to ten seconds, and nobody knows it exactly', () => {
  const longest = [1, 2, 3, 4, 5, 6, 7, 8, 2000].map((failures) => backOffMs(failures, 1 - 2 ** -24));
  assert.deepEqual(longest, [500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000]);
  assert.equal(backOffMs(1, 0), 250);
  assert.equal(backOffMs(2000, 0), 5_000);
});
