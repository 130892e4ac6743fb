// Goal: an attempt holds what was parsed, whatever the spelling, with users by their normal names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveCommand, type Series } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { canonicalArguments } from '../../../src/doveadm/meaning/canonical.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { type Attempt, attemptOf, usersTouchedBy } from '../../../src/rules/policy/attempt.js';
import { judge } from '../../../src/rules/policy/judge.js';
import { judgeContext } from '../../kit/plain/judge-line.js';
import { policyOf, withPolicies } from '../config/sound.js';

const userNames = createUserNames({ characters: 'A-Za-z0-9.@-', defaultRealm: 'example.com' });

function resultOf(user: string, words: readonly string[], series: Series = '2.3') {
  const resolved = resolveCommand(series, words);
  assert.ok(resolved);
  const parsed = parseArguments(series, resolved.command, resolved.args);
  assert.ok(parsed.kind === 'parsed', JSON.stringify(parsed));
  const wire = user === '' ? undefined : userNames.normalise(user);
  assert.ok(wire?.kind !== 'refused');
  return attemptOf(parsed, wire?.name, {
    listener: 'support',
    principal: 'bob@support',
    policy: { allowByCommand: new Map(), onRequestByCommand: new Map() },
    userNames,
    sharedNamespaces: ['shared/'],
  });
}

function attempt(user: string, ...words: readonly string[]): Attempt {
  const result = resultOf(user, words);
  assert.ok(result.kind === 'attempt', JSON.stringify(result));
  return result.attempt;
}

void test('users in arguments are judged and sent by their normal names', () => {
  const kick = attempt('', 'kick', 'Carol', 'dave@EXAMPLE.org', 'e*@example.org', '10.0.0.1');
  assert.deepEqual(kick.users, ['carol@example.com', 'dave@example.org']);
  assert.deepEqual(kick.masks, [
    { parameter: 'mask', value: 'e*@example.org', isUserMask: true },
    { parameter: 'mask', value: '10.0.0.1', isUserMask: false },
  ]);
  const sent = '-- carol@example.com dave@example.org e*@example.org 10.0.0.1';
  assert.equal(canonicalArguments(kick.parsed).join(' '), sent);
  const copy = attempt('alice', 'copy', 'Dest', 'user', 'Carol', 'mailbox', 'user', 'all');
  assert.deepEqual(copy.users, ['alice@example.com', 'carol@example.com']);
  assert.equal(canonicalArguments(copy.parsed).join(' '), '-- Dest user carol@example.com mailbox user all');
  const acl = attempt('alice', 'acl', 'set', 'INBOX', 'user=Carol', 'lookup');
  assert.deepEqual(acl.users, ['alice@example.com', 'carol@example.com']);
  // Servers compare these ids byte by byte.
  assert.deepEqual(acl.parsed.values.get('id'), ['user=Carol']);
  assert.deepEqual(acl.aclIds, ['user=carol@example.com']);
});

void test('what may mean several or all', () => {
  assert.equal(attempt('', 'who').everybody, 'listing');
  assert.equal(attempt('', 'who', 'carol').everybody, 'none');
  assert.equal(attempt('', 'log', 'errors').everybody, 'listing');
  assert.equal(attempt('alice', 'quota', 'get', '-A').everybody, 'option');
  assert.equal(attempt('alice', 'acl', 'set', '-A', 'INBOX', 'anyone', 'lookup').everybody, 'option');
  assert.equal(attempt('', 'fs', 'get', 'posix', 'prefix=/', 'x').everybody, 'unknown');
  const anyone = [{ parameter: 'id', value: 'anyone', isUserMask: false }];
  assert.deepEqual(attempt('alice', 'acl', 'set', 'INBOX', 'anyone', 'lookup').masks, anyone);
  const byField = resultOf('', ['who', '-f', 'uid', '*'], '2.4');
  assert.ok(byField.kind === 'attempt');
  assert.deepEqual(byField.attempt.masks, [{ parameter: 'mask', value: '*', isUserMask: false }]);
});

void test('a -u that nobody has settled is never let through', () => {
  assert.deepEqual(attempt('alice', 'quota', 'get', '-u', 'bob').never, ['user']);
});

void test('a user who cannot be one is no attempt', () => {
  const result = resultOf('alice', ['copy', 'Dest', 'user', 'x@y@z', 'all']);
  assert.ok(result.kind === 'unparsable' && result.code === 'user-invalid');
  assert.equal(resultOf('', ['kick', '%u']).kind, 'attempt', 'an address to the server, or a mask');
});

