import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatTime, parseTime } from '../../../src/domain/audit/record.js';

void test('the form is that of the standard library, for every instant of four-digit years', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (ms) => {
      assert.equal(formatTime(ms), new Date(ms).toISOString());
      assert.equal(parseTime(formatTime(ms)), ms);
    }),
  );
});

void test('what no clock says is moved to the nearest end', () => {
  assert.equal(formatTime(-1), '1970-01-01T00:00:00.000Z');
  assert.equal(formatTime(Number.NaN), '1970-01-01T00:00:00.000Z');
  assert.equal(formatTime(1e18), '9999-12-31T23:59:59.999Z');
  assert.equal(formatTime(1.999), '1970-01-01T00:00:00.001Z');
});

void test('only the exact form is a time', () => {
  for (const text of [
    '',
    '2026-11-20T08:22:34Z',
    '2026-11-20T08:22:34.123',
    '2026-11-20 08:22:34.123Z',
    '2026-02-29T00:00:00.000Z',
    '2026-13-01T00:00:00.000Z',
    '2026-01-01T24:00:00.000Z',
    '2026-01-01T00:00:60.000Z',
    '2026-11-20T08:22:34.123Z\n',
    '1969-12-31T23:59:59.000Z',
    '0000-01-01T00:00:00.000Z',
  ]) {
    assert.equal(parseTime(text), undefined, text);
  }
  assert.equal(parseTime('2024-02-29T23:59:59.999Z'), Date.UTC(2024, 1, 29, 23, 59, 59, 999));
});
