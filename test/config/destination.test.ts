// Goal: who judges without a daemon knows where a command could go, and no more than that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backendsFor, jointDestination } from '../../src/config/destination.js';
import { settingsOf, sound } from './sound.js';

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

const namesFor = (user: string | undefined): string[] => backendsFor(settings, user).map(({ name }) => name);

void test('by user', () => {
  assert.deepEqual(namesFor('ceo@example.com'), ['mail1']);
  assert.equal(namesFor('alice@example.com').length, 1);
  assert.deepEqual(namesFor('alice@example.net'), ['mail1', 'mail2', 'mail3']);
  assert.deepEqual(namesFor('alice@example.org'), []);
  assert.deepEqual(namesFor(undefined), ['mail1', 'mail2', 'mail3']);
});

void test('several together: one series if all are of it, every prefix if all say theirs', () => {
  const [mail1, mail2, mail3] = settings.backends;
  assert.ok(mail1 && mail2 && mail3);
  assert.deepEqual(jointDestination([mail2, mail3]), { series: '2.4', sharedNamespaces: ['Public/'] });
  assert.deepEqual(jointDestination([mail3]), { series: '2.4', sharedNamespaces: [] });
  assert.deepEqual(jointDestination([mail1, mail3]), { series: 'auto', sharedNamespaces: undefined });
  assert.deepEqual(jointDestination([]), { series: 'auto', sharedNamespaces: undefined });
});
