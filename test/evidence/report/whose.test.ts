// Goal: each mail user whose content a command showed, or may have, is named once, with how often and to whom; a command for all users, a
// mask and a list that was cut are said as such; memory has a bound, and what is beyond it is counted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWhose } from '../../../src/evidence/report/whose.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { grantId } from '../review/recording.js';
import { bob, row } from './sent.js';

const text = 'fetch text mailbox INBOX all';

function whose(...rows: readonly ExchangeRow[]) {
  const book = createWhose();
  for (const one of rows) book.take(one);
  return book.finish();
}

const short = (...rows: readonly ExchangeRow[]) =>
  whose(...rows).owners.map(({ what, user, showed, searched, maybeShowed }) =>
    [what, user === undefined ? 'nobody' : 'one', showed, searched, maybeShowed].join(' '),
  );

void test('shown, searched and perhaps shown are told apart, and what showed nothing is nowhere', () => {
  const found = short(
    row(text),
    row(text),
    row('search body secret', { cells: 0 }),
    row(text, { outcome: 'unknown', cells: 0 }),
    row('dsync-server', { cells: undefined }, 'eve@example.com'),
    row('quota get'),
    row(text, { cells: 0 }),
    row(text, { decision: 'deny', sent: false, outcome: 'denied' }),
    row('search body secret', { for: 'E' }),
    { fields: { event: 'operator', action: 'drain' } },
  );
  assert.deepEqual(found, [`${bob} one 2 1 1`, 'eve@example.com one 1 0 0']);
});

void test('all users, a mask and what was cut are no one user', () => {
  const cut = row(text, { users: [bob, { cut: 'al', bytes: 900 }, { more: 3 }] });
  const masks = ['*', '*@example.com'].map((mask) => row(text, { users: [mask], user: undefined }));
  assert.deepEqual(short(...masks, cut), [
    '*@example.com (a mask) nobody 1 0 0',
    'all users nobody 1 0 0',
    'al… (not recorded whole) nobody 1 0 0',
    `${bob} one 1 0 0`,
    'users that were not recorded nobody 1 0 0',
  ]);
});

void test('of a copy, the mail of its source was shown', () => {
  const users = ['eve@example.com', bob];
  const line = 'copy Stolen user bob@example.com all';
  assert.deepEqual(short(row(line, { users, cells: 0 }, 'eve@example.com')), [`${bob} one 1 0 0`]);
});

void test('to whom, under how many grants, and when last', () => {
  const later = '2026-11-20T13:00:00.000Z';
  const [owner] = whose(row(text, { principal: 'dave@jobs', time: later, grant: grantId }), row(text)).owners;
  assert.deepEqual(owner?.requesters, ['dave@jobs', 'carol@support']);
  assert.deepEqual([owner.granted, owner.lastTime, owner.isMoreRequesters], [1, later, false]);
});

void test('users and requesters that are too many are counted, and a name that is too long is not held', () => {
  const one = row(text);
  const of = (more: object): ExchangeRow => ({ fields: { ...one.fields, ...more }, completedSeq: 2 });
  const book = createWhose();
  for (let at = 0; at < 1000 + 7; at += 1) {
    const user = `user${at}@example.com`;
    book.take(of({ user, users: [user] }));
  }
  const long = 'x'.repeat(400 + 1);
  book.take(of({ user: long, users: [long] }));
  for (let at = 0; at < 20 + 5; at += 1)
    book.take(of({ user: 'user3@example.com', users: ['user3@example.com'], principal: `p${at}@x` }));
  const { owners, further } = book.finish();
  assert.deepEqual([owners.length, further], [1000, 8]);
  assert.equal(owners[0]?.user, 'user3@example.com');
  assert.deepEqual([owners[0].requesters.length, owners[0].isMoreRequesters], [20, true]);
});
