// Goal: a grant allows its one line, or its rule for its users, and nothing else; and no remembered judgement stands in for another one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import {
  type GrantsAtHand,
  type GrantTerms,
  lineOf,
  requestableAmong,
  underAnyGrant,
} from '../../../src/rules/policy/grant.js';
import {
  AnswerCache,
  type JudgeContext,
  type Judged,
  type Judgement,
  judge,
  judgedBytes,
  judgeOnce,
} from '../../../src/rules/policy/judge.js';
import { ask } from '../../../src/rules/policy/match.js';
import { createPolicy, type Policy, type RequestRule } from '../../../src/rules/policy/policy.js';
import { mostMatches } from '../../../src/rules/policy/terms.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';
import { casesNowMs } from './cases.js';

/** A digest that shows what was asked. */
const digest = (text: string): string => `digest of ${text}`;

const support = policyOf(
  withPolicies(`  support:
    users: ["*@example.com"]
    except: [ceo@example.com]
    allow: [quota get]
    on_request:
      - { command: fetch, scope: user, content: true, max_matches: 500, reason: required, limit: 20/hour }
      - { command: expunge, where: { query: any }, max_matches: 50 }
      - { command: expunge, where: { query: any }, max_matches: 50, scope: user, for: 30m }
      - { command: search, scope: user }
      - acl set
`),
);
const [fetch, expunge, expungeForUser, search] = support.onRequest;

function grant(rule: RequestRule | undefined, more: Partial<GrantTerms> = {}): GrantTerms {
  assert.ok(rule);
  return {
    id: '01',
    rule: rule.hash,
    scope: rule.terms.scope,
    users: ['bob@example.com'],
    line: undefined,
    maxMatches: undefined,
    ...more,
  };
}

const context = (more: Partial<JudgeContext> = {}): JudgeContext =>
  judgeContext(support, { nowMs: casesNowMs, ...more });

function judged(grants: readonly GrantTerms[], user: string, ...words: readonly string[]): Judged {
  const judgement = judge(plainLine(user, words), ['2.4'], context({ grants: { grants, digest } }));
  assert.ok(judgement.kind === 'judged');
  return judgement;
}

const bob = 'bob@example.com';
const subjects = ['fetch', 'hdr.subject', 'mailbox', 'INBOX', 'all'];
const trash = ['expunge', 'mailbox', 'Trash', 'all'];

/** The digest of the line as a daemon would have made it when it was requested. */
function lineDigest(words: readonly string[], user = bob): string {
  const { attempt, args } = judged([], user, ...words);
  return digest(lineOf(attempt.command.name, args));
}
const lineOfTrash = lineDigest(trash);

type Row = readonly [what: string, GrantTerms, isGranted: boolean, string, readonly string[]];
const forLine = (line: string) => grant(fetch, { scope: 'command', line });
const forTrash = grant(expunge, { line: lineOfTrash });
const otherTrash = ['expunge', '--', ...trash.slice(1)];
const table: readonly Row[] = [
  ['its rule, for its user', grant(fetch), true, bob, subjects],
  ['any line of its rule', grant(fetch), true, bob, ['fetch', 'text', 'all']],
  ['the user in another spelling', grant(fetch), true, 'Bob@Example.com', subjects],
  ['another user', grant(fetch), false, 'carl@example.com', subjects],
  ['one of several users', grant(fetch, { users: ['a@example.com', bob] }), true, bob, subjects],
  ['no users', grant(fetch, { users: [] }), false, bob, subjects],
  ['an excepted user', grant(fetch, { users: ['ceo@example.com'] }), false, 'ceo@example.com', subjects],
  ['a user of others', grant(fetch, { users: ['x@example.org'] }), false, 'x@example.org', subjects],
  ['another command', grant(fetch), false, bob, ['search', 'all']],
  ['a rule that is gone or changed', grant(fetch, { rule: 'ab'.repeat(32) }), false, bob, subjects],
  ['its line', forTrash, true, bob, trash],
  ['its line in another spelling', forTrash, true, bob, otherTrash],
  ['another line', forTrash, false, bob, ['expunge', 'mailbox', 'Junk', 'all']],
  ['its line for another user', forTrash, false, 'carl@example.com', trash],
  ['a line that is unknown', grant(expunge), false, bob, trash],
  ['a rule for one line, granted as for a user', grant(expunge, { scope: 'user' }), false, bob, trash],
  ['a rule for a user, granted for one line', forLine(lineDigest(subjects)), true, bob, subjects],
  ['a rule for a user, granted for another line', forLine(lineOfTrash), false, bob, subjects],
];

