import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../../src/domain/language/commands/catalog.js';
import { replyRows, replyShape } from '../../../../src/domain/language/meaning/columns.js';
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

/** Undefined: the first cells decide. */
function cellsOf(series: Series, line: string[]): number | undefined {
  const rows = replyRows(accept(series, line));
  return rows?.decidedBy === 0 ? rows.shapeFrom([])?.columns.length : undefined;
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
      assert.equal(rows?.decidedBy, 10);
      for (const [releases, row, cells] of rowsOfAll) {
        const shape = rows.shapeFrom(row.split(' ').slice(0, rows.decidedBy));
        assert.equal(shape?.columns.length, cells, releases);
        assert.equal(shape.columns[cells === 11 ? 3 : 4]?.key, cells === 11 ? 'deleted' : 'uidvalidity');
      }
      assert.equal(rows.shapeFrom(`INBOX 3 0 1 1 4 99 3 7 1200 ${guid}`.split(' ')), undefined);
      assert.equal(rows.shapeFrom(['INBOX', '3']), undefined);
      assert.equal(rows.shapeFrom([])?.columns.length, 10, 'no row at all');
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
