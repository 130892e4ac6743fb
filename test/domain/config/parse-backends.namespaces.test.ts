// Goal: a list of namespaces that no Dovecot could have is told; one that it could have is read as it is meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf, sound, testMistakes, told } from './sound.js';

const short = 'shared_namespaces: []';
const first = '{ prefix: "INBOX/", inbox: true }';

function listOf(...items: string[]): string {
  return `namespaces: [${items.join(', ')}]`;
}

void test('a list is read with what it leaves out, and says the shared ones too', () => {
  const more = ['{ prefix: "Private/", alias_for: "INBOX/" }', '{ prefix: "shared/", kind: shared }'];
  const alias = '{ prefix: "Team.", alias_for: "shared/" }';
  const { backends } = settingsOf(sound.replace(short, listOf(first, ...more, alias)));
  const usual = { separator: '/', inbox: false, aliasFor: undefined, kind: 'private' };
  assert.deepEqual(backends[0]?.namespaces, [
    { ...usual, prefix: 'INBOX/', inbox: true },
    { ...usual, prefix: 'Private/', aliasFor: 'INBOX/' },
    { ...usual, prefix: 'shared/', kind: 'shared' },
    { ...usual, prefix: 'Team.', separator: '.', aliasFor: 'shared/', kind: 'shared' },
  ]);
  assert.deepEqual(backends[0]?.sharedNamespaces, ['shared/', 'Team.']);
  const { backends: others } = settingsOf(
    sound.replace(short, listOf('{ prefix: "", separator: ".", inbox: true }')),
  );
  assert.deepEqual(others[0]?.namespaces?.[0]?.separator, '.');
  assert.deepEqual(others[0]?.sharedNamespaces, []);
});

void test('what it says is part of what the settings mean', () => {
  const hashes = [short, listOf(first), listOf('{ prefix: "INBOX.", inbox: true }')].map(
    (text) => settingsOf(sound.replace(short, text)).hash,
  );
  assert.equal(new Set(hashes).size, 3);
});

void test('without the INBOX it is told that the INBOX stays doubted', () => {
  assert.deepEqual(told(sound.replace(short, listOf('{ prefix: "Old/" }'))), [
    '5:73: warning: backends.mail1.namespaces: does not say which namespace holds the INBOX (inbox: true), so each name that ends in INBOX may be the INBOX',
  ]);
});

testMistakes([
  [
    'both forms',
    short,
    `${short}, ${listOf(first)}`,
    '5:73: backends.mail1.shared_namespaces: is the short form of namespaces, which lists the shared ones too; remove one of them',
  ],
  [
    'no namespace',
    short,
    'namespaces: []',
    '5:73: backends.mail1.namespaces: must hold at least one namespace',
  ],
  [
    'a prefix without its separator',
    short,
    listOf('{ prefix: INBOX, inbox: true }'),
    '5:88: backends.mail1.namespaces[0].prefix: must end with its separator, as "INBOX/"',
  ],
  [
    'another separator than the prefix ends with',
    short,
    listOf('{ prefix: "INBOX/", separator: ".", inbox: true }'),
    '5:88: backends.mail1.namespaces[0].prefix: must end with its separator, as "INBOX."',
  ],
  [
    'an empty prefix without a separator',
    short,
    listOf('{ prefix: "", inbox: true }'),
    '5:86: backends.mail1.namespaces[0]: needs a separator, as "/": an empty prefix does not show it',
  ],
  [
    'a separator of two characters',
    short,
    listOf('{ prefix: "INBOX//", separator: "//", inbox: true }'),
    '5:88: backends.mail1.namespaces[0].prefix: has an empty part: a separator stands at its beginning, or twice',
    '5:107: backends.mail1.namespaces[0].separator: must be one character in quotes, as "/"',
  ],
  [
    'a separator at the beginning',
    short,
    listOf('{ prefix: "/INBOX/", inbox: true }'),
    '5:88: backends.mail1.namespaces[0].prefix: has an empty part: a separator stands at its beginning, or twice',
  ],
  [
    'a prefix INBOX in small letters',
    short,
    listOf('{ prefix: "Inbox/", inbox: true }'),
    '5:88: backends.mail1.namespaces[0].prefix: must have INBOX in capitals, as Dovecot demands it',
  ],
  [
    'a variable in a prefix',
    short,
    listOf(first, '{ prefix: "shared/%%u/", kind: shared }'),
    '5:123: backends.mail1.namespaces[1].prefix: holds a variable or a wildcard; write what stands before the user, as "shared/" for "shared/%%u/"',
  ],
  [
    'a control character',
    short,
    listOf(first, '{ prefix: "a\\x01/" }'),
    '5:123: backends.mail1.namespaces[1].prefix: contains a control character',
  ],
  [
    'the same prefix twice',
    short,
    listOf(first, '{ prefix: "INBOX/" }'),
    '5:123: backends.mail1.namespaces[1].prefix: is the prefix of a namespace above; two cannot have the same',
  ],
  [
    'two with the INBOX',
    short,
    listOf(first, '{ prefix: "B/", inbox: true }'),
    '5:137: backends.mail1.namespaces[1].inbox: is set for a namespace above too; only one holds the INBOX',
  ],
  [
    'an alias for what is not there',
    short,
    listOf(first, '{ prefix: "B/", alias_for: "INBOX" }'),
    '5:137: backends.mail1.namespaces[1].alias_for: must be the prefix of another namespace of this list',
  ],
  [
    'an alias for itself',
    short,
    listOf(first, '{ prefix: "B/", alias_for: "B/" }'),
    '5:137: backends.mail1.namespaces[1].alias_for: must be the prefix of another namespace of this list',
  ],
  [
    'an alias for an alias',
    short,
    listOf(first, '{ prefix: "B/", alias_for: "INBOX/" }', '{ prefix: "C/", alias_for: "B/" }'),
    '5:176: backends.mail1.namespaces[2].alias_for: is itself an alias; write the prefix of the namespace that it is for',
  ],
  [
    'an alias with the INBOX of its own, of another kind',
    short,
    listOf('{ prefix: "", separator: "/" }', '{ prefix: "B/", alias_for: "", inbox: true, kind: public }'),
    '5:149: backends.mail1.namespaces[1].inbox: cannot be: a public namespace has no INBOX',
    '5:149: backends.mail1.namespaces[1].inbox: belongs to the namespace that alias_for names',
    '5:162: backends.mail1.namespaces[1].kind: must be left out: an alias is what its namespace is, private',
  ],
  [
    'a shared namespace that is everything',
    short,
    listOf('{ prefix: "", separator: "/", kind: shared }', first),
    '5:88: backends.mail1.namespaces[0].prefix: must not be empty: every mailbox would be shared',
  ],
]);
