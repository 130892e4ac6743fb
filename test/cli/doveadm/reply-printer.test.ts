import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseUserList,
  printUserReply,
  rowsOf,
  type UserReplyOptions,
} from '../../../src/cli/doveadm/reply-printer.js';
import { readTypedCommand } from '../../../src/cli/doveadm/typed-command.js';
import { statusFields } from '../../../src/domain/commands/catalog.js';
import { lateFieldSets } from '../../../src/protocol/releases.js';

function printed(json: string, options: Partial<UserReplyOptions> = {}): string {
  let text = '';
  printUserReply(json, { format: undefined, hidesTitles: false, field: undefined, ...options }, (piece) => {
    text += piece.toString();
  });
  return text;
}

const one = '{"alice":{"uid":"5000","home":"/h"}}';

void test('the reply of user, as the real program prints it', () => {
  assert.equal(printed('{"userList":["a","b"]}'), 'a\nb\n');
  assert.equal(printed(one), 'field\tvalue\nuid\t5000\nhome\t/h\n');
  assert.equal(printed(one, { field: 'home' }), '/h\n');
  assert.equal(printed(one, { format: 'json' }), `${one}\n`);
  assert.equal(
    printed('{"nobody":{"error":"userdb lookup: failed"}}'),
    "field\tvalue\n\nuserdb lookup: user nobody doesn't exist\n",
  );
  assert.equal(printed('no JSON'), 'no JSON\n');
});

void test('a list of users is told from anything else', () => {
  assert.deepEqual(parseUserList('{"userList":["a"]}'), ['a']);
  for (const json of ['', '[]', '{}', '{"userList":"a"}', one])
    assert.equal(parseUserList(json), undefined, json);
});

// Goal: columns that depend on a release which dovegate does not tell are known from the first cells, as far as these tell it.

/** The keys of the columns; undefined: no cell decides them. */
function columns(
  line: string,
  cells: readonly string[],
  serverMinor: number | undefined = 3,
): string | undefined {
  const { parsed } = readTypedCommand(line.split('|'));
  const rows = rowsOf(parsed, serverMinor);
  if (rows === undefined || rows.decidedBy === 0) return undefined;
  return rows
    .shapeFrom(cells.slice(0, rows.decidedBy))
    ?.columns.map(({ key }) => key)
    .join(' ');
}

void test('who -1: the fifth cell is an address, or the next user', () => {
  const old = 'username service=proto pid ip'.replace('service=proto', 'service');
  const row = ['bob@example.org', 'imap', '12', '192.0.2.1'];
  assert.equal(columns('who|-1', row), old);
  assert.equal(columns('who|-1', [...row, 'alice@example.org', 'imap']), old);
  assert.equal(columns('who|-1', [...row, '192.0.2.9']), `${old} dest_ip`);
  assert.equal(columns('who|-1', [...row, '2001:db8::1']), `${old} dest_ip`);
  assert.equal(columns('who|-1', [...row, '']), `${old} dest_ip`);
  assert.equal(columns('who|-1', []), `${old} dest_ip`);
  assert.equal(columns('who', row), undefined);
});

void test('kick: how many, or whose', () => {
  assert.equal(columns('kick|bob', ['2']), 'count');
  assert.equal(columns('kick|bob', ['bob@example.org']), 'result');
  assert.equal(columns('kick|bob', []), 'count');
});

void test('log errors: the fraction of the second, the colon of the prefix', () => {
  const isOld = (time: string, prefix: string): boolean => {
    const { parsed } = readTypedCommand(['log', 'errors']);
    return rowsOf(parsed, 3)?.shapeFrom([time, prefix])?.template?.includes('prefix}: ') === true;
  };
  assert.equal(isOld('Nov 20 15:18:31', 'doveadm(17087)'), true);
  assert.equal(isOld('Nov 20 15:18:39.403534', 'doveadm(18052): '), false);
  assert.equal(isOld('Nov 20 15:18:39.403534', ''), false);
});

void test('mailbox status all: where the GUID stands', () => {
  const cells = ['INBOX', '1', '0', '2', '3', '0', '4', '5', 'ab'.repeat(16), '0'];
  assert.ok(!columns('mailbox status|all|*', cells)?.includes('deleted'));
  assert.ok(columns('mailbox status|all|*', cells.toSpliced(3, 0, '0'))?.includes('deleted'));
});

void test('mailbox status all: the row of each release tells its columns, also where it is the only one', () => {
  assert.equal(lateFieldSets.length, 2);
  for (const late of lateFieldSets) {
    const shown = statusFields.filter(
      (field) => late.includes(field) || !lateFieldSets.flat().includes(field),
    );
    const keys = ['mailbox', ...shown];
    const cells = keys.map((key) => (key === 'guid' ? 'ab'.repeat(16) : '7'));
    for (const minor of [undefined, 2, 3, 4, 5]) {
      assert.equal(columns('mailbox status|all|*', cells, minor), keys.join(' '), String(minor));
      assert.equal(
        columns('mailbox status|all|*', [...cells, ...cells], minor),
        keys.join(' '),
        String(minor),
      );
    }
  }
});

void test('a server that says what it is needs no guess', () => {
  for (const minor of [2, 4]) assert.equal(columns('who|-1', [], minor), undefined);
  assert.equal(columns('quota get', []), undefined);
});
