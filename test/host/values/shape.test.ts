// Goal: what comes over a seam of our own is taken in its shape, with every number in its range, or refused with the place and a sentence.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { fit, readerOf } from '../../../src/host/values/fit.js';
import { count, distanceMs, listOf, spanMs, text, uid } from '../../../src/host/values/shape.js';
import { isCount } from '../../../src/host/values/values.js';
import { msMax } from '../../../src/host/words/instants.js';

void test('each number has a range', () => {
  const ranges = [
    [count, 0, Number.MAX_SAFE_INTEGER, [-1, 0.5, 2 ** 53, -1e300, 1e300]],
    [spanMs, 0, msMax, [-1, -5e-324, msMax + 1, 1e300]],
    [distanceMs, -msMax, msMax, [-msMax - 1, msMax + 1, -1e300, 1e300]],
    [uid, 0, 2 ** 32 - 1, [-1, 2 ** 32, 1.5]],
  ] as const;
  for (const [shape, least, most, outside] of ranges) {
    for (const inside of [least, most]) assert.equal(fit(shape, inside), inside);
    for (const other of [...outside, Number.NaN, Infinity, -Infinity, null, '1', [1]])
      assert.equal(typeof fit(shape, other), 'string', String(other));
  }
});

void test('a body: its value without further keys, or the place and why not', () => {
  const read = readerOf(z.object({ name: text(3), at: z.object({ seq: count }) }));
  assert.deepEqual(read('{"name":"abc","at":{"seq":1,"x":2},"__proto__":{"y":1}}'), {
    name: 'abc',
    at: { seq: 1 },
  });
  assert.equal(read('{"name":"abc","at":{"seq":-1}}'), 'at.seq: must be a whole number from 0 on');
  assert.equal(read('{"name":5}'), 'name: must be a text of at most 3 characters');
  assert.equal(read('{'), 'the request is not JSON');
  assert.equal(read('[]'), 'the request is not a JSON object');
});

void test('a long list is refused at its first item that does not fit', () => {
  let asked = 0;
  const isOne = (value: unknown): value is number => {
    asked += 1;
    return isCount(value);
  };
  const list = listOf(100_000, isOne, 'must be counts');
  assert.equal(
    fit(
      list,
      Array.from({ length: 100_000 }, () => 'x'),
    ),
    'must be counts',
  );
  assert.equal(asked, 1);
  assert.deepEqual(fit(list, [1, 2]), [1, 2]);
  assert.equal(
    fit(
      list,
      Array.from({ length: 100_001 }, () => 1),
    ),
    'must be counts',
  );
});
