// Goal: a remembered decision is given out only to the very same question, and only as long as it holds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../../src/domain/policy/decide.js';
import { AnswerCache } from '../../../src/domain/policy/judge.js';

const allowed: Decision = { kind: 'allow', code: 'allowed', reason: 'a rule allows it' };

void test('a decision is found until its time', () => {
  const cache = new AnswerCache<Decision>({ entriesMax: 10, bytesMax: 10_000, bytesOf: () => 1 });
  cache.keep('for ever', allowed);
  cache.keep('until 100', { ...allowed, holdsUntilMs: 100 });
  assert.deepEqual(cache.find('for ever', 1e15), allowed);
  assert.equal(cache.find('until 100', 99)?.code, 'allowed');
  assert.equal(cache.find('until 100', 100), undefined);
  assert.equal(cache.find('until 100', 99), undefined, 'it is gone, also for a clock that went back');
  assert.equal(cache.find('never asked', 0), undefined);
});

// bounds.judgementKeyChars
void test('it is bounded in entries and in memory', () => {
  const cache = new AnswerCache<Decision>({
    entriesMax: 100,
    bytesMax: 12_800,
    bytesOf: (key) => key.length,
  });
  for (let index = 0; index < 1000; index += 1) cache.keep(`key ${index}`, allowed);
  assert.ok(cache.size <= 100);
  assert.equal(cache.find('key 999', 0), allowed);
  assert.equal(cache.find('key 0', 0), undefined);
  cache.keep('x'.repeat(100_000), allowed);
  assert.equal(cache.find('x'.repeat(100_000), 0), undefined);
  for (let index = 0; index < 100; index += 1) cache.keep(`${index}${'y'.repeat(1000)}`, allowed);
  assert.ok(cache.size < 20);
});
