import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allSeries,
  commandNamed,
  commandsOf,
  type Effect,
  parameterNamed,
  type Series,
} from '../../../src/domain/commands/catalog.js';
import { effectOf } from '../../../src/domain/meaning/reach.js';
import { accept } from '../commands/reading.js';

const effects: [series: Series, line: string[], effect: Effect][] = [
  ['2.3', ['mailbox list'], 'read'],
  ['2.3', ['stats dump'], 'read'],
  ['2.4', ['stats dump', '-r'], 'destroy'],
  ['2.4', ['stats dump', '--reset'], 'destroy'],
  ['2.3', ['kick', 'bob'], 'session'],
  ['2.3', ['kick', '-f', 'bob'], 'session'],
  ['2.4', ['mailbox delete', 'Old'], 'destroy'],
  ['2.4', ['sync', '-R', '--', 'tcp:host'], 'destroy'],
  ['2.4', ['sync', '--', 'tcp:host'], 'admin'],
  ['2.3', ['mailbox cryptokey generate', '-U'], 'admin'],
  ['2.3', ['mailbox cryptokey generate', '-f', '-U'], 'destroy'],
  ['2.4', ['sieve put', '-a', 'main'], 'write'],
];

for (const [series, line, effect] of effects) {
  test(`${series}: ${line.join(' ')}: ${effect}`, () => assert.equal(effectOf(accept(series, line)), effect));
}

const cautions: [command: string, parameter: string, caution: string][] = [
  ['mailbox list', 'user-file', 'never'],
  ['mailbox list', 'socket-path', 'never'],
  ['mailbox list', 'trans-flags', 'never'],
  ['mailbox list', 'all-users', 'all-users'],
  ['mailbox list', 'user', 'free'],
  ['mailbox list', 'mailbox-mask', 'free'],
  ['who', 'socket-path', 'named'],
  ['user', 'expand-field', 'named'],
  ['user', 'field', 'named'],
  ['expunge', 'delete-empty-mailbox', 'named'],
  ['mailbox delete', 'recursive', 'named'],
  ['mailbox delete', 'unsafe', 'named'],
  ['mailbox delete', 'subscriptions', 'free'],
  ['stats dump', 'reset', 'named'],
  ['stats dump', 'socket-path', 'named'],
  ['copy', 'source-user', 'named'],
  ['save', 'file', 'named'],
  ['sieve put', 'activate', 'named'],
  ['sync', 'destination', 'named'],
  ['sync', 'rawlog', 'named'],
  ['import', 'source-location', 'named'],
  ['import', 'source-user', 'named'],
];

for (const [name, parameterName, caution] of cautions) {
  test(`${name} ${parameterName}: ${caution}`, () => {
    for (const series of allSeries) {
      const command = commandNamed(series, name);
      assert.ok(command);
      const parameter = parameterNamed(command, parameterName);
      assert.ok(parameter, parameterName);
      assert.equal(parameter.caution, caution);
    }
  });
}

test('every dangerous parameter exists in some series', () => {
  const names = [
    'expunge delete-empty-mailbox,mailbox delete recursive,mailbox delete unsafe,deduplicate by-msgid,stats dump reset,kick force',
    'kick dest-host,proxy kick dest-host,proxy kick host,director flush force-flush,sieve put activate,sieve delete ignore-active',
    'force-resync fsck,fs delete recursive,mail fs delete recursive,mailbox cryptokey generate force,user expand-field,user field',
    'mailbox cryptokey generate re-encrypt-box-keys,mailbox cryptokey generate user-key-only,mailbox cryptokey export user-key',
    'mailbox cryptokey password clear-password,sync purge-remote,backup purge-remote,sync reverse-sync,backup reverse-sync',
    'instance list show-config,mailbox metadata get allow-empty-mailbox-name,mailbox metadata list allow-empty-mailbox-name',
    'mailbox metadata set allow-empty-mailbox-name,mailbox metadata unset allow-empty-mailbox-name',
  ].flatMap((line) => line.split(','));
  const found = new Set<string>();
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      for (const parameter of command.params) {
        if (parameter.danger !== undefined) found.add(`${command.name} ${parameter.name}`);
      }
    }
  }
  assert.deepEqual(
    [...found].toSorted((a, b) => (a < b ? -1 : 1)),
    names.toSorted((a, b) => (a < b ? -1 : 1)),
  );
});

test('what is in no table of dangers and has no role that reaches out is free', () => {
  const command = commandNamed('2.4', 'mailbox create');
  assert.ok(command);
  const caution = Object.fromEntries(command.params.map((parameter) => [parameter.name, parameter.caution]));
  assert.deepEqual(caution, {
    'all-users': 'all-users',
    'socket-path': 'never',
    user: 'free',
    'trans-flags': 'never',
    'no-userdb-lookup': 'never',
    'user-file': 'never',
    subscriptions: 'free',
    guid: 'free',
    mailbox: 'free',
  });
});
