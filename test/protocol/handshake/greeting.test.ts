import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  formatPlain,
  formatVersion,
  readPlain,
  readVersion,
} from '../../../src/protocol/handshake/greeting.js';

void test('the names are crossed: the client says doveadm-server', () => {
  const line = Buffer.from('VERSION\tdoveadm-server\t1\t2');
  assert.deepEqual(readVersion(line, 'doveadm-server'), { major: 1, minor: 2 });
  assert.equal(readVersion(line, 'doveadm-client'), undefined);
});

void test('minors go up to 32 bits, and leading zeros count for nothing', () => {
  for (const [text, minor] of [
    ['0', 0],
    ['5', 5],
    ['01', 1],
    ['00000000000000000000004', 4],
    ['4294967295', 4294967295],
  ] as const) {
    assert.equal(
      readVersion(Buffer.from(`VERSION\tdoveadm-client\t1\t${text}`), 'doveadm-client')?.minor,
      minor,
    );
  }
  assert.equal(readVersion(Buffer.from('VERSION\tdoveadm-client\t01\t1'), 'doveadm-client')?.major, 1);
});

void test('anything else is no VERSION line', () => {
  for (const line of [
    '',
    'EHLO x',
    'VERSION',
    'version\tdoveadm-server\t1\t2',
    'VERSION doveadm-server 1 2',
    'VERSION\tdoveadm-server\t1',
    'VERSION\tdoveadm-server\t1\t',
    'VERSION\tdoveadm-server\t1\t2\t',
    'VERSION\tdoveadm-server\t1\t2\t3',
    'VERSION\tdoveadm-server\t1\t-1',
    'VERSION\tdoveadm-server\t1\t+1',
    'VERSION\tdoveadm-server\t1\t 1',
    'VERSION\tdoveadm-server\t1\t1 ',
    'VERSION\tdoveadm-server\t1\t0x1',
    'VERSION\tdoveadm-server\t1\t1e3',
    'VERSION\tdoveadm-server\t1\t4294967296',
    'VERSION\tdoveadm-server\t1\t99999999999999999999',
    'VERSION\tdoveadm-server\t1\t2\0',
    'VERSION\tdoveadm-server\t1\t2\n',
    'VERSION\tdoveadm-server\t1\t２',
    'xVERSION\tdoveadm-server\t1\t2',
  ]) {
    assert.equal(readVersion(Buffer.from(line), 'doveadm-server'), undefined, JSON.stringify(line));
  }
});

void test('another major can be told from another line', () => {
  assert.deepEqual(readVersion(Buffer.from('VERSION\tdoveadm-client\t2\t0'), 'doveadm-client'), {
    major: 2,
    minor: 0,
  });
  assert.equal(readVersion(Buffer.from('+'), 'doveadm-client'), undefined);
});

void test('written as it is read', () => {
  assert.equal(formatVersion('doveadm-client', 3).toString(), 'VERSION\tdoveadm-client\t1\t3\n');
  for (const minor of [-1, 1.5, 4294967296, Number.NaN]) {
    assert.throws(() => formatVersion('doveadm-client', minor), RangeError);
  }
});

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

void test('an authorization id is told', () => {
  assert.equal(readPlain(lineOfPlain('other\0doveadm\0secret'))?.authzid, 'other');
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
    lineOfPlain('doveadm secret'),
    lineOfPlain('\0doveadm'),
    lineOfPlain(Buffer.from([0, 0xff, 0, 0x61])),
    lineOfPlain(Buffer.from([0xc3, 0, 0x61, 0, 0x61])),
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