void test('what a grant allows, and what not', () => {
  for (const [what, terms, isGranted, user, words] of table) {
    const { decision } = judged([terms], user, ...words);
    assert.equal(decision.kind, isGranted ? 'allow' : 'deny', what);
    assert.equal(decision.grant, isGranted ? '01' : undefined, what);
    assert.equal(decision.code === 'granted', isGranted, what);
    const without = judge(plainLine(user, words), ['2.4'], context());
    assert.ok(without.kind === 'judged');
    if (!isGranted) assert.deepEqual(decision, without.decision, what);
  }
});

void test('the terms of the rule apply, and no more mails than were counted', () => {
  const whole = judged([grant(fetch)], bob, ...subjects).decision;
  assert.equal(whole.rule, fetch?.place);
  assert.deepEqual(whole.obligations, fetch?.obligations);
  assert.equal(whole.obligations?.reason, true);
  const mails = (maxMatches: number): number | undefined =>
    mostMatches(
      judged([grant(expunge, { line: lineOfTrash, maxMatches })], bob, ...trash).decision.obligations,
    );
  assert.equal(mails(7), 7);
  assert.equal(mails(51), 50);
  const bare = judged([grant(search, { maxMatches: 3 })], bob, 'search', 'all').decision;
  assert.equal(mostMatches(bare.obligations), 3, 'also where the rule has no number');
});

void test('the first grant in order counts, and a rule of allow before every grant', () => {
  const forUser = grant(expungeForUser, { id: '02' });
  const forOne = grant(expunge, { id: '03', line: lineOfTrash });
  assert.equal(judged([forUser, forOne], bob, ...trash).decision.grant, '02');
  assert.equal(judged([forOne, forUser], bob, ...trash).decision.grant, '03');
  assert.equal(judged([forOne, forUser], bob, 'quota', 'get').decision.grant, undefined);
});

void test('an alias of a granted user is granted only where it was approved, and an excepted one is refused', () => {
  const at = (aliases: readonly string[]): string | undefined => {
    const judgement = judge(
      plainLine(bob, subjects),
      ['2.4'],
      context({
        aliases,
        grants: { grants: [grant(fetch, { users: [bob, 'robert@example.com'] })], digest },
      }),
    );
    return judgement.kind === 'judged' ? judgement.decision.code : undefined;
  };
  assert.equal(at(['robert@example.com']), 'granted');
  // It was pointed to another mailbox since.
  assert.equal(at(['eve@example.com']), 'no-rule');
  assert.equal(at(['ceo@example.com']), 'except');
  assert.equal(at(['robert@example.org']), 'user');
});

void test('where the series is unknown, one grant must be enough for both', () => {
  const both = (grants: readonly GrantTerms[], ...words: readonly string[]): Judgement =>
    judge(plainLine(bob, words), ['2.3', '2.4'], context({ grants: { grants, digest } }));
  const found = both([grant(fetch)], ...subjects);
  assert.ok(found.kind === 'judged');
  assert.equal(found.decision.grant, '01');
  const denied = both([], ...subjects);
  assert.ok(denied.kind === 'judged');
  assert.equal(denied.decision.onRequest, fetch);
});

void test('a command with two readings needs the same grant for both of them', () => {
  // A 2.3 server has no parameter `no-userdb-lookup`: the rules fit in one series each.
  const readings = policyOf(
    withPolicies(`  support:
    users: ["*@example.com"]
    on_request:
      - { command: mailbox list, where: { mailbox-mask: any }, scope: user }
`),
  );
  const [rule] = readings.onRequest;
  const judgement = judge(
    plainLine(bob, ['mailbox', 'list', 'INBOX']),
    ['2.3', '2.4'],
    context({ policy: readings, grants: { grants: [grant(rule)], digest } }),
  );
  assert.ok(judgement.kind === 'judged' && judgement.decision.grant === '01');
});

