// Goal: policies name commands that exist, hold for users in normal form, and have one version for one meaning.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf, sound, testMistakes } from './sound.js';

void test('users of policies and routes are compared in lower case', () => {
  const settings = settingsOf(
    sound.replaceAll('*@example.com', '*@Example.COM').replace('"*"]', '"*@EXAMPLE.com"]'),
  );
  assert.equal(settings.policies.get('support')?.users.matches('alice@example.com'), true);
  assert.equal(settings.routes[0]?.users.matches('alice@example.com'), true);
});

testMistakes([
  [
    'a command that is not there',
    '[quota get]',
    '[quota gte]',
    '11:13: policies.support.allow[0]: no Dovecot has a command "quota gte" that can be sent to it; did you mean quota get?',
  ],
  [
    'a command that never goes over the wire',
    '[quota get]',
    '[quota get, exec]',
    '11:24: policies.support.allow[1]: no Dovecot has a command "exec" that can be sent to it; names are full and separated by one blank',
  ],
  [
    'a pattern with a question mark',
    '"*@example.com"',
    '"?@example.com"',
    '10:13: policies.support.users[0]: only * and ** are wildcards here, and user names hold no ? or brackets',
  ],

  [
    'a command by a part of its name',
    '[quota get]',
    '[quota]',
    '11:13: policies.support.allow[0]: no Dovecot has a command "quota" that can be sent to it; names are full and separated by one blank',
  ],
  [
    'a denied command that is not there',
    '[quota get]',
    '[quota get]\n    deny: [mailbox delte]',
    '12:12: policies.support.deny[0]: no Dovecot has a command "mailbox delte" that can be sent to it; did you mean mailbox delete?',
  ],
  [
    'an empty pattern',
    '"*@example.com"',
    '"*@example.com", ""',
    '10:30: policies.support.users[1]: an empty pattern matches no user; take it out',
  ],
]);

void test('a weight is 1 unless it is said, and one that is said is a part of the meaning', () => {
  const plain = settingsOf(sound).policies.get('support');
  const said = (weight: number) =>
    settingsOf(sound.replace('allow: [quota get]', `weight: ${weight}\n    allow: [quota get]`)).policies.get(
      'support',
    );
  assert.equal(plain?.weight, 1);
  assert.equal(said(1)?.version, plain.version);
  assert.equal(said(5)?.weight, 5);
  assert.notEqual(said(5)?.version, plain.version);
});

void test('equal meanings have equal hashes and versions, different ones do not', () => {
  const one = settingsOf(sound);
  const other = settingsOf(`# a comment\n${sound.replace('[quota get]', '\n      - "quota get"')}`);
  assert.equal(other.hash, one.hash);
  assert.equal(other.policies.get('support')?.version, one.policies.get('support')?.version);
  for (const [from, to] of [
    ['quota get', 'quota recalc'],
    ['*@example.com', '*@example.org'],
  ] as const) {
    const changed = settingsOf(sound.replace(from, to));
    assert.notEqual(changed.policies.get('support')?.version, one.policies.get('support')?.version);
    assert.notEqual(changed.hash, one.hash);
  }
  assert.notEqual(settingsOf(sound.replace('24245', '24246')).hash, one.hash);
  assert.notEqual(settingsOf(sound.replace('users: ["*"]', 'users: ["**"]')).hash, one.hash);
  // The default realm changes which users a policy holds for.
  const realm = settingsOf(`${sound}mail_users: { default_realm: example.com }\n`);
  assert.notEqual(realm.policies.get('support')?.version, one.policies.get('support')?.version);
});
