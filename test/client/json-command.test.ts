// Every command of the catalog as JSON: names as Dovecot spells them, values of their types, and nothing that JSON cannot say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonParameter, jsonCommandOf } from '../../src/client/json-command.js';

const cases: readonly (readonly [words: string, name: string, parameters: Record<string, JsonParameter>])[] =
  [
    ['quota get', 'quotaGet', { user: 'alice' }],
    [
      'mailbox status|messages vsize|INBOX|Archive',
      'mailboxStatus',
      { user: 'alice', field: ['messages', 'vsize'], mailboxMask: ['INBOX', 'Archive'] },
    ],
    [
      'fetch|uid flags|mailbox|INBOX|all',
      'fetch',
      { user: 'alice', field: ['uid', 'flags'], query: ['mailbox', 'INBOX', 'all'] },
    ],
    [
      'mailbox delete|-r|-s|A|B',
      'mailboxDelete',
      { user: 'alice', subscriptions: true, recursive: true, mailbox: ['A', 'B'] },
    ],
    ['force-resync|*', 'forceResync', { user: 'alice', mailboxMask: '*' }],
    [
      'move|Archive|user|bob|mailbox|INBOX|all',
      'move',
      {
        user: 'alice',
        destinationMailbox: 'Archive',
        sourceType: 'user',
        sourceUser: 'bob',
        query: ['mailbox', 'INBOX', 'all'],
      },
    ],
    [
      'flags add|\\Seen \\Flagged|mailbox|INBOX',
      'flagsAdd',
      { user: 'alice', flag: ['\\Seen', '\\Flagged'], query: ['mailbox', 'INBOX'] },
    ],
    ['who|alice', 'who', { mask: ['alice'] }],
    ['user|-f|home|alice', 'user', { field: 'home', userMask: ['alice'] }],
    ['mailbox list|-A', 'mailboxList', { allUsers: true }],
    [
      'mailbox metadata set|-s||/private/x|y',
      'mailboxMetadataSet',
      { user: 'alice', allowEmptyMailboxName: true, mailbox: '', key: '/private/x', value: 'y' },
    ],
    ['search|mailbox|INBOX|uid|1:2', 'search', { user: 'alice', query: ['mailbox', 'INBOX', 'uid', '1:2'] }],
    // Only 2.3 has it.
    ['director status', 'directorStatus', {}],
  ];

void test('commands by name and parameters', () => {
  for (const [words, name, parameters] of cases) {
    const [command = '', ...args] = words.split('|');
    const json = jsonCommandOf({ user: 'alice', name: command, args });
    assert.equal(json.name, name);
    assert.deepEqual(json.parameters, parameters, words);
  }
});

void test('the keys of rows, where they are known', () => {
  assert.deepEqual(jsonCommandOf({ user: 'alice', name: 'quota get' }).keys, [
    'root',
    'type',
    'value',
    'limit',
    'percent',
  ]);
  assert.equal(jsonCommandOf({ name: 'quota get', args: ['-A'] }).keys, undefined);
  assert.equal(jsonCommandOf({ name: 'user', args: ['alice'] }).keys, undefined);
  assert.ok(jsonCommandOf({ user: 'alice', name: 'save' }).takesInput);
});
