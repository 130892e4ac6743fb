// Goal: what the tables of readings and mistakes do not show of backends and routes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeIn } from '../../../src/rules/config/problem.js';
import { routingTableOf } from '../../../src/rules/config/settings.js';
import { seriesOf } from '../../../src/rules/policy/assess.js';
import {
  homeOf,
  jointNamespaces,
  nothingAsked,
  type RoutedBackend,
} from '../../../src/rules/policy/route.js';
import { settingsOf, sound } from './sound.js';

void test('a release says its series', () => {
  const withKeys = (keys: string): string => sound.replace('shared_namespaces', `${keys}, shared_namespaces`);
  const [backend] = routingTableOf(settingsOf(withKeys('release: 2.4.2'))).backends;
  assert.deepEqual([backend?.series, backend?.server?.releases, backend?.newer], ['2.4', ['2.4.2'], 'reads']);
});

void test('namespaces, and where commands of servers go, are part of what the settings mean; and each backend has its place', () => {
  const listOf = (prefix: string) =>
    sound.replace('shared_namespaces: []', `namespaces: [{ prefix: "${prefix}", inbox: true }]`);
  const texts = [sound, listOf('INBOX/'), listOf('INBOX.'), `${sound}server_commands: { who: mail1 }\n`];
  assert.equal(new Set(texts.map((text) => settingsOf(text).hash)).size, 4);
  assert.equal(placeIn(settingsOf(sound).places, 'backends.mail1.idle').line, 5);
});

// Goal: who judges without a daemon knows where a command could go, and no more than that.
const settings = settingsOf(
  sound
    .replace('users: ["*@example.com"]', 'users: ["*@example.com", "*@example.net"]')
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
  assert.equal(table.backends.map(({ name }) => name).join(), 'mail1,mail2,mail3');
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