void test('the text of a line: name and words, which no other line has', () => {
  const word = (text: string) => ({ text, isSecret: false });
  assert.equal(lineOf('fetch', [word('a b'), word('c')]), 'fetch\0a b\0c');
  assert.notEqual(lineOf('fetch', [word('a'), word('b c')]), lineOf('fetch', [word('a b'), word('c')]));
});

void test('which rule could be requested', () => {
  const { attempt } = judged([], bob, ...trash);
  assert.equal(requestableAmong(ask(support, attempt, casesNowMs)), expunge);
  assert.equal(requestableAmong(ask(support, judged([], bob, 'stop').attempt, casesNowMs)), undefined);
  assert.equal(requestableAmong(ask({ ...support, mode: 'observe' }, attempt, casesNowMs)), undefined);
});

void test('a near miss of a rule of on_request is explained, unless a rule of allow is nearer', () => {
  const near = policyOf(
    withPolicies(`  support:
    users: ["*@example.com"]
    allow:
      - { command: fetch, where: { field: [uid], query: { mailbox: [Trash] } } }
      - { command: search, where: { query: { mailbox: [Trash] } } }
    on_request:
      - expunge
      - { command: backup, root_equivalent: true }
      - { command: fetch, where: { field: [text], query: any } }
      - { command: search, users: ["a*@example.com"], where: { query: { mailbox: [Junk] } } }
`),
  );
  const [, forSearch] = near.allow;
  const denied = (words: readonly string[], more: Partial<JudgeContext> = {}) => {
    const judgement = judge(plainLine(bob, words), ['2.4'], context({ policy: near, ...more }));
    assert.ok(judgement.kind === 'judged', words.join(' '));
    const { code, reason, nearest, onRequest } = judgement.decision;
    assert.equal(onRequest, undefined);
    return { code, reason, rule: nearest?.rule };
  };
  const [expungeRule, backupRule, fetchRule] = near.onRequest;
  const cases = [
    [['expunge', 'mailbox', 'INBOX', 'body', 'x'], expungeRule, 'the rule must say content: true'],
    [['backup', 'tcp:mail9'], backupRule, 'the rule must name destination in its where'],
    [['fetch', 'text', 'mailbox', 'INBOX', 'all'], fetchRule, 'the rule must say content: true'],
  ] as const;
  for (const [words, rule, missing] of cases) {
    for (const grants of [undefined, underAnyGrant]) {
      const { code, reason, rule: nearest } = denied(words, { grants });
      assert.deepEqual([code, nearest], ['rule-misses', rule?.place], words.join(' '));
      assert.ok(reason.startsWith(`no rule allows "${words[0]}" like this, even on request: `), reason);
      assert.ok(reason.endsWith(missing), reason);
    }
  }
  const nearer = denied(['search', 'mailbox', 'INBOX', 'all']);
  assert.equal(nearer.rule, forSearch?.place);
  assert.doesNotMatch(nearer.reason, /on request/);
  // What cannot be requested at all has no near miss there.
  assert.equal(denied(['expunge', '-A', 'mailbox', 'INBOX', 'all']).code, 'no-rule');
});

void test('a grant lives on under a candidate that has its rule, and ends under one that has not', () => {
  const shadowOf = (shadow: Policy): string | undefined => {
    const judgement = judge(
      plainLine(bob, subjects),
      ['2.4'],
      context({ policy: createPolicy({ ...support, shadow }), grants: { grants: [grant(fetch)], digest } }),
    );
    assert.ok(judgement.kind === 'judged');
    assert.equal(judgement.decision.kind, 'allow');
    return judgement.shadow?.code;
  };
  assert.equal(shadowOf(createPolicy({ ...support, onRequest: [] })), 'no-rule');
  assert.equal(shadowOf(createPolicy(support)), 'granted');
});

