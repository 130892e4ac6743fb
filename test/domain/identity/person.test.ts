// Goal: two identities are one human where they may be; only an identity of exactly one person is somebody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identitiesOf, type Person, personOf, sharesHuman } from '../../../src/domain/identity/person.js';

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

void test('who it is: the one person with any of the identities', () => {
  const who = (...words: string[]): string | undefined => personOf(words, persons);
  assert.equal(who('user:carol'), 'carol');
  assert.equal(who('user:unknown', 'uid:1001'), 'carol');
  assert.equal(who('oidc:CAROL@example.com'), 'carol');
  assert.equal(who('account:Carol'), 'dave', 'names of accounts are as they are written');
  assert.equal(who('user:1001'), undefined, 'a name is no uid');
  assert.equal(who('user:eve'), undefined);
  assert.equal(who(), undefined);
  // By su or sudo: which of the two acts is not known.
  assert.equal(who('user:carol', 'user:dave'), undefined);
});

void test('two are one human if they share a word, or a person has a word of both', () => {
  const share = (one: string, other: string): boolean => {
    const words = [one.split(' '), other.split(' ')] as const;
    const answer = sharesHuman(words[0], words[1], persons);
    assert.equal(sharesHuman(words[1], words[0], persons), answer, 'in either order');
    return answer;
  };
  assert.equal(share('user:carol', 'account:carol'), true);
  assert.equal(share('user:eve uid:7', 'user:root uid:0 uid:7'), true, 'the same login under sudo');
  assert.equal(share('key:backup', 'key:backup'), true, 'no entry is needed for that');
  assert.equal(share('user:carol user:dave', 'account:Carol'), true);
  assert.equal(share('user:carol', 'user:dave'), false);
  assert.equal(share('user:eve', 'user:carol'), false);
  assert.equal(share('user:eve', 'account:eve'), false, 'persons is where that is said');
});
