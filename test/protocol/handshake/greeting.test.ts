import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPlain, readPlain } from '../../../src/protocol/handshake/greeting.js';

const lineOfPlain = (decoded: string | Uint8Array): Buffer =>
  Buffer.from(`PLAIN\t${Buffer.from(decoded).toString('base64')}`);

void test('the line that the real client sends', () => {
  const plain = readPlain(Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV0'));
  assert.deepEqual(plain, { authzid: '', user: 'doveadm', password: Buffer.from('secret') });
  assert.equal(formatPlain('doveadm', Buffer.from('secret'))?.toString(), 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n');
});

void test('the password is all that follows, a NUL included', () => {
  assert.deepEqual(readPlain(lineOfPlain('\0doveadm\0secret\0junk'))?.password, Buffer.from('secret\0junk'));
  assert.equal(readPlain(lineOfPlain('\0doveadm\0'))?.password.length, 0);
});

void test('a NUL is not written: the server would end the name or the password there', () => {
  assert.equal(formatPlain('dove\0adm', Buffer.from('secret')), undefined);
  assert.equal(formatPlain('doveadm', Buffer.from('sec\0ret')), undefined);
});
