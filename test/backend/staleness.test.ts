import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStaleness } from '../../src/backend/staleness.js';

const nowMs = 100_000;

void test('PROTOCOL 9: two TEMPFAIL in a row from old upstreams make all of their age and older doubtful', () => {
  const staleness = createStaleness();
  assert.equal(staleness.answered(20_000, 'tempfail', nowMs), undefined);
  assert.equal(staleness.answered(10_000, 'tempfail', nowMs), 20_000);
  assert.equal(staleness.answered(10_000, 'tempfail', nowMs), undefined, 'and from then on it counts anew');
});

void test('an answer of another kind from one of them, or an older one, ends the row', () => {
  const staleness = createStaleness();
  staleness.answered(20_000, 'tempfail', nowMs);
  assert.equal(staleness.answered(20_000, 'other', nowMs), undefined);
  assert.equal(staleness.answered(10_000, 'tempfail', nowMs), undefined);
});

void test('Dovecot was restarted: newer upstreams are well, and that says nothing for the old ones', () => {
  const staleness = createStaleness();
  staleness.answered(20_000, 'tempfail', nowMs);
  for (let n = 0; n < 100; n += 1) staleness.answered(30_000, 'other', nowMs);
  assert.equal(staleness.answered(10_000, 'tempfail', nowMs), 20_000);
});

void test('TEMPFAIL from an upstream that was just opened has another cause', () => {
  const staleness = createStaleness();
  for (let n = 0; n < 100; n += 1) {
    assert.equal(staleness.answered(nowMs - 999, 'tempfail', nowMs), undefined);
  }
});
