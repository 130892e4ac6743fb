// Goal: who judges without a daemon knows where a command could go, and no more than that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routingTableOf } from '../../../src/domain/config/settings.js';
import { namesAmong } from '../../../src/domain/names/mailbox-names.js';
import { seriesOf } from '../../../src/domain/policy/assess.js';
import {
  homeOf,
  jointNamespaces,
  nothingAsked,
  type RoutedBackend,
} from '../../../src/domain/policy/route.js';
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

void test('a name may be what any of the backends makes of it', () => {
  const { backends } = routingTableOf(
    settingsOf(
      sound.replace(
        'shared_namespaces: []',
        'namespaces: [{ prefix: "Mail/", inbox: true }, { prefix: "shared/", kind: shared }]',
      ),
    ),
  );
  assert.deepEqual(namesAmong(backends).readings('Mail'), ['INBOX']);
  assert.deepEqual(namesAmong([]).readings('Mail'), []);
  assert.deepEqual(namesAmong([...backends, ...table.backends]).readings('A/INBOX'), ['INBOX', 'A']);
});
