// From a command line to a judgement: what is sent is what was judged, and what cannot be read is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series } from '../../../src/domain/commands/catalog.js';
import { parseSettings } from '../../../src/domain/config/parse-settings.js';
import { createUserNames } from '../../../src/domain/identity/user-name.js';
import {
  createMailboxNames,
  doubtedNames,
  type MailboxNames,
} from '../../../src/domain/names/mailbox-names.js';
import {
  AnswerCache,
  type JudgeContext,
  type Judged,
  type Judgement,
  type JudgementCache,
  judge,
  judgedBytes,
  judgeOnce,
} from '../../../src/domain/policy/judge.js';
import type { Policy } from '../../../src/domain/policy/policy.js';
import { limitAsks } from '../../../src/domain/policy/terms.js';
import { parseCommandLine } from '../../../src/protocol/command.js';
import { withPolicies } from '../config/sound.js';

const configuration = withPolicies(`  support:
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow: [quota get, mailbox list, mailbox status, search, fetch, save, copy, who]
`);

const parsed = parseSettings('test.yaml', { readText: () => configuration, glob: () => [] });
const policy = parsed.settings?.policies.get('support');
const userNames = createUserNames({ characters: 'A-Za-z0-9._+=@-', defaultRealm: 'example.org' });

function context(): JudgeContext {
  assert.ok(policy, JSON.stringify(parsed.problems));
  return {
    listener: 'support',
    principal: '-@support',
    clientMinor: 4,
    policy,
    userNames,
    sharedNamespaces: [],
    nowMs: 0,
  };
}

/** Judges a line written with `|` for TAB. */
function judged(line: string, series: readonly Series[] = ['2.3', '2.4']): Judgement {
  assert.ok(policy, JSON.stringify(parsed.problems));
  const read = parseCommandLine(Buffer.from(line.replaceAll('|', '\t')), { fieldsMax: 100 });
  assert.equal(read.kind, 'command');
  if (read.kind !== 'command') throw new Error('no command');
  return judge(read.command, series, context());
}

// [line, user as sent, command, arguments as sent]
const allowed: readonly (readonly [string, string, string, readonly string[]])[] = [
  ['|alice@example.org|quota get', 'alice@example.org', 'quota get', ['--']],
  ['|alice@example.org|quota|get', 'alice@example.org', 'quota get', ['--']],
  ['|alice@example.org|quota get|-u|alice@example.org|--', 'alice@example.org', 'quota get', ['--']],
  ['|ALICE@Example.ORG|quota get|-u|alice@example.org', 'alice@example.org', 'quota get', ['--']],
  ['|alice|quota get|-ualice@example.org', 'alice@example.org', 'quota get', ['--']],
  [
    '|alice@example.org|mailbox|status|messages|INBOX',
    'alice@example.org',
    'mailbox status',
    ['--', 'messages', 'INBOX'],
  ],
  [
    '|alice@example.org|search|mailbox|INBOX|all',
    'alice@example.org',
    'search',
    ['--', 'mailbox', 'INBOX', 'all'],
  ],
  ['|alice@example.org|save', 'alice@example.org', 'save', ['--']],
  ['|alice@example.org|save|-mINBOX', 'alice@example.org', 'save', ['-m', 'INBOX', '--']],
  ['|alice@example.org|fetch|--|uid flags|all', 'alice@example.org', 'fetch', ['--', 'uid flags', 'all']],
];
for (const [line, user, command, args] of allowed) {
  test(`allowed: ${line}`, () => {
    const judgement = judged(line);
    assert.equal(judgement.kind, 'judged');
    if (judgement.kind !== 'judged') return;
    assert.equal(judgement.decision.kind, 'allow', judgement.decision.reason);
    assert.equal(judgement.user, user);
    assert.equal(judgement.attempt.command.name, command);
    assert.deepEqual(
      judgement.args.map((word) => word.text),
      args,
    );
  });
}

