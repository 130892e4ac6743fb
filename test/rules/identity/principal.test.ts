// Goal: one place on the network is counted under one text, however it is written; who may connect, by address.
// What must not happen: an address that is in by its spelling, or by that of a network; a name that counts as loopback.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGate, isLoopback, networkOf, type Peer } from '../../../src/host/ports/peer.js';
import type { ListenerSettings, PeersSettings } from '../../../src/rules/config/settings.js';
import {
  canBeProcess,
  choosePolicy,
  demandsIdentity,
  isAmong,
  parsePrincipal,
  policyOfAnybody,
  principalOf,
} from '../../../src/rules/identity/principal.js';
import { settingsOf, sound } from '../config/sound.js';

void test('the names that a process of this machine may have', () => {
  const userName = (uid: number): string | undefined => ({ 0: 'root', 1001: 'anna', 1002: '77' })[uid];
  const names = 'anna Anna anna@example.com jürgen x1 host$ 1002 1003 77 4294967294'.split(' ');
  for (const name of names) assert.ok(canBeProcess(name, userName), name);
  const never = '|-|0|1001|01003|4294967295|an na|an\u200bna|an\u00adna|an\u3164na'.split('|');
  for (const name of [...never, 'an:na', 'an\nna', 'anna\u0000', 'a'.repeat(257)])
    assert.ok(!canBeProcess(name, userName), JSON.stringify(name));
});

void test('addresses and what they count as', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:ffff::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    // No addresses: each counts as it is written.
    ['-', '-'],
    ['1:2:3', '1:2:3'],
    ['1::2::3', '1::2::3'],
    ['1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:9'],
    ['::ffff:192.0.2.256', '::ffff:192.0.2.256'],
    ['12345::', '12345::'],
  ];
  for (const [address, expected] of cases) assert.equal(networkOf(address), expected, address);
});

type Case = readonly [from: readonly string[], inside: readonly string[], outside: readonly string[]];
const cases: readonly Case[] = [
  [['192.0.2.7'], ['192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207'], ['192.0.2.8', '::192.0.2.7']],
  [['192.0.2.0/24'], ['192.0.2.0', '192.0.2.255'], ['192.0.3.0', '192.0.1.255', '2001:db8::1']],
  [['192.0.2.128/25'], ['192.0.2.128'], ['192.0.2.127']],
  [['0.0.0.0/0'], ['203.0.113.9', '::ffff:1.2.3.4'], ['::1', '2001:db8::1']],
  [['::/0'], ['::1', '203.0.113.9'], ['nonsense', '']],
  [['2001:db8::/32'], ['2001:db8::', '2001:DB8:ffff::1', '2001:db8::1%eth0'], ['2001:db9::', '192.0.2.1']],
  [['2001:db8::7'], ['2001:db8:0:0::7'], ['2001:db8::8']],
  [['::ffff:192.0.2.0/120'], ['192.0.2.9'], ['192.0.3.9']],
  [['192.0.2.1', '::1'], ['192.0.2.1', '::1'], ['127.0.0.1']],
];
for (const [from, inside, outside] of cases) {
  void test(`from ${from.join(' ')}`, () => {
    const mayConnect = createGate(from);
    for (const address of inside) assert.equal(mayConnect(address), true, address);
    for (const address of outside) assert.equal(mayConnect(address), false, address);
    assert.equal(mayConnect(undefined), false);
  });
}

void test('without a word everybody may connect', () => {
  assert.equal(createGate([])('203.0.113.9'), true);
  assert.equal(createGate([])(undefined), true);
});

void test('loopback is an address, never a name', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1']) assert.equal(isLoopback(host), true, host);
  for (const host of ['localhost', '128.0.0.1', '::', '0.0.0.0', '127.example.com']) {
    assert.equal(isLoopback(host), false, host);
  }
});

// Goal: a peer is among people by the kernel's numbers alone, and what the kernel did not say matches nothing.
const people = { uids: new Set([1001, 0]), gids: new Set([2000, 0]) };
const isOne = (peer: Partial<Peer>) => isAmong(people, { listener: 'support', ...peer });

void test('by uid, by the own group, by a supplementary one', () => {
  assert.ok(isOne({ uid: 1001, gid: 1001, groups: [] }));
  assert.ok(isOne({ uid: 7, gid: 2000, groups: [] }));
  assert.ok(isOne({ uid: 7, gid: 7, groups: [8, 2000] }));
  assert.ok(!isOne({ uid: 7, gid: 7, groups: [8, 9] }));
});

