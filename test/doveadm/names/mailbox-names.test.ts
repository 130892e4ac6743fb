// Goal: every name that a server takes for a mailbox is among the names that policy compares. What servers take is measured in
// test/whole/dovecot/mailbox-names.test.ts and searched in test/whole/dovecot/mailbox-search.test.ts; here is what we make of it, by
// example.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createMailboxNames,
  doubtedNames,
  endsInInbox,
  isMailboxMask,
  type MailboxNames,
  type Namespace,
} from '../../../src/doveadm/names/mailbox-names.js';

function namespace(prefix: string, more: Partial<Namespace> = {}): Namespace {
  const separator = prefix.at(-1) ?? '/';
  return { prefix, separator, inbox: false, aliasFor: undefined, kind: 'private', ...more };
}

const plain = createMailboxNames([namespace('', { inbox: true })], []);
const prefixed = createMailboxNames([namespace('INBOX/', { inbox: true })], []);
const rooted = createMailboxNames([namespace('Mail.', { inbox: true }), namespace('Archives.')], []);
const aliased = createMailboxNames(
  [
    namespace('', { inbox: true }),
    namespace('Private/', { aliasFor: '' }),
    namespace('shared/', { kind: 'shared' }),
  ],
  ['shared/'],
);
const published = createMailboxNames(
  [
    namespace('', { inbox: true }),
    namespace('Public/', { kind: 'public' }),
    namespace('shared/', { kind: 'shared' }),
  ],
  ['Public/', 'shared/'],
);
const withoutInbox = createMailboxNames([namespace('Old/')], []);

/** Names, and what else they may be. */
const readings: readonly (readonly [names: MailboxNames, name: string, ...readings: string[]])[] = [
  [plain, 'INBOX'],
  [plain, 'Trash'],
  [plain, 'Archive/INBOX'],
  [plain, 'INBOX/INBOX'],
  [plain, 'inbox', 'INBOX'],
  [plain, 'Trash/', 'Trash'],
  [plain, '/Trash', 'Trash'],
  [plain, 'Trash//Old', 'Trash/Old'],
  [plain, 'Trash.'],
  [plain, '/'],
  [plain, ''],
  [prefixed, 'INBOX'],
  [prefixed, 'INBOX/INBOX', 'INBOX'],
  [prefixed, 'inbox/INBOX', 'INBOX/INBOX', 'INBOX'],
  [prefixed, 'INBOX/inbox', 'INBOX'],
  [prefixed, 'INBOX/', 'INBOX'],
  [prefixed, 'Inbox/Sub', 'INBOX/Sub'],
  [prefixed, 'INBOX/Sub/INBOX'],
  [prefixed, 'INBOX.INBOX'],
  [rooted, 'Mail', 'INBOX'],
  [rooted, 'Mail.INBOX', 'INBOX'],
  [rooted, 'mail'],
  [rooted, 'Archives.INBOX', 'Archives'],
  [rooted, 'Archives'],
  [aliased, 'Private', 'INBOX'],
  [aliased, 'Private/INBOX', 'INBOX'],
  [aliased, 'Private/inbox', 'INBOX', 'inbox'],
  [aliased, 'Private/Trash', 'Trash'],
  [aliased, 'Trash'],
  [aliased, 'shared/bob', 'shared/bob/INBOX'],
  [aliased, 'shared/bob/Trash'],
  // Masks: those that match a name of the INBOX, and those in an alias.
  [plain, '*'],
  [plain, '%*'],
  [plain, 'IN%', 'INBOX'],
  [plain, 'inb*', 'INB*', 'INBOX'],
  [plain, 'Trash*'],
  [plain, '*/Trash'],
  [prefixed, 'INBOX/*'],
  [prefixed, 'inbox/*', 'INBOX/*'],
  [prefixed, '*/INBOX', 'INBOX'],
  [rooted, 'Ma%', 'INBOX'],
  [aliased, 'Private/*', '*'],
  [aliased, 'Priv*', '*', 'INBOX'],
  // Nothing said, or nothing of the INBOX.
  [doubtedNames, 'INBOX'],
  [doubtedNames, 'Archive/INBOX', 'INBOX', 'Archive'],
  [doubtedNames, 'A/B.inbox', 'INBOX', 'A/B'],
  [doubtedNames, 'A^Inbox', 'INBOX', 'A'],
  [doubtedNames, 'MyInbox'],
  [doubtedNames, 'my-inbox'],
  [doubtedNames, 'INBOX/Sub'],
  [doubtedNames, 'Archive/*'],
  [doubtedNames, '*/INBOX', 'INBOX'],
  [doubtedNames, 'shared/bob', 'shared/bob/INBOX'],
  // Below a public namespace are mailboxes, not users.
  [published, 'Public/Foo'],
  [published, 'shared/bob', 'shared/bob/INBOX'],
  // A prefix of one character has no separator.
  [doubtedNames, '~bob'],
  [doubtedNames, '~bob~INBOX', 'INBOX', '~bob'],
  [withoutInbox, 'Old/INBOX', 'INBOX', 'Old'],
  [withoutInbox, 'New/INBOX', 'INBOX', 'New'],
];

