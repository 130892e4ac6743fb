// Goal: sets of characters have one form, and their opposites hold exactly the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapedClasses, merge, negate, pointMax } from '../../../src/domain/policy/regex-parser.js';

void test('ranges are sorted and joined', () => {
  assert.deepEqual(
    merge([
      [5, 6],
      [1, 2],
      [3, 3],
      [6, 9],
    ]),
    [
      [1, 3],
      [5, 9],
    ],
  );
});

void test('an opposite holds the rest, and its opposite is the set again', () => {
  assert.deepEqual(negate([]), [[0, pointMax]]);
  assert.deepEqual(negate([[0, pointMax]]), []);
  assert.deepEqual(negate([[3, 5]]), [
    [0, 2],
    [6, pointMax],
  ]);
  for (const set of Object.values(escapedClasses)) assert.deepEqual(negate(negate(set)), set);
});
