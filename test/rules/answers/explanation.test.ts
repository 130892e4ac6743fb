// Goal: a judgement in words survives the way over the wire, and names rules by what they say, never by where they stand.

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
import { explanationOfRows, sayExplanation } from '../../../src/rules/answers/read-answer.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { type GrantsAtHand, underAnyGrant } from '../../../src/rules/policy/grant.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { comparedOf, nothingGiven } from '../../../src/rules/policy/outcome.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';

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
