// Goal: who judges without a daemon knows where a command could go, and no more than that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backendsFor, jointDestination } from '../../../src/domain/config/destination.js';
import type { BackendSettings } from '../../../src/domain/config/settings.js';
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
  const knownOf = (backends: readonly BackendSettings[]): object => {
    const { series, sharedNamespaces } = jointDestination(backends);
    return { series, sharedNamespaces };
  };
  assert.deepEqual(knownOf([mail2, mail3]), { series: '2.4', sharedNamespaces: ['Public/'] });
  assert.deepEqual(knownOf([mail3]), { series: '2.4', sharedNamespaces: [] });
  assert.deepEqual(knownOf([mail1, mail3]), { series: 'auto', sharedNamespaces: undefined });
  assert.deepEqual(knownOf([]), { series: 'auto', sharedNamespaces: undefined });
});

void test('a name may be what any of the backends makes of it', () => {
  const { backends } = settingsOf(
    sound.replace(
      'shared_namespaces: []',
      'namespaces: [{ prefix: "Mail/", inbox: true }, { prefix: "shared/", kind: shared }]',
    ),
  );
  assert.deepEqual(jointDestination(backends).mailboxNames.readings('Mail'), ['INBOX']);
  assert.deepEqual(jointDestination([]).mailboxNames.readings('Mail'), []);
  assert.deepEqual(jointDestination([...backends, ...settings.backends]).mailboxNames.readings('A/INBOX'), [
    'INBOX',
    'A',
  ]);
});