const denied: readonly string[] = [
  '|alice@example.org|mailbox delete|INBOX',
  '|ceo@example.org|quota get',
  '|CEO@EXAMPLE.ORG|quota get',
  '|ceo|quota get',
  '|bob@other.org|quota get',
  '|alice@example.org|who',
  '|alice@example.org|quota get|-A',
  '|alice@example.org|quota get|-F|/etc/passwd',
  '|alice@example.org|mailbox list|-F/etc/passwd',
  '||quota get',
  '|alice@example.org|quota get|-S|/run/other.sock',
  '|alice@example.org|copy|Dest|user|bob@example.org|all',
  '|alice@example.org|save|/etc/passwd',
  '|alice@example.org|save|-A',
  '|alice@example.org|dsync-server',
];
for (const line of denied) {
  test(`denied: ${line}`, () => {
    for (const series of [['2.3'], ['2.4'], ['2.3', '2.4']] as const) {
      const judgement = judged(line, series);
      assert.equal(judgement.kind, 'judged', JSON.stringify(judgement));
      if (judgement.kind === 'judged') assert.equal(judgement.decision.kind, 'deny');
    }
  });
}

// [line, code]
const unparsable: readonly (readonly [string, string])[] = [
  ['|alice@example.org|no such command', 'command-unknown'],
  ['|alice@example.org|Quota get', 'command-unknown'],
  ['|alice@example.org|quota', 'command-unknown'],
  ['|*|quota get', 'user-invalid'],
  ['|a@b@c|quota get', 'user-invalid'],
  ['|alice@example.org|quota get|-u|bob@example.org', 'user-invalid'],
  ['|alice@example.org|quota get|-u|*@elsewhere.org', 'user-invalid'],
  ['|alice@example.org|quota get|--all', 'abbreviated-option'],
  ['|alice@example.org|quota get|--bogus', 'unknown-option'],
  ['|alice@example.org|quota get|surplus', 'surplus-argument'],
  ['|alice@example.org|quota get|-u', 'value-missing'],
];
for (const [line, code] of unparsable) {
  test(`not understood: ${line}`, () => {
    const judgement = judged(line);
    assert.equal(judgement.kind, 'unparsable', JSON.stringify(judgement));
    if (judgement.kind === 'unparsable') assert.equal(judgement.code, code);
  });
}

test('what the series read differently is refused while nobody knows which one will read it', () => {
  const line = '||kick|-f|bob@example.org|alice@example.org';
  const both = judged(line);
  assert.equal(both.kind, 'unparsable', JSON.stringify(both));
  if (both.kind === 'unparsable') assert.equal(both.code, 'series-differ');
  // 2.3: the sessions of both, by force; 2.4: of those whose field of that name is alice.
  for (const series of ['2.3', '2.4'] as const) assert.equal(judged(line, [series]).kind, 'judged');
});

// [line, what follows it]
const following: readonly (readonly [string, Judgement['input']])[] = [
  ['|alice@example.org|quota get', 'none'],
  ['|alice@example.org|save', 'dot'],
  ['|alice@example.org|save|-m|INBOX', 'dot'],
  ['|nobody here|save', 'dot'],
  ['|alice@example.org|sieve put|name', 'dot'],
  ['|alice@example.org|sieve|put|name', 'dot'],
  ['|alice@example.org|save|/etc/passwd', 'unknown'],
  ['|alice@example.org|save|--file=/etc/passwd', 'unknown'],
  ['|alice@example.org|save|--bogus', 'unknown'],
  ['|alice@example.org|sieve put', 'unknown'],
  ['|alice@example.org|SAVE', 'unknown'],
  ['|alice@example.org|dsync-server', 'unknown'],
];
for (const [line, input] of following) {
  test(`input behind ${line}: ${input}`, () => assert.equal(judged(line).input, input));
}

test('what is not UTF-8 is refused', () => {
  assert.ok(policy);
  const bytes = Buffer.concat([
    Buffer.from('\talice@example.org\tmailbox list\t'),
    Buffer.from([0xff, 0xfe]),
  ]);
  const read = parseCommandLine(bytes, { fieldsMax: 100 });
  if (read.kind !== 'command') throw new Error('no command');
  const judgement = judge(read.command, ['2.3'], context());
  assert.equal(judgement.kind, 'unparsable');
});

