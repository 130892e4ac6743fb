// Goal: an answer of rows is read back as it was told, and rows of later versions are skipped.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AnswerRow, moreOf, partsOf, rowsOfRule, valuesOf } from '../../../src/domain/answers/rights.js';

void test('a rule is its command and then its conditions', () => {
  assert.deepEqual(rowsOfRule('allow', { command: 'quota get', says: [] }), [['allow', 'quota get']]);
  assert.deepEqual(rowsOfRule('allow', { command: 'fetch', says: ['field: uid', 'no other options'] }), [
    ['allow', 'fetch'],
    ['if', 'field: uid'],
    ['if', 'no other options'],
  ]);
});

void test('details belong to the row before; the first row of all is never one', () => {
  const rows: AnswerRow[] = [
    ['if', 'lost'],
    ['allow', 'a'],
    ['if', 'one'],
    ['colour', 'red'],
    ['allow', 'b'],
    ['if', 'two'],
    ['if', 'three'],
  ];
  const parts = partsOf(rows, ['if']);
  assert.deepEqual(valuesOf(parts, 'allow'), ['a', 'b']);
  assert.deepEqual(
    parts.filter(({ what }) => what === 'allow').map((part) => moreOf(part, 'if')),
    [['one'], ['two', 'three']],
  );
  assert.deepEqual(valuesOf(parts, 'if'), ['lost']);
});
