// Goal: two identities are one human where they may be; only an identity of exactly one person is somebody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identitiesOf, type Person, Persons, type UserUids } from '../../../src/rules/identity/person.js';

const nobody: Person = { users: [], accounts: [], keys: [], page: [], oidc: undefined };
const persons = new Map<string, Person>([
  [
    'carol',
    {
      users: ['carol', '1001'],
      accounts: ['carol'],
      keys: ['carol-laptop'],
      page: ['carol'],
      oidc: 'Carol@Example.com',
    },
  ],
  ['dave', { ...nobody, users: ['dave'], accounts: ['Carol'] }],
]);

void test('the words of a person', () => {
  assert.deepEqual(identitiesOf(persons.get('carol') ?? nobody), [
    'user:carol',
    'uid:1001',
    'account:carol',
    'key:carol-laptop',
    'page:carol',
    'oidc:carol@example.com',
  ]);
  assert.deepEqual(identitiesOf(nobody), []);
});

const uids: Readonly<Record<string, readonly number[]>> = { carol: [1001, 1007], dave: [1002] };
const known: UserUids = {
  uidsOf: (name) => uids[name] ?? [],
  isUnknown: (name) => name === 'erin',
  uidOf: (name) => (name === 'dave' ? 1002 : undefined),
};
const index = new Persons(persons, known);

void test('who it is: the one person with any of the identities', () => {
  const who = (...words: string[]): string | undefined => index.personOf(words);
  assert.equal(who('uid:1001'), 'carol');
  assert.equal(who('uid:1007'), 'carol', 'a uid that the name has now, or had');
  assert.equal(who('name:unknown', 'uid:1002'), 'dave');
  assert.equal(who('oidc:CAROL@example.com'), 'carol');
  assert.equal(who('account:Carol'), 'dave', 'names of accounts are as they are written');
  assert.equal(who('user:1001'), undefined, 'a name is no uid');
  assert.equal(who('uid:9'), undefined);
  assert.equal(who('name:carol'), undefined, 'a name alone is no proof');
  assert.equal(who(), undefined);
  // By su or sudo: which of the two acts is not known.
  assert.equal(who('uid:1001', 'uid:1002'), undefined);
});

void test('a uid that a name had once proves nobody, and forbids', () => {
  assert.equal(index.provenBy(['uid:1002']), 'dave');
  assert.equal(index.provenBy(['uid:1007']), undefined);
  assert.equal(index.provenBy(['uid:1002', 'uid:1007']), undefined);
  assert.equal(index.provenBy(['account:carol']), 'carol');
});

void test('two are one human if they share a word, or a person has a word of both', () => {
  const share = (one: string, other: string): boolean => {
    const words = [one.split(' '), other.split(' ')] as const;
    const answer = index.sharesHuman(words[0], words[1]);
    assert.equal(index.sharesHuman(words[1], words[0]), answer, 'in either order');
    return answer;
  };
  assert.equal(share('uid:1001', 'account:carol'), true);
  assert.equal(share('uid:7', 'uid:0 uid:7'), true, 'the same login under sudo');
  assert.equal(share('key:backup', 'key:backup'), true, 'no entry is needed for that');
  assert.equal(share('uid:1001 uid:1002', 'account:Carol'), true);
  assert.equal(share('name:carol uid:50', 'key:carol-laptop'), true, 'an account of the name of her user');
  assert.equal(share('uid:1001', 'uid:1002'), false);
  assert.equal(share('uid:8', 'uid:1001'), false);
  assert.equal(share('name:eve', 'account:eve'), false, 'persons is where that is said');
});

// A directory that is away takes the name from a peer, not its uid.
void test('without its name, a user is still the person of its uid, also where only an account has that name', () => {
  const accounts = new Map([['carol', { ...nobody, accounts: ['carol'] }]]);
  const byUid = new Persons(accounts, known);
  assert.equal(byUid.sharesHuman(['uid:1001'], ['account:carol']), true);
  assert.equal(byUid.personOf(['uid:1001']), undefined, 'it forbids, and proves nothing');
});

void test('users whose uid was never known, until it is', () => {
  const changing = new Persons(new Map([['erin', { ...nobody, users: ['erin', '1005'] }]]), known);
  assert.deepEqual(changing.unknownUsers, ['erin']);
  assert.equal(changing.personOf(['uid:1008']), undefined);
  changing.learn({
    uidsOf: (name) => (name === 'erin' ? [1008] : []),
    isUnknown: () => false,
    uidOf: () => 1008,
  });
  assert.deepEqual(changing.unknownUsers, []);
  assert.equal(changing.personOf(['uid:1008']), 'erin');
  assert.equal(changing.personOf(['uid:1005']), 'erin');
});
