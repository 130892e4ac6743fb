import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { createRedactor, makeHmacKey } from '../../../src/domain/audit/record.js';

void test('equal values are equal, and nothing of them is left', () => {
  const key = makeHmacKey();
  const redactor = createRedactor(key);
  const { hmac } = redactor.redact('größe');
  assert.equal(hmac, createHmac('sha256', key.trim()).update('größe').digest('hex'));
  assert.deepEqual(redactor.redact('größe'), { hmac });
  assert.notDeepEqual(createRedactor(makeHmacKey()).redact('größe'), { hmac });
});

void test('command input is measured in pieces as in one', () => {
  const redactor = createRedactor(makeHmacKey());
  const meter = redactor.meterInput();
  for (const part of ['Subject: ', '', 'x\r\n']) meter.take(Buffer.from(part));
  assert.deepEqual(meter.finish(), { bytes: 12, ...redactor.redact('Subject: x\r\n') });
});

void test('a key that keeps nothing secret is refused; one line end is not part of it', () => {
  assert.throws(() => createRedactor('too short'), RangeError);
  assert.throws(() => createRedactor(new Uint8Array(15)), RangeError);
  const key = 'x'.repeat(16);
  assert.deepEqual(createRedactor(`${key}\n`).redact('a'), createRedactor(Buffer.from(key)).redact('a'));
});

void test('a made key has 256 bits', () => {
  assert.match(makeHmacKey(), /^[0-9a-f]{64}\n$/);
});
