// Goal: a backend is read completely, and one that could only be dialled unsafely is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeIn } from '../../../src/domain/config/problem.js';
import { routingTableOf } from '../../../src/domain/config/settings.js';
import { seriesOf } from '../../../src/domain/judging/policy/assess.js';
import {
  homeOf,
  jointNamespaces,
  nothingAsked,
  type RoutedBackend,
} from '../../../src/domain/judging/policy/route.js';
import { settingsOf, sound } from './sound.js';

void test('every key of a backend', () => {
  const hex = 'ab'.repeat(32);
  const base64 = Buffer.from(hex, 'hex').toString('base64');
  const settings = settingsOf(
    sound.replace(
      'mail1: { address: "127.0.0.1:24245", tls: off, password_file: /etc/p, shared_namespaces: [] }',
      `mail1:
    address: "[2001:DB8::1]:24245"
    tls: implicit
    ca: ca.pem
    server_name: mail1.example.com
    key_pins: ["sha256:${hex.toUpperCase()}", "sha256:${base64}", "sha256:${base64.replace('=', '')}"]
    username: admin
    password_file: [new, old/p]
    series: 2.3
    release: 2.3.19.1
    newer: refuse
    shared_namespaces: [shared/, 007]
    connections: 8
    idle: 2
    idle_timeout: 1m
    max_lifetime: 1d
    fresh_for: 2s
    connect_timeout: 500ms
    greeting_timeout: 2s
    drained: true`,
    ),
  );
  assert.equal(placeIn(settings.places, 'backends.mail1.idle').line, 5);
  const [backend] = settings.backends;
  assert.deepEqual(backend, {
    name: 'mail1',
    address: { kind: 'tcp', host: '2001:db8::1', port: 24_245 },
    tls: 'implicit',
    caFile: '/etc/dovegate/ca.pem',
    serverName: 'mail1.example.com',
    keyPins: [hex, hex, hex],
    username: 'admin',
    passwordFiles: ['/etc/dovegate/new', '/etc/dovegate/old/p'],
    series: '2.3',
    release: '2.3.19.1',
    newer: 'refuse',
    namespaces: undefined,
    sharedNamespaces: ['shared/', '007'],
    connections: 8,
    idle: 2,
    idleTimeoutMs: 60_000,
    maxLifetimeMs: 86_400_000,
    freshForMs: 2000,
    connectTimeoutMs: 500,
    greetingTimeoutMs: 2000,
    drained: true,
  });
});

void test('a release says its series', () => {
  const withKeys = (keys: string): string => sound.replace('shared_namespaces', `${keys}, shared_namespaces`);
  const [backend] = routingTableOf(settingsOf(withKeys('release: 2.4.2'))).backends;
  assert.deepEqual([backend?.series, backend?.server?.releases, backend?.newer], ['2.4', ['2.4.2'], 'reads']);
  // As `dovecot --version` prints it.
  for (const [printed, release] of [
    ['2.3.19.1 (9b53102964)', '2.3.19.1'],
    ['2.4.1-4 (7d8c0e5759)', '2.4.1'],
    ['2.4.5-4', '2.4.5'],
  ] as const)
    assert.equal(settingsOf(withKeys(`release: "${printed}"`)).backends[0]?.release, release);
});

void test('a backend behind a UNIX socket needs neither TLS nor a password', () => {
  const settings = settingsOf(
    sound.replace('"127.0.0.1:24245", tls: off, password_file: /etc/p', 'unix:run/d.sock'),
  );
  const [backend] = settings.backends;
  assert.deepEqual(backend?.address, { kind: 'unix', path: '/etc/dovegate/run/d.sock' });
  assert.equal(backend?.tls, 'off');
  assert.deepEqual(backend?.passwordFiles, []);
});

void test('a link-local address keeps its zone, which no certificate has', () => {
  const [backend] = settingsOf(
    sound.replace('127.0.0.1:24245", tls: off', '[FE80::1%enP2s0]:24245", tls: starttls'),
  ).backends;
  assert.deepEqual(backend?.address, { kind: 'tcp', host: 'fe80::1%enP2s0', port: 24_245 });
  assert.equal(backend?.serverName, 'fe80::1');
});

