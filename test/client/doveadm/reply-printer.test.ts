import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReplyPrinter, parseUserList } from '../../../src/client/doveadm/reply-printer.js';
import type { Format } from '../../../src/client/doveadm/row-printer.js';
import { readTypedCommand } from '../../../src/doveadm/commands/typed-command.js';
import { replyRowsAt } from '../../../src/doveadm/meaning/columns.js';

/** What is printed of the JSON that a server sends for `user ...`, and what goes to stderr. */
function printed(line: string, json: string, format?: Format): string {
  let text = '';
  const { parsed } = readTypedCommand(['user', ...line.split(' ')]);
  const options = { format, hidesTitles: false, hasUsers: false };
  const printer = createReplyPrinter(
    parsed,
    options,
    (piece) => void (text += piece.toString()),
    (complaint) => void (text += `stderr: ${complaint}\n`),
  );
  printer.piece({ bytes: Buffer.from(json), endsCell: true });
  printer.end();
  return text;
}

const alice = '"alice":{"uid":"5000","home":"/a"}';
const bob = '"bob":{"uid":"5001","home":"/b"}';
const list = '{"userList":["a","b"]}';

void test('the reply of user: rows of fields and values, with the name where several were asked for', () => {
  const fields = '[{"field":"uid","value":"5000"},{"field":"home","value":"/a"}]';
  assert.equal(printed('alice', `{${alice}}`), 'field\tvalue\nuid\t5000\nhome\t/a\n');
  assert.equal(printed('alice', `{${alice}}`, 'json'), fields);
  assert.equal(printed('alice', `{${alice}}`, 'table'), 'field value\nuid   5000\nhome  /a\n');
  const rows = 'alice\tuid\t5000\nalice\thome\t/a\nbob\tuid\t5001\nbob\thome\t/b\n';
  assert.equal(printed('alice bob', `{${alice},${bob}}`), `Username\tfield\tvalue\n${rows}`);
});

void test('the reply of user: values only, by -f and -e', () => {
  assert.equal(printed('-f home alice', '{"alice":{"home":"/a"}}'), '/a\n');
  assert.equal(printed('-f home alice', '{"alice":{"home":"/a"}}', 'json'), '[{"value":"/a"}]');
  assert.equal(printed('-f none alice', '{"alice":{}}'), '');
  assert.equal(printed('-e %{home} alice', '{"alice":{"%{home}":"/a"}}'), '/a\n');
  assert.equal(printed('-f home alice bob', '{"alice":{},"bob":{"home":"/b"}}'), 'bob /b\n');
});

void test('the reply of user: names; who is missing; anything else', () => {
  assert.equal(printed('a* b*', list), 'a\nb\n');
  assert.equal(printed('*', list, 'json'), '[{"username":"a"},{"username":"b"}]');
  assert.equal(printed('*', list, 'tab'), 'username\na\nb\n');
  assert.equal(
    printed('nobody alice', '{"nobody":{"error":"userdb lookup: failed"},"alice":{"uid":"5"}}'),
    'Username\tfield\tvalue\nalice\tuid\t5\nstderr: No such user: nobody\n',
  );
  assert.equal(printed('alice', 'no JSON'), 'no JSON\n');
});

void test('a list of users is told from anything else', () => {
  assert.deepEqual(parseUserList('{"userList":["a"]}'), ['a']);
  for (const json of ['', '[]', '{}', '{"userList":"a"}', `{${alice}}`])
    assert.equal(parseUserList(json), undefined, json);
});

// Goal: a reply whose cells are no rows is shown and said, whatever the format; the next user's row begins anew.
void test('replies that are no whole rows', () => {
  for (const format of ['table', 'tab', 'json', 'flow', 'pager', undefined] as const)
    for (const [line, cells] of [
      ['quota|get', ['odd']],
      ['quota|get', ['a', 'STORAGE', 'c', 'd', 'e', 'odd']],
      // Whole rows of five, if a row had five.
      ['quota|get', 'Mail STORAGE 1 10 10 odd '.repeat(5).trim().split(' ')],
      ['mailbox|status|all|*', ['odd']],
      ['log|errors', ['odd']],
      ['user|bob', ['odd']],
      ['expunge|mailbox|INBOX|seen', ['odd']],
    ] as const) {
      let text = '';
      const { parsed } = readTypedCommand(line.split('|'));
      const options = { format, hidesTitles: false, hasUsers: true };
      const sink = (piece: Buffer | string): void => void (text += piece.toString());
      const printer = createReplyPrinter(parsed, options, sink, assert.fail);
      printer.begin('alice', 3, parsed);
      for (const cell of cells) printer.piece({ bytes: Buffer.from(cell), endsCell: true });
      const why = /the last row has 1 of|has cells|no known release|is not the whole/;
      assert.match(printer.endReply() ?? '', why, line);
      if (parsed.command.name === 'quota get') {
        printer.begin('bob', 3, parsed);
        for (const cell of ['a', 'STORAGE', 'c', 'd', 'e'])
          printer.piece({ bytes: Buffer.from(cell), endsCell: true });
        assert.equal(printer.endReply() === undefined, cells.length < 10);
      }
      printer.end();
      assert.match(text, /odd/, `${line} ${format}`);
      if (format === 'json' && parsed.command.name !== 'user')
        assert.ok(Array.isArray(JSON.parse(text)), text);
    }
});

// Goal: columns that depend on a release which dovegate does not tell are known from the first cells, as far as these tell it.

/** The keys of the columns; undefined: no cell decides them. */
function columns(
  line: string,
  cells: readonly string[],
  serverMinor: number | undefined = 3,
): string | undefined {
  const { parsed } = readTypedCommand(line.split('|'));
  const rows = replyRowsAt(serverMinor, parsed);
  if (rows === undefined || rows.decidedBy === 0) return undefined;
  return rows
    .shapeFrom(cells.slice(0, rows.decidedBy))
    ?.columns.map(({ key }) => key)
    .join(' ');
}

void test('who -1: the fifth cell is an address, or the next user', () => {
  const old = 'username service pid ip';
  const row = ['bob@example.org', 'imap', '12', '192.0.2.1'];
  assert.equal(columns('who|-1', row), old);
  assert.equal(columns('who|-1', [...row, 'alice@example.org', 'imap']), old);
  for (const fifth of ['192.0.2.9', '2001:db8::1', ''])
    assert.equal(columns('who|-1', [...row, fifth]), `${old} dest_ip`);
  assert.equal(columns('who|-1', []), `${old} dest_ip`);
});

void test('kick: how many, or whose', () => {
  assert.equal(columns('kick|bob', ['2']), 'count');
  assert.equal(columns('kick|bob', ['bob@example.org']), 'result');
  assert.equal(columns('kick|bob', []), 'count');
});

void test('mailbox status all: where the GUID stands', () => {
  const cells = ['INBOX', '1', '0', '2', '3', '0', '4', '5', 'ab'.repeat(16), '0'];
  assert.ok(!columns('mailbox status|all|*', cells)?.includes('deleted'));
  assert.ok(columns('mailbox status|all|*', cells.toSpliced(3, 0, '0'))?.includes('deleted'));
});

void test('a server that says what it is has the columns of its series', () => {
  assert.equal(columns('who|-1', [], 4), 'username service pid ip dest_ip');
  assert.equal(columns('mailbox list', []), undefined);
});
