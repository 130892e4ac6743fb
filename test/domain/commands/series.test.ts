import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries } from '../../../src/domain/commands/series.js';

void test('oldest first', () => {
  assert.deepEqual(allSeries, ['2.3', '2.4']);
  assert.deepEqual([...allSeries].toSorted(), allSeries);
});
