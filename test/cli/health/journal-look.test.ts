// Goal: sizes as people read them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes } from '../../../src/cli/health/journal-look.js';

void test('bytes with a unit', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 200 * 1024, 5 * 2 ** 30, 3 * 2 ** 50].map(formatBytes), [
    '0 bytes',
    '1023 bytes',
    '1.0 KiB',
    '1.5 KiB',
    '200 KiB',
    '5.0 GiB',
    '3072 TiB',
  ]);
});
