// Goal: names become numbers once, decide by numbers only, and what this machine does not know is told and lets nobody in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NameNumbers } from '../../../src/host/machine/accounts.js';
import { placeIn } from '../../../src/rules/config/problem.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import {
  createPolicyChooser,
  inspectAccounts,
  inspectReaders,
  namesIn,
  type Ourselves,
} from '../../../src/rules/setup/peers.js';
import { settingsOf, sound } from '../config/sound.js';

const numbers: NameNumbers = {
  uidOf: (name) => ({ alice: 1001, '1002': 1002, root: 0 })[name],
  gidOf: (name) => ({ desk: 2000, admins: 2001 })[name],
};

function settingsWith(listener: string) {
  const admin = listener.includes('admin }') ? '  admin: { users: ["*"], allow: [quota get] }\n' : '';
  const text = sound.replace('policies:\n', `policies:\n${admin}`);
  return settingsOf(text.replace('policy: support }', `${listener} }`));
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

const root = { isRoot: true, uid: 0, gids: [0] };
const mail = { isRoot: false, uid: 100, gids: [100, 2000] };

function told(settings: Settings, who: Ourselves = root): string[] {
  return inspectAccounts(settings, who, numbers).map(
    ({ severity, path, message }) =>
      `${placeIn(settings.places, path).line} ${severity}: ${path}: ${message}`,
  );
}

void test('what is not known here lets nobody in, or ends the start, and both are told', () => {
  assert.deepEqual(told(settingsWith('owner: alice, group: desk, policy: support')), []);
  const strangers = 'peers: { users: [eve], groups: [evil] }';
  const unknown = 'owner: eve, group: evil';
  const noStart = 'so serve cannot start; make it, or correct the name';
  assert.deepEqual(told(settingsWith(`${unknown}, policies: [{ ${strangers}, policy: support }]`)), [
    '3 warning: listeners.support.peers: this machine has no user eve, so the name lets nobody in',
    '3 warning: listeners.support.peers: this machine has no group evil, so the name lets nobody in',
    `3 error: listeners.support.owner: this machine has no user eve, ${noStart}`,
    `3 error: listeners.support.group: this machine has no group evil, ${noStart}`,
  ]);
  const journal = settingsOf(`${sound}audit: { group: evil }\n`);
  assert.deepEqual(told(journal), [`1 error: audit.group: this machine has no group evil, ${noStart}`]);
  assert.deepEqual(namesIn(journal).groups, ['evil']);
});

void test('persons: one user by name and by uid in two of them, and one that nobody knows', () => {
  const two = (one: string, other: string) =>
    settingsOf(`${sound}persons:\n  carol: { users: [${one}] }\n  dave: { users: [${other}] }\n`);
  const same = (uidOf: NameNumbers['uidOf'], settings: Settings) =>
    inspectAccounts(settings, root, { ...numbers, uidOf }).map(({ path, message }) => `${path}: ${message}`);
  const uidOf = (name: string) => ({ carol: 1002, '1002': 1002, dave: 1003 })[name];
  assert.deepEqual(same(uidOf, two('carol', 'dave, "1002"')), [
    'persons.dave.users: 1002 is the same user as carol of "carol"; an identity is one person',
  ]);
  assert.deepEqual(same(uidOf, two('carol, "1002"', 'dave')), []);
  const twoInOne = two('carol', '"1002"');
  const unknown = same(() => undefined, twoInOne);
  assert.deepEqual(unknown, [
    'persons.carol.users: this machine has no user carol, so no request over a UNIX socket is approved where it never had one; remove the name, or make the user',
  ]);
  const [problem] = inspectAccounts(twoInOne, root, { ...numbers, uidOf });
  assert.equal(placeIn(twoInOne.places, problem?.path ?? '').line, sound.split('\n').length + 2);
});

void test('the user of the daemon, as root asks about it', () => {
  const asked = { ...mail, uid: 0, isElsewhere: true };
  assert.deepEqual(told(settingsWith('group: desk, policy: support'), asked), []);
  assert.deepEqual(told(settingsWith('group: admins, policy: support'), asked), [
    "3 warning: listeners.support.group: the daemon's user root is not in group admins, so serve does not start: usermod --append --groups admins root; systemctl restart dovegate",
  ]);
  const owned = settingsWith('owner: alice, policy: support');
  assert.match(told(owned, asked).join(), /cannot be set by the daemon's user/);
});

/** `people`: of the page; `alice` is in the group `admins`. */
function readersIn(auditGroup: string, pageGroup: string, people: string): string[] {
  const page = `admin: { page: { unix: page.sock, group: ${pageGroup}, people: { ${people} } } }\n`;
  const settings = settingsOf(`${sound}audit: { directory: /j, group: ${auditGroup} }\n${page}`);
  const facts = { gidsOf: (uid: number) => (uid === 1001 ? [1001, 2001] : [uid]), daemonUid: 1002 };
  return inspectReaders(settings, 'error', facts, numbers).map(
    ({ severity, path, message }) => `${severity}: ${path}: ${message}`,
  );
}

void test('one group for the files of the journal and for the socket of the page is refused', () => {
  const whole = 'eve: { user: 1002, role: audit }';
  assert.deepEqual(readersIn('admins', 'desk', whole), []);
  const refused = readersIn('admins', 'admins', whole).join();
  assert.match(refused, /^error: admin\.page\.group: .*a group of its own/);
});

void test('who sees a part of the journal and can read the files is refused', () => {
  const limited = (user: string): string[] =>
    readersIn('admins', 'desk', `frank: { user: ${user}, role: audit, users: ["*@example.com"] }`);
  assert.deepEqual(limited('alice'), [
    'error: admin.page.people.frank.users: alice may see a part of the journal, and can read all of it in /j as a member of admins (audit.group): gpasswd --delete alice admins; or remove "users"',
  ]);
  assert.match(limited('root').join(), /as root/);
  assert.match(limited('1002').join(), /as the user of the daemon/);
  assert.deepEqual(limited('nobody-here'), []);
  assert.deepEqual(readersIn('desk', 'admins', 'frank: { user: alice, role: audit, users: ["*@a.b"] }'), []);
  // A person who may see all of it may read the files.
  assert.deepEqual(readersIn('admins', 'desk', 'eve: { user: alice, role: audit }'), []);
});
