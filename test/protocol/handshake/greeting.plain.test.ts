import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatPlain, readPlain } from '../../../src/protocol/handshake/greeting.js';

const line = (decoded: string | Uint8Array): Buffer =>
  Buffer.from(`PLAIN\t${Buffer.from(decoded).toString('base64')}`);

void test('the line that the real client sends', () => {
  const plain = readPlain(Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV0'));
  assert.deepEqual(plain, { authzid: '', user: 'doveadm', password: Buffer.from('secret') });
  assert.equal(formatPlain('doveadm', Buffer.from('secret'))?.toString(), 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n');
});

void test('the password is all that follows, a NUL included', () => {
  assert.deepEqual(readPlain(line('\0doveadm\0secret\0junk'))?.password, Buffer.from('secret\0junk'));
  assert.equal(readPlain(line('\0doveadm\0'))?.password.length, 0);
});

void test('an authorization id is told', () => {
  assert.equal(readPlain(line('other\0doveadm\0secret'))?.authzid, 'other');
});

void test('anything else is no PLAIN line', () => {
  for (const bad of [
    Buffer.from(''),
    Buffer.from('PLAIN'),
    Buffer.from('PLAIN\t'),
    Buffer.from('PLAIN AGRvdmVhZG0Ac2VjcmV0'),
    Buffer.from('plain\tAGRvdmVhZG0Ac2VjcmV0'),
    Buffer.from('LOGIN\tAGRvdmVhZG0Ac2VjcmV0'),
    Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV0\t'),
    Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV0='),
    Buffer.from('PLAIN\tAGRvdmVhZG0Ac2Vjcm'),
    Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV='),
    Buffer.from('PLAIN\tAGRv dmVhZG0Ac2VjcmV0'),
    Buffer.from('PLAIN\t AGRvdmVhZG0Ac2VjcmV0'),
    Buffer.from('PLAIN\tAGRvdmVhZG0Ac2Vjc-_0'),
    Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV0\u1e00'),
    line('doveadm secret'),
    line('\0doveadm'),
    line(Buffer.from([0, 0xff, 0, 0x61])),
    line(Buffer.from([0xc3, 0, 0x61, 0, 0x61])),
  ]) {
    assert.equal(readPlain(bad), undefined, bad.toString());
  }
});

void test('round trip', () => {
  const noNul = fc.string().filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(noNul, noNul, (user, password) => {
      const written = formatPlain(user, Buffer.from(password));
      assert.ok(written !== undefined);
      const read = readPlain(written.subarray(0, -1));
      assert.deepEqual(read, { authzid: '', user, password: Buffer.from(password) });
    }),
  );
});

void test('a NUL is not written: the server would end the name or the password there', () => {
  assert.equal(formatPlain('dove\0adm', Buffer.from('secret')), undefined);
  assert.equal(formatPlain('doveadm', Buffer.from('sec\0ret')), undefined);
});
