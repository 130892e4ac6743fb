// Goal: a remembered decision is given out only to the very same question, and only as long as it holds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { GlobList } from '../../../src/domain/commands/glob.js';
import { createDecisionCache, type Question, questionKey } from '../../../src/domain/policy/cache.js';
import type { Decision } from '../../../src/domain/policy/decide.js';
import { createPolicy } from '../../../src/domain/policy/rule.js';

const place = { file: 'p.yaml', line: 1, column: 1 };
const policyOf = (effectiveText: string) =>
  createPolicy({
    name: 'p',
    place,
    users: new GlobList(['*']),
    usersPlace: place,
    except: new GlobList(),
    exceptPlace: place,
    allow: [],
    deny: [],
    mode: 'enforce',
    logs: 'filtered',
    debug: false,
    weight: 1,
    limits: {},
    effectiveText,
    version: effectiveText,
  });

const question: Question = {
  listener: 'support',
  principal: 'bob@support',
  groups: ['a', 'b'],
  series: '2.4',
  namespaces: 'shared/',
  clientMinor: 2,
  user: 'alice',
  words: ['quota', 'get'],
};

const allowed: Decision = { kind: 'allow', code: 'allowed', reason: 'a rule allows it' };

void test('every part of a question makes another key', () => {
  const policy = policyOf('one');
  const keys = [
    questionKey(policy, question),
    questionKey(policyOf('two'), question),
    questionKey(policy, { ...question, listener: 'other' }),
    questionKey(policy, { ...question, principal: 'eve@support' }),
    questionKey(policy, { ...question, groups: ['a'] }),
    questionKey(policy, { ...question, groups: [] }),
    questionKey(policy, { ...question, series: '2.3' }),
    questionKey(policy, { ...question, namespaces: '' }),
    questionKey(policy, { ...question, clientMinor: 3 }),
    questionKey(policy, { ...question, user: 'carol' }),
    questionKey(policy, { ...question, words: ['quota get'] }),
    questionKey(policy, { ...question, words: ['quota', 'get', ''] }),
    questionKey(policy, { ...question, user: 'alice\tquota', words: ['get'] }),
  ];
  assert.equal(new Set(keys).size, keys.length);
});

/** Texts that run into each other when they are merely joined; no field of a line and no name can hold a NUL. */
const text = fc.string({ unit: fc.constantFrom('a', ' ', '\t', '\n', '2.4'), maxLength: 3 });
const questions: fc.Arbitrary<Question> = fc.record({
  listener: text,
  principal: text,
  groups: fc.uniqueArray(fc.constantFrom('a', 'b', 'ab', 'a b'), { maxLength: 2 }),
  series: fc.constantFrom('2.3', '2.4', '2.3 2.4'),
  namespaces: fc.constantFrom('', '\x02', 'a', 'a\x01b', 'ab'),
  clientMinor: fc.constantFrom(0, 2, 24),
  user: text,
  // A line of fewer fields is no command.
  words: fc.array(text, { minLength: 1, maxLength: 4 }),
});

void test('two questions have one key only when they are one question', () => {
  const policy = policyOf('one');
  fc.assert(
    fc.property(questions, questions, (one, other) => {
      const isSame = isDeepStrictEqual(
        { ...one, groups: one.groups.toSorted() },
        { ...other, groups: other.groups.toSorted() },
      );
      assert.equal(questionKey(policy, one) === questionKey(policy, other), isSame);
    }),
    { numRuns: 20_000 },
  );
  // Neighbours of one question: what stands in one field moves into the next.
  fc.assert(
    fc.property(questions, fc.nat(), (one, at) => {
      const words = [one.user, ...one.words];
      const cut = at % (words.length + 1);
      const glued = [...words.slice(0, cut), words.slice(cut).join(''), ''];
      const [user = '', ...rest] = glued;
      if (isDeepStrictEqual([user, ...rest], words)) return;
      assert.notEqual(questionKey(policy, one), questionKey(policy, { ...one, user, words: rest }));
    }),
    { numRuns: 5_000 },
  );
});

void test('groups are a set', () => {
  const policy = policyOf('one');
  assert.equal(questionKey(policy, question), questionKey(policy, { ...question, groups: ['b', 'a'] }));
});

void test('a decision is found until its time', () => {
  const cache = createDecisionCache<Decision>({ entriesMax: 10, bytesMax: 10_000, bytesOf: () => 1 });
  cache.keep('for ever', allowed);
  cache.keep('until 100', { ...allowed, holdsUntilMs: 100 });
  assert.deepEqual(cache.find('for ever', 1e15), allowed);
  assert.equal(cache.find('until 100', 99)?.code, 'allowed');
  assert.equal(cache.find('until 100', 100), undefined);
  assert.equal(cache.find('until 100', 99), undefined, 'it is gone, also for a clock that went back');
  assert.equal(cache.find('never asked', 0), undefined);
});

void test('it is bounded in entries and in memory', () => {
  const cache = createDecisionCache<Decision>({
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
