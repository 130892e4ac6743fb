// Goal: no record holds a key of an HTTP listener, wherever a client put it. What must not happen: a part of one that is left where a value
// was cut; a body that grows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBody, lineBytesMax } from '../../../src/domain/audit/encode.js';
import { type JournalRecord, withoutKeys } from '../../../src/domain/audit/record.js';
import { keyBytes, makeKey } from '../../../src/domain/keys/key.js';

const key = makeKey(Buffer.alloc(keyBytes, 11));
const secret = key.split('_')[2] ?? '';
const shown = key.slice(0, 13);

void test('a key is cut to its first part; so is one that is mistyped or cut short', () => {
  for (const [text, expected] of [
    [key, `${shown}[key]`],
    [`as ${key}, and ${key}!`, `as ${shown}[key], and ${shown}[key]!`],
    [key.slice(0, -1), `${shown}[key]`],
    [`${key}garbage`, `${shown}[key]`],
    [`xdvg_${key.slice(4)}`, `x${shown}[key]`],
    [key.slice(0, 30), `${shown}[key]`],
    [key.slice(0, 18), `${shown}[key]`],
    // What is left of the secret is worth nothing.
    [key.slice(0, 17), key.slice(0, 17)],
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
  principal: `${key}@panel`,
  user: key,
  reason: `because ${key}`,
  args: ['-u', key, `header=Bearer ${key}`],
  users: [key],
  error: `no ${key}`,
};

void test('in each field of a record', () => {
  const body = encodeBody(record);
  assert.ok(!body.includes(secret.slice(0, 5)), body);
  assert.equal(body.split(`${shown}[key]`).length, 8);
});

void test('at every place where a value can be cut', () => {
  for (let before = 0; before < 900; before += 1) {
    for (const isBrief of [false, true]) {
      const args = [`${'x'.repeat(before)}${key}${'y'.repeat(12_000)}`];
      const body = encodeBody({ ...record, args }, isBrief);
      assert.ok(!body.includes(secret.slice(0, 5)), `${before} ${body}`);
      assert.ok(Buffer.byteLength(body) < lineBytesMax);
    }
  }
});