// Goal: no remembered judgement stands in for one with other grants, however they come and go.
const askedLines: readonly (readonly [user: string, words: readonly string[]])[] = [
  [bob, subjects],
  [bob, trash],
  [bob, ['quota', 'get']],
  [bob, ['search', 'all']],
  [bob, ['stop']],
  ['carl@example.com', subjects],
  ['ceo@example.com', subjects],
];
const someGrants: readonly (GrantsAtHand | undefined)[] = [
  undefined,
  { grants: [], digest },
  { grants: [grant(fetch)], digest },
  { grants: [grant(fetch, { id: '02', users: ['carl@example.com', bob] })], digest },
  { grants: [grant(expunge, { id: '03', line: lineOfTrash, maxMatches: 5 })], digest },
  { grants: [grant(search, { id: '04' }), grant(expungeForUser, { id: '05' })], digest },
  underAnyGrant,
];
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

/** But for the functions of its attempt. */
function isSameJudgement(one: Judgement, other: Judgement): boolean {
  if (one.kind === 'unparsable' || other.kind === 'unparsable') return isDeepStrictEqual(one, other);
  return isDeepStrictEqual({ ...one, attempt: undefined }, { ...other, attempt: undefined });
}

void test('a judgement with a cache is the judgement without one, whatever grants come and go', () => {
  const random = seededRandom(26);
  const cache = new AnswerCache<Judged>({ entriesMax: 100, bytesMax: 1 << 20, bytesOf: judgedBytes });
  const kinds = new Set<string>();
  for (let step = 0; step < 800 * rounds; step += 1) {
    const [user, words] = pick(random, askedLines);
    const series = pick(random, [['2.4'], ['2.3'], ['2.3', '2.4']] as const);
    const given = context({ grants: someGrants[Math.floor(random() * someGrants.length)] });
    const remembered = judgeOnce(plainLine(user, words), series, given, cache);
    assert.ok(isSameJudgement(remembered, judge(plainLine(user, words), series, given)));
    if (remembered.kind === 'judged') kinds.add(remembered.decision.code);
  }
  assert.deepEqual([...kinds].toSorted(), ['allowed', 'except', 'granted', 'no-rule']);
  assert.ok(cache.size > 0);
});

// Goal: random policies with and without grants. What a grant allows is a part of what its rule would allow by itself to its users.
const pools = withPolicies(`  support:
    users: ["*@example.com"]
    on_request:
      - fetch
      - { command: fetch, scope: user, content: true }
      - { command: fetch, scope: user, where: { field: [uid, hdr.subject], query: { mailbox: "I*" } }, content: true }
      - { command: fetch, scope: user, users: ["b*@example.com"], shared: true, content: true }
      - { command: expunge, where: { query: { mailbox: Trash } } }
      - { command: expunge, scope: user }
      - { command: mailbox delete, scope: user }
      - { command: mailbox delete, where: { mailbox: Old, recursive: any } }
      - { command: who, scope: user, where: { mask: any } }
      - { command: acl set, scope: user }
  denials:
    users: ["*"]
    allow: [quota get]
    deny:
      - fetch
      - { command: fetch, users: ["bob@example.com"] }
      - { command: expunge, where: { query: { mailbox: Trash } } }
      - mailbox delete
      - { command: mailbox delete, where: { mailbox: Old } }
`);
const pool = policyOf(pools).onRequest;
const denials = policyOf(pools, 'denials').deny;
const people = [bob, 'carl@example.com', 'ceo@example.com', 'eve@example.org'];
const commandLines: readonly (readonly string[])[] = [
  subjects,
  ['fetch', 'text', 'mailbox', 'shared/x', 'all'],
  ['fetch', 'uid', 'mailbox', 'INBOX', 'all'],
  ['fetch', '-A', 'uid', 'all'],
  trash,
  ['expunge', 'mailbox', 'INBOX', 'all'],
  ['expunge', '-d', 'mailbox', 'Trash', 'all'],
  ['mailbox', 'delete', 'Old'],
  ['mailbox', 'delete', '-r', 'Old'],
  ['who', 'bob@example.com'],
  ['who', '*'],
  ['acl', 'set', 'INBOX', 'user=carl@example.com', 'lookup'],
  ['acl', 'set', 'INBOX', 'user=eve@example.org', 'lookup'],
];

