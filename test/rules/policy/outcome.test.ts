// Goal: one line under one policy becomes one of the kinds of the table, in the order in which the daemon asks; observing does it and says
// what its rules would do; a candidate whose counts are full is not taken for one that refuses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyOutcomes, policyOutcomeWords } from '../../../src/doveadm/codes/outcomes.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { type Judgement, judge } from '../../../src/rules/policy/judge.js';
import {
  areSame,
  candidateOf,
  type Outcome,
  outcomesOf,
  whyOf,
  withMatches,
} from '../../../src/rules/policy/outcome.js';
import { createPolicy, type Policy } from '../../../src/rules/policy/policy.js';
import { Limiter } from '../../../src/rules/policy/terms.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';

const rules = `
    users: ["*@example.com"]
    except: [ceo@example.com]
    deny: [mailbox delete]
    limits: { distinct_users: 2/hour }
    allow:
      - quota get
      - { command: mailbox subscribe, reason: required, limit: 1/hour }
      - { command: expunge, max_matches: 3, where: { query: { mailbox: [Trash], all: present } } }
`;
const policies = withPolicies(`  support:${rules}
    on_request: [{ command: fetch, content: true }]
  watch:
    mode: observe${rules}`);
const support = policyOf(policies, 'support');
const watch = policyOf(policies, 'watch');

function judged(policy: Policy, words: readonly string[], user = 'alice'): Judgement {
  return judge(plainLine(user, words), ['2.4'], judgeContext(policy));
}

function counting(limiter = new Limiter(100)) {
  return (asks: Parameters<Limiter['admit']>[0]) => limiter.admit(asks, 0);
}

// [what, words, the stated reason, what becomes of it, and why]
type Row = readonly [words: readonly string[], reason: string | undefined, kind: string, why: RegExp];
const table: readonly Row[] = [
  [['quota get'], undefined, 'served', /served/],
  [['mailbox delete', 'Old'], undefined, 'denied', /a rule of policy \w+ denies/],
  [['fts rescan'], undefined, 'denied', /no rule allows/],
  [['mailbox subscribe', 'A'], undefined, 'no-reason', /must say why/],
  [['mailbox subscribe', 'A'], '..', 'no-reason', /3 visible characters/],
  [['mailbox subscribe', 'A'], 'ticket 4711', 'served', /served/],
  [['mailbox subscribe', 'A'], 'ticket 4711', 'over-limit', /the limit of a rule of policy \w+ \(1\/hour\)/],
  // A reason is asked for before anything is counted.
  [['mailbox subscribe', 'A'], undefined, 'no-reason', /must say why/],
  [['expunge', 'mailbox', 'Trash', 'all'], undefined, 'depends', /at most 3 mails/],
  [['quota', 'got'], undefined, 'unparsable', /no such command/],
];

for (const policy of [support, watch]) {
  void test(`each kind, ${policy.name}`, () => {
    const count = counting();
    for (const [words, reason, kind, why] of table) {
      const { done, rules: ruled } = outcomesOf(judged(policy, words), policy, {
        reason,
        origin: 'uid:1',
        count,
      });
      assert.equal(ruled.kind, kind, words.join(' '));
      assert.match(whyOf(ruled), why);
      const isServed = policy === watch && kind !== 'unparsable';
      assert.equal(done.kind, isServed ? 'served' : kind, words.join(' '));
    }
    const users = (user: string) =>
      outcomesOf(judged(policy, ['quota get'], user), policy, { reason: undefined, origin: 'uid:1', count })
        .rules;
    const kinds = ['ceo', 'eve@example.org', 'bob', 'carol'].map((user) => users(user).kind);
    assert.deepEqual(kinds, ['denied', 'denied', 'served', 'over-limit']);
    assert.equal(whyOf(users('carol')), `it is over distinct_users of policy ${policy.name} (2/hour)`);
  });
}

void test('what a grant would lift wants a request; a full table refuses, and nothing is over a limit uncounted', () => {
  const fetch = judged(support, ['fetch', 'text', 'mailbox', 'INBOX', 'all']);
  const given = { reason: undefined, origin: 'uid:1' };
  assert.equal(outcomesOf(fetch, support, given).done.kind, 'on-request');
  const subscribe = judged(support, ['mailbox subscribe', 'A']);
  const stated = { ...given, reason: 'ticket 4711' };
  for (const _ of [1, 2]) assert.equal(outcomesOf(subscribe, support, stated).done.kind, 'served');
  const { done } = outcomesOf(subscribe, support, { ...stated, count: counting(new Limiter(1)) });
  const full = ['a limit of policy support', undefined];
  assert.deepEqual(done.kind === 'over-limit' && [done.limit, done.retryAfterMs], full);
});

void test('all kinds have their words, and differ from one another as a client sees it', () => {
  const of = (kind: string): Outcome => {
    const row = table.find(([, , each]) => each === kind);
    const count = counting();
    const [words, reason] = row ?? [['fetch', 'text', 'mailbox', 'INBOX', 'all'], undefined];
    const ask = () => outcomesOf(judged(support, words), support, { reason, origin: 'uid:1', count }).done;
    return kind === 'over-limit' ? (ask(), ask()) : ask();
  };
  const all = policyOutcomeWords.map(of);
  const kinds = all.map(({ kind }) => kind);
  assert.deepEqual(kinds, policyOutcomeWords);
  for (const one of all)
    for (const other of all) assert.equal(areSame(one, other), one === other, `${one.kind} ${other.kind}`);
  assert.equal(new Set(Object.values(policyOutcomes)).size, policyOutcomeWords.length);
  const depends = of('depends');
  const byMatches = [undefined, 3, 4].map((matches) => withMatches(depends, matches).kind);
  assert.deepEqual(byMatches, ['depends', 'served', 'denied']);
  assert.equal(withMatches(of('served'), 9).kind, 'served');
});

// bounds.candidateLimiterEntries
void test('a table of counts that is full says nothing of the candidate', () => {
  const shadowed = createPolicy({ ...watch, shadow: support });
  const limiter = new Limiter(bounds.candidateLimiterEntries);
  const ask = (origin: string): string | undefined => {
    const given = { reason: 'ticket 4711', origin, count: counting(limiter) };
    return candidateOf(judged(shadowed, ['mailbox subscribe', 'A']), shadowed, given)?.kind;
  };
  assert.deepEqual([ask('uid:0'), ask('uid:0')], ['served', 'over-limit']);
  let fullAt = 0;
  for (let at = 1; fullAt === 0 && at < bounds.candidateLimiterEntries; at += 1) {
    ask(`uid:${at}`);
    if (ask(`uid:${at}`) === 'served') fullAt = at;
  }
  assert.ok(fullAt > 1000, `full at ${fullAt}`);
  assert.equal(ask('uid:0'), 'over-limit', 'what is counted stays counted');
});
