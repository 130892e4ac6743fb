// Goal: addresses as they are written. What must not happen: a name that counts as loopback.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, parseHostAndPort } from '../../../src/domain/config/spellings.js';

void test('a host and a port', () => {
  assert.deepEqual(parseHostAndPort('Mail1.Example.com:24245'), { host: 'mail1.example.com', port: 24_245 });
  assert.deepEqual(parseHostAndPort('[2001:DB8::1]:1'), { host: '2001:db8::1', port: 1 });
  for (const text of [
    'mail1',
    'mail1:',
    ':1',
    'mail1:0',
    'mail1:65536',
    '2001:db8::1:1',
    '[mail1]:1',
    'a b:1',
  ]) {
    assert.equal(parseHostAndPort(text), undefined, text);
  }
});

void test('loopback is an address, never a name', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1']) assert.equal(isLoopback(host), true, host);
  for (const host of ['localhost', '128.0.0.1', '::', '0.0.0.0', '127.example.com']) {
    assert.equal(isLoopback(host), false, host);
  }
});
