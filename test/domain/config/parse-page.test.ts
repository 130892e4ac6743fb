// The people who may look at the journal over a socket: what is read, and what is wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf, sound, told } from './sound.js';

const withPage = (page: string): string =>
  `${sound}admin:\n  page:\n    unix: page.sock\n    group: auditors\n${page}`;

void test('people, their roles and the users whose records they see', () => {
  const { admin } = settingsOf(
    withPage(
      '    people:\n      alice: { user: 1000, role: audit, users: ["*@Example.com", "bob"] }\n      carol: { user: carol, role: audit }\n      oncall: { user: ops, roles: [operate, audit, operate], users: [bob] }\n',
    ),
  );
  assert.deepEqual(admin?.page?.socket, {
    kind: 'unix',
    path: '/etc/dovegate/page.sock',
    mode: 0o660,
    group: 'auditors',
  });
  assert.deepEqual(
    admin.page.people.map(({ name, user, roles, users }) => ({ name, user, roles, ...(users && { users }) })),
    [
      { name: 'alice', user: '1000', roles: ['audit'], users: ['*@example.com', 'bob'] },
      { name: 'carol', user: 'carol', roles: ['audit'] },
      { name: 'oncall', user: 'ops', roles: ['operate', 'audit'], users: ['bob'] },
    ],
  );
  assert.equal(admin.unix, undefined);
});

void test('where the status of many gates lies', () => {
  const people = '    people: { a: { user: alice, role: view } }\n';
  assert.equal(settingsOf(withPage(people)).admin?.page?.fleetFile, undefined);
  const { admin } = settingsOf(withPage(`${people}    fleet: fleet/status.json\n`));
  assert.equal(admin?.page?.fleetFile, '/etc/dovegate/fleet/status.json');
});

const mistakes: readonly (readonly [string, string, ...string[]])[] = [
  ['nobody', '    people: {}\n', '16:5: admin.page.people: needs at least one person'],
  [
    'two people with one user',
    '    people:\n      a: { user: alice, role: audit }\n      b: { user: alice, role: view }\n',
    '18:12: admin.page.people.b.user: alice is "a" already; a user of this host is one person',
  ],
  [
    'users of a role that shows no records',
    '    people: { a: { user: alice, role: view, users: ["*@example.com"] } }\n',
    '16:45: admin.page.people.a.users: is for role audit: "view" shows no records',
  ],
  [
    'an empty list of users',
    '    people: { a: { user: alice, role: audit, users: [] } }\n',
    '16:46: admin.page.people.a.users: an empty list shows nothing; take it out to show the records of all users',
  ],
  [
    'a mask that is no pattern here',
    '    people: { a: { user: alice, role: audit, users: ["?@example.com"] } }\n',
    '16:54: admin.page.people.a.users[0]: only * and ** are wildcards here, and user names hold no ? or brackets',
  ],
  [
    'a role that is not there yet',
    '    people: { a: { user: alice, role: approve } }\n',
    '16:33: admin.page.people.a.role: must be one of: view, operate, audit',
  ],
  [
    'users of two roles that show no records',
    '    people: { a: { user: alice, roles: [view, operate], users: ["*@example.com"] } }\n',
    '16:57: admin.page.people.a.users: is for role audit: "view" and "operate" shows no records',
  ],
  [
    'no role',
    '    people: { a: { user: alice } }\n',
    '16:15: admin.page.people.a.role: is missing; it must be one of: view, operate, audit',
  ],
  [
    'one role beside several',
    '    people: { a: { user: alice, role: view, roles: [audit] } }\n',
    '16:33: admin.page.people.a.role: stands beside roles; keep one of them',
  ],
  [
    'no role in the list',
    '    people: { a: { user: alice, roles: [] } }\n',
    '16:33: admin.page.people.a.roles: an empty list permits nothing; take the person out',
  ],
  [
    'a socket that nobody else can open',
    '    mode: "0600"\n    people: { a: { user: alice, role: audit } }\n',
    '16:5: warning: admin.page.mode: lets only root and the user of the daemon connect; say a group and "0660"',
  ],
  [
    'the socket of a listener',
    '    people: { a: { user: alice, role: audit } }\n',
    '14:5: admin.page.unix: is the socket of listener support already',
  ],
];

for (const [name, page, ...expected] of mistakes) {
  void test(`mistake: ${name}`, () => {
    const text = withPage(page);
    const isTaken = expected.join().includes('of listener');
    assert.deepEqual(told(isTaken ? text.replace('unix: page.sock', 'unix: /run/s.sock') : text), expected);
  });
}

void test('mistake: the socket of the admin endpoints', () => {
  const text = withPage('    people: { a: { user: alice, role: audit } }\n').replace(
    'admin:\n',
    'admin:\n  unix: page.sock\n',
  );
  assert.deepEqual(told(text), ['15:5: admin.page.unix: is the socket of admin.unix already']);
});
