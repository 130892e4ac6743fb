// Goal: each user of a list once, by the name that the server makes of it; a line that is no name stops nobody else.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bareNameAmongOthers,
  linesOf,
  listSourceOf,
  makeUserList,
  readNames,
} from '../../../src/client/bulk/user-list.js';
import { openFolder } from '../../kit/plain/folder.js';

void test('two spellings of one user are one, of which the first is sent', () => {
  const names = 'Bob@Example.org bob alice BOB@example.ORG ALICE@example.org \u212a@x k@x'.split(' ');
  const { users, repeated, hash } = makeUserList(names, 'example.org', 'fold');
  const all = [...users];
  assert.deepEqual(all, [
    ['bob@example.org', 'Bob@Example.org'],
    ['alice@example.org', 'alice'],
    // Unicode folds these alike, and servers do not.
    ['\u212a@x', '\u212a@x'],
    ['k@x', 'k@x'],
  ]);
  assert.equal(repeated, 3);
  const same = ['bob@example.org', 'Alice', '\u212a@x', 'k@x'];
  assert.equal(makeUserList(same, 'example.org', 'fold').hash, hash);
  assert.notEqual(makeUserList(same.toReversed(), 'example.org', 'fold').hash, hash);
  const two = ['bob', 'bob@example.org'];
  assert.deepEqual([...makeUserList(two, '', 'fold').users.keys()], two);
  assert.notEqual(makeUserList(['ab', 'c'], '', 'fold').hash, makeUserList(['a', 'bc'], '', 'fold').hash);
});

void test('two users whose names differ in case only, where the server keeps it', () => {
  const { users, repeated } = makeUserList(['Bob', 'bob', 'Bob@Example.org', 'bob'], 'Example.org', 'keep');
  assert.deepEqual([...users.keys()], ['Bob@Example.org', 'bob@Example.org']);
  assert.equal(repeated, 2);
});

void test('only where both kinds of names stand in a list is the server asked about them', () => {
  assert.equal(bareNameAmongOthers(['a', 'b']), undefined);
  assert.equal(bareNameAmongOthers(['a@x', 'b@x']), undefined);
  assert.equal(bareNameAmongOthers(['a@x', 'b\x07', 'c']), 'c');
});

void test('a mask has a star or a question mark, and no slash', () => {
  for (const mask of ['*', '*@example.org', 'a?c'])
    assert.deepEqual(listSourceOf(mask), { kind: 'mask', mask });
  for (const path of ['-', 'list', './a*', '/srv/lists/?'])
    assert.deepEqual(listSourceOf(path), { kind: 'file', path });
});

void test('lines: blanks, comments and CR are left out; a stop ends the reading', async (t) => {
  const path = join(openFolder(t), 'list');
  writeFileSync(path, '# all\r\n\r\n  bob@x \r\nalice@x');
  const stop = new AbortController();
  const read = async (file: string, signal: AbortSignal): Promise<string> => {
    const names: string[] = [];
    for await (const name of linesOf(file, signal)) names.push(name);
    return names.join(' ');
  };
  assert.equal(await read(path, stop.signal), 'bob@x alice@x');
  stop.abort(new Error('stopped'));
  await assert.rejects(read(path, stop.signal), /stopped/);
  await assert.rejects(read(`${path}.none`, new AbortController().signal), /cannot be read/);
});

void test('a list that never ends, and a line that never ends, are given up', async () => {
  const { signal } = new AbortController();
  let given = 0;
  async function* forever(): AsyncGenerator<string> {
    for (;;) yield await Promise.resolve(`user${(given += 1)}`);
  }
  await assert.rejects(readNames(forever(), 3), /more than 3 lines/);
  assert.equal(given, 4);
  await assert.rejects(readNames(linesOf('/dev/zero', signal)), /cannot be read/);
});