// Goal: a list of namespaces that no Dovecot could have is told; one that it could have is read as it is meant.
const short = 'shared_namespaces: []';
const first = '{ prefix: "INBOX/", inbox: true }';

function listOf(...items: string[]): string {
  return `namespaces: [${items.join(', ')}]`;
}

void test('a list is read with what it leaves out, and says the shared ones too', () => {
  const more = ['{ prefix: "Private/", alias_for: "INBOX/" }', '{ prefix: "shared/", kind: shared }'];
  const alias = '{ prefix: "Team.", alias_for: "shared/" }';
  const { backends } = settingsOf(sound.replace(short, listOf(first, ...more, alias)));
  const usual = { separator: '/', inbox: false, aliasFor: undefined, kind: 'private' };
  assert.deepEqual(backends[0]?.namespaces, [
    { ...usual, prefix: 'INBOX/', inbox: true },
    { ...usual, prefix: 'Private/', aliasFor: 'INBOX/' },
    { ...usual, prefix: 'shared/', kind: 'shared' },
    { ...usual, prefix: 'Team.', separator: '.', aliasFor: 'shared/', kind: 'shared' },
  ]);
  assert.deepEqual(backends[0]?.sharedNamespaces, ['shared/', 'Team.']);
  const { backends: others } = settingsOf(
    sound.replace(short, listOf('{ prefix: "", separator: ".", inbox: true }')),
  );
  assert.deepEqual(others[0]?.namespaces?.[0]?.separator, '.');
  assert.deepEqual(others[0]?.sharedNamespaces, []);
});

void test('what it says is part of what the settings mean', () => {
  const hashes = [short, listOf(first), listOf('{ prefix: "INBOX.", inbox: true }')].map(
    (text) => settingsOf(sound.replace(short, text)).hash,
  );
  assert.equal(new Set(hashes).size, 3);
});

// Goal: where commands go is read, or every mistake is told at its place.
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

// Goal: who judges without a daemon knows where a command could go, and no more than that.
const settings = settingsOf(
  sound
    .replace(', shared_namespaces: []', '')
    .replace(
      'routes:',
      `  mail2: { address: "127.0.0.1:24246", tls: off, password_file: /etc/p, series: "2.4", shared_namespaces: ["Public/"] }
  mail3: { address: "127.0.0.1:24247", tls: off, password_file: /etc/p, series: "2.4", shared_namespaces: [] }
routes:`,
    )
    .replace(
      '- { users: ["*"], backend: mail1 }',
      `- { users: ["ceo@example.com"], backend: mail1 }
  - { users: ["*@example.com"], spread: [mail2, mail3] }
  - { users: ["*@example.net"], passdb: /run/auth }`,
    ),
);

const table = routingTableOf(settings);

function namesFor(user: string): string[] {
  const home = homeOf(user, table, nothingAsked);
  return home.kind === 'to' ? home.backends.map(({ name }) => name) : [];
}

void test('by user', () => {
  assert.deepEqual(namesFor('ceo@example.com'), ['mail1']);
  assert.equal(namesFor('alice@example.com').length, 1);
  assert.deepEqual(namesFor('alice@example.net'), ['mail1', 'mail2', 'mail3']);
  assert.deepEqual(namesFor('alice@example.org'), []);
  assert.deepEqual(
    table.backends.map(({ name }) => name),
    ['mail1', 'mail2', 'mail3'],
  );
});

void test('several together: one series if all are of it, every prefix if all say theirs', () => {
  const [mail1, mail2, mail3] = table.backends;
  assert.ok(mail1 && mail2 && mail3);
  const knownOf = (backends: readonly RoutedBackend[]): object => ({
    series: seriesOf(backends),
    sharedNamespaces: jointNamespaces(backends.map((each) => each.sharedNamespaces)),
  });
  assert.deepEqual(knownOf([mail2, mail3]), { series: ['2.4'], sharedNamespaces: ['Public/'] });
  assert.deepEqual(knownOf([mail3]), { series: ['2.4'], sharedNamespaces: [] });
  assert.deepEqual(knownOf([mail1, mail3]), { series: ['2.3', '2.4'], sharedNamespaces: undefined });
  assert.deepEqual(knownOf([]), { series: ['2.3', '2.4'], sharedNamespaces: undefined });
});
