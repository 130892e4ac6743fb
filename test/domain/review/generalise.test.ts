// Goal: values become lists when they are few, users their domain; and no condition is made of what was not always met.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectOf, type Narrowness, userPattern, whereFor } from '../../../src/domain/review/generalise.js';
import { formatValue } from '../../../src/domain/review/policy-text.js';
import { recordedMs } from './recording.js';
import { attemptsOf } from './seeing.js';

function where(narrowness: Narrowness, ...lines: string[]): string {
  const uses = attemptsOf(...lines).map((attempt) => ({ attempt, firstMs: recordedMs }));
  const plain = whereFor(uses, narrowness);
  return plain === undefined ? 'none' : formatValue(plain);
}

void test('what only reads needs no condition, but fetch its fields', () => {
  assert.equal(where('narrow', 'mailbox list -s INBOX', 'mailbox list'), 'none');
  assert.equal(where('narrow', 'search mailbox INBOX seen'), 'none');
  assert.equal(where('narrow', 'fetch "uid flags" all', 'fetch uid seen'), '{ field: [flags, uid] }');
  assert.equal(where('none', 'fetch "uid flags" all'), 'none');
});

void test('what changes something is held to what was seen: always, sometimes, never', () => {
  assert.equal(where('narrow', 'mailbox create A', 'mailbox create B'), '{ mailbox: [A, B] }');
  assert.equal(
    where('narrow', 'mailbox create -s A', 'mailbox create A'),
    '{ subscriptions: any, mailbox: [A] }',
  );
  assert.equal(where('narrow', 'mailbox create -s A'), '{ subscriptions: present, mailbox: [A] }');
  const many = Array.from({ length: 9 }, (_, at) => `mailbox create Folder${at}`);
  assert.equal(where('narrow', ...many), '{ mailbox: present }');
  assert.equal(where('named', ...many), 'none');
});

void test('an option that was not always given is optional; numbers become bounds', () => {
  assert.equal(
    where('narrow', 'mailbox update --min-next-uid 5 A', 'mailbox update A'),
    '{ min-next-uid: { one_of: ["5"], optional: true }, mailbox: [A] }',
  );
  const many = Array.from({ length: 9 }, (_, at) => `mailbox update --min-next-uid ${at * 7 + 2} A`);
  assert.equal(where('narrow', ...many), '{ min-next-uid: { at_least: "2", at_most: "58" }, mailbox: [A] }');
});

void test('a star of a value is not a wildcard of the rule', () => {
  assert.equal(where('narrow', 'force-resync *'), '{ mailbox-mask: { regex: "\\\\*" } }');
  assert.equal(
    where('narrow', 'force-resync A/*', 'force-resync B.c'),
    '{ mailbox-mask: { regex: "A\\\\/\\\\*|B\\\\.c" } }',
  );
});

void test('what must be named is named, also in what only reads', () => {
  assert.equal(where('named', 'stats dump'), 'none');
  assert.equal(where('named', 'stats dump --reset', 'stats dump --reset'), '{ reset: present }');
  assert.equal(
    where('named', 'copy A user bob@example.com all', 'copy B user eve@example.com all'),
    '{ source-user: ["*@example.com"] }',
  );
});

void test('masks of users stand for themselves, users for their domain', () => {
  assert.equal(
    where('narrow', 'who *@example.com', 'who bob@example.net'),
    '{ mask: ["*@example.com", "*@example.net"] }',
  );
  assert.equal(userPattern('bob@example.com'), '*@example.com');
  assert.equal(userPattern('bob'), 'bob');
});

void test('a word that is known by its digest only is written nowhere', () => {
  const plain = where('narrow', 'mailbox metadata set INBOX /private/x hmac:0123456789abcdef');
  assert.match(plain, /value: present/);
  assert.doesNotMatch(plain, /hmac/);
});

void test('the effect is that of the strongest line', () => {
  const uses = attemptsOf('stats dump', 'stats dump --reset').map((attempt) => ({ attempt, firstMs: 0 }));
  assert.equal(effectOf(uses.slice(0, 1)), 'read');
  assert.equal(effectOf(uses), 'destroy');
});