const rememberingConfiguration = `
version: 1
listeners:
  support: { unix: /run/s, policy: support }
  other: { unix: /run/o, policy: other }
  team: { unix: /run/t, policy: team }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*"]
    except: ["ceo@example.org"]
    allow:
      - { command: quota get, expires: "2026-11-20T12:00:00Z" }
      - { command: mailbox list, expires: 2026-11-21 }
      - { command: mailbox list, shared: true, expires: "2026-11-20T12:00:00Z", where: { mailbox-mask: ["shared/*"] } }
      - { command: search, content: true }
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } } }
      - { command: fetch, where: { field: [uid], query: { mailbox: [INBOX], savedsince: { at_most: 7d } } } }
      - { command: mailbox metadata set }
      - { command: import, root_equivalent: true, where: { source-location: any } }
      - { command: kick, masks: true, where: { mask: any, force: any } }
  other:
    users: ["*"]
    allow: [mailbox list]
  names:
    users: ["*"]
    deny:
      - { command: mailbox create, where: { mailbox: [Legal] } }
      - { command: mailbox create, where: { mailbox: ["secret/*"] } }
    allow:
      - { command: mailbox create, where: { mailbox: ["A/*", B] } }
      - { command: mailbox create, where: { mailbox: ["A/*", "B*"] } }
  team:
    users: ["*"]
    allow: [purge]
    shadow: candidate.yaml
`;
const candidate = `
users: ["*"]
allow: [{ command: purge, expires: "2026-11-20T12:00:00Z" }]
`;
const remembering = parseSettings('test.yaml', {
  readText: (path) => (path === 'test.yaml' ? rememberingConfiguration : candidate),
  glob: () => [],
});
const noonMs = Date.UTC(2026, 10, 20, 12);

function policyNamed(name: string): Policy {
  return remembering.settings?.policies.get(name) ?? assert.fail(JSON.stringify(remembering.problems));
}

interface Asked extends Partial<Omit<JudgeContext, 'policy'>> {
  readonly line: string;
  readonly policy?: string;
  readonly series?: readonly Series[];
}

/** Asks through a cache. */
function asker(): { ask: (asked: Asked) => Judgement; cache: JudgementCache } {
  const cache: JudgementCache = new AnswerCache<Judged>({
    entriesMax: 1000,
    bytesMax: 1024 ** 2,
    bytesOf: judgedBytes,
  });
  const ask = ({ line, policy: name = 'support', series = ['2.4'], ...changes }: Asked): Judgement => {
    const read = parseCommandLine(Buffer.from(line.replaceAll('|', '\t'), 'latin1'), { fieldsMax: 100 });
    if (read.kind !== 'command') throw new Error('no command');
    const asked = { ...context(), nowMs: noonMs - 1000, policy: policyNamed(name), ...changes };
    const judgement = judgeOnce(read.command, series, asked, cache);
    const afresh = judge(read.command, series, asked);
    assert.deepEqual(saidOf(judgement), saidOf(afresh), 'remembered or not, it is the same');
    return judgement;
  };
  return { ask, cache };
}

/** All of it but what was parsed, which holds functions. */
function saidOf(judgement: Judgement): unknown {
  return judgement.kind === 'judged' ? { ...judgement, attempt: judgement.attempt.users } : judgement;
}

test('other names of a mailbox are found once a line, however many rules and series ask', () => {
  const asked: string[] = [];
  const mailboxNames: MailboxNames = {
    ...doubtedNames,
    readings: (name) => {
      asked.push(`readings ${name}`);
      return doubtedNames.readings(name);
    },
    spellings: (name) => {
      asked.push(`spellings ${name}`);
      return doubtedNames.spellings(name);
    },
  };
  const { ask } = asker();
  const judgeBoth = (): Judgement =>
    ask({ line: '|alice|mailbox create|B|A/INBOX', policy: 'names', series: ['2.3', '2.4'], mailboxNames });
  assert.equal(decisionOf(judgeBoth()), 'deny');
  // Judged twice: `ask` compares with what is judged afresh.
  const each = ['spellings A/INBOX', 'spellings B', 'readings A/INBOX', 'readings B'];
  assert.deepEqual(asked.toSorted(), [...each, ...each].toSorted());
});

function decisionOf(judgement: Judgement): string {
  return judgement.kind === 'judged' ? judgement.decision.kind : judgement.code;
}

