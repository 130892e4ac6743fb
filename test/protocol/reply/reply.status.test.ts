import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatStatus, parseStatus } from '../../../src/protocol/reply/reply.js';

const parse = (text: string): { kind: string; code: string; referral?: object } => {
  const { raw, ...status } = parseStatus(Buffer.from(text));
  assert.equal(raw.toString(), text);
  return status;
};

void test('what begins with + went well', () => {
  for (const text of ['+', '+ extra', '+\r']) assert.deepEqual(parse(text), { kind: 'ok', code: '' });
});

void test('trap 10: everything behind - failed, known or not', () => {
  assert.deepEqual(parse('-NOUSER'), { kind: 'failed', code: 'NOUSER' });
  assert.deepEqual(parse('-NOUSER\r'), { kind: 'failed', code: 'NOUSER' });
  assert.deepEqual(parse('-'), { kind: 'failed', code: 'UNKNOWN' });
  assert.deepEqual(parse('-\r'), { kind: 'failed', code: 'UNKNOWN' });
  assert.deepEqual(parse('-75'), { kind: 'failed', code: '75' });
  assert.deepEqual(parse('-WHAT ever'), { kind: 'failed', code: 'WHAT' });
  assert.deepEqual(parse('-+'), { kind: 'failed', code: '+' });
});

void test('a code that could not be written is not told', () => {
  for (const text of ['-NO\tUSER', '-NO\0USER', '-\x1b[2J', '-Ü', '- x', '-\ufffd', '-A\rB']) {
    const { code } = parse(text);
    assert.equal(code, 'UNKNOWN', JSON.stringify(text));
    assert.equal(formatStatus(code).toString(), '-UNKNOWN\n');
  }
});

void test('a referral is split at the last @', () => {
  assert.deepEqual(parse('-REFERRAL moved@example.org@192.0.2.7:24245'), {
    kind: 'referral',
    code: 'REFERRAL',
    referral: { user: 'moved@example.org', host: '192.0.2.7:24245' },
  });
  assert.deepEqual(parse('-REFERRAL moved@host\r').referral, { user: 'moved', host: 'host' });
});

void test('trap 31: a referral to nowhere is one all the same', () => {
  for (const text of ['-REFERRAL', '-REFERRAL ', '-REFERRAL moved', '-REFERRAL @host', '-REFERRAL moved@']) {
    assert.deepEqual(parse(text), { kind: 'referral', code: 'REFERRAL' }, text);
  }
  assert.equal(parse('-REFERRALS a@b').kind, 'failed');
});

void test('neither + nor - is no status', () => {
  for (const text of ['', 'OK', ' +', '\0', '\r', 'a\tb']) {
    assert.throws(() => parseStatus(Buffer.from(text)), { name: 'WireFault', code: 'bad-status' }, text);
  }
});

void test('written with LF, and only what is one line', () => {
  assert.equal(formatStatus('').toString(), '+\n');
  assert.equal(formatStatus('NOPERM').toString(), '-NOPERM\n');
  for (const code of ['A\nB', 'A\r', '\0', 'Ü']) assert.throws(() => formatStatus(code), RangeError);
});