void test('a uid is no gid', () => {
  assert.ok(!isOne({ uid: 2000, gid: 1001, groups: [1001] }));
});

void test('who is not known is nobody, though root is meant', () => {
  assert.ok(!isOne({}));
  assert.ok(!isOne({ pid: 1, user: 'root' }));
  const none = { uids: new Set<number>(), gids: new Set<number>() };
  assert.ok(!isAmong(none, { listener: 'support', uid: 0, gid: 0, groups: [0] }));
});

// Goal: the first line that takes a person is the one that holds; whom none takes is not let in.
function listenerOf(text: string): ListenerSettings {
  const admin = text.includes('admin }') ? '  admin: { users: ["*"], allow: [quota get] }\n' : '';
  const whole = sound.replace('policies:\n', `policies:\n${admin}`).replace('policy: support }', `${text} }`);
  return settingsOf(whole).listeners[0] ?? assert.fail('no listener');
}

function isIn(...groups: string[]) {
  return (peers: PeersSettings) => peers.groups.some((each) => groups.includes(each));
}
const nobody = (): boolean => false;
const admins = '{ peers: { groups: [admins] }, policy: admin }';

void test('one policy for everybody', () => {
  const listener = listenerOf('policy: support');
  assert.equal(choosePolicy(listener, nobody), 'support');
  assert.equal(policyOfAnybody(listener), 'support');
  assert.equal(demandsIdentity(listener), false);
});

void test('peers say who is let in at all', () => {
  const listener = listenerOf('policy: support, peers: { groups: [desk] }');
  assert.equal(choosePolicy(listener, nobody), undefined);
  assert.equal(choosePolicy(listener, isIn('desk')), 'support');
  assert.equal(policyOfAnybody(listener), 'support');
  assert.equal(demandsIdentity(listener), true);
});

void test('by person, the first match holds; the line without peers takes the rest', () => {
  const listener = listenerOf(`policies: [${admins}, { policy: support }]`);
  assert.equal(choosePolicy(listener, isIn('admins', 'desk')), 'admin');
  assert.equal(choosePolicy(listener, isIn('desk')), 'support');
  assert.equal(policyOfAnybody(listener), 'support');
  assert.equal(demandsIdentity(listener), true);
});

void test("where every line is somebody's, nobody else is let in", () => {
  const desk = '{ peers: { groups: [desk] }, policy: support }';
  const listener = listenerOf(`policies: [${admins}, ${desk}]`);
  assert.equal(choosePolicy(listener, isIn('desk')), 'support');
  assert.equal(choosePolicy(listener, isIn('others')), undefined);
  assert.equal(policyOfAnybody(listener), undefined);
});

// Goal: a principal is the best name that was proved, and no two people share one on a listener.
const table: readonly (readonly [peer: Peer, account: string | undefined, expected: string])[] = [
  [{ listener: 'support', uid: 1001, user: 'alice' }, undefined, 'alice@support'],
  [{ listener: 'support', uid: 1001, user: 'alice@corp.example' }, undefined, 'alice@corp.example@support'],
  [{ listener: 'support', uid: 1001 }, undefined, '1001@support'],
  [{ listener: 'support', uid: 0, user: 'root' }, undefined, 'root@support'],
  [{ listener: 'support', uid: 0 }, undefined, '0@support'],
  [{ listener: 'jobs', address: '192.0.2.1' }, 'migrator', 'migrator@jobs'],
  [{ listener: 'jobs', address: '192.0.2.1' }, '', '-@jobs'],
  [{ listener: 'jobs' }, undefined, '-@jobs'],
  // Names that look like something else give way to the uid.
  [{ listener: 'support', uid: 1001, user: '0' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: '-' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: '' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: 'a b' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: 'a\nb' }, undefined, '1001@support'],
  [{ listener: 'support', uid: 1001, user: 'a\u202eb' }, undefined, '1001@support'],
];

for (const [peer, account, expected] of table) {
  void test(`${JSON.stringify(peer)} with account ${account} is ${expected}`, () => {
    const principal = principalOf(peer, account);
    assert.equal(principal.text, expected);
    assert.deepEqual(parsePrincipal(expected), principal);
  });
}

void test('what is no principal is not read as one', () => {
  for (const text of ['', '@', 'alice', '@support', 'alice@']) assert.equal(parsePrincipal(text), undefined);
});
