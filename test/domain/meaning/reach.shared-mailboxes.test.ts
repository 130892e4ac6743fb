import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, type Series } from '../../../src/domain/commands/catalog.js';
import { sharedReach } from '../../../src/domain/meaning/reach.js';
import { accept } from '../commands/reading.js';

const prefixes = ['shared/', 'Public/'];

/** The parameter that reaches, with the prefixes said; `+` in front: only when they are not said. */
const rows: [line: string[], reaches: string, only?: Series][] = [
  // Measured on 2.3.19.1 and 2.4.1: it lists what others have shared, as `*` does.
  [['mailbox list'], 'mailbox-mask'],
  [['mailbox list', '-s'], 'mailbox-mask'],
  [['mailbox list', 'Trash*'], ''],
  [['mailbox list', 'shared/eve/INBOX'], 'mailbox-mask'],
  [['mailbox list', 'SHARED/eve'], 'mailbox-mask'],
  [['mailbox list', '*'], 'mailbox-mask'],
  [['mailbox list', '%'], 'mailbox-mask'],
  [['mailbox list', 's%'], 'mailbox-mask'],
  [['mailbox list', 'sh*/x'], 'mailbox-mask'],
  [['mailbox list', 'INBOX', 'Pub*'], 'mailbox-mask'],
  [['mailbox list', 'Sent*'], ''],
  [['mailbox status', 'messages', 'INBOX'], ''],
  [['mailbox status', 'messages', '*'], 'mailbox-mask'],
  [['mailbox delete', 'shared'], 'mailbox'],
  [['mailbox delete', 'shared/eve'], 'mailbox'],
  [['mailbox delete', 'sharedx'], ''],
  [['mailbox delete', 'INBOX/shared/x'], ''],
  [['mailbox rename', 'Old', 'Public/x'], 'new-name'],
  [['mailbox create', '*'], ''],
  [['copy', 'shared/eve/INBOX', 'mailbox', 'INBOX'], 'destination-mailbox'],
  [['copy', 'Dst', 'mailbox', 'shared/eve'], 'query'],
  [['search', 'all'], '+query'],
  [['search', 'mailbox', 'INBOX', 'seen'], ''],
  [['search', 'mailbox', 'INBOX', 'or', 'seen'], '+query'],
  [['search', 'not', 'mailbox', 'INBOX'], '+query'],
  [['search', 'mailbox', '*'], 'query'],
  [['search', 'mailbox', 'Trash*'], ''],
  [['search', 'mailbox', 'INBOX', 'mailbox-guid', 'x'], 'query'],
  [['search', 'mailbox', 'INBOX', 'not', 'mailbox', 'shared/eve'], 'query'],
  [['search', '(', 'mailbox', 'A', 'or', 'mailbox', 'Public/x', ')', 'all'], 'query'],
  [['fts rescan', 'shared/'], 'namespace'],
  [['fts rescan'], ''],
  [['sync', '-N', '--', 'x'], 'all-namespaces'],
  [['sync', '-g', '0123456789abcdef0123456789abcdef', '--', 'x'], 'mailbox-guid'],
  [['quota get'], ''],
  [['save', '-m', 'shared/x'], 'mailbox'],
  [['indexer add', 'bob', 'shared/x'], 'mailbox', '2.4'],
];

for (const [line, reaches, only] of rows) {
  for (const series of only === undefined ? allSeries : [only]) {
    test(`${series}: ${line.join(' ')}: ${reaches === '' ? 'stays at home' : `reaches by ${reaches}`}`, () => {
      const parsed = accept(series, line);
      const known = reaches.startsWith('+') ? '' : reaches;
      assert.equal(sharedReach(parsed, prefixes) ?? '', known);
      assert.equal(sharedReach(parsed, undefined) ?? '', reaches.replace('+', ''));
      assert.equal(sharedReach(parsed, []), undefined);
    });
  }
}

test('a prefix inside another mailbox is reached from above', () => {
  const parsed = accept('2.4', ['mailbox delete', '-r', 'INBOX']);
  assert.equal(sharedReach(parsed, ['INBOX/shared/']), 'mailbox');
  assert.equal(sharedReach(parsed, ['INBOXES/shared/']), undefined);
});