// bounds.usersPerLine, bounds.masksPerLine
void test('a line names so many users, and so many masks, and no more', () => {
  const who = (count: number, name: (at: number) => string) =>
    resultOf('', ['who', ...Array.from({ length: count }, (_, at) => name(at))]).kind;
  const user = (at: number): string => `user${at}`;
  const mask = (at: number): string => `user${at}*`;
  for (const [most, name] of [
    [bounds.usersPerLine, user],
    [bounds.masksPerLine, mask],
  ] as const)
    assert.deepEqual([who(most, name), who(most + 1, name)], ['attempt', 'unparsable']);
});

// Whom a command touches, as a table: what is recorded of it, and what an auditor finds.
const policy = policyOf(withPolicies('  support: { users: ["*"], allow: [quota get] }\n'));

interface Around {
  readonly series?: readonly Series[];
  readonly aliases?: readonly string[];
  readonly clientMinor?: number;
  readonly sharedNamespaces?: readonly string[] | undefined;
}

function touched(line: string, { series = ['2.4'], ...around }: Around = {}): readonly string[] | string {
  const [, user = '', ...words] = line.split('|');
  const judgement = judge(plainLine(user, words), series, judgeContext(policy, around));
  return judgement.kind === 'judged' ? usersTouchedBy(judgement.attempt) : judgement.message;
}

const bob = 'bob@example.com';
const alice = 'alice@example.com';
const everybody = ['*'];
const cases: readonly (readonly [line: string, users: readonly string[], around?: Around])[] = [
  ['|bob|quota|get', [bob]],
  ['|BOB@Example.COM|quota|get', [bob]],
  ['|bob|quota|get', [bob, alice], { aliases: [alice] }],
  ['|bob|quota|get|-A', everybody],
  ['|bob|quota|get|-A', [bob], { clientMinor: 2, series: ['2.3'] }],
  ['|bob|copy|Saved|user|alice|mailbox|INBOX', [bob, alice]],
  ['|bob|copy|Saved|user|bob|mailbox|INBOX', [bob]],
  ['|bob|acl|set|INBOX|user=alice|lookup', [bob, alice]],
  ['|bob|acl|set|INBOX|owner|lookup', [bob]],
  ['|bob|acl|set|INBOX|anyone|lookup', everybody],
  ['|bob|acl|set|INBOX|group=staff|lookup', everybody],
  ['||user|alice|bob', [alice, bob]],
  ['||user|al*@example.com|bob', [bob, 'al*@example.com']],
  ['||user|al?ce@example.com', ['al?ce@example.com']],
  ['||user|*', everybody],
  ['||user|?*', everybody],
  ['||user|*@example.com', ['*@example.com']],
  ['||auth|cache|flush|alice|bob', [alice, bob]],
  ['||who', everybody],
  ['||who|al*@example.com', ['al*@example.com']],
  ['||who|192.0.2.0/24', everybody],
  ['||kick|alice', [alice]],
  ['||kick|--passdb-field=group|alice', everybody],
  ['||log|errors', everybody],
  ['||reload', []],
  ['|bob|dict|get|file:/tmp/x|priv/key', everybody],
  ['|bob|mailbox|status|messages|shared/alice/INBOX', everybody, { sharedNamespaces: ['shared/'] }],
  ['|bob|mailbox|status|messages|*', [bob], { sharedNamespaces: ['shared/'] }],
  ['|bob|mailbox|list', [bob], { sharedNamespaces: ['shared/'] }],
  ['|bob|fetch|uid|mailbox|shared/alice/INBOX', everybody, { sharedNamespaces: ['shared/'] }],
  ['|bob|fetch|uid|mailbox|shared/alice/INBOX', everybody, { sharedNamespaces: undefined }],
  ['|bob|fetch|uid|mailbox|INBOX', [bob], { sharedNamespaces: undefined }],
  ['|bob|fetch|uid|all', [bob], { sharedNamespaces: undefined }],
];

test('whom a command touches, table', () => {
  const told = cases.flatMap(([line, users, around]) => {
    const found = touched(line, around);
    return JSON.stringify(found) === JSON.stringify(users) ? [] : [`${line}: ${JSON.stringify(found)}`];
  });
  assert.deepEqual(told, []);
});
