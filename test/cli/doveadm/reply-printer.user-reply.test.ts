import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseUserList,
  printUserReply,
  type UserReplyOptions,
} from '../../../src/cli/doveadm/reply-printer.js';

function printed(json: string, options: Partial<UserReplyOptions> = {}): string {
  let text = '';
  printUserReply(json, { format: undefined, hidesTitles: false, field: undefined, ...options }, (piece) => {
    text += piece.toString();
  });
  return text;
}

const one = '{"alice":{"uid":"5000","home":"/h"}}';

void test('the reply of user, as the real program prints it', () => {
  assert.equal(printed('{"userList":["a","b"]}'), 'a\nb\n');
  assert.equal(printed(one), 'field\tvalue\nuid\t5000\nhome\t/h\n');
  assert.equal(printed(one, { field: 'home' }), '/h\n');
  assert.equal(printed(one, { format: 'json' }), `${one}\n`);
  assert.equal(
    printed('{"nobody":{"error":"userdb lookup: failed"}}'),
    "field\tvalue\n\nuserdb lookup: user nobody doesn't exist\n",
  );
  assert.equal(printed('no JSON'), 'no JSON\n');
});

void test('a list of users is told from anything else', () => {
  assert.deepEqual(parseUserList('{"userList":["a"]}'), ['a']);
  for (const json of ['', '[]', '{}', '{"userList":"a"}', one])
    assert.equal(parseUserList(json), undefined, json);
});
