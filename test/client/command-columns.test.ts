// How many cells a row has where the program does not say so: by the catalog, for commands that it knows; and what a program without
// types gets wrong about a command is told before anything is sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from '../../src/client/client-command.js';
import { columnsOf } from '../../src/client/command-columns.js';
import { openSession } from './opened.js';

const cases: readonly (readonly [words: string, minor: number | undefined, columns: string | undefined])[] = [
  ['quota get', 3, 'root type value limit percent'],
  ['quota get', 2, 'root type value limit percent'],
  ['quota get', undefined, 'root type value limit percent'],
  ['mailbox list', 3, 'mailbox'],
  ['fetch|uid flags|mailbox|INBOX', 3, 'uid flags'],
  ['fetch|--|uid flags|mailbox|INBOX', 2, 'uid flags'],
  ['mailbox status|messages unseen|INBOX', 3, 'mailbox messages unseen'],
  ['search|mailbox|INBOX', 3, 'mailbox-guid uid'],
  ['dovegate can', 3, 'what value'],
  ['save', 3, ''],
  ['quota get|-A', 3, undefined],
  ['quota get|--bogus', 3, undefined],
  ['user|alice', 3, undefined],
  ['no such command', 3, undefined],
  ['', 3, undefined],
];

test('the columns of a row by the catalog', () => {
  for (const [words, minor, columns] of cases) {
    const [name = '', ...args] = words.split('|');
    const names = columnsOf(name, args, minor)?.namesFrom([]);
    assert.equal(names?.join(' '), columns, `${words} at minor ${minor}`);
  }
});

test('dovegate hides the minor of the backend: the place of the GUID in the first row shows which fields it has', () => {
  const guid = '0123456789abcdef0123456789abcdef';
  const older = ['INBOX', '3', '0', '4', '99', '3', '7', '1200', guid, '1700000000'];
  const newer = [...older.slice(0, 3), '0', ...older.slice(3)];
  const columns = columnsOf('mailbox status', ['all', 'INBOX'], 3);
  assert.equal(columns?.namesFrom(older)?.length, older.length);
  assert.equal(columns?.namesFrom(newer)?.length, newer.length);
  assert.equal(columns?.namesFrom(newer)?.at(3), 'deleted');
  // A Dovecot that says what it is has the rows of its releases only.
  const widthsAt = (minor: number) =>
    [older, newer].map((row) => columnsOf('mailbox status', ['all', 'INBOX'], minor)?.namesFrom(row)?.length);
  assert.deepEqual([2, 4, 5].map(widthsAt), [
    [10, undefined],
    [undefined, 11],
    [undefined, 11],
  ]);
});

test('rows without columns being said, from run and from stream', async () => {
  const { session, peer } = openSession(0, { serverMinor: 3 });
  const ten = 'a\tSTORAGE\tc\td\te\tf\tMESSAGE\th\ti\tj\t\n+\n';
  const command = { user: 'alice', name: 'quota get' };
  const running = session.run(command);
  await peer.receive((bytes) => bytes.includes('quota get'));
  peer.send(ten);
  const told = (await running).map((row) => row.join(' '));
  assert.deepEqual(told, ['a STORAGE c d e', 'f MESSAGE h i j']);
  const streamed = session.stream(command);
  await peer.receive((bytes) => bytes.toString().split('quota get').length === 3);
  peer.send(ten);
  let rows = 0;
  for await (const row of streamed) rows += row.length;
  assert.equal(rows, 10);
});

test('a column that no known release has is an error, also where the cells make whole rows', async () => {
  const { session, peer } = openSession(0, { serverMinor: 3 });
  const running = session.run({ user: 'alice', name: 'quota get' });
  await peer.receive((bytes) => bytes.includes('quota get'));
  peer.send(`${'Mail\tSTORAGE\t1\t10\t10\tnew\t'.repeat(5)}\n+\n`);
  const message = /other columns than any known release/;
  await assert.rejects(running, { code: 'unexpected-reply', message });
});

test('what is not of its type is named, and nothing is sent', async () => {
  const wrong: readonly (readonly [command: unknown, message: RegExp])[] = [
    [{ name: 'mailbox list', args: 'INBOX' }, /^args must be an array .*, not a value of type string$/],
    [{ name: 'mailbox list', args: ['--', 7] }, /^args\[1\] must be a string, not a value of type number$/],
    [{ name: 'mailbox list', args: null }, /^args must be an array .*, not null$/],
    [{ name: ['mailbox', 'list'] }, /^name must be a string, not an array$/],
    [{}, /^name must be a string, not a value of type undefined$/],
    [{ name: 'who', user: 5 }, /^user must be a string/],
    [{ name: 'who', reason: {} }, /^reason must be a string/],
    [{ name: 'who', columns: '5' }, /^columns must be a whole number above 0/],
    [{ name: 'who', columns: 0 }, /^columns must be a whole number above 0/],
  ];
  const { session, peer } = openSession(0, { serverMinor: 3 });
  for (const [given, message] of wrong) {
    // As a program without types would.
    const command: Command = JSON.parse(JSON.stringify(given));
    await assert.rejects(session.run(command), { name: 'TypeError', message });
    assert.throws(() => session.stream(command), { name: 'TypeError', message });
  }
  assert.equal(peer.received().length, 0);
});

test('rows by name; nothing is sent where the names are not known', async () => {
  const { session, peer } = openSession(0, { serverMinor: 3 });
  const running = session.named({ user: 'alice', name: 'fetch', args: ['uid flags uid', 'all'] });
  await peer.receive((bytes) => bytes.includes('fetch'));
  peer.send('1\tx\t1\t2\ty\t2\t\n+\n');
  assert.equal(JSON.stringify(await running), '[{"uid":"1","flags":"x"},{"uid":"2","flags":"y"}]');
  for (const command of [
    { name: 'user', args: ['alice'] },
    { name: 'quota get', args: ['-A'] },
    { name: 'no such command' },
  ])
    await assert.rejects(session.named(command), { name: 'SessionFault', code: 'unsendable' });
  const created = session.named({ user: 'alice', name: 'mailbox create', args: ['New'] });
  const sent = await peer.receive((bytes) => bytes.includes('mailbox create'));
  assert.doesNotMatch(sent.toString(), /-A|\tuser\t|no such/);
  peer.send('\n+\n');
  assert.deepEqual(await created, []);
});
