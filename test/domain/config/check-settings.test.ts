// Goal: names that sections use of each other exist, and what can never have an effect is told once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sound, testMistakes, told } from './sound.js';

void test('two listeners with one socket', () => {
  const text = sound.replace(
    'backends:',
    '  other: { unix: /run/../run/s.sock, policy: support }\nbackends:',
  );
  assert.deepEqual(told(text), ['4:12: listeners.other.unix: is the socket of listener support already']);
});

void test("the admin socket at a listener's place", () => {
  const text = sound.replace('version: 1', 'version: 1\nadmin: { unix: /run/x/../s.sock }');
  assert.deepEqual(told(text), ['2:10: admin.unix: is the socket of listener support already']);
});

void test('a command that no backend has', () => {
  const withSeries = (series: string): string =>
    sound
      .replace('/etc/p,', `/etc/p, series: "${series}",`)
      .replace('[quota get]', '[quota get, director status, fts flatcurve check]');
  const never = (column: number, command: string): string =>
    `11:${column}: warning: policies.support.allow: never matches: no backend is of a series that has "${command}"`;
  assert.deepEqual(told(withSeries('2.4')), [never(24, 'director status')]);
  assert.deepEqual(told(withSeries('2.3')), [never(41, 'fts flatcurve check')]);
  assert.deepEqual(told(withSeries('auto')), []);
});

void test('where names get a realm, patterns without one match nobody; and an exception for nobody is an error', () => {
  const text = sound
    .replace('["*"]', '[carol, "*"]')
    .replace(
      '["*@example.com"]',
      '["*@example.com", bob, eve@example.com]\n    except: [ceo, "boss*", eve@example.com, "**x"]',
    );
  const alias =
    '11:5: warning: policies.support.except: an alias of such a user gets around it; set mail_users.resolve';
  const excepted = '10:35: warning: policies.support.users[2]: is covered by except entirely';
  assert.deepEqual(told(text), [excepted, alias]);
  assert.deepEqual(told(`${text}mail_users: { resolve: /run/auth }\n`), [excepted]);
  const nobody = (name: string): string =>
    `matches nobody: names have a realm (default_realm); write ${name}@example.com`;
  assert.deepEqual(told(`${text}mail_users: { default_realm: example.com }\n`), [
    `7:15: warning: routes[0].users[0]: ${nobody('carol')}`,
    `10:30: warning: policies.support.users[1]: ${nobody('bob')}`,
    excepted,
    alias,
    `11:14: policies.support.except[0]: ${nobody('ceo')}`,
    `11:19: policies.support.except[1]: ${nobody('boss*')}`,
  ]);
});

testMistakes([
  [
    'policy that is not there',
    'policy: support }',
    'policy: suport }',
    '3:33: listeners.support.policy: there is no policy "suport"; did you mean support?',
  ],
  [
    'backend that is not there',
    'backend: mail1 }',
    'backend: elsewhere }',
    '7:21: routes[0].backend: there is no backend "elsewhere"; there are: mail1',
  ],
  [
    'an allow that a deny shadows',
    '[quota get]',
    '[quota get]\n    deny: [quota get]',
    '11:13: warning: policies.support.allow: never allows anything: "quota get" is denied in line 12',
  ],
  [
    'an allow that a deny with the same conditions shadows, and two that it does not',
    '[quota get]',
    `
      - { command: mailbox create, where: { mailbox: [A] } }
      - { command: mailbox rename, where: { mailbox: [A], new-name: [B] } }
      - { command: mailbox list, where: { mailbox-mask: any } }
    deny:
      - { command: mailbox create, where: { mailbox: [A] } }
      - { command: mailbox rename, where: { mailbox: [A], new-name: [C] } }
      - { command: mailbox list, where: { mailbox-mask: any } }`,
    '5:3: warning: backends.mail1: does not list its namespaces, so a mailbox that is denied may have names that pass (/etc/dovegate/d.yaml:16)',
    '12:9: warning: policies.support.allow: never allows anything: "mailbox create" is denied in line 16',
  ],
  [
    'users that no route takes',
    'users: ["*"]',
    'users: ["*@example.org"]',
    '10:13: warning: policies.support.users[0]: no route takes these users',
  ],

  [
    'a route behind one that takes everybody',
    'policies:',
    '  - { users: ["*@example.com"], backend: mail1 }\npolicies:',
    '8:5: warning: routes[1]: is never reached: a route above takes every user',
  ],
  [
    'a backend that no route names',
    'routes:',
    '  mail2: { address: "unix:/run/d" }\nroutes:',
    '6:3: warning: backends.mail2: no route leads here',
  ],
  [
    'a policy that no listener uses',
    'policies:',
    'policies:\n  other: { users: ["*"], allow: [quota get] }',
    '9:3: warning: policies.other: no listener uses this policy',
  ],
  [
    'a policy that allows nothing',
    '    allow: [quota get]\n',
    '',
    '9:3: warning: policies.support: allows nothing',
  ],
  ['a policy for nobody', '["*@example.com"]', '[]', '10:5: warning: policies.support.users: covers no user'],
  [
    'a limit that never counts',
    'unix: /run/s.sock',
    'unix: /run/s.sock, sessions: 5, sessions_per_peer: 6',
    '3:46: warning: listeners.support.sessions_per_peer: is above sessions (5), so it never counts',
  ],
  [
    'a policy for some people that is not there',
    'policy: support }',
    'policies: [{ policy: suport }] }',
    '3:46: listeners.support.policies[0].policy: there is no policy "suport"; did you mean support?',
  ],
  [
    'a line that nobody reaches',
    'policy: support }',
    'policies: [{ policy: support }, { peers: { users: [root] }, policy: support }] }',
    '3:65: warning: listeners.support.policies[1]: is never reached: a line above takes everybody',
  ],
  [
    'a test that does not say who asks',
    'policy: support }',
    'policies: [{ peers: { users: [root] }, policy: support }] }\ntests: [{ listener: support, user: a@example.com, command: [quota get], expect: allow }]',
    '4:9: tests[0]: does not say who asks (as), and listener support has no policy for everybody',
  ],
  [
    'no routes',
    'routes:\n  - { users: ["*"], backend: mail1 }\n',
    'routes: []\n',
    '6:1: routes: is empty: no user leads to a backend; for a single one: [{ users: ["*"], backend: NAME }]',
  ],
]);