test('the same question is judged once, and whatever makes another question is judged again', () => {
  const { ask, cache } = asker();
  const base: Asked = { line: '|alice|mailbox list|INBOX*' };
  const first = ask(base);
  assert.equal(decisionOf(first), 'allow');
  assert.equal(ask(base), first);
  const others: readonly Asked[] = [
    { ...base, policy: 'other' },
    { ...base, listener: 'other' },
    { ...base, principal: 'eve@support' },
    { ...base, clientMinor: 2 },
    { ...base, series: ['2.3'] },
    { ...base, series: ['2.3', '2.4'] },
    { ...base, sharedNamespaces: undefined },
    { ...base, sharedNamespaces: ['shared/'] },
    { ...base, sharedNamespaces: ['shared/', 'Public/'] },
    { ...base, mailboxNames: createMailboxNames(undefined, []) },
    { ...base, mailboxNames: createMailboxNames([], []) },
    { ...base, line: '|bob|mailbox list|INBOX*' },
    { ...base, line: '|alice|mailbox list|INBOX' },
    { ...base, line: '|alice|mailbox|list|INBOX*' },
    { ...base, line: '|alice|mailbox list|INBOX*|' },
    { ...base, line: '|alice|mailbox list|-A|INBOX*' },
  ];
  const answers = others.map(ask);
  assert.equal(new Set([first, ...answers]).size, others.length + 1);
  assert.equal(cache.size, others.length + 1);
  assert.deepEqual(others.map(ask), answers);
});

// [what differs, one, the other]: the answers differ, whichever was asked first.
const contrary: readonly (readonly [string, Asked, Asked])[] = [
  ['policy', { line: '|alice|mailbox list' }, { line: '|alice|mailbox list', policy: 'team' }],
  [
    'namespaces that are said',
    { line: '|alice|mailbox list' },
    { line: '|alice|mailbox list', sharedNamespaces: ['x/'] },
  ],
  [
    'namespaces that are not',
    { line: '|alice|mailbox list' },
    { line: '|alice|mailbox list', sharedNamespaces: undefined },
  ],
  [
    'minor, on which -A depends',
    { line: '|alice|mailbox list|-A', clientMinor: 2 },
    { line: '|alice|mailbox list|-A', clientMinor: 3 },
  ],
  ['user', { line: '|alice@example.org|mailbox list' }, { line: '|ceo@example.org|mailbox list' }],
  ['series', { line: '||kick|-f|x', series: ['2.3'] }, { line: '||kick|-f|x', series: ['2.4'] }],
  [
    'an alias',
    { line: '|boss@example.org|mailbox list' },
    { line: '|boss@example.org|mailbox list', aliases: ['ceo@example.org'] },
  ],
];
for (const [what, one, other] of contrary) {
  test(`no answer is taken for another: ${what}`, () => {
    for (const [first, second] of [
      [one, other],
      [other, one],
    ] as const) {
      const { ask } = asker();
      const expected = [ask(first), ask(second)].map(decisionOf);
      assert.notEqual(expected[0], expected[1]);
      assert.deepEqual([ask(first), ask(second), ask(first)].map(decisionOf), [...expected, expected[0]]);
    }
  });
}

test('what the userdb said, what is not UTF-8, and what nobody can read is not remembered', () => {
  const { ask, cache } = asker();
  ask({ line: '|alice|mailbox list', aliases: ['bob'] });
  ask({ line: '|alice|mailbox list|\xff' });
  ask({ line: '|alice|no such command' });
  ask({ line: '|alice|mailbox list|--abbreviated' });
  ask({ line: `|alice|mailbox list|${'x'.repeat(5000)}` });
  assert.equal(cache.size, 0);
});

test('no line with a secret in it is remembered, allowed or denied', () => {
  const { ask, cache } = asker();
  const lines = [
    '|alice|search|text|invoice',
    '|alice|search|mailbox|INBOX|NOT|(|subject|invoice|)',
    '|alice|expunge|mailbox|INBOX|from|eve',
    '|alice|mailbox metadata set|INBOX|/private/comment|dear diary',
    '|alice|import|imapc:host=x:password=y||all',
    '|alice|mailbox cryptokey password|-n|new|-o|old',
    '||user|-x|pass=hunter2|alice',
  ];
  for (const series of [['2.3'], ['2.4'], ['2.3', '2.4']] as const) {
    for (const line of lines) ask({ line, series });
  }
  assert.equal(cache.size, 0);
  ask({ line: '|alice|search|mailbox|INBOX' });
  assert.equal(cache.size, 1);
});

