import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBuckets } from '../../src/concurrency/limits.js';

void test('so many at once, then one for each refill, and each source by itself', () => {
  const buckets = new TokenBuckets({ burst: 20, refillMs: 1000, sourcesMax: 10 });
  const taken = (source: string, nowMs: number): boolean => buckets.take(source, nowMs) === undefined;
  assert.equal(Array.from({ length: 50 }, () => taken('bob', 0)).filter(Boolean).length, 20);
  assert.equal(buckets.take('bob', 250), 750, 'it says when the next one is there');
  assert.equal(taken('alice', 250), true);
  let minute = 0;
  for (let at = 250; at < 60_250; at += 10) if (taken('bob', at)) minute += 1;
  assert.equal(minute, 60);
  assert.equal(Array.from({ length: 50 }, () => taken('bob', 3_600_000)).filter(Boolean).length, 20);
});

void test('how long a source waits for a token is known without taking one', () => {
  const buckets = new TokenBuckets({ burst: 2, refillMs: 1000, sourcesMax: 10 });
  const waits = (nowMs: number): number => buckets.waitMs('bob', nowMs);
  assert.deepEqual([waits(0), buckets.size], [0, 0]);
  for (let n = 0; n < 2; n += 1) {
    assert.deepEqual([waits(0), waits(0)], [0, 0]);
    buckets.take('bob', 0);
  }
  assert.deepEqual([waits(0), waits(0.5), waits(999), waits(1000), waits(9000)], [1000, 1000, 1, 0, 0]);
  assert.equal(buckets.take('bob', 1000), undefined);
  assert.equal(waits(1000), 1000);
  assert.equal(buckets.size, 1);
});

// bounds.questionSources, bounds.lookSources, bounds.adminRefusalSources
void test('a full table refuses new sources and forgets no used one', () => {
  const buckets = new TokenBuckets({ burst: 1, refillMs: 1000, sourcesMax: 2 });
  assert.deepEqual(
    ['a', 'b', 'c', 'a'].map((source) => buckets.take(source, 0)),
    [undefined, undefined, 1000, 1000],
  );
  assert.equal(buckets.take('c', 1000), undefined, 'buckets that are full again make room');
});
