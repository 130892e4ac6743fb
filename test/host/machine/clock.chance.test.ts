import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBytes, randomFraction } from '../../../src/host/machine/clock.js';

void test('as many bytes as asked for, also over the end of the pool', () => {
  for (const count of [0, 1, 10, 16, 4095, 4096, 10, 4096]) assert.equal(randomBytes(count).length, count);
});

void test('no byte is given out twice', () => {
  const given = new Set<string>();
  const views: Uint8Array[] = [];
  for (let n = 0; n < 2_000; n += 1) {
    const bytes = randomBytes(16);
    views.push(bytes);
    given.add(Buffer.from(bytes).toString('hex'));
  }
  assert.equal(given.size, 2_000);
  // What was given out stays as it was, and lies in memory of its own.
  const texts = views.map((view) => Buffer.from(view).toString('hex'));
  assert.deepEqual(new Set(texts), given);
  const places = new Set(views.map((view) => `${view.byteOffset}`));
  assert.ok(places.size > 100);
});

void test('a fraction is from 0 up to 1, and anywhere between', () => {
  const tenths = new Set<number>();
  for (let n = 0; n < 1_000; n += 1) {
    const fraction = randomFraction();
    assert.ok(fraction >= 0 && fraction < 1, String(fraction));
    tenths.add(Math.floor(fraction * 10));
  }
  assert.equal(tenths.size, 10);
});
