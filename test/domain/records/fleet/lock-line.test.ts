// Goal: a line of locks counts by its signature, host, number and time alone. Who forges what: whoever has the stream, the server, the
// verifier or `dovegate ship` can cut, change, repeat, mix and withhold lines, and has no key that a gate lists.
// bounds.fleetLockBytes, bounds.fleetLineLocks, bounds.fleetLockHosts, bounds.fleetLockChars, bounds.fleetLockAheadMs, bounds.fleetLockKeys

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../../src/bounds/bounds.js';
import { makeSignKey, parseSignKey } from '../../../../src/domain/records/audit/ledger.js';
import { formatTime } from '../../../../src/domain/records/audit/record.js';
import { signCheckpoint } from '../../../../src/domain/records/fleet/checkpoint.js';
import {
  judgeLockLine,
  linesOfMessage,
  lockIdOf,
  markOf,
  messageWith,
  readLockLine,
  type SignedLock,
  signLockLine,
} from '../../../../src/domain/records/fleet/lock-line.js';

const nowMs = Date.parse('2026-11-20T08:00:00.000Z');
const ours = makeSignKey();
const other = makeSignKey();
const lockOf = (more: Partial<SignedLock> = {}): SignedLock => ({
  id: 'a1',
  target: 'carol',
  until: formatTime(nowMs + 7_200_000),
  reason: 'stolen',
  by: 'anna',
  ...more,
});
const lineOf = (more: Partial<Parameters<typeof signLockLine>[0]> = {}, key = ours): string =>
  signLockLine(
    { number: 5, nowMs, hosts: ['gate1', 'gate2'], locks: [lockOf()], by: 'anna', reason: 'stolen', ...more },
    key.secretPem,
  );
const judge = (line: string, last?: number, more: Partial<Parameters<typeof judgeLockLine>[1]> = {}) =>
  judgeLockLine(line, {
    keys: new Map([['security', ours.key]]),
    hosts: ['gate1'],
    nowMs,
    lastOf: (mark) => (mark === markOf(ours.key) ? last : undefined),
    ...more,
  });
const kindOf = (...given: Parameters<typeof judge>): string => judge(...given).kind;
const whyOf = (...given: Parameters<typeof judge>): string => {
  const judged = judge(...given);
  return 'why' in judged ? judged.why : judged.kind;
};

test('a line for this host counts, under the name that the gate gives the key', () => {
  const judged = judge(lineOf());
  assert.ok(judged.kind === 'counts');
  assert.deepEqual([judged.name, judged.mark], ['security', markOf(ours.key)]);
  assert.deepEqual(judged.line.locks, [lockOf()]);
  assert.equal(lockIdOf(judged.mark, lockOf()), `${markOf(ours.key)}:a1`);
});

test('forged: any other byte, a cut, another key, a signature of something else', () => {
  const line = lineOf();
  for (let at = 0; at < line.length; at += 1) {
    const code = line.charCodeAt(at);
    const changed = `${line.slice(0, at)}${String.fromCharCode(code ^ 1)}${line.slice(at + 1)}`;
    assert.equal(kindOf(changed), 'refused', `byte ${at} of ${line}`);
    assert.equal(kindOf(line.slice(0, at)), 'refused');
    assert.equal(kindOf(line.slice(at + 1)), 'refused');
  }
  for (const more of [`${line}\n`, ` ${line}`, `${line.slice(0, -1)},"locks":[]}`, `{}${line}`, ''])
    assert.equal(kindOf(more), 'refused');
  assert.match(whyOf(lineOf({}, other)), /^key .* is not among fleet_keys$/);
  // The name of a listed key over the signature of another one.
  assert.match(whyOf(lineOf({}, other).replace(other.key, ours.key)), /signature is wrong/);
  // The same key in another role: nothing else that it signs begins as a line of locks.
  const { line: checkpoint } = signCheckpoint({ heads: [], findings: {} }, undefined, ours.secretPem, nowMs);
  assert.equal(kindOf(checkpoint), 'refused');
});

