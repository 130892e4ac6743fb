import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import { replyRows, replyShape } from '../../../src/doveadm/meaning/columns.js';
import { serverOf, serverOfRelease } from '../../../src/doveadm/protocol/releases.js';
import { accept } from '../commands/reading.js';
import { withoutArguments } from './parsed-command.js';

/** What real servers answered: release, line, cells of one row. */
const seen: [release: string, line: string[], cells: number][] = [
  ['2.3.13', ['quota get'], 5],
  ['2.3.19.1', ['quota get'], 5],
  ['2.4.1', ['quota get'], 5],
  ['2.4.5', ['quota get'], 5],
  ['2.3.13', ['mailbox status', '-t', 'messages vsize', '*'], 2],
  ['2.4.5', ['mailbox status', '-t', 'messages vsize', '*'], 2],
  ['2.4.1', ['mailbox path', 'INBOX'], 1],
  ['2.4.1', ['search', 'mailbox', 'INBOX', 'subject', 'first'], 2],
  [
    '2.3.19.1',
    ['fetch', 'uid flags size.physical hdr.subject hdr.none', 'mailbox', 'INBOX', 'uid', '1:3'],
    5,
  ],
  ['2.4.5', ['acl rights', 'INBOX'], 1],
  ['2.4.5', ['mailbox list'], 1],
];

/** Where there is no row yet. */
function cellsOf(series: Series, line: string[]): number | undefined {
  return replyRows(accept(series, line))?.shapeFrom([])?.columns.length;
}

for (const [release, line, cells] of seen) {
  test(`${release}: ${line.join(' ')}: ${cells} cells a row`, () => {
    const series: Series = release.startsWith('2.3') ? '2.3' : '2.4';
    assert.equal(cellsOf(series, line), cells);
  });
}

test('fields are counted once in mailbox status, as often as they stand in fetch', () => {
  assert.equal(cellsOf('2.3', ['mailbox status', 'guid guid messages', 'INBOX']), 3);
  assert.equal(cellsOf('2.4', ['mailbox status', '-t', 'all', 'INBOX']), 4);
  assert.equal(cellsOf('2.4', ['mailbox status', 'messages deleted', 'INBOX']), 3);
  assert.equal(cellsOf('2.3', ['fetch', 'uid uid flags', 'all']), 3);
});

test('a last column that came with some release: the form of the next row shows whether it is there', () => {
  const service = 'imap 1 0 100 200 0 0 0 0 0 y n'.split(' ');
  const user = 'bob@example.org none 00:01:02 - 12:00:00 -'.split(' ');
  for (const [line, older, last, without, having] of [
    [['service status'], service, '1', '2.3.7.2', '2.3.8'],
    [['replicator status', '*'], user, '101:59:59', '2.3.19.1', '2.3.20'],
  ] as const) {
    const rows = replyRows(accept('2.3', [...line]));
    const widthOf = (...first: string[]) => rows?.shapeFrom(first)?.columns.length;
    const newer = [...older, last];
    const widths = [older, [...older, ...older], newer, [...newer, ...newer], []].map((cells) =>
      widthOf(...cells),
    );
    assert.deepEqual(widths, [older.length, older.length, newer.length, newer.length, newer.length]);
    // A release that is named needs no form.
    for (const [release, width] of [
      [without, older.length],
      [having, newer.length],
    ] as const) {
      const known = replyRows(accept('2.3', [...line]), { server: serverOfRelease(release) });
      assert.equal(known?.shapeFrom([])?.columns.length, width, release);
    }
  }
  assert.equal(cellsOf('2.4', ['service status']), 13);
});

/** A row as it is, and where a newer Dovecot might have another column in it. */
const seenRows: readonly (readonly [line: string[], row: string])[] = [
  [['quota get'], 'Mail STORAGE 10 100 10'],
  [['search', 'all'], '0123456789abcdef0123456789abcdef 7'],
  [['mailbox cache remove', 'all'], 'INBOX 7 ok'],
  [['who'], 'bob 2 imap (12) (192.0.2.1)'],
  [['who', '-1'], 'bob imap 12 192.0.2.1 192.0.2.9'],
  [['service status'], 'imap 1 0 100 200 0 0 0 0 0 y n 1'],
  [['sieve list'], 'main ACTIVE'],
  [['acl get', 'INBOX'], 'user=bob global lookup'],
  [['dict iter', 'fs:posix', 'priv/a'], 'priv/a/b c'],
];

