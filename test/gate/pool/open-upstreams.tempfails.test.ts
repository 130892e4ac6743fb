// Goal: TEMPFAILs of a Dovecot that stopped are told from others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTempfailWatch } from '../../../src/gate/pool/open-upstreams.js';

const nowMs = 100_000;

void test('PROTOCOL 9: two TEMPFAIL in a row from old upstreams make all of their age and older doubtful', () => {
  const watch = createTempfailWatch();
  assert.equal(watch.answered(20_000, 'tempfail', nowMs), undefined);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), 20_000);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), undefined, 'and from then on it counts anew');
});

void test('an answer of another kind from one of them, or an older one, ends the row', () => {
  const watch = createTempfailWatch();
  watch.answered(20_000, 'tempfail', nowMs);
  assert.equal(watch.answered(20_000, 'other', nowMs), undefined);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), undefined);
});

void test('Dovecot was restarted: newer upstreams are well, and that says nothing for the old ones', () => {
  const watch = createTempfailWatch();
  watch.answered(20_000, 'tempfail', nowMs);
  for (let n = 0; n < 100; n += 1) watch.answered(30_000, 'other', nowMs);
  assert.equal(watch.answered(10_000, 'tempfail', nowMs), 20_000);
});

void test('TEMPFAIL from an upstream that was just opened has another cause', () => {
  const watch = createTempfailWatch();
  for (let n = 0; n < 100; n += 1) {
    assert.equal(watch.answered(nowMs - 999, 'tempfail', nowMs), undefined);
  }
});
