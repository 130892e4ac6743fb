// Goal: quantities mean what they say, and nothing is guessed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRate, parseSize } from '../../../src/domain/config/schema-parts.js';

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
