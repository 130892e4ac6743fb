// Goal: what a policy permits is told in words, survives the way over the wire, and names no file and nobody else's policy.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rightsOfRows } from '../../../src/rules/answers/read-answer.js';
import {
  describeRule,
  effectOfName,
  formatRate,
  rightsOf,
  rowsOfRights,
} from '../../../src/rules/answers/rights.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { sayRequestTerms } from '../../../src/rules/policy/policy.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, sound, withPolicies } from '../config/sound.js';

const textOfRights = withPolicies(`  support:
    users: ["*@example.com"]
    except: [ceo@example.com]
    allow:
      - quota get
      - { command: fetch, where: { field: [uid, flags] }, reason: required, limit: 20/hour, deadline: 2h }
    deny: [mailbox delete]
    limits: { rate: 60/minute, distinct_users: 50/hour, at_once: 2 }
    debug: true
    contact: helpdesk@example.com
  watch: { mode: observe, users: ["*"], allow: [who] }
`);

void test('the rows of a policy', () => {
  const rights = rightsOf(policyOf(textOfRights), 'support', 'alice@support');
  const rows = rowsOfRights(rights).map((row) => row.join(' '));
  assert.deepEqual(rows, [
    'listener support',
    'principal alice@support',
    'policy support',
    'mode enforce',
    'user *@example.com',
    'except ceo@example.com',
    'limit 60 a minute',
    'limit 50 an hour of different users',
    'limit 2 at once',
    'logs filtered',
    'debug yes',
    'contact helpdesk@example.com',
    'allow quota get',
    'effect read',
    'allow fetch',
    'effect read',
    'if field: uid or flags',
    'if no other options',
    'if the client must say why',
    'if at most 20 an hour',
    'if waits 2h for the reply',
    'deny mailbox delete',
    'effect destroy',
  ]);
  assert.deepEqual(rightsOfRows(rowsOfRights(rights)), rights);
});

void test('an example of a rule of on_request is offered by that rule', () => {
  for (const [rule, words] of [
    ['fetch, content: true, where: { field: [text, body], query: any }', 'fetch text QUERY'],
    [
      'fetch, content: true, where: { field: ["body.*"], query: { mailbox: [INBOX], savedbefore: { at_least: 30d } } }',
      'fetch FIELD mailbox INBOX savedbefore 30d',
    ],
    ['expunge, where: { query: { mailbox: [Trash, "Junk*"] } }', 'expunge mailbox Trash all'],
    ['mailbox delete, where: { mailbox: ["Old*", Older], recursive: present }', 'mailbox delete -r MAILBOX'],
    ['mailbox create, where: { mailbox: { regex: "Project [0-9]{2}" } }', "mailbox create 'Project 11'"],
    ['copy', 'copy DESTINATION-MAILBOX QUERY'],
  ] as const) {
    const policy = policyOf(
      withPolicies(
        `  support: { users: ["bob@example.com"], allow: [], on_request: [{ command: ${rule}, approvals: 1, for: 1h }] }\n`,
      ),
    );
    const [{ example } = assert.fail()] = rightsOf(policy, 'support', undefined).onRequest;
    assert.equal(example, `dovegate request --user bob@example.com --reason WHY -- ${words}`, rule);
    // With its capitals replaced, the rule offers it.
    const typed = words
      .replace('QUERY', 'mailbox INBOX all')
      .replace('FIELD', 'body.1')
      .replace('DESTINATION-MAILBOX', 'New')
      .replace(/\bMAILBOX$/, 'Older');
    const judged = judge(
      plainLine(
        'bob@example.com',
        (typed.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", '')),
      ),
      ['2.4'],
      judgeContext(policy),
    );
    assert.ok(judged.kind === 'judged' && judged.decision.onRequest !== undefined, typed);
  }
});

void test('what is available on request, and whose requests may be approved', () => {
  const policy = policyOf(
    withPolicies(`  support:
    users: ["*@example.com"]
    allow: [quota get]
    approve: [support]
    on_request:
      - { command: fetch, content: true, scope: user, for: 2h, uses: 200, reason: { regex: "ticket [0-9]+" } }
      - { command: expunge, approvals: 2, for: 30m }
`),
  );
  const rights = rightsOf(policy, 'support', undefined);
  const rows = rowsOfRights(rights).map((row) => row.join(' '));
  assert.deepEqual(rows.slice(rows.indexOf('on-request fetch')), [
    'on-request fetch',
    'effect read',
    'approvals 1',
    'for 2h',
    'scope user',
    'uses 200',
    'if also what mails say',
    'if the reason of the request matches ticket [0-9]+, as "ticket 1"',
    "example dovegate request --user USER@example.com --reason 'ticket [0-9]+' -- fetch FIELD QUERY",
    'on-request expunge',
    'effect destroy',
    'approvals 2',
    'for 30m',
    'scope command',
    'uses 1',
    'example dovegate request --user USER@example.com --reason WHY -- expunge QUERY',
    'approve support',
  ]);
  assert.deepEqual(rightsOfRows(rowsOfRights(rights)), rights);
  const [first, second] = rights.onRequest;
  const byOne = 'approved by 1 person, for 2h, for the users of the request, 200 times';
  assert.equal(sayRequestTerms(first?.terms ?? assert.fail()), byOne);
  const byTwo = 'approved by 2 persons, for 30m, for one command line, once';
  assert.equal(sayRequestTerms(second?.terms ?? assert.fail()), byTwo);
  const broken = { approvals: 0, for: '1h', scope: 'user' };
  const byNobody = 'without an approval, reviewed later, for 1h, for the users of the request';
  assert.equal(sayRequestTerms(broken), byNobody);
});

void test('observe, nobody in particular, and what is no answer', () => {
  const rights = rightsOf(policyOf(textOfRights, 'watch'), 'audit', undefined);
  assert.equal(rights.isObserving, true);
  assert.deepEqual(rightsOfRows(rowsOfRights(rights)), rights);
  assert.equal(rightsOfRows([]), undefined);
  assert.equal(rightsOfRows([['listener', 'x']]), undefined);
});

void test('the effect of a name is the one in the series where it does most', () => {
  assert.equal(effectOfName('quota get'), 'read');
  assert.equal(effectOfName('mailbox delete'), 'destroy');
});

// Goal: whatever a rule can say is put into words that nobody misreads.

/** What is said of a rule, given as the inside of a YAML map. */
function says(text: string, isForEverybody = true): string[] {
  const [rule] = policyOf(sound.replace('[quota get]', `[{ ${text} }]`)).allow;
  assert.ok(rule);
  return describeRule(rule, { isForEverybody });
}

void test('a name alone says nothing more; rates are short', () => {
  assert.deepEqual(says('command: quota get'), []);
  assert.equal(formatRate({ count: 5, windowMs: 86_400_000 }), '5 a day');
  assert.equal(formatRate({ count: 5, windowMs: 1000 }), '5 a second');
});
