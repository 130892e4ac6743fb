import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatPlain,
  formatVersion,
  readPlain,
  readVersion,
} from '../../../src/doveadm/handshake/greeting.js';

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

void test('numbers of a version have 32 bits', () => {
  for (const [numbers, expected] of [
    ['1\t4294967295', { major: 1, minor: 4_294_967_295 }],
    ['4294967295\t0', { major: 4_294_967_295, minor: 0 }],
    ['0\t00', { major: 0, minor: 0 }],
    ['1\t4294967296', undefined],
    ['4294967296\t0', undefined],
    ['1\t', undefined],
    ['1\t2\t', undefined],
  ] as const) {
    const line = Buffer.from(`VERSION\tdoveadm-server\t${numbers}`);
    assert.deepEqual(readVersion(line, 'doveadm-server'), expected, numbers);
    assert.equal(readVersion(line, 'doveadm-client'), undefined);
  }
  const inside = Buffer.from('xVERSION\tdoveadm-server\t1\t2');
  assert.equal(readVersion(inside, 'doveadm-server'), undefined);
  for (const minor of [0, 4_294_967_295])
    assert.equal(formatVersion('doveadm-server', minor).toString(), `VERSION\tdoveadm-server\t1\t${minor}\n`);
  for (const minor of [4_294_967_296, -1, 1.5])
    assert.throws(() => formatVersion('doveadm-server', minor), { message: 'minor is out of range' });
});

void test('what lacks a NUL, or has names that are no UTF-8, is no PLAIN; a password may be any bytes', () => {
  for (const broken of ['u\0p', '\0u', '\xff\0u\0p', '\0\xff\0p'])
    assert.equal(readPlain(lineOfPlain(Buffer.from(broken, 'latin1'))), undefined, JSON.stringify(broken));
  // Node would read each of these.
  for (const base64 of 'AHUAcA|AHUAcA==x|AHUAcB==|AHUA cA==|AHUAcA==\r|AHUA_w==|!AHUAcA=='.split('|'))
    assert.equal(readPlain(Buffer.from(`PLAIN\t${base64}`)), undefined, base64);
  for (const line of ['PLAIN AHUAcA==', 'plain\tAHUAcA==', 'AHUAcA==', 'PLAIN\t', ''])
    assert.equal(readPlain(Buffer.from(line)), undefined, line);
  const bytes = Buffer.from('a\0u\0\xff', 'latin1');
  assert.deepEqual(readPlain(lineOfPlain(bytes)), { authzid: 'a', user: 'u', password: Buffer.of(0xff) });
});
