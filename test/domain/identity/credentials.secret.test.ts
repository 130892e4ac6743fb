// Goal: no ordinary way of showing a value shows a secret.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { format, inspect } from 'node:util';
import { Secret } from '../../../src/domain/identity/credentials.js';

const password = 'hunter2-correct-horse';

void test('none of the ways to print a value prints a secret', () => {
  const secret = new Secret(password);
  const holder = { backend: 'mail1', secret, list: [secret], map: new Map([['key', secret]]) };
  const shown = [
    String(secret),
    `user ${String(secret)}`,
    ['a', secret].join(),
    JSON.stringify(holder),
    JSON.stringify(Object.assign({}, secret)),
    inspect(holder, { depth: 9, showHidden: true }),
    format('%s %o %O %j', secret, secret, secret, secret),
    Object.entries(secret).join(),
    inspect(structuredClone(secret)),
  ];
  for (const text of shown) {
    assert.ok(!text.includes('hunter2'), text);
    assert.ok(!text.includes(Buffer.from(password).toString('base64').slice(0, 12)), text);
    assert.ok(!text.includes('104,117,110'), text);
  }
  assert.equal(String(secret), '[secret]');
  assert.equal(JSON.stringify([secret]), '["[secret]"]');
});

void test('reveal gives the bytes, each time afresh', () => {
  const bytes = Buffer.from([0, 1, 255]);
  const secret = new Secret(bytes);
  bytes.fill(7);
  assert.deepEqual(secret.reveal(), Buffer.from([0, 1, 255]));
  secret.reveal().fill(9);
  assert.deepEqual(secret.reveal(), Buffer.from([0, 1, 255]));
});

void test('equals compares whole buffers', () => {
  const secret = new Secret('secret');
  assert.equal(secret.equals(Buffer.from('secret')), true);
  // A NUL ends the password for some; not for us.
  assert.equal(secret.equals(Buffer.from('secret\0junk')), false);
  assert.equal(secret.equals(Buffer.from('secre')), false);
  assert.equal(secret.equals(Buffer.alloc(0)), false);
  assert.equal(new Secret('').equals(Buffer.alloc(0)), true);
  assert.equal(new Secret('').isEmpty, true);
});
