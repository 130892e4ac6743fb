// Goal: what a policy permits is told in words, survives the way over the wire, and names no file and nobody else's policy.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { allSeries, type Series } from '../../../src/doveadm/commands/catalog.js';
import {
  type Explanation,
  explanationOf,
  requestLine,
  rowsOfExplanation,
} from '../../../src/rules/answers/explanation.js';
import { explanationOfRows, rightsOfRows, sayExplanation } from '../../../src/rules/answers/read-answer.js';
import {
  describeRule,
  effectOfName,
  formatRate,
  rightsOf,
  rowsOfRights,
} from '../../../src/rules/answers/rights.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { type GrantsAtHand, underAnyGrant } from '../../../src/rules/policy/grant.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { comparedOf, nothingGiven } from '../../../src/rules/policy/outcome.js';
import { sayRequestTerms } from '../../../src/rules/policy/policy.js';
import { compareAnswers } from '../../kit/plain/approved.js';
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

const rowsIn = (rights: Parameters<typeof rowsOfRights>[0]): string =>
  rowsOfRights(rights)
    .map((row) => row.join(' '))
    .join('\n');

void test('the rows of a policy', () => {
  const rights = rightsOf(policyOf(textOfRights), 'support', 'alice@support');
  compareAnswers('test/rules/answers/rights.txt', [['support', () => rowsIn(rights)]]);
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
  compareAnswers('test/rules/answers/rights.on-request.txt', [['support', () => rowsIn(rights)]]);
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

// Goal: a judgement in words survives the way over the wire, and names rules by what they say, never by where they stand.

const text = withPolicies(`  support:
    users: ["*@example.com"]
    allow:
      - quota get
      - fts flatcurve check
      - { command: flags add, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } }, reason: required, limit: 20/hour, deadline: 2h }
    deny: [mailbox delete]
    on_request:
      - { command: fetch, content: true, approvals: 2, for: 2h, scope: user, uses: 200, reason: { regex: "ticket [0-9]+" } }
      - mailbox list
      - mailbox delete
      - { command: expunge, approvals: 2, for: 30m }
  watch: { mode: observe, users: ["*"], allow: [who] }
`);
/** The explanation of a line, after its way over the wire. */
function explained(
  words: readonly string[],
  from: { policy?: string; series?: readonly Series[]; grants?: GrantsAtHand } = {},
): Explanation {
  const { series = ['2.4'], grants } = from;
  const policy = policyOf(text, from.policy);
  const [user = '', ...command] = words;
  const judgeFor = (which: readonly Series[]) =>
    judge(plainLine(user, command), which, judgeContext(policy, { grants }));
  const judgement = judgeFor(series);
  const explanation = explanationOf({
    policy,
    principal: 'anna@support',
    judgement,
    outcomes: comparedOf(judgement, policy, nothingGiven),
    obstacle: undefined,
    backends: ['mail1'],
    noBackend: undefined,
    readings: series.map((one) => ({ series: one, judgement: judgeFor([one]) })),
    later: [],
  });
  const rows = rowsOfExplanation(explanation);
  assert.deepEqual(explanationOfRows(rows), explanation);
  assert.doesNotMatch(JSON.stringify(rows), /\.yaml/);
  return explanation;
}

void test('allowed: by which rule, what is sent, for whom', () => {
  const { decision, rule, sent, concerns, effect, terms, backends } = explained(['BOB', 'quota', 'get']);
  assert.deepEqual([decision, rule], ['allow', { command: 'quota get', says: [] }]);
  assert.deepEqual([sent, concerns, effect], [['quota get', '--'], 'bob@example.com', 'read']);
  assert.deepEqual([terms, backends], [[], ['mail1']]);
});

void test('denied: by which rule, or which comes nearest and what it misses', () => {
  assert.equal(explained(['bob', 'mailbox', 'delete', 'Old']).rule?.command, 'mailbox delete');
  const near = explained(['bob', 'flags', 'add', '\\Seen', 'mailbox', 'Trash', 'savedbefore', '10d']);
  assert.equal(near.decision, 'deny');
  assert.equal(near.rule, undefined);
  assert.equal(near.nearest?.command, 'flags add');
  assert.match(near.nearest?.missing[0] ?? '', /savedbefore/);
  assert.deepEqual(near.terms, []);
  const outside = explained(['bob@example.org', 'quota', 'get']);
  assert.deepEqual([outside.decision, outside.code, outside.rule], ['deny', 'user', undefined]);
});

void test('available on request: by which rule, and how to ask for it', () => {
  const words = ['bob', 'fetch', 'hdr.subject', 'mailbox', 'Old stuff', 'all'];
  const { decision, onRequest, request } = explained(words);
  assert.equal(decision, 'deny');
  assert.deepEqual(onRequest, {
    command: 'fetch',
    terms: { approvals: 2, for: '2h', scope: 'user', uses: 200 },
    says: ['also what mails say', 'the reason of the request matches ticket [0-9]+, as "ticket 1"'],
  });
  const asked = "--reason 'ticket [0-9]+' -- fetch hdr.subject mailbox 'Old stuff' all";
  assert.equal(request, `dovegate request --user bob@example.com ${asked}`);
  const denied = /^denied: no rule .*; available on request: dovegate request /;
  assert.match(sayExplanation(explained(words)), denied);
  const long = explained(['bob', 'fetch', 'hdr.subject', 'mailbox', 'x'.repeat(500), 'all']);
  assert.equal(long.request?.length, 400);
  const dashed = explained(['bob', 'mailbox', 'list', '--', '-x']);
  assert.equal(dashed.request, 'dovegate request --user bob@example.com --reason WHY -- mailbox list -- -x');
  assert.equal(explained(['bob', 'mailbox', 'delete', 'Old']).request, undefined, 'a deny is not for sale');
  const under = explained(words, { grants: underAnyGrant });
  assert.deepEqual([under.decision, under.code, under.rule?.command], ['allow', 'granted', 'fetch']);
  assert.deepEqual([under.terms, under.request], [['while its grant lasts'], undefined]);
});

void test('a near miss of a rule of on_request: the rule with its terms, and what it misses', () => {
  const near = explained(['bob', 'expunge', 'mailbox', 'INBOX', 'body', 'x']);
  assert.deepEqual(near.nearest, {
    command: 'expunge',
    says: ['on request, approved by 2 persons, for 30m, for one command line, once'],
    missing: ['it asks for the content of mails (key body): the rule must say content: true'],
  });
  assert.match(sayExplanation(near), /^denied: no rule allows "expunge" like this, even on request: it asks/);
  assert.deepEqual([near.onRequest, near.request], [undefined, undefined]);
});

void test('hidden words are not in the command that asks', () => {
  const line = plainLine('bob', ['mailbox', 'cryptokey', 'password', '-n', 'geheim']);
  const judgement = judge(line, ['2.4'], judgeContext(policyOf(text)));
  assert.ok(judgement.kind === 'judged');
  assert.ok(judgement.args.some(({ isSecret }) => isSecret));
  const pasted = requestLine(judgement);
  assert.doesNotMatch(pasted, /geheim/);
  const shell = (secrets: string): string => {
    const script = `dovegate() { printf '<%s>' "$@"; }; ${secrets}${pasted}`;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    return status === 0 ? stdout : `not run: ${stderr}`;
  };
  assert.match(shell(''), /^not run: .*SECRET: put the hidden word in here/);
  assert.match(
    shell("SECRET='a b'; "),
    /^<request><--user><bob@example\.com><--reason><WHY><--><mailbox><cryptokey><password>.*<a b>/,
  );
});

void test('terms, observing, and what cannot be read', () => {
  const words = ['bob', 'flags', 'add', '\\Seen', 'mailbox', 'Trash', 'savedbefore', '40d'];
  assert.deepEqual(explained(words).terms, [
    'the client must say why',
    'within the limit of its rule',
    'its reply must begin within 2h',
  ]);
  const observed = explained(['bob', 'quota', 'get'], { policy: 'watch' });
  assert.equal(observed.decision, 'allow');
  assert.equal(observed.would, 'the rules would deny it: no rule allows "quota get"');
  assert.deepEqual([explained(words).outcome, observed.outcome], ['no-reason', 'served']);
  const unknown = explained(['bob', 'quota', 'gte'], { series: allSeries });
  assert.deepEqual([unknown.decision, unknown.code, unknown.sent], ['unparsable', 'command-unknown', []]);
  assert.deepEqual(unknown.differs, []);
});

void test('where the series differ each is told', () => {
  const { decision, differs } = explained(['bob', 'fts flatcurve check', 'INBOX'], { series: allSeries });
  assert.equal(decision, 'unparsable');
  assert.match(differs[0] ?? '', /^Dovecot 2\.3: cannot be read/);
  assert.match(differs[1] ?? '', /^Dovecot 2\.4: allowed, sent as fts flatcurve check/);
});

void test('what is no answer', () => {
  assert.equal(explanationOfRows([]), undefined);
  assert.equal(explanationOfRows([['decision', 'perhaps']]), undefined);
});

void test('a name that may be another mailbox is said to be', () => {
  const of = (...words: string[]): string | undefined => explained(['BOB', ...words]).concerns;
  const two = (name: string, one: string) =>
    `bob@example.com, "${name}" may be "INBOX", "${name}" may be "${one}"`;
  assert.equal(of('flags', 'add', '\\Seen', 'mailbox', 'A/INBOX', 'all'), two('A/INBOX', 'A'));
  assert.equal(of('flags', 'add', '\\Seen', 'mailbox', 'Trash', 'all'), 'bob@example.com');
  assert.equal(of('mailbox', 'delete', 'a.Inbox'), two('a.Inbox', 'a'));
});
