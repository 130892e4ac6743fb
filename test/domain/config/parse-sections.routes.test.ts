// Goal: where commands go is read, or every mistake is told at its place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, settingsOf, sound } from './sound.js';

const two = sound.replace(
  'routes:',
  '  mail2: { address: "127.0.0.1:24246", tls: off, password_file: /etc/p }\nroutes:',
);
const routed = (route: string): string => two.replace('{ users: ["*"], backend: mail1 }', route);

void test('what a route can say', () => {
  const { routes } = settingsOf(
    routed(
      `{ users: ["*@example.com"], spread: [mail1, mail2] }
  - { users: ["*@example.net"], passdb: run/auth, cache_ttl: 5s }
  - { users: ["*"], passdb: /run/auth }`,
    ),
  );
  assert.deepEqual(
    routes.map(({ target }) => target),
    [
      { kind: 'spread', backends: ['mail1', 'mail2'] },
      { kind: 'passdb', socket: '/etc/dovegate/run/auth', cacheTtlMs: 5000 },
      { kind: 'passdb', socket: '/run/auth', cacheTtlMs: 60_000 },
    ],
  );
});

void test('what server_commands can say', () => {
  const text = `${routed('{ users: ["*"], spread: [mail1, mail2] }')}server_commands:
  default: mail1
  who: all
  kick: by_user
  auth cache flush: mail2
`;
  const { serverCommands } = settingsOf(text);
  assert.deepEqual(serverCommands.default, { kind: 'backend', backend: 'mail1' });
  assert.deepEqual(
    [...serverCommands.byCommand],
    [
      ['who', { kind: 'all' }],
      ['kick', { kind: 'by-user' }],
      ['auth cache flush', { kind: 'backend', backend: 'mail2' }],
    ],
  );
  assert.notEqual(settingsOf(text).hash, settingsOf(text.replace('who: all', 'who: mail1')).hash);
  assert.deepEqual(settingsOf(sound).serverCommands, { default: { kind: 'all' }, byCommand: new Map() });
});

// [mistake, text, problem]
const mistakes: readonly (readonly [string, string, string])[] = [
  [
    'two targets',
    routed('{ users: ["*"], backend: mail1, spread: [mail1, mail2] }'),
    'routes[0].spread: has backend and spread; a route has one target',
  ],
  ['nothing to spread over', routed('{ users: ["*"], spread: [] }'), 'routes[0].spread: must name a backend'],
  [
    'a time without a passdb',
    routed('{ users: ["*"], spread: [mail1, mail2], cache_ttl: 5s }'),
    'routes[0].cache_ttl: is for routes with passdb; nothing else is cached',
  ],
  [
    'an unknown backend',
    routed('{ users: ["*"], spread: [mail1, mail3] }'),
    'routes[0].spread[1]: there is no backend "mail3"; did you mean mail1?',
  ],
  [
    'a backend that nothing leads to',
    routed('{ users: ["*"], backend: mail1 }'),
    'warning: backends.mail2: no route leads here',
  ],
  [
    'no such command',
    `${sound}server_commands: { whoo: all }\n`,
    'server_commands.whoo: no Dovecot has a server command "whoo"; did you mean who?',
  ],
  [
    'a mail command',
    `${sound}server_commands: { quota get: all }\n`,
    'server_commands.quota get: names a mailbox user and follows the route of that user; only server commands belong here',
  ],
  [
    'rows that cannot be joined',
    `${sound}server_commands: { user: all }\n`,
    'server_commands.user: the rows of "user" cannot be joined; name a backend, or write by_user',
  ],
  [
    'an unknown backend for a server command',
    `${sound}server_commands: { who: mail7 }\n`,
    'server_commands.who: there is no backend "mail7"; did you mean mail1?',
  ],
  [
    'a backend with the name of a word',
    sound.replaceAll('mail1', 'all'),
    'backends.all: all has a meaning in server_commands; give the backend another name',
  ],
];

for (const [name, text, problem] of mistakes) {
  void test(name, () => {
    const told = parse(text).problems.map(
      ({ severity, path, message }) => `${severity === 'warning' ? 'warning: ' : ''}${path}: ${message}`,
    );
    assert.ok(told.includes(problem), told.join('\n'));
  });
}
