// Goal: addresses as they are written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHostAndPort } from '../../../src/domain/config/schema-parts.js';

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
