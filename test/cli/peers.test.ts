// Goal: names become numbers once, decide by numbers only, and what this machine does not know is told and lets nobody in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPolicyChooser, inspectAccounts, namesIn } from '../../src/cli/peers.js';
import type { NameNumbers } from '../../src/host/accounts.js';
import { settingsOf, sound } from '../config/sound.js';

const numbers: NameNumbers = {
  uidOf: (name) => ({ alice: 1001, '1002': 1002, root: 0 })[name],
  gidOf: (name) => ({ desk: 2000, admins: 2001 })[name],
};

function settingsWith(listener: string) {
  const admin = listener.includes('admin }') ? '  admin: { users: ["*"], allow: [quota get] }\n' : '';
  return settingsOf(
    sound.replace('policies:\n', `policies:\n${admin}`).replace('policy: support }', `${listener} }`),
  );
}

function chooser(listener: string) {
  const [first] = settingsWith(listener).listeners;
  assert.ok(first);
  return createPolicyChooser(first, numbers);
}

const listener = 'support';

void test('by user, by group, and nobody else', () => {
  const choose = chooser('peers: { users: [alice, 1002, nobody-here], groups: [desk] }, policy: support');
  assert.equal(choose({ listener, uid: 1001, gid: 1, groups: [] }), 'support');
  assert.equal(choose({ listener, uid: 1002, gid: 1, groups: [] }), 'support');
  assert.equal(choose({ listener, uid: 7, gid: 7, groups: [2000] }), 'support');
  assert.equal(choose({ listener, uid: 7, gid: 7, groups: [7] }), undefined);
  // The name is no proof: only the kernel's number is.
  assert.equal(choose({ listener, uid: 7, gid: 7, groups: [], user: 'alice' }), undefined);
});

void test('where it matters who somebody is, and the kernel does not say, nobody is let in', () => {
  const byGroup = 'policies: [{ peers: { groups: [admins] }, policy: admin }, { policy: support }]';
  assert.equal(chooser(byGroup)({ listener }), undefined);
  assert.equal(chooser(byGroup)({ listener, uid: 7, gid: 2001 }), undefined);
  assert.equal(chooser(byGroup)({ listener, uid: 7, gid: 2001, groups: [] }), 'admin');
  assert.equal(chooser(byGroup)({ listener, uid: 7, gid: 7, groups: [] }), 'support');
  const byUser = 'policies: [{ peers: { users: [alice] }, policy: admin }, { policy: support }]';
  assert.equal(chooser(byUser)({ listener }), undefined);
  assert.equal(chooser(byUser)({ listener, uid: 1001 }), 'admin');
  assert.equal(chooser('policy: support')({ listener }), 'support');
});

void test('every name that is needed is asked for', () => {
  const settings = settingsWith('owner: root, group: desk, peers: { users: [alice] }, policy: support');
  assert.deepEqual(namesIn(settings), { users: ['root', 'alice'], groups: ['desk'] });
});

void test('what is not known here, and what cannot be set by who runs this, is told', () => {
  const root = { isRoot: true, uid: 0, gids: [0] };
  const mail = { isRoot: false, uid: 100, gids: [100, 2000] };
  const told = (written: string, who = root): string[] =>
    inspectAccounts(settingsWith(written), who, numbers).map(({ path, message }) => `${path}: ${message}`);
  assert.deepEqual(told('owner: alice, group: desk, policy: support'), []);
  assert.deepEqual(told('group: desk, policy: support', mail), []);
  assert.deepEqual(told('owner: alice, policy: support', mail), [
    'listeners.support.owner: cannot be set by who runs this: only root gives a socket away',
  ]);
  assert.deepEqual(told('group: admins, policy: support', mail), [
    'listeners.support.group: cannot be set by who runs this: only root, or somebody in group admins, can',
  ]);
  assert.deepEqual(
    told('owner: eve, policies: [{ peers: { users: [eve], groups: [evil] }, policy: support }]'),
    [
      'listeners.support.peers: this machine has no user eve, so the name lets nobody in',
      'listeners.support.peers: this machine has no group evil, so the name lets nobody in',
      'listeners.support.owner: this machine has no user eve',
    ],
  );
});