// [line, its answer before noon, at noon, an hour later]. What looks at the age of mails is kept for a second, what ends to the moment.
const timed: readonly (readonly [
  line: string,
  before: string,
  at: string,
  later: string,
  policy?: string,
])[] = [
  ['|alice|quota get', 'allow', 'deny', 'deny'],
  ['|alice|mailbox list', 'allow', 'allow', 'allow'],
  // The other rule ends; what another allows goes on.
  ['|alice|mailbox list|shared/*', 'allow', 'allow', 'allow'],
  // 30 days before noon: too young a moment ago.
  ['|alice|expunge|mailbox|Trash|savedbefore|1792584000', 'deny', 'allow', 'allow'],
  // 7 days before noon: younger than that until noon.
  ['|alice|fetch|uid|mailbox|INBOX|savedsince|1794571200', 'allow', 'allow', 'deny'],
];
for (const [line, ...expected] of timed) {
  test(`an answer does not outlive its time: ${line}`, () => {
    const { ask } = asker();
    for (const [at, wanted] of expected.entries()) {
      const nowMs = [noonMs - 2000, noonMs, noonMs + 3_600_000][at] ?? 0;
      // Twice: the second one is remembered.
      for (const _ of [1, 2]) assert.equal(decisionOf(ask({ line, nowMs })), wanted, String(at));
    }
  });
}

test('an expired rule ends to the millisecond', () => {
  const { ask } = asker();
  const line = '|alice|quota get';
  const answers = [noonMs - 1, noonMs - 1, noonMs].map((nowMs) => decisionOf(ask({ line, nowMs })));
  assert.deepEqual(answers, ['allow', 'allow', 'deny']);
});

test('nor does what a shadow says of it', () => {
  const { ask } = asker();
  const shadowAt = (nowMs: number): string | undefined => {
    const judgement = ask({ line: '|alice|purge', policy: 'team', nowMs });
    return judgement.kind === 'judged' ? judgement.shadow?.kind : judgement.code;
  };
  assert.equal(shadowAt(noonMs - 1), undefined);
  assert.equal(shadowAt(noonMs), 'deny');
});

const byDate = withPolicies(`  support:
    users: ["*@example.org"]
    allow:
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } }, reason: required, limit: 5/hour, max_matches: 10 }
      - { command: expunge, where: { query: { mailbox: [Trash], savedbefore: { at_least: 1d } } }, limit: 7/hour, max_matches: 20, emergency: true }
`);

void test('of a backend whose series is not known, the terms of the rules of both series hold', () => {
  const read = parseSettings('test.yaml', { readText: () => byDate, glob: () => [] });
  const ruled = read.settings?.policies.get('support');
  assert.ok(ruled, JSON.stringify(read.problems));
  // A day begins at midnight in UTC to 2.4, and up to twelve hours later to 2.3: so it is 30 days ago to one of them only.
  const nowMs = Date.UTC(2026, 10, 20, 11);
  const line = parseCommandLine(
    Buffer.from('\talice@example.org\texpunge\tmailbox\tTrash\tsavedbefore\t2026-10-21'),
    { fieldsMax: 100 },
  );
  assert.equal(line.kind, 'command');
  const termsFor = (...series: Series[]) => {
    const judgement = judge(line.kind === 'command' ? line.command : assert.fail(), series, {
      ...context(),
      policy: ruled,
      nowMs,
    });
    assert.ok(judgement.kind === 'judged' && judgement.decision.kind === 'allow');
    const { obligations, rule } = judgement.decision;
    const asks = limitAsks(ruled, obligations, judgement.attempt).map(({ rate }) => rate.count);
    return [rule?.line, obligations?.reason, obligations?.maxMatches, obligations?.emergency, asks];
  };
  assert.deepEqual(termsFor('2.4'), [9, true, 10, false, [5]]);
  assert.deepEqual(termsFor('2.3'), [10, false, 20, true, [7]]);
  assert.deepEqual(termsFor('2.3', '2.4'), [10, true, 10, false, [7, 5]]);
  assert.deepEqual(termsFor('2.4', '2.3'), [9, true, 10, false, [5, 7]]);
});
