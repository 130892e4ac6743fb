// Goal: a remembered judgement is given out only to the very same question.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import type { Series } from '../../../src/domain/commands/catalog.js';
import { createMailboxNames } from '../../../src/domain/names/mailbox-names.js';
import { judgementKey } from '../../../src/domain/policy/judge.js';
import type { Policy } from '../../../src/domain/policy/policy.js';
import { openMemoryEngine } from '../../kit/memory-engine.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const policy: Policy = openMemoryEngine().settings.policies.get('support') ?? assert.fail();

interface Question {
  readonly version: string;
  readonly listener: string;
  readonly principal: string;
  readonly series: readonly Series[];
  readonly namespaces: readonly string[] | undefined;
  readonly clientMinor: number;
  readonly user: string;
  readonly words: readonly string[];
}

function keyOf({ version, user, words, series, namespaces, ...who }: Question): string {
  const context = { ...who, policy: { ...policy, version }, sharedNamespaces: namespaces };
  return judgementKey({ user, words: [...words], named: undefined }, series, context);
}

const question: Question = {
  version: 'one',
  listener: 'support',
  principal: 'bob@support',
  series: ['2.4'],
  namespaces: ['shared/'],
  clientMinor: 2,
  user: 'alice',
  words: ['quota', 'get'],
};

void test('every part of a question makes another key', () => {
  const keys = [
    keyOf(question),
    keyOf({ ...question, version: 'two' }),
    keyOf({ ...question, listener: 'other' }),
    keyOf({ ...question, principal: 'eve@support' }),
    keyOf({ ...question, series: ['2.3'] }),
    keyOf({ ...question, series: ['2.3', '2.4'] }),
    keyOf({ ...question, namespaces: [] }),
    keyOf({ ...question, namespaces: undefined }),
    keyOf({ ...question, clientMinor: 3 }),
    keyOf({ ...question, user: 'carol' }),
    keyOf({ ...question, words: ['quota get'] }),
    keyOf({ ...question, words: ['quota', 'get', ''] }),
    keyOf({ ...question, user: 'alice\tquota', words: ['get'] }),
  ];
  assert.equal(new Set(keys).size, keys.length);
  const line = { user: '', words: [], named: undefined };
  const context = { ...question, policy, sharedNamespaces: undefined };
  const mailboxNames = createMailboxNames([], []);
  assert.notEqual(
    judgementKey(line, ['2.4'], { ...context, mailboxNames }),
    judgementKey(line, ['2.4'], context),
  );
});

/** Texts that run into each other when they are merely joined; no field of a line and no name can hold a NUL. */
const text = fc.string({ unit: fc.constantFrom('a', ' ', '\t', '\n', '2.4'), maxLength: 3 });
const questions: fc.Arbitrary<Question> = fc.record({
  version: fc.constant('one'),
  listener: text,
  principal: text,
  series: fc.constantFrom<readonly Series[]>(['2.3'], ['2.4'], ['2.3', '2.4']),
  namespaces: fc.constantFrom<readonly string[] | undefined>(undefined, [], ['a'], ['a', 'b'], ['ab']),
  clientMinor: fc.constantFrom(0, 2, 24),
  user: text,
  // A line of fewer fields is no command.
  words: fc.array(text, { minLength: 1, maxLength: 4 }),
});

void test('two questions have one key only when they are one question', () => {
  fc.assert(
    fc.property(questions, questions, (one, other) => {
      assert.equal(keyOf(one) === keyOf(other), isDeepStrictEqual(one, other));
    }),
    { numRuns: 5_000 * rounds },
  );
  // Neighbours of one question: what stands in one field moves into the next.
  fc.assert(
    fc.property(questions, fc.nat(), (one, at) => {
      const words = [one.user, ...one.words];
      const cut = at % (words.length + 1);
      const glued = [...words.slice(0, cut), words.slice(cut).join(''), ''];
      const [user = '', ...rest] = glued;
      if (isDeepStrictEqual([user, ...rest], words)) return;
      assert.notEqual(keyOf(one), keyOf({ ...one, user, words: rest }));
    }),
    { numRuns: 5_000 },
  );
});
