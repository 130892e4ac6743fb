// From a command line to a judgement: what is sent is what was judged, and what cannot be read is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series } from '../../src/catalog/series.js';
import { parseSettings } from '../../src/config/parse-settings.js';
import { type JudgeContext, type Judgement, judge } from '../../src/exchange/judge.js';
import { createUserNames } from '../../src/identity/user-name.js';
import { parseCommandLine } from '../../src/wire/command.js';

const configuration = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow: [quota get, mailbox list, mailbox status, search, fetch, save, copy, who]
`;

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
