// Goal: no record holds a key of an HTTP listener, wherever a client put it. What must not happen: a part of one that is left where a value
// was cut; a body that grows.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCount } from '../../../src/host/values/values.js';
import { formatEnd, formatTime, msMax, parseTime } from '../../../src/host/words/instants.js';
import { withoutKeys } from '../../../src/host/words/text.js';
import { encodeBody, lineBytesMax } from '../../../src/journal/records/encode.js';
import { genesisHash, sealLine } from '../../../src/journal/records/ledger.js';
import { isDistanceMs, type JournalRecord, readWord } from '../../../src/journal/records/record.js';
import { createRedactor, makeHmacKey } from '../../../src/journal/records/redact.js';
import { argumentCount } from '../../../src/journal/records/stored.js';
import { keyBytes, makeKey } from '../../../src/rules/keys/key.js';

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
    ['dvg_AbCdEfG_12345', 'dvg_AbCdEfG_12345'],
    ['a dvg_AbCdEfGh_12345 b dvg_AbCdEfGh_12345_6', 'a dvg_AbCdEfGh_[key] b dvg_AbCdEfGh_[key]'],
    ['nothing of it', 'nothing of it'],
  ] as const) {
    assert.equal(withoutKeys(text), expected, text);
    assert.ok(withoutKeys(text).length <= text.length);
  }
});

const texts = { principal: `${keyOfKeys}@panel`, reason: `because ${keyOfKeys}`, error: `no ${keyOfKeys}` };
const lists = { args: ['-u', keyOfKeys, `header=Bearer ${keyOfKeys}`], users: [keyOfKeys] };
const places = { session: 's', id: 'i', user: keyOfKeys };
const record: JournalRecord = { time: 0, event: 'admission', ...places, ...texts, ...lists };

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

void test('a value cannot pretend to be a key', () => {
  const hostile = {
    time: 1,
    event: 'admission',
    session: 'S1',
    reason: '","id":"forged","event":"stop',
  } as const;
  for (const id of ['I1', undefined]) {
    const { line } = sealLine(9, encodeBody({ ...hostile, id }), genesisHash);
    assert.deepEqual([readWord(line, 'id'), readWord(line, 'session')], [id, 'S1']);
  }
});

void test('equal values are equal, and nothing of them is left', () => {
  const key = makeHmacKey();
  const redactor = createRedactor(key);
  const { hmac } = redactor.redact('größe');
  assert.equal(hmac, createHmac('sha256', key.trim()).update('größe').digest('hex'));
  assert.deepEqual(redactor.redact('größe'), { hmac });
  assert.notDeepEqual(createRedactor(makeHmacKey()).redact('größe'), { hmac });
});

void test('a short key keeps nothing secret and is refused; one line end is not part of a key', () => {
  for (const short of ['x'.repeat(15), new Uint8Array(15)])
    assert.throws(() => createRedactor(short), RangeError('an HMAC key has at least 16 bytes'));
  const key = 'x'.repeat(16);
  const digest = (given: string | Uint8Array): string => createRedactor(given).redact('a').hmac;
  for (const same of [`${key}\n`, `${key}\r\n`, Buffer.from(key)]) assert.equal(digest(same), digest(key));
  for (const other of [`${key}\n\n`, `${key.slice(0, 8)}\n${key.slice(8)}`])
    assert.notEqual(digest(other), digest(key));
});

void test('command input is measured in pieces as in one', () => {
  const redactor = createRedactor(makeHmacKey());
  const meter = redactor.meterInput();
  for (const part of ['Subject: ', '', 'x\r\n']) meter.take(Buffer.from(part));
  assert.deepEqual(meter.finish(), { bytes: 12, ...redactor.redact('Subject: x\r\n') });
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

void test('an end has no more digits than it needs', () => {
  for (const [ms, end] of [
    [999, '1970-01-01T00:00:00.999Z'],
    [1000, '1970-01-01T00:00:01Z'],
    [86_400_000, '1970-01-01'],
    [86_400_001, '1970-01-02T00:00:00.001Z'],
    [-1, '1970-01-01T00:00:00Z'],
    [0, '1970-01-01'],
    [253_402_300_800_000, '9999-12-31'],
  ] as const)
    assert.equal(formatEnd(ms), end);
});

void test('only the exact form is a time', () => {
  const forms =
    '|2026-11-20T08:22:34Z|2026-11-20T08:22:34.123|2026-11-20T08:22:34.123+|2026-11-20 08:22:34.123Z';
  const instants = `2026-02-30T00:00:00 2026-02-29T00:00:00 2026-13-01T00:00:00 2026-01-01T24:00:00
  2026-01-01T00:00:60 1969-12-31T23:59:59 0000-01-01T00:00:00`;
  const all = [...forms.split('|'), ...instants.split(/\s+/).map((text) => `${text}.000Z`)];
  for (const text of [...all, '2026-11-20T08:22:34.123Z\n']) assert.equal(parseTime(text), undefined, text);
  assert.equal(parseTime('2024-02-29T23:59:59.999Z'), Date.UTC(2024, 1, 29, 23, 59, 59, 999));
});

void test('numbers that are read back have a range', () => {
  for (const value of [0, 1, 2 ** 53 - 1]) assert.equal(isCount(value), true, String(value));
  for (const value of [-1, 0.5, 2 ** 53, 1e300, Number.NaN, Infinity, '1', null])
    assert.equal(isCount(value), false, String(value));
  for (const value of [0, -1.5, msMax, -msMax]) assert.equal(isDistanceMs(value), true, String(value));
  for (const value of [msMax + 1, -msMax - 1, 1e300, -1e300, Number.NaN, Infinity, '1', null])
    assert.equal(isDistanceMs(value), false, String(value));
  const counts = [0, 1, -1, '2', undefined, 2.5, 1e300].map((count) =>
    argumentCount({ argument_records: count }),
  );
  assert.deepEqual(counts, [0, 1, 0, 0, 0, 0, 0]);
});
