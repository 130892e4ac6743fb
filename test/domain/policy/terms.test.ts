// Goal: never one more than the limit in any span, never an early amnesty by a reload, a full table, or another's counter.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type LimitAsk, Limiter } from '../../../src/domain/policy/terms.js';

const hour = 3_600_000;
const rate = (key: string, count = 3): LimitAsk => ({ kind: 'rate', key, rate: { count, windowMs: hour } });
const distinct = (key: string, member: string, count = 2): LimitAsk => ({
  kind: 'distinct',
  key,
  rate: { count, windowMs: hour },
  member,
});

function admit(limiter: Limiter, nowMs: number, ...asks: LimitAsk[]): string {
  return limiter.admit(asks, nowMs).kind;
}

void test('so many in any span', () => {
  const limiter = new Limiter(100);
  assert.equal(admit(limiter, 0, rate('a')), 'within');
  assert.equal(admit(limiter, hour - 10, rate('a')), 'within');
  assert.equal(admit(limiter, hour - 9, rate('a')), 'within');
  assert.equal(admit(limiter, hour - 8, rate('a')), 'over');
  assert.equal(admit(limiter, hour - 8, rate('b')), 'within', 'another counter');
  // The first one is out of the span, one slot of slack included; the two others are not.
  assert.equal(admit(limiter, hour + hour / 60 + 1, rate('a')), 'within');
  assert.equal(admit(limiter, hour + hour / 60 + 2, rate('a')), 'over');
  assert.equal(admit(limiter, 10 * hour, rate('a')), 'within');
});

void test('whoever is over is told when not any more', () => {
  const limiter = new Limiter(100);
  for (const atMs of [1000, 2000, 3000]) limiter.admit([rate('a')], atMs);
  const verdict = limiter.admit([rate('a')], 5000);
  assert.ok(verdict.kind === 'over');
  assert.equal(admit(limiter, 5000 + verdict.retryAfterMs - 1, rate('a')), 'over');
  assert.equal(admit(limiter, 5000 + verdict.retryAfterMs, rate('a')), 'within');
});

void test('a refused one does not count, and all or none are counted', () => {
  const limiter = new Limiter(100);
  for (let index = 0; index < 50; index += 1) admit(limiter, index, rate('a', 1));
  assert.equal(admit(limiter, 2 * hour, rate('a', 1)), 'within');
  assert.equal(admit(limiter, 2 * hour, rate('b', 1), rate('a', 1)), 'over');
  assert.equal(admit(limiter, 2 * hour, rate('b', 1)), 'within');
});

void test('different users', () => {
  const limiter = new Limiter(100);
  assert.equal(admit(limiter, 0, distinct('a', 'alice')), 'within');
  assert.equal(admit(limiter, 1, distinct('a', 'carol')), 'within');
  assert.equal(admit(limiter, 2, distinct('a', 'dave')), 'over');
  assert.equal(admit(limiter, 3, distinct('a', 'alice')), 'within');
  // Carol was last seen an hour ago, alice was not.
  assert.equal(admit(limiter, hour + 1, distinct('a', 'dave')), 'within');
  assert.equal(admit(limiter, hour + 2, distinct('a', 'carol')), 'over');
});

void test('several users of one command count together', () => {
  const limiter = new Limiter(100);
  assert.equal(admit(limiter, 0, ...['a', 'b', 'c'].map((name) => distinct('k', name))), 'over');
  assert.equal(admit(limiter, 0, ...['a', 'b'].map((name) => distinct('k', name))), 'within');
  assert.equal(admit(limiter, 0, ...['c', 'd'].map((name) => distinct('k', name))), 'over');
});

void test('a command with very many users is counted in no time', () => {
  const limiter = new Limiter(100_000);
  const asks = Array.from({ length: 20_000 }, (_, index) => distinct('k', `user ${index}`, 50_000));
  const from = process.hrtime.bigint();
  assert.equal(admit(limiter, 0, ...asks), 'within');
  assert.ok(Number(process.hrtime.bigint() - from) < 1e9);
});

// bounds.limiterEntries
void test('a full table refuses, and never forgets', () => {
  const limiter = new Limiter(20);
  admit(limiter, 0, rate('victim', 1));
  let full = 0;
  for (let index = 0; index < 1000; index += 1) {
    if (admit(limiter, 1000 + index, rate(`flood ${index}`)) === 'full') full += 1;
  }
  assert.ok(full > 900);
  assert.ok(limiter.size <= 20);
  assert.equal(admit(limiter, 3000, rate('victim', 1)), 'over');
  // When the counters have run out there is room again.
  assert.equal(admit(limiter, 3 * hour, rate('new')), 'within');
  assert.ok(limiter.size <= 3);
});

void test('a limit whose number was changed goes on counting', () => {
  const limiter = new Limiter(100);
  for (let index = 0; index < 3; index += 1) admit(limiter, index, rate('a', 3));
  assert.equal(admit(limiter, 10, rate('a', 2)), 'over');
  assert.equal(admit(limiter, 10, rate('a', 4)), 'within');
});

void test('what happened before a restart counts', () => {
  const limiter = new Limiter(100);
  for (const agoMs of [hour / 2, hour / 3, 1000]) limiter.replay(rate('a'), agoMs, 5000);
  assert.equal(admit(limiter, 5000, rate('a')), 'over');
  limiter.replay(rate('b'), 2 * hour, 5000);
  assert.equal(admit(limiter, 5000, rate('b', 1)), 'within', 'too long ago');
});

void test('no span of any story holds more than the limit, and one that is spread out is never refused', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: hour / 2 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 6 }),
      (gaps, count) => {
        const limiter = new Limiter(100);
        const admitted: number[] = [];
        let nowMs = 0;
        for (const gap of gaps) {
          nowMs += gap;
          const slack = hour + hour / 60;
          const isRoomy = admitted.filter((atMs) => atMs >= nowMs - slack).length < count;
          const kind = admit(limiter, nowMs, rate('a', count));
          if (isRoomy) assert.equal(kind, 'within');
          if (kind === 'within') admitted.push(nowMs);
          assert.ok(admitted.filter((atMs) => atMs > nowMs - hour).length <= count);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
