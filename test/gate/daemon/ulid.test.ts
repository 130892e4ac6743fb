import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createUlidSource } from '../../../src/gate/daemon/ulid.js';

const zeros = new Uint8Array(10);
const ones = new Uint8Array(10).fill(255);

void test('time and chance stand where the definition puts them', () => {
  assert.equal(createUlidSource()(0, zeros), '00000000000000000000000000');
  assert.equal(createUlidSource()(2 ** 48 - 1, ones), '7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
  assert.equal(createUlidSource()(1_469_918_176_385, zeros), '01ARYZ6S410000000000000000');
  assert.equal(
    createUlidSource()(0, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 33)),
    '00000000000000000000000011',
  );
});

void test('ids of one source grow, whatever the clock and the chance do', () => {
  const step = fc.record({
    ms: fc.integer({ min: 0, max: 5 }),
    chance: fc.uint8Array({ minLength: 10, maxLength: 10 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 2, maxLength: 40 }), (steps) => {
      const next = createUlidSource();
      const ids = steps.map(({ ms, chance }) => next(1_700_000_000_000 + ms, chance));
      assert.deepEqual(ids, ids.toSorted());
      assert.equal(new Set(ids).size, ids.length);
    }),
  );
});

void test('a millisecond whose ids are used up goes on in the next one', () => {
  const next = createUlidSource();
  const last = next(7, ones);
  const following = next(7, ones);
  assert.ok(following > last);
  assert.equal(following, createUlidSource()(8, zeros));
});
