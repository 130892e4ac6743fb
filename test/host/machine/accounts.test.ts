// Goal: names and numbers of users and groups, as a program gets them that serves nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gidOf, uidOf, userNameOf } from '../../../src/host/machine/accounts.js';
import { me, myUid } from '../../kit/plain/me.js';

void test('names of the system, and their numbers', () => {
  assert.equal(uidOf('root'), 0);
  assert.equal(gidOf('root'), 0);
  assert.equal(uidOf(me), myUid);
  assert.equal(userNameOf(0), 'root');
});

void test('a number is itself, as far as the kernel has such a user', () => {
  for (const of of [uidOf, gidOf]) {
    assert.equal(of('0'), 0);
    assert.equal(of('4711'), 4711);
    assert.equal(of('4294967294'), 4_294_967_294);
    // To the kernel this one means "leave it as it is", and there is nothing above it.
    assert.equal(of('4294967295'), undefined);
    assert.equal(of('9999999999'), undefined);
  }
});

void test('nobody has such a name', () => {
  for (const name of [
    '',
    'no-such-name-here',
    'root:x',
    '-1',
    '0x0',
    ' root',
    'root\n',
    '--help',
    '99999999999',
  ]) {
    assert.equal(uidOf(name), undefined, JSON.stringify(name));
    assert.equal(gidOf(name), undefined, JSON.stringify(name));
  }
  assert.equal(userNameOf(4_294_967_294), undefined);
});