const lineDigests = commandLines.flatMap((words) => {
  const judgement = judge(plainLine(words[0] === 'who' ? '' : bob, words), ['2.4'], context());
  if (judgement.kind === 'unparsable') return [];
  return [digest(lineOf(judgement.attempt.command.name, judgement.args))];
});

function some<Item>(random: Random, items: readonly Item[], share: number): Item[] {
  return items.filter(() => random() < share);
}

void test('random policies: a grant gives a part of its rule to its users, and never what is denied', () => {
  const random = seededRandom(4711);
  let granted = 0;
  for (let round = 0; round < 80 * rounds; round += 1) {
    const policy = createPolicy({
      ...support,
      users: new GlobList([pick(random, ['*@example.com', '*', 'b*@example.com'])]),
      except: new GlobList(some(random, people, 0.2)),
      allow: some(random, pool, 0.1),
      deny: some(random, denials, 0.2),
      onRequest: some(random, pool, 0.5),
    });
    const grants = some(random, pool, 0.5).map((rule, at): GrantTerms => {
      const line = pick(random, lineDigests);
      const scope = pick(random, ['command', 'user'] as const);
      const users = some(random, people, 0.5);
      return { id: String(at), rule: rule.hash, scope, users, line, maxMatches: undefined };
    });
    for (const words of commandLines) {
      const user = words[0] === 'who' ? '' : words.includes('-A') ? '' : pick(random, people);
      granted += checkGranted(policy, grants, user, words) ? 1 : 0;
    }
  }
  assert.ok(granted > 8 * rounds, `${granted} were allowed by a grant`);
});

function checkGranted(
  policy: Policy,
  grants: readonly GrantTerms[],
  user: string,
  words: readonly string[],
): boolean {
  const line = plainLine(user, words);
  const shown = `${user} ${words.join(' ')}`;
  const at = (other: Policy, given?: GrantsAtHand): Judgement =>
    judge(line, ['2.4'], context({ policy: other, grants: given }));
  const bare = at(policy);
  const judgement = at(policy, { grants, digest });
  if (judgement.kind === 'unparsable' || bare.kind === 'unparsable') return false;
  const { decision, attempt } = judgement;
  // Without a grant, on_request allows nothing and takes nothing away.
  const plain = at(createPolicy({ ...policy, onRequest: [] }));
  assert.ok(plain.kind === 'judged');
  assert.equal(bare.decision.kind, plain.decision.kind, shown);
  // The nearest rule may be one of on_request.
  const code = bare.decision.nearest === undefined ? bare.decision.code : 'no-rule';
  assert.equal(code, plain.decision.nearest === undefined ? plain.decision.code : 'no-rule', shown);
  if (decision.grant === undefined) {
    assert.equal(decision.kind, bare.decision.kind, shown);
    return false;
  }
  assert.equal(bare.decision.kind, 'deny', `${shown}: what a rule allows needs no grant`);
  const used = grants.find(({ id }) => id === decision.grant) ?? assert.fail(shown);
  const rule = policy.onRequest.find(({ hash }) => hash === used.rule) ?? assert.fail(shown);
  // A part of the rule, had it been in allow, for users of the grant.
  const alone = at(createPolicy({ ...policy, allow: [rule], onRequest: [] }));
  assert.ok(alone.kind === 'judged' && alone.decision.kind === 'allow', shown);
  assert.ok(bare.decision.onRequest !== undefined, `${shown}: it could have been requested`);
  for (const each of attempt.users) {
    assert.ok(used.users.includes(each), shown);
    assert.ok(policy.users.matches(each) && !policy.except.matches(each), shown);
  }
  assert.deepEqual(attempt.masks, [], shown);
  assert.equal(attempt.everybody, 'none', shown);
  const { name } = attempt.command;
  const isDenied = policy.deny.some((each) => {
    const isBare = each.where === undefined && each.query === undefined;
    return each.command === name && isBare && (each.users === undefined || each.users.matches(user));
  });
  assert.ok(!isDenied, shown);
  return true;
}
