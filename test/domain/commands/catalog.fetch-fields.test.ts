import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, fetchFieldClass } from '../../../src/domain/commands/catalog.js';

test('fields that tell of the mail as an object', () => {
  const names =
    'user mailbox mailbox-guid seq uid guid flags modseq size.physical size.virtual date.received date.sent date.saved';
  const more =
    'date.received.unixtime date.sent.unixtime date.saved.unixtime pop3.uidl pop3.order refcount storageid';
  for (const series of allSeries) {
    for (const field of `${names} ${more}`.split(' '))
      assert.equal(fetchFieldClass(series, field), 'plain', field);
  }
});

test('fields that show what it says', () => {
  const names =
    'hdr body body.preview body.snippet text text.utf8 imap.envelope imap.body imap.bodystructure hdr.subject hdr.x-spam';
  const more =
    'hdr.from.address hdr.to.address_name.utf8 hdr.subject.utf8 body.1 body.1.2.mime body.header body.text binary.1';
  for (const series of allSeries) {
    for (const field of `${names} ${more}`.split(' '))
      assert.equal(fetchFieldClass(series, field), 'content', field);
  }
  assert.equal(fetchFieldClass('2.4', 'mime.parts'), 'content');
});

test('fields that end the process of a server', () => {
  const names = [
    '',
    'bogus',
    'UID',
    'hdr.',
    'hdr.subject.',
    'hdr.subject.bogus',
    'hdr.a b',
    'hdr.a:b',
    'hdr.ü',
    'body.',
    'body.0x',
    'body.1.',
  ];
  for (const field of [
    ...names,
    'body.mime',
    'binary',
    'size',
    'date',
    'uid\t',
    'uid\n',
    'body.1\n',
    'all',
    'constructor',
    'toString',
  ]) {
    for (const series of allSeries) assert.equal(fetchFieldClass(series, field), undefined, field);
  }
  assert.equal(fetchFieldClass('2.3', 'mime.parts'), undefined);
});
