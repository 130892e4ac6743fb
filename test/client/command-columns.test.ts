// How many cells a row has where the program does not say so: by the catalog, for commands that it knows; and what a program without
// types gets wrong about a command is told before anything is sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from '../../src/client/client-command.js';
import { columnsOf } from '../../src/client/command-columns.js';
import { openSession } from './opened.js';

const cases: readonly (readonly [words: string, minor: number | undefined, columns: number | undefined])[] = [
  ['quota get', 3, 5],
  ['quota get', 2, 5],
  ['quota get', undefined, 5],
  ['mailbox list', 3, 1],
  ['fetch|uid flags|mailbox|INBOX', 3, 2],
  ['fetch|--|uid flags|mailbox|INBOX', 2, 2],
  ['mailbox status|messages unseen|INBOX', 3, 3],
  ['search|mailbox|INBOX', 3, 2],
  ['save', 3, undefined],
  ['quota get|-A', 3, undefined],
  ['quota get|--bogus', 3, undefined],
  ['user|alice', 3, undefined],
  ['no such command', 3, undefined],
  ['', 3, undefined],
];

test('cells of a row by the catalog', () => {
  for (const [words, minor, columns] of cases) {
    const [name = '', ...args] = words.split('|');
    assert.equal(columnsOf(name, args, minor), columns, `${words} at minor ${minor}`);
  }
});

test('rows without columns being said, from run and from stream', async () => {
  const { session, peer } = openSession(0, { serverMinor: 3 });
  const ten = 'a\tb\tc\td\te\tf\tg\th\ti\tj\t\n+\n';
  const command = { user: 'alice', name: 'quota get' };
  const running = session.run(command);
  await peer.receive((bytes) => bytes.includes('quota get'));
  peer.send(ten);
  assert.deepEqual(
    (await running).map((row) => row.map(String)),
    [
      ['a', 'b', 'c', 'd', 'e'],
      ['f', 'g', 'h', 'i', 'j'],
    ],
  );
  const streamed = session.stream(command);
  await peer.receive((bytes) => bytes.toString().split('quota get').length === 3);
  peer.send(ten);
  let rows = 0;
  for await (const row of streamed) rows += row.length;
  assert.equal(rows, 10);
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
