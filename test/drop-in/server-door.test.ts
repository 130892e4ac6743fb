import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServerAddress } from '../../src/drop-in/server-door.js';

void test('an address is a path with a slash, or a host with a port', () => {
  assert.deepEqual(parseServerAddress('./s'), { socket: './s' });
  assert.deepEqual(parseServerAddress('mail:24245'), { host: 'mail', port: 24245 });
  assert.deepEqual(parseServerAddress('[::1]:1'), { host: '::1', port: 1 });
  for (const text of ['mail', 'mail:0', 'mail:70000', 'a:b:1', '', ':1'])
    assert.equal(parseServerAddress(text), undefined, text);
});
