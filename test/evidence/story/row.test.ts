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
  const look = (action: string, args: readonly string[]) => deedOf({ event: 'operator', action, args });
  assert.equal(look('audit-show', ['wanted=01M8']), 'looked at one id 01M8');
  assert.equal(
    look('audit-search', ['user=a@b', 'as=histogram', 'before=7']),
    'searched the trail user=a@b (counted over time) (older than record 7)',
  );
  assert.equal(deedOf({ event: 'operator', action: 'drain', args: ['before=7'] }), 'drain before=7');
});

void test('a step of access is named by what was done, by whom and for whom, and leads to its request', () => {
  const [asked = assert.fail(), approved = assert.fail(), granted = assert.fail()] = grantRecords('G1', 0);
  for (const record of [
    asked,
    approved,
    granted,
    over('revoked', 'G1', 0),
    over('refused', 'G1', 0, 'request'),
  ])
    assert.equal(requestOf(stored(record)), 'G1');
  assert.equal(recordTitle({ fields: stored(asked) }), 'Access on request: requested, bob@support');
  assert.equal(
    recordTitle({ fields: stored(approved) }),
    'Access on request: approved by carol@leads, bob@support',
  );
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
  assert.deepEqual(decisionsOf(item, 'carol'), [
    { what: 'approved', time: '1' },
    { what: 'revoked', time: '3' },
  ]);
  assert.deepEqual(
    decisionsOf(item, undefined).map(({ time }) => time),
    ['1', '2', '3'],
  );
  const withdrawn = { ...item, approved_by: [], end: { ...item.end, by: 'anna@desk' } };
  assert.deepEqual(decisionsOf(withdrawn, 'anna@desk'), []);
  assert.deepEqual(decisionsOf({ ...withdrawn, given_by: 'ops' }, 'ops'), [{ what: 'given', time: '2' }]);
});

void test('a hidden word is explained where one stands, and nowhere else', () => {
  for (const text of [`search subject hmac:${'0a'.repeat(32)}`, "search subject [secret] 'a b'"])
    assert.match(hiddenSentences(text).join(), /a hidden word .* is held by no record/);
  for (const text of ['', 'search subject hmac:12', 'mailbox list secret'])
    assert.deepEqual(hiddenSentences(text), []);
});
