// Goal: what ends and answers of upstreams tell. Phases: deaths that are the work of a command, and those that are not; TEMPFAILs of
// a Dovecot that stopped, and others. What must not happen: a command that is blamed for a reload.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSigns } from '../../../src/gateway/pool/signs.js';

/** Others that live and were opened long ago. */
const living = [10];
const none: readonly number[] = [];
const nowMs = 100_000;

void test('PROTOCOL 8: one that ends without a word, while others live, was killed by its command', () => {
  const signs = createSigns();
  signs.died('mail1-1', false, 1_000);
  assert.equal(signs.isPoisoned('mail1-1', 0, living, 1_000), true);
  assert.equal(signs.isPoisoned('mail1-2', 0, living, 1_000), false, 'that one did not die');
});

void test('who was opened after the death is no survivor of it', () => {
  const signs = createSigns();
  for (const upstream of ['mail1-1', 'mail1-2']) signs.died(upstream, false, 1_000);
  assert.equal(signs.isPoisoned('mail1-2', 0, [1_000, 1_001], 1_002), false);
});

void test('the only one there is was killed by its command too', () => {
  const signs = createSigns();
  signs.died('mail1-1', false, 1_000);
  assert.equal(signs.isPoisoned('mail1-1', 0, none, 1_000), true);
  signs.died('mail1-2', false, 3_000);
  assert.equal(signs.isPoisoned('mail1-2', 0, none, 3_000), true, 'the other death is long ago');
});

void test('one after another, each on an upstream that was opened for it, is the work of commands', () => {
  const signs = createSigns();
  signs.died('mail1-1', false, 1_000);
  signs.died('mail1-2', false, 1_010);
  assert.equal(signs.isPoisoned('mail1-2', 1_002, none, 1_010), true);
  assert.equal(signs.isPoisoned('mail1-2', 900, none, 1_010), false, 'both lived when the first died');
});

void test('all at once is the backend', () => {
  const signs = createSigns();
  for (const upstream of ['mail1-1', 'mail1-2', 'mail1-3']) signs.died(upstream, false, 1_000);
  assert.equal(signs.isPoisoned('mail1-3', 0, none, 1_000), false);
  assert.equal(signs.isPoisoned('mail1-2', 0, none, 1_000), false);
});

void test('PROTOCOL 12 trap 27: after idle ones died, or a signal was told of, no command is blamed for half a minute', () => {
  for (const sign of ['peer-ended', 'spoke-while-idle', 'killed'] as const) {
    const signs = createSigns();
    if (sign === 'killed') signs.died('mail1-1', true, 1_000);
    else assert.equal(signs.closed(sign, 1_000), true);
    signs.died('mail1-2', false, 13_000);
    assert.equal(signs.isPoisoned('mail1-2', 0, living, 13_000), false, sign);
    assert.equal(signs.isPoisoned('mail1-1', 0, living, 1_000), false, sign);
    signs.died('mail1-3', false, 31_001);
    assert.equal(signs.isPoisoned('mail1-3', 0, living, 31_001), true, sign);
  }
});

void test('what we close ourselves is no death', () => {
  const signs = createSigns();
  for (const reason of ['lifetime', 'idle-timeout', 'aborted', 'draining'] as const) {
    assert.equal(signs.closed(reason, 1_000), false);
  }
  signs.died('mail1-1', false, 1_000);
  assert.equal(signs.isPoisoned('mail1-1', 0, living, 1_000), true);
});

void test('PROTOCOL 9: two TEMPFAIL in a row from old upstreams make all of their age and older doubtful', () => {
  const signs = createSigns();
  assert.equal(signs.answered(20_000, 'tempfail', nowMs), undefined);
  assert.equal(signs.answered(10_000, 'tempfail', nowMs), 20_000);
  assert.equal(signs.answered(10_000, 'tempfail', nowMs), undefined, 'and from then on it counts anew');
});

void test('an answer of another kind from one of them, or an older one, ends the row', () => {
  const signs = createSigns();
  signs.answered(20_000, 'tempfail', nowMs);
  assert.equal(signs.answered(20_000, 'other', nowMs), undefined);
  assert.equal(signs.answered(10_000, 'tempfail', nowMs), undefined);
});

void test('Dovecot was restarted: newer upstreams are well, and that says nothing for the old ones', () => {
  const signs = createSigns();
  signs.answered(20_000, 'tempfail', nowMs);
  for (let n = 0; n < 100; n += 1) signs.answered(30_000, 'other', nowMs);
  assert.equal(signs.answered(10_000, 'tempfail', nowMs), 20_000);
});

void test('TEMPFAIL from an upstream that was just opened has another cause', () => {
  const signs = createSigns();
  for (let n = 0; n < 100; n += 1) {
    assert.equal(signs.answered(nowMs - 999, 'tempfail', nowMs), undefined);
  }
});
