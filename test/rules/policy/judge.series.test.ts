// Goal: of a backend whose series is not known, the stricter of both readings counts, with the terms and the secrets of both, whichever is
// judged first. All terms of both: answers/queries.txt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, type Series } from '../../../src/doveadm/commands/catalog.js';
import type { JsonValue } from '../../../src/doveadm/protocol/command.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { followingInput, type Judgement, judge } from '../../../src/rules/policy/judge.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';

const policies = withPolicies(`  support:
    users: ["*"]
    allow:
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } }, reason: required, limit: 5/hour, max_matches: 10 }
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 1d } } }, limit: 7/hour, max_matches: 20, emergency: true }
      - { command: proxy kick, masks: true }
      - { command: dict get, root_equivalent: true, all_users: true, where: { dict-uri: any, filter-name: any } }
  watch:
    mode: observe
    users: ["*"]
    allow: [{ command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } }, reason: required }]
  enforce:
    users: ["*"]
    allow: [{ command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } } }]
`);

// A day begins at midnight in UTC to 2.4, and up to twelve hours later to 2.3: so it is 30 days ago to one of them only.
const nowMs = Date.UTC(2026, 10, 20, 11);
const dated = ['expunge', 'mailbox', 'Trash', 'savedbefore', '2026-10-21'];

function judged(name: string, series: readonly Series[], words: readonly string[]): Judgement {
  return judge(plainLine('alice', words), series, judgeContext(policyOf(policies, name), { nowMs }));
}

// [policy, words, the decision's code, whether a reason is demanded, secrets; or the refusal]: the same in both orders.
const table: readonly (readonly [policy: string, words: readonly string[], becomes: readonly unknown[]])[] = [
  ['support', dated, ['allowed', true]],
  ['enforce', dated, ['rule-misses', undefined]],
  ['watch', dated, ['observed', false]],
  // To 2.3 the name of a user, to 2.4 an address.
  ['support', ['proxy kick', '10.0.0.1'], ['series-differ']],
  ['support', ['proxy kick', 'alice'], ['allowed', false]],
  // To 2.3 the address of a dictionary, which may hold a password.
  ['support', ['dict get', 'sql:password=x', 'priv/a'], ['allowed', false, 'sql:password=x']],
];
for (const [name, words, becomes] of table) {
  void test(`the stricter of both counts: ${name}, ${words.join(' ')}`, () => {
    for (const series of [allSeries, allSeries.toReversed()]) {
      const judgement = judged(name, series, words);
      if (judgement.kind === 'unparsable') {
        assert.deepEqual([judgement.code], becomes);
        continue;
      }
      const { decision, args } = judgement;
      const secrets = args.filter(({ isSecret }) => isSecret).map(({ text }) => text);
      assert.deepEqual([decision.code, decision.obligations?.reason, ...secrets], becomes);
    }
  });
}

void test('the input after a refused JSON command is the file that came with it', () => {
  const text: JsonValue = { kind: 'string', text: 'a' };
  const file: JsonValue = { kind: 'span', from: 0, to: 0 };
  const following = (command: string, value: JsonValue) =>
    followingInput({ ...plainLine('alice', [command]), named: [{ name: 'file', value }] }, allSeries);
  assert.deepEqual(
    [following('save', file), following('save', text), following('quota get', file), following('none', file)],
    ['dot', 'none', 'none', 'none'],
  );
});