test('a column too many is seen, first or last, also where the cells make whole rows', () => {
  for (const [line, row] of seenRows) {
    const rows = replyRows(accept('2.4', line));
    const cells = row.split(' ');
    const shapeOfRow = (one: string[]) => {
      const all = Array.from({ length: cells.length }, () => one).flat();
      return rows?.shapeFrom(all.slice(0, rows.decidedBy));
    };
    assert.equal(shapeOfRow(cells)?.columns.length, cells.length, row);
    assert.equal(shapeOfRow([...cells, 'new']), undefined, `${row} new`);
    assert.equal(shapeOfRow(['new', ...cells]), undefined, `new ${row}`);
  }
});

test('the rows of a Dovecot newer than those known here are known where another column would be seen', () => {
  for (const server of [serverOf(5), serverOfRelease('2.4.6')])
    for (const [line, isKnown] of [
      [['quota get'], true],
      [['search', 'all'], true],
      [['fetch', 'uid flags', 'all'], true],
      [['mailbox status', 'messages', '*'], true],
      [['mailbox status', 'all', '*'], true],
      [['mailbox create', 'New'], true],
      [['mailbox list'], false],
      [['mailbox metadata get', 'INBOX', '/private/comment'], false],
    ] as const)
      assert.equal(replyRows(accept('2.4', [...line]), { server }) !== undefined, isKnown, line.join(' '));
  assert.ok(replyRows(accept('2.4', ['mailbox list']), { server: serverOf(4) }));
});

const guid = '0123456789abcdef0123456789abcdef';
/** First rows as real servers sent them. */
const rowsOfAll: readonly (readonly [releases: string, row: string, cells: number])[] = [
  ['2.3.13 to 2.4.1', `INBOX 3 0 4 99 3 7 1200 ${guid} 1700000000`, 10],
  ['2.4.2 and newer', `INBOX 3 0 1 4 99 3 7 1200 ${guid} never`, 11],
  // The name of a mailbox may look like a GUID.
  ['2.4.1', `${guid} 3 0 4 99 3 7 1200 ${guid} ${'1'.repeat(32)}`, 10],
];

test('mailbox status all: the place of the GUID shows the fields of the release, whatever the series is said to be', () => {
  for (const series of allSeries)
    for (const fields of ['all', 'all messages', 'vsize all']) {
      const rows = replyRows(accept(series, ['mailbox status', fields, '*']));
      assert.ok(rows);
      for (const [releases, row, cells] of rowsOfAll) {
        const shape = rows.shapeFrom(row.split(' ').slice(0, rows.decidedBy));
        assert.equal(shape?.columns.length, cells, releases);
        assert.equal(shape.columns[cells === 11 ? 3 : 4]?.key, cells === 11 ? 'deleted' : 'uidvalidity');
      }
      assert.equal(rows.shapeFrom(`INBOX 3 0 1 1 4 99 3 7 1200 ${guid}`.split(' ')), undefined);
      assert.equal(rows.shapeFrom([])?.columns.length, 11, 'no row at all');
    }
});

test('every mail command has a number, but for those that print no rows of their own', () => {
  const without = ['batch', 'dsync-server', 'mail dict get', 'mail dict iter'];
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      if (command.scope === 'server' || command.name === 'fetch' || command.name === 'mailbox status')
        continue;
      const parsed = withoutArguments(command, series);
      assert.equal(replyRows(parsed) === undefined, without.includes(command.name), command.name);
    }
  }
});

void test('columns are called as the real program calls them', () => {
  const titles = (series: Series, words: string[]): string | undefined =>
    replyShape(accept(series, words))
      ?.columns.map(({ title, isTitleHidden }) => (isTitleHidden ? `(${title})` : title))
      .join('|');
  assert.equal(titles('2.4', ['quota get']), 'Quota name|Type|Value|Limit|%');
  assert.equal(titles('2.4', ['mailbox list']), '(mailbox)');
  assert.equal(titles('2.4', ['sync', '-s', '', 'tcp:mail2:1']), '(state)');
  assert.equal(titles('2.4', ['mailbox status', 'vsize messages', '*']), '(mailbox)|messages|vsize');
  assert.equal(titles('2.4', ['mailbox status', '-t', 'vsize messages', '*']), 'messages|vsize');
  assert.equal(titles('2.4', ['fetch', 'UID hdr.Subject', 'all']), 'uid|hdr.subject');
  assert.equal(titles('2.4', ['mailbox create', 'x']), '');
  assert.equal(titles('2.4', ['who']), 'username|#|service|(pids)|(ips)');
  assert.equal(titles('2.3', ['who', '-1']), 'username|proto|pid|ip');
  assert.equal(titles('2.4', ['who', '-1']), 'username|service|pid|ip|dest_ip');
  assert.equal(titles('2.4', ['mailbox cryptokey list', '-U']), 'Folder|Active|Public ID');
  assert.equal(titles('2.4', ['stats dump', '-f', 'count sum']), 'metric_name|field|count|sum');
  assert.equal(titles('2.4', ['user', 'alice']), undefined);
});