test('a listed key that signs another form', () => {
  const signer = parseSignKey(ours.secretPem);
  const sign = (body: object): string => {
    const text = JSON.stringify({ event: 'fleet-lock', ...body, key: ours.key });
    return `${text.slice(0, -1)},"signature":"${signer.sign(text)}"}`;
  };
  const whole = { number: 5, time: formatTime(nowMs), hosts: ['gate1'], locks: [], by: 'anna', reason: 'x' };
  assert.equal(kindOf(sign(whole)), 'counts');
  for (const more of [
    { number: -1 },
    { number: 1e300 },
    { hosts: [] },
    { hosts: ['*'] },
    { hosts: Array.from({ length: bounds.fleetLockHosts + 1 }, (_, at) => `h${at}`) },
    { locks: [lockOf({ id: 'A:b' })] },
    { locks: [lockOf(), lockOf()] },
    { locks: [{ ...lockOf(), until: 'never' }] },
    { locks: [{ ...lockOf(), users: ['x'] }] },
    { locks: Array.from({ length: bounds.fleetLineLocks + 1 }, (_, at) => lockOf({ id: `a${at}` })) },
    { reason: 'x'.repeat(bounds.fleetLockChars + 1) },
    { reason: 'two\nlines' },
    { time: 'now' },
    { more: true },
  ])
    assert.match(
      whyOf(sign({ ...whole, ...more })),
      /^it is signed, and of another form: /,
      JSON.stringify(more),
    );
});

test('older, repeated, foreign, early', () => {
  assert.equal(kindOf(lineOf(), 4), 'counts');
  assert.equal(kindOf(lineOf(), 5), 'known');
  assert.match(whyOf(lineOf(), 6), /is older than 6/);
  assert.match(whyOf(lineOf({ hosts: ['gate2'] })), /is for gate2, and this is gate1$/);
  // Of a number that was taken, nothing of another key.
  assert.equal(
    kindOf(lineOf(), undefined, { lastOf: (mark) => (mark === markOf(other.key) ? 9 : undefined) }),
    'counts',
  );
  assert.equal(kindOf(lineOf({ nowMs: nowMs + bounds.fleetLockAheadMs })), 'counts');
  assert.match(whyOf(lineOf({ nowMs: nowMs + bounds.fleetLockAheadMs + 1 })), /which is not yet/);
  // An old line is no fault: what it lifts is lifted, and what is over in it does not count.
  assert.equal(kindOf(lineOf({ nowMs: nowMs - 100 * bounds.lockMs, locks: [] })), 'counts');
  const late = lockOf({ until: formatTime(nowMs + bounds.lockMs + 1) });
  assert.match(whyOf(lineOf({ locks: [late] })), /for longer than a lock lasts/);
  assert.match(whyOf(lineOf({ nowMs: nowMs - 100 * bounds.lockMs })), /for longer than a lock lasts/);
});

test('too large: neither made nor read', () => {
  const hosts = Array.from({ length: bounds.fleetLockHosts }, (_, at) => `mail-gate-${at}`.padEnd(63, 'x'));
  const locks = Array.from({ length: bounds.fleetLineLocks }, (_, at) =>
    lockOf({ id: `a${at}`, target: `user:${'x'.repeat(330)}@example.org`, reason: 'r'.repeat(500) }),
  );
  assert.ok(Buffer.byteLength(lineOf({ hosts, locks })) < bounds.fleetLockBytes);
  const wide = locks.map((each) => ({ ...each, reason: '\u{20ac}'.repeat(bounds.fleetLockChars) }));
  assert.throws(() => lineOf({ hosts, locks: wide }), TypeError);
  assert.equal(readLockLine('x'.repeat(bounds.fleetLockBytes + 1)), 'it is too long');
});

test('a message has the last line of each key, as long as it can count', () => {
  const first = messageWith(undefined, lineOf(), nowMs);
  assert.deepEqual(linesOfMessage(first), [lineOf()]);
  const second = messageWith(first, lineOf({}, other), nowMs);
  assert.deepEqual(linesOfMessage(second), [lineOf({}, other), lineOf()]);
  const third = messageWith(second, lineOf({ number: 6 }), nowMs);
  assert.deepEqual(linesOfMessage(third), [lineOf({ number: 6 }), lineOf({}, other)]);
  const later = messageWith(third, lineOf({ number: 7 }), nowMs + bounds.lockMs + bounds.fleetLockAheadMs);
  assert.deepEqual(linesOfMessage(later), [lineOf({ number: 7 })]);
  let full = first;
  for (let left = 2 * bounds.fleetLockKeys; left > 0; left -= 1)
    full = messageWith(full, lineOf({}, makeSignKey()), nowMs);
  assert.equal(linesOfMessage(full).length, bounds.fleetLockKeys);
  // Whatever a stream holds.
  assert.deepEqual(linesOfMessage(Buffer.alloc(8 << 20)), []);
  assert.deepEqual(linesOfMessage(Buffer.from('\n\nx\n{"event":"fleet"}\n')), []);
  assert.deepEqual(linesOfMessage(messageWith(Buffer.from([0xff, 0x0a, 0xfe]), lineOf(), nowMs)), [lineOf()]);
});
