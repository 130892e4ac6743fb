// Goal: whatever a rule of a policy can demand, the rule that keeps it demands the same. What must not happen: a condition is lost on the
// way through text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { describeRule } from '../../../src/rules/answers/rights.js';
import { type KeptRule, keepConditions } from '../../../src/rules/proposals/kept-conditions.js';
import { policyOf } from '../../../src/rules/proposals/suggested-rule.js';
import { recordedMs } from '../../evidence/review/recording.js';
import { wordsOf } from '../../evidence/review/seeing.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { settingsOf, withPolicies } from '../config/sound.js';

/** Of a rule, given as the inside of a YAML map: what it says, and what the rule says that keeps it for this command. */
function kept(rule: string, line: string): { was: string[]; is: string[]; unmet: KeptRule['unmet'] } {
  const settings = settingsOf(
    withPolicies(`  support: { users: ["*@example.com"], allow: [{ ${rule} }] }\n`),
  );
  const policy = settings.policies.get('support') ?? assert.fail();
  const near = policy.allow[0] ?? assert.fail();
  const asked = {
    listener: 'support',
    principal: 'carol@support',
    user: 'bob@example.com',
    words: wordsOf(line),
    clientMinor: 4,
  };
  const judgement = judgeLine(policy, asked, '2.4', [], createUserNames(settings.mailUsers), recordedMs);
  assert.ok(judgement.kind === 'judged', line);
  const { attempt, decision } = judgement;
  const sights = [{ seen: { firstMs: recordedMs, lastMs: recordedMs }, attempts: [attempt], decision }];
  const trial = { policy, mailUsers: settings.mailUsers, nowMs: recordedMs };
  const found = keepConditions(near, sights, trial, 'narrow');
  const read = policyOf(found.rule, trial);
  if (typeof read === 'string') assert.fail(read);
  return {
    was: describeRule(near, policy),
    is: describeRule(read.allow[0] ?? assert.fail(), policy),
    unmet: found.unmet,
  };
}

void test('conditions that the command meets are the same after the way through text', () => {
  for (const [rule, line] of [
    ['command: mailbox list, where: { mailbox-mask: { equals: [A, B] } }', 'mailbox list A B'],
    [
      'command: mailbox list, where: { mailbox-mask: { one_of: [A, "B/*"], optional: true } }',
      'mailbox list',
    ],
    [
      'command: mailbox list, where: { mailbox-mask: { regex: "A[0-9]{2}", optional: true } }',
      'mailbox list A17',
    ],
    ['command: mailbox list, where: { mailbox-mask: present, subscriptions: absent }', 'mailbox list A'],
    ['command: mailbox list, where: { mailbox-mask: any, subscriptions: present }', 'mailbox list -s'],
    [
      'command: index, where: { mailbox-mask: [INBOX], max-recent: { at_least: 1, at_most: 9 } }',
      'index -n 5 INBOX',
    ],
    ['command: search, where: { query: any }', 'search all'],
    ['command: search, where: { query: { regex: "mailbox [A-Z]+ seen" } }', 'search mailbox WORK seen'],
    ['command: search, where: { query: { equals: [mailbox, WORK, seen] } }', 'search mailbox WORK seen'],
    [
      'command: search, where: { query: { mailbox: ["W*"], larger: { at_least: 1MiB }, since: { at_most: 90m }, body: absent } }',
      'search mailbox WORK larger 2M since 1h',
    ],
    [
      'command: search, content: true, where: { query: { header: [X-Spam], any_of: [{ seen: present }, { older: { at_least: 30d } }] } }',
      'search header X-Spam yes seen',
    ],
    [
      'command: search, users: ["b*@example.com"], where: { query: { seen: present } }, reason: required, limit: 5/minute, max_matches: 7, deadline: 90s, max_users: 3, expires: "2099-01-31"',
      'search seen',
    ],
  ] as const) {
    const { was, is, unmet } = kept(rule, line);
    assert.deepEqual(is.toSorted(), was.toSorted(), rule);
    assert.deepEqual(unmet, [], rule);
  }
});
