// Goal: what `can` says of a rule of `deny` is what it denies. Each rule stands with its words and with lines, of which those beside the
// words are denied by it and the others are not. What must not happen: a line that the words leave out, and that the rule denies.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rightsOf, ruleAt } from '../../../src/rules/answers/rights.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';

interface Case {
  readonly deny: string;
  readonly says: readonly string[];
  /** With blanks, or with `|`, between the words; a first word with `@` is the user. */
  readonly denied: readonly string[];
  readonly allowed: readonly string[];
}

const b = 'b@example.com';
const allowed = [
  '{ command: search, masks: true, content: true }',
  '{ command: expunge }',
  '{ command: fetch, content: true }',
  '{ command: index, masks: true }',
  '{ command: mailbox create }',
  '{ command: mailbox delete, where: { mailbox: any, recursive: any, subscriptions: any } }',
  '{ command: mailbox list, masks: true, where: { mailbox-mask: any, subscriptions: any } }',
  '{ command: copy, where: { destination-mailbox: any, source-user: any, query: any } }',
  '{ command: altmove }',
];

const cases: readonly Case[] = [
  {
    deny: '{ command: search, where: { query: { mailbox: [Private, "Private/*"] } } }',
    says: [
      'query: may select mails in private or private/*, as each does that does not keep to other mailboxes by name',
    ],
    denied: [
      'search mailbox Private all',
      'search all',
      'search mailbox Priv* seen',
      'search not mailbox Private',
      'search mailbox Work or seen',
    ],
    allowed: ['search mailbox Work seen', 'search mailbox Work or mailbox Sent'],
  },
  {
    deny: '{ command: expunge, where: { query: any } }',
    says: [],
    denied: ['expunge mailbox Spam all'],
    allowed: [],
  },
  {
    deny: '{ command: index, users: ["test-*@example.com"] }',
    says: ['may concern a user of test-*@example.com, also by a mask or all users'],
    denied: ['test-1@example.com index INBOX'],
    allowed: ['index INBOX'],
  },
  {
    deny: '{ command: mailbox create, where: { mailbox: "Archive/*" } }',
    says: ['mailbox: may mean archive/*, in any case of letters'],
    denied: ['mailbox|create|ARCHIVE/x', 'mailbox|create|Work|Archive/y'],
    allowed: ['mailbox|create|Work'],
  },
  {
    deny: '{ command: mailbox delete, where: { mailbox: "Work/Old" } }',
    says: [
      'mailbox: may mean work/old, in any case of letters, also by what is below it, where that is included',
    ],
    denied: ['mailbox|delete|Work/Old', 'mailbox|delete|-r|Work'],
    allowed: ['mailbox|delete|Work', 'mailbox|delete|Work/Old/x'],
  },
  {
    deny: '{ command: mailbox list, where: { mailbox-mask: "Private*" } }',
    says: ['mailbox-mask: may mean private*, in any case of letters, or is not given'],
    denied: ['mailbox|list', 'mailbox|list|*', 'mailbox|list|PRIV*'],
    allowed: ['mailbox|list|Work'],
  },
  {
    deny: '{ command: mailbox list, where: { subscriptions: true } }',
    says: ['subscriptions is given, whatever it is'],
    denied: ['mailbox|list|-s|Work'],
    allowed: ['mailbox|list|Work'],
  },
  {
    deny: '{ command: fetch, where: { field: [body, "body.*"] } }',
    says: ['field: may mean body or body.*, in any case of letters, or is not given'],
    denied: ['fetch|uid BODY|all', 'fetch|body.preview|all'],
    allowed: ['fetch|uid flags|all'],
  },
];

for (const { deny, says, denied, allowed: others } of cases) {
  void test(`denied: ${deny}`, () => {
    const policy = policyOf(
      withPolicies(
        `  support:\n    users: ["*@example.com"]\n    allow:\n${allowed.map((rule) => `      - ${rule}\n`).join('')}    deny:\n      - ${deny}\n`,
      ),
    );
    const [shown] = rightsOf(policy, 'support', undefined).deny;
    assert.deepEqual(shown?.says, says);
    const fateOf = (line: string) => {
      const typed = line.split(line.includes('|') ? '|' : ' ');
      const isNamed = typed[0]?.includes('@') === true;
      const [user, words] = isNamed ? [typed[0] ?? '', typed.slice(1)] : [b, typed];
      const judgement = judge(plainLine(user, words), ['2.4'], judgeContext(policy));
      assert.equal(judgement.kind, 'judged', line);
      return judgement.kind === 'judged' ? judgement.decision : undefined;
    };
    for (const line of denied) {
      const decision = fateOf(line);
      assert.equal(decision?.code, 'deny-rule', line);
      assert.deepEqual(decision.rule && ruleAt(policy, decision.rule)?.says, says, line);
    }
    for (const line of others) assert.equal(fateOf(line)?.kind, 'allow', line);
  });
}
