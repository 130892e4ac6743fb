import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf, type Series } from '../../../src/domain/commands/catalog.js';
import { replyCells, replyShape } from '../../../src/domain/meaning/columns.js';
import { accept } from '../commands/reading.js';
import { withoutArguments } from './parsed-command.js';

/** What real servers answered: release, minor, line, cells of one row. */
const seen: [release: string, minor: number, line: string[], cells: number][] = [
  ['2.3.13', 2, ['quota get'], 5],
  ['2.3.19.1', 2, ['quota get'], 5],
  ['2.4.1', 3, ['quota get'], 5],
  ['2.4.5', 4, ['quota get'], 5],
  ['2.3.13', 2, ['mailbox status', 'all', '*'], 10],
  ['2.3.21.1', 2, ['mailbox status', 'all', '*'], 10],
  ['2.4.1', 3, ['mailbox status', 'all', '*'], 10],
  ['2.4.5', 4, ['mailbox status', 'all', '*'], 11],
  ['2.3.13', 2, ['mailbox status', '-t', 'messages vsize', '*'], 2],
  ['2.4.5', 4, ['mailbox status', '-t', 'messages vsize', '*'], 2],
  ['2.4.1', 3, ['mailbox path', 'INBOX'], 1],
  ['2.4.1', 3, ['search', 'mailbox', 'INBOX', 'subject', 'first'], 2],
  [
    '2.3.19.1',
    2,
    ['fetch', 'uid flags size.physical hdr.subject hdr.none', 'mailbox', 'INBOX', 'uid', '1:3'],
    5,
  ],
  ['2.4.5', 4, ['acl rights', 'INBOX'], 1],
  ['2.4.5', 4, ['mailbox list'], 1],
];

for (const [release, minor, line, cells] of seen) {
  test(`${release}: ${line.join(' ')}: ${cells} cells a row`, () => {
    const series: Series = release.startsWith('2.3') ? '2.3' : '2.4';
    assert.equal(replyCells(accept(series, line), minor), cells);
  });
}

test('fields are counted once in mailbox status, as often as they stand in fetch', () => {
  assert.equal(replyCells(accept('2.3', ['mailbox status', 'guid guid messages', 'INBOX']), 2), 3);
  assert.equal(replyCells(accept('2.3', ['mailbox status', 'all guid', 'INBOX']), 2), 10);
  assert.equal(replyCells(accept('2.4', ['mailbox status', 'all messages', 'INBOX']), 4), 11);
  assert.equal(replyCells(accept('2.4', ['mailbox status', '-t', 'all', 'INBOX']), undefined), 4);
  assert.equal(replyCells(accept('2.3', ['fetch', 'uid uid flags', 'all']), 2), 3);
});

test('unknown where the release decides and is not known', () => {
  assert.equal(replyCells(accept('2.4', ['mailbox status', 'all', 'INBOX']), undefined), undefined);
  assert.equal(replyCells(accept('2.4', ['mailbox status', 'messages', 'INBOX']), undefined), 2);
});

test('every mail command has a number, but for those that print no rows of their own', () => {
  const without = ['backup', 'batch', 'dsync-server', 'mail dict get', 'mail dict iter', 'sync'];
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      if (command.scope === 'server' || command.name === 'fetch' || command.name === 'mailbox status')
        continue;
      const parsed = withoutArguments(command, series);
      assert.equal(replyCells(parsed, 2) === undefined, without.includes(command.name), command.name);
    }
  }
});

void test('columns are called as the real program calls them', () => {
  const titles = (series: Series, words: string[], minor = 4): string | undefined =>
    replyShape(accept(series, words), minor)
      ?.columns.map(({ title, isTitleHidden }) => (isTitleHidden ? `(${title})` : title))
      .join('|');
  assert.equal(titles('2.4', ['quota get']), 'Quota name|Type|Value|Limit|%');
  assert.equal(titles('2.4', ['mailbox list']), '(mailbox)');
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
