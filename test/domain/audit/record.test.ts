// Goal: no record holds a key of an HTTP listener, wherever a client put it. What must not happen: a part of one that is left where a value
// was cut; a body that grows.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeBody, lineBytesMax } from '../../../src/domain/audit/encode.js';
import { genesisHash, sealLine } from '../../../src/domain/audit/ledger.js';
import {
  argumentCount,
  createRedactor,
  formatTime,
  isCount,
  isDistanceMs,
  type JournalRecord,
  makeHmacKey,
  msMax,
  parseLine,
  parseTime,
  readHead,
  readWord,
  withoutKeys,
} from '../../../src/domain/audit/record.js';
import { keyBytes, makeKey } from '../../../src/domain/keys/key.js';

const keyOfKeys = makeKey(Buffer.alloc(keyBytes, 11));
const secret = keyOfKeys.split('_')[2] ?? '';
const shown = keyOfKeys.slice(0, 13);

void test('a key is cut to its first part; so is one that is mistyped or cut short', () => {
  for (const [text, expected] of [
    [keyOfKeys, `${shown}[key]`],
    [`as ${keyOfKeys}, and ${keyOfKeys}!`, `as ${shown}[key], and ${shown}[key]!`],
    [keyOfKeys.slice(0, -1), `${shown}[key]`],
    [`${keyOfKeys}garbage`, `${shown}[key]`],
    [`xdvg_${keyOfKeys.slice(4)}`, `x${shown}[key]`],
    [keyOfKeys.slice(0, 30), `${shown}[key]`],
    [keyOfKeys.slice(0, 18), `${shown}[key]`],
    // What is left of the secret is worth nothing.
    [keyOfKeys.slice(0, 17), keyOfKeys.slice(0, 17)],
    [shown, shown],
    ['dvg_short', 'dvg_short'],
    ['nothing of it', 'nothing of it'],
  ] as const) {
    assert.equal(withoutKeys(text), expected, text);
    assert.ok(withoutKeys(text).length <= text.length);
  }
});

const record: JournalRecord = {
  time: Date.UTC(2026, 10, 20),
  event: 'admission',
  session: 's',
  id: 'i',
  principal: `${keyOfKeys}@panel`,
  user: keyOfKeys,
  reason: `because ${keyOfKeys}`,
  args: ['-u', keyOfKeys, `header=Bearer ${keyOfKeys}`],
  users: [keyOfKeys],
  error: `no ${keyOfKeys}`,
};

void test('in each field of a record', () => {
  const body = encodeBody(record);
  assert.ok(!body.includes(secret.slice(0, 5)), body);
  assert.equal(body.split(`${shown}[key]`).length, 8);
});

void test('at every place where a value can be cut', () => {
  for (let before = 0; before < 900; before += 1) {
    for (const isBrief of [false, true]) {
      const args = [`${'x'.repeat(before)}${keyOfKeys}${'y'.repeat(12_000)}`];
      const body = encodeBody({ ...record, args }, isBrief);
      assert.ok(!body.includes(secret.slice(0, 5)), `${before} ${body}`);
      assert.ok(Buffer.byteLength(body) < lineBytesMax);
    }
  }
});

const recordOfLine = {
  time: 1,
  event: 'admission',
  session: 'S1',
  id: 'I1',
  reason: '","id":"forged","event":"stop',
} as const;
const line = sealLine(9, encodeBody(recordOfLine), genesisHash).line.trimEnd();

void test('time and event stand at the start of a line, and of a body with a comma before it', () => {
  const head = { time: '1970-01-01T00:00:00.001Z', event: 'admission' };
  assert.deepEqual(readHead(line), head);
  assert.deepEqual(readHead(`,${encodeBody(recordOfLine)}`), head);
});

void test('a value cannot pretend to be a key', () => {
  assert.equal(readWord(line, 'id'), 'I1');
  assert.equal(readWord(line, 'session'), 'S1');
  assert.equal(
    readWord(sealLine(9, encodeBody({ ...recordOfLine, id: undefined }), genesisHash).line, 'id'),
    undefined,
  );
});

void test('what is no line of ours has no head', () => {
  for (const text of [
    '',
    '{}',
    `${' '.repeat(40)},"time":"`,
    ',"time":"1970-01-01T00:00:00.001Z","event":"open',
  ]) {
    assert.equal(readHead(text), undefined, text);
  }
});

void test('only an object is a line', () => {
  assert.deepEqual(parseLine('{"a":1}'), { a: 1 });
  for (const text of ['', '[]', 'null', '1', '{"a":']) assert.equal(parseLine(text), undefined, text);
});

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

void test('the form is that of the standard library, for every instant of four-digit years', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (ms) => {
      assert.equal(formatTime(ms), new Date(ms).toISOString());
      assert.equal(parseTime(formatTime(ms)), ms);
    }),
  );
});

void test('what no clock says is moved to the nearest end', () => {
  assert.equal(formatTime(-1), '1970-01-01T00:00:00.000Z');
  assert.equal(formatTime(Number.NaN), '1970-01-01T00:00:00.000Z');
  assert.equal(formatTime(1e18), '9999-12-31T23:59:59.999Z');
  assert.equal(formatTime(1.999), '1970-01-01T00:00:00.001Z');
});

void test('only the exact form is a time', () => {
  for (const text of [
    '',
    '2026-11-20T08:22:34Z',
    '2026-11-20T08:22:34.123',
    '2026-11-20 08:22:34.123Z',
    '2026-02-29T00:00:00.000Z',
    '2026-13-01T00:00:00.000Z',
    '2026-01-01T24:00:00.000Z',
    '2026-01-01T00:00:60.000Z',
    '2026-11-20T08:22:34.123Z\n',
    '1969-12-31T23:59:59.000Z',
    '0000-01-01T00:00:00.000Z',
  ]) {
    assert.equal(parseTime(text), undefined, text);
  }
  assert.equal(parseTime('2024-02-29T23:59:59.999Z'), Date.UTC(2024, 1, 29, 23, 59, 59, 999));
});

void test('numbers that are read back have a range', () => {
  for (const value of [0, 1, 2 ** 53 - 1]) assert.equal(isCount(value), true, String(value));
  for (const value of [-1, 0.5, 2 ** 53, 1e300, Number.NaN, Infinity, '1', null])
    assert.equal(isCount(value), false, String(value));
  for (const value of [0, -1.5, msMax, -msMax]) assert.equal(isDistanceMs(value), true, String(value));
  for (const value of [msMax + 1, -msMax - 1, 1e300, -1e300, Number.NaN, Infinity, '1', null])
    assert.equal(isDistanceMs(value), false, String(value));
  assert.equal(argumentCount({ argument_records: 1e300 }), 0);
});
