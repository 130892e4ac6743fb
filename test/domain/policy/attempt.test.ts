// Goal: an attempt holds what was parsed, whatever the spelling, with users by their normal names.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { resolveCommand, type Series } from '../../../src/domain/commands/catalog.js';
import { parseArguments } from '../../../src/domain/commands/parse.js';
import { createUserNames } from '../../../src/domain/identity/user-name.js';
import { canonicalArguments } from '../../../src/domain/meaning/canonical.js';
import { type Attempt, attemptOf } from '../../../src/domain/policy/attempt.js';

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
    policy: { allowByCommand: new Map() },
    userNames,
    sharedNamespaces: ['shared/'],
  });
}

function attempt(user: string, ...words: readonly string[]): Attempt {
  const result = resultOf(user, words);
  assert.ok(result.kind === 'attempt', JSON.stringify(result));
  return result.attempt;
}

void test('two spellings of a command are one attempt', () => {
  const one = attempt('alice', 'mailbox', 'status', '-t', 'messages vsize', 'INBOX');
  const other = attempt(
    'ALICE@Example.COM',
    'mailbox status',
    'messages  vsize',
    '--total-sum',
    '--',
    'INBOX',
  );
  assert.deepEqual([...one.parsed.values], [...other.parsed.values]);
  assert.equal(one.user, 'alice@example.com');
  assert.equal(other.user, 'alice@example.com');
  assert.deepEqual(one.parsed.values.get('field'), ['messages', 'vsize']);
});

void test('users in arguments are judged and sent by their normal names', () => {
  const kick = attempt('', 'kick', 'Carol', 'dave@EXAMPLE.org', 'e*@example.org', '10.0.0.1');
  assert.deepEqual(kick.users, ['carol@example.com', 'dave@example.org']);
  assert.deepEqual(kick.masks, [
    { parameter: 'mask', value: 'e*@example.org', isUserMask: true },
    { parameter: 'mask', value: '10.0.0.1', isUserMask: false },
  ]);
  assert.deepEqual(canonicalArguments(kick.parsed), [
    '--',
    'carol@example.com',
    'dave@example.org',
    'e*@example.org',
    '10.0.0.1',
  ]);
  const copy = attempt('alice', 'copy', 'Dest', 'user', 'Carol', 'mailbox', 'user', 'all');
  assert.deepEqual(copy.users, ['alice@example.com', 'carol@example.com']);
  assert.deepEqual(canonicalArguments(copy.parsed), [
    '--',
    'Dest',
    'user',
    'carol@example.com',
    'mailbox',
    'user',
    'all',
  ]);
  const acl = attempt('alice', 'acl', 'set', 'INBOX', 'user=Carol', 'lookup');
  assert.deepEqual(acl.users, ['alice@example.com', 'carol@example.com']);
  assert.deepEqual(acl.parsed.values.get('id'), ['user=carol@example.com']);
});

void test('what may mean several or all', () => {
  assert.equal(attempt('', 'who').everybody, 'listing');
  assert.equal(attempt('', 'who', 'carol').everybody, 'none');
  assert.equal(attempt('', 'log', 'errors').everybody, 'listing');
  assert.equal(attempt('alice', 'quota', 'get', '-A').everybody, 'option');
  assert.equal(attempt('alice', 'acl', 'set', '-A', 'INBOX', 'anyone', 'lookup').everybody, 'option');
  assert.equal(attempt('', 'fs', 'get', 'posix', 'prefix=/', 'x').everybody, 'unknown');
  assert.deepEqual(attempt('alice', 'acl', 'set', 'INBOX', 'anyone', 'lookup').masks, [
    { parameter: 'id', value: 'anyone', isUserMask: false },
  ]);
  const byField = resultOf('', ['who', '-f', 'uid', '*'], '2.4');
  assert.ok(byField.kind === 'attempt');
  assert.deepEqual(byField.attempt.masks, [{ parameter: 'mask', value: '*', isUserMask: false }]);
});

void test('what a rule must speak of', () => {
  const fetch = attempt('alice', 'fetch', 'uid hdr.subject', 'text', 'word', 'mailbox', 'shared/bob/INBOX');
  assert.deepEqual(fetch.content, ['field hdr', 'key text']);
  assert.equal(fetch.shared, 'query');
  const expunge = attempt(
    'alice',
    'expunge',
    '-d',
    '-S',
    '/run/x',
    '-F',
    '/etc/passwd',
    'mailbox',
    'Trash',
    'all',
  );
  assert.deepEqual(expunge.mustBeNamed, ['delete-empty-mailbox']);
  assert.deepEqual(expunge.never, ['socket-path', 'user-file']);
  assert.equal(expunge.effect, 'destroy');
  assert.equal(attempt('', 'stats', 'dump', '-r').effect, 'destroy');
  assert.equal(attempt('', 'stats', 'dump').effect, 'read');
});

void test('a -u that nobody has settled is never let through', () => {
  assert.deepEqual(attempt('alice', 'quota', 'get', '-u', 'bob').never, ['user']);
});

void test('a user who cannot be one is no attempt', () => {
  for (const [user, ...words] of [
    ['alice', 'copy', 'Dest', 'user', 'x@y@z', 'all'],
    ['', 'kick', '%u'],
  ] as const) {
    const result = resultOf(user, words);
    if (words[0] === 'kick') assert.equal(result.kind, 'attempt', 'an address to the server, or a mask');
    else assert.ok(result.kind === 'unparsable' && result.code === 'user-invalid');
  }
});

// bounds.usersPerLine, bounds.masksPerLine
void test('a line names so many users, and so many masks, and no more', () => {
  const who = (count: number, name: (at: number) => string) =>
    resultOf('', ['who', ...Array.from({ length: count }, (_, at) => name(at))]).kind;
  const user = (at: number): string => `user${at}`;
  const mask = (at: number): string => `user${at}*`;
  assert.deepEqual(
    [who(bounds.usersPerLine, user), who(bounds.usersPerLine + 1, user)],
    ['attempt', 'unparsable'],
  );
  assert.deepEqual(
    [who(bounds.masksPerLine, mask), who(bounds.masksPerLine + 1, mask)],
    ['attempt', 'unparsable'],
  );
});
