// Goal: a record beside those of commands says what it is, and a step of access which request it is about. What must not happen: a record
// that a view hides, or a forged one, is taken for a step.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decisionsOf,
  deedOf,
  hiddenSentences,
  recordTitle,
  requestOf,
} from '../../../src/evidence/story/row.js';
import { parseLine } from '../../../src/host/values/values.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { grantRecords, over } from '../../kit/plain/access-records.js';

const stored = (record: Parameters<typeof encodeBody>[0]) => parseLine(`{${encodeBody(record)}}`) ?? {};

void test('a look says in words what it was', () => {
  for (const [action, args, words] of [
    ['audit-show', 'wanted=01M8', 'looked at one id 01M8'],
    ['audit-search', 'user=a@b before=7', 'searched the trail user=a@b (older than record 7)'],
    ['audit-search', 'user=a@b as=histogram', 'searched the trail user=a@b (counted over time)'],
    ['drain', 'before=7', 'drain before=7'],
  ] as const)
    assert.equal(deedOf({ event: 'operator', action, args: args.split(' ') }), words);
});

void test('a step of access is named by what was done, by whom and for whom, and leads to its request', () => {
  const [asked = assert.fail(), approved = assert.fail(), granted = assert.fail()] = grantRecords('G1', 0);
  const ends = [over('revoked', 'G1', 0), over('refused', 'G1', 0, 'request')];
  for (const record of [asked, approved, granted, ...ends]) assert.equal(requestOf(stored(record)), 'G1');
  const titles = [asked, approved].map((record) => recordTitle({ fields: stored(record) }));
  const about = 'Access on request';
  assert.deepEqual(titles, [
    `${about}: requested, bob@support`,
    `${about}: approved by carol@leads, bob@support`,
  ]);
});

void test('a decision has its time, and withdrawing an own request is none', () => {
  const item = {
    to: 'anna@desk',
    granted: '2',
    approved_by: [
      { principal: 'carol@leads', time: '1' },
      { principal: 'dave@leads', time: '2' },
    ],
    end: { action: 'revoked', by: 'carol@leads', time: '3' },
  };
  const of = (...asked: Parameters<typeof decisionsOf>) =>
    decisionsOf(...asked)
      .map(({ what, time }) => `${what} ${time}`)
      .join(', ');
  assert.equal(of(item, 'carol'), 'approved 1, revoked 3');
  assert.equal(of(item, undefined), 'approved 1, approved 2, revoked 3');
  const withdrawn = { ...item, approved_by: [], end: { ...item.end, by: 'anna@desk' } };
  assert.equal(of(withdrawn, 'anna@desk'), '');
  assert.equal(of({ ...withdrawn, given_by: 'ops' }, 'ops'), 'given 2');
});

void test('a hidden word is explained where one stands, and nowhere else', () => {
  for (const text of [`search subject hmac:${'0a'.repeat(32)}`, "search subject [secret] 'a b'"])
    assert.match(hiddenSentences(text).join(), /a hidden word .* is held by no record/);
  for (const text of ['', 'search subject hmac:12', 'mailbox list secret'])
    assert.deepEqual(hiddenSentences(text), []);
});
