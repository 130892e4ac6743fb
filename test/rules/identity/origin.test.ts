// Goal: one human with many names is one origin, and two strangers are never made one by a directory that does not answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Peer } from '../../../src/host/ports/peer.js';
import { type OriginFacts, originOf, originOfRecord } from '../../../src/rules/identity/origin.js';
import { type Person, Persons } from '../../../src/rules/identity/person.js';

const carol: Person = { users: ['carol'], accounts: ['carol'], keys: ['desk'], page: [], oidc: undefined };
const facts: OriginFacts = {
  persons: new Persons(new Map([['Carol', carol]]), {
    uidsOf: (name) => (name === 'carol' ? [1001] : []),
    isUnknown: () => false,
    uidOf: () => undefined,
  }),
  isNamed: (uid) => uid === 70_000,
};

void test('the origin of each kind of client', () => {
  type Case = readonly [origin: string, peer: Partial<Peer>, login?: { account: string; isKey?: boolean }];
  const cases: readonly Case[] = [
    ['uid:1002', { uid: 1002 }],
    ['uid:1002', { uid: 1002, loginUid: 1001 }],
    ['person:Carol', { uid: 1001 }],
    ['person:Carol', { uid: 100_005, rangeOwners: [{ uid: 1001 }] }],
    ['uid:1002', { uid: 165_536, rangeOwners: [{ uid: 1002 }], account: 'none' }],
    // The owner has no uid now: its name is the person's.
    ['person:Carol', { uid: 100_005, rangeOwners: [{ user: 'carol' }] }],
    ['user:dora', { uid: 100_005, rangeOwners: [{ user: 'dora' }] }],
    // An owner that is no user any more hides nobody.
    ['uid:1002', { uid: 100_005, rangeOwners: [{ user: 'gone', isGone: true }, { uid: 1002 }] }],
    // Nobody has made this uid by an account, and nothing names it.
    ['uids:65536', { uid: 65_536, account: 'none' }],
    ['uids:65536', { uid: 131_071, account: 'none' }],
    ['uids:131072', { uid: 131_072, account: 'none' }],
    ['uid:65535', { uid: 65_535, account: 'none' }],
    ['uid:70000', { uid: 70_000, account: 'none' }],
    ['uid:77001', { uid: 77_001, account: 'found', user: 'ldap' }],
    // A directory that is away puts nobody into a stranger's share.
    ['uid:77001', { uid: 77_001, account: 'unanswered' }],
    ['uids:65536 new', { uid: 77_001 }],
    ['uids:65536 new', { uid: 77_001, account: 'crowded' }],
    ['192.0.2.1', { address: '::ffff:192.0.2.1' }],
    ['2001:db8:0:0::/64', { address: '2001:db8::1' }],
    ['account:panel', { address: '192.0.2.1' }, { account: 'panel' }],
    ['person:Carol', { address: '192.0.2.1' }, { account: 'carol' }],
    ['person:Carol', { address: '192.0.2.1' }, { account: 'desk', isKey: true }],
    ['key:carol', { uid: 1002 }, { account: 'carol', isKey: true }],
    ['-', {}],
  ];
  for (const [origin, peer, login] of cases)
    assert.equal(originOf({ listener: 'x', ...peer }, login, facts), origin, JSON.stringify({ peer, login }));
});

void test('a record names its origin, or its peer shows it', () => {
  assert.equal(originOfRecord({ origin: 'person:Carol', peer: { uid: 1001 } }), 'person:Carol');
  assert.equal(originOfRecord({ peer: { uid: 1002 } }), 'uid:1002');
});
