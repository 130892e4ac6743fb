// Goal: two identities are one human where they may be; only an identity of exactly one person is somebody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer } from '../../../src/host/ports/peer.js';
import {
  humanOf,
  humanOfOperator,
  humanOnPage,
  isOnPage,
  isOpenWord,
  openNames,
  openWord,
  type Proof,
} from '../../../src/rules/identity/human.js';
import { identitiesOf, type Person, Persons, type UserUids } from '../../../src/rules/identity/person.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

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
  assert.deepEqual([changing.unknownUsers, changing.unknownUsersOf('erin')], [['erin'], ['erin']]);
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

/** Questions from their arguments, the answers from `answer`. */
function askedOf<Args extends unknown[]>(
  of: string,
  all: readonly Args[],
  answer: (...args: Args) => unknown,
): Asked[] {
  return all.map((args) => [
    `${of} ${args.map((each) => JSON.stringify(each)).join(' ')}`,
    () => answer(...args),
  ]);
}

void test('the human behind a peer, an operator and a person of the page, as humans.txt has them', () => {
  const kernel: Proof = { kind: 'kernel' };
  const key: Proof = { kind: 'key', name: 'desk', stamp: 's' };
  const carol = { uid: 1001, user: 'carol', loginUid: 1001 };
  const range = { uid: 100_001, loginUid: 100_002 };
  const hers = [{ uid: 1001, user: 'carol' }];
  type Who = [peer: Omit<Peer, 'listener'>, proof: Proof, hasDirectory: boolean, origin?: string];
  const peers: readonly Who[] = [
    [carol, kernel, false],
    [carol, kernel, true, 'person:carol'],
    [carol, kernel, true, 'uid:1001'],
    [{ ...carol, loginUid: 1002, loginUser: 'dave' }, kernel, false],
    [{ ...carol, uid: 0, user: 'root' }, kernel, false],
    [{ ...carol, loginUid: 0, loginUser: 'root' }, kernel, false],
    [{ uid: 1001 }, kernel, false],
    [{ address: '192.0.2.1' }, key, true],
    [{ ...carol, loginUid: 0, rangeOwners: 'unknown', account: 'unanswered' }, key, true],
    [{ ...range, rangeOwners: hers, loginOwners: [{ uid: 1002, user: 'dave' }] }, kernel, false],
    [{ ...range, rangeOwners: [{ user: 'dora' }] }, kernel, false],
    [{ ...range, rangeOwners: [{ uid: 1001 }] }, kernel, false],
    [{ ...range, rangeOwners: 'unknown' }, kernel, false],
    [{ ...carol, loginOwners: 'unknown' }, kernel, false],
    ...(['found', 'none', 'unanswered', 'crowded'] as const).flatMap((account): Who[] => [
      [{ ...carol, account }, kernel, false],
      [{ ...carol, loginAccount: account }, kernel, true],
    ]),
  ];
  const dave = { uid: 0, user: 'root', loginUid: 1002, loginUser: 'dave' };
  const operators: readonly [Omit<Peer, 'listener'>, boolean][] = [
    [dave, false],
    [{ ...dave, loginAccount: 'none', loginOwners: hers }, true],
    [{ uid: 0, user: 'root', loginUid: 0 }, false],
    [{ uid: 0, user: 'root' }, false],
    [{ ...carol, loginUid: 0 }, false],
    [{ ...carol, account: 'none' }, true],
  ];
  const from = [
    'oidc=eve@example.com',
    'uid=7',
    'user=eve',
    'user=two\nlines',
    'address=192.0.2.1',
    'xuid=8',
  ];
  const unanswered = { ...carol, isUnanswered: true };
  const onPage: readonly Parameters<typeof humanOnPage>[] = [
    [{ name: 'carol' }],
    [{ name: 'carol', user: 'carol', oidc: { email: 'Carol@example.com', sub: 's' } }, { from }, index],
    [{ name: 'dave', user: '1002', oidc: { sub: 's' } }, { from: [], opener: dave }, index],
    [{ name: 'dave' }, { from: [], opener: unanswered }],
    [{ name: 'dave' }, { from: [], opener: { uid: 7, account: 'crowded' } }],
  ];
  compareAnswers('test/rules/identity/humans.txt', [
    ...askedOf('peer', peers, humanOf),
    ...askedOf('operator', operators, humanOfOperator),
    ...askedOf('page', onPage, humanOnPage),
  ]);
  assert.ok(isOnPage(humanOnPage({ name: 'carol' })));
  assert.ok(!isOnPage(humanOf(carol, kernel, false)) && !isOnPage({ identities: [] }));
  assert.deepEqual(openNames(['name:eve', openWord('eve'), openWord('')]), ['eve', '']);
  assert.ok(isOpenWord(openWord('eve')) && !isOpenWord('name:unanswered:'));
});

void test('all words of a person, and of each who may be meant', () => {
  assert.deepEqual(index.wordsOf('dave'), [
    'person:dave',
    'name:dave',
    'name:Carol',
    'uid:1002',
    'user:dave',
    'account:Carol',
  ]);
  assert.equal(index.wordsOf('eve'), undefined);
  const carols = index.wordsOf('carol') ?? [];
  assert.ok(carols.includes('uid:1007') && carols.includes('oidc:carol@example.com'));
  for (const word of ['uid:1007', 'name:carol', 'person:carol'])
    assert.deepEqual(new Set(index.withPersons([word, 'x'])), new Set([word, 'x', ...carols]), word);
  assert.deepEqual(index.withPersons(['person:eve', 'x', 'x']), ['person:eve', 'x']);
  // As the configuration has it: a name that moved to another uid is not that of the person.
  const names = (user: string, uid?: number): boolean => index.names('carol', user, uid);
  assert.deepEqual(
    [names('carol'), names('eve', 1001), names('eve', 1007), names('Carol')],
    [true, true, false, false],
  );
  assert.equal(index.names('eve', 'eve', undefined), false);
  assert.deepEqual([index.unknownUsersOf('carol'), index.unknownUsersOf('eve')], [[], []]);
});