for (const [names, name, ...expected] of readings) {
  void test(`${JSON.stringify(name)} may be ${JSON.stringify(expected)} (${names.key.replaceAll(/\p{Cc}/gu, ' ')})`, () => {
    assert.deepEqual(names.readings(name).toSorted(), expected.toSorted());
  });
}

void test('a mailbox is spelled in each of its namespaces', () => {
  assert.deepEqual(prefixed.spellings('INBOX'), ['INBOX', 'INBOX/INBOX']);
  assert.deepEqual(rooted.spellings('Mail.INBOX'), ['Mail.INBOX', 'INBOX', 'Mail']);
  assert.deepEqual(aliased.spellings('INBOX'), ['INBOX', 'Private/INBOX', 'Private']);
  assert.deepEqual(aliased.spellings('Trash'), ['Trash', 'Private/Trash']);
  assert.deepEqual(aliased.spellings('Private/Trash'), ['Private/Trash', 'Trash']);
  assert.deepEqual(aliased.spellings('T*'), ['T*', 'Private/T*']);
  assert.deepEqual(rooted.spellings('Archives'), ['Archives', 'Archives.INBOX']);
  assert.deepEqual(plain.spellings('Trash'), ['Trash']);
  assert.deepEqual(doubtedNames.spellings('A/INBOX'), ['A/INBOX', 'INBOX', 'A']);
  assert.deepEqual(doubtedNames.spellings('~bob'), ['~bob', '~bob/INBOX', '~bob.INBOX']);
  assert.deepEqual(doubtedNames.spellings('~bob/Sub'), ['~bob/Sub']);
});

void test('a separator of an alias becomes that of its namespace', () => {
  const names = createMailboxNames(
    [namespace('INBOX.', { inbox: true }), namespace('', { separator: '/', aliasFor: 'INBOX.' })],
    [],
  );
  assert.deepEqual(names.readings('Sub/Kid'), ['INBOX.Sub.Kid']);
  assert.deepEqual(names.spellings('INBOX.Sub.Kid'), ['INBOX.Sub.Kid', 'Sub/Kid']);
});

void test('patterns that may be a name of the INBOX', () => {
  for (const text of ['INBOX', 'inbox', 'A/INBOX', '*/inbox', '*INBOX', 'x.Inbox'])
    assert.ok(endsInInbox(text), text);
  for (const text of ['INBOX/*', 'MyInbox', 'my inbox', 'old-inbox', 'INBOX/Sub'])
    assert.ok(!endsInInbox(text), text);
  assert.ok(isMailboxMask('a%') && isMailboxMask('*') && !isMailboxMask('a?'));
});
