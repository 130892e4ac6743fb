import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatVersion, readVersion } from '../../../src/protocol/handshake/greeting.js';

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
