// Goal: who may connect, by address. What must not happen: an address that is in by its spelling, or by that of a network.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGate } from '../../../src/domain/config/networks.js';
import { withJobs } from './jobs.js';
import { settingsOf, told } from './sound.js';

const cases: readonly (readonly [
  from: readonly string[],
  inside: readonly string[],
  outside: readonly string[],
])[] = [
  [['192.0.2.7'], ['192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207'], ['192.0.2.8', '::192.0.2.7']],
  [['192.0.2.0/24'], ['192.0.2.0', '192.0.2.255'], ['192.0.3.0', '192.0.1.255', '2001:db8::1']],
  [['192.0.2.128/25'], ['192.0.2.128'], ['192.0.2.127']],
  [['0.0.0.0/0'], ['203.0.113.9', '::ffff:1.2.3.4'], ['::1', '2001:db8::1']],
  [['::/0'], ['::1', '203.0.113.9'], ['nonsense', '']],
  [['2001:db8::/32'], ['2001:db8::', '2001:DB8:ffff::1', '2001:db8::1%eth0'], ['2001:db9::', '192.0.2.1']],
  [['2001:db8::7'], ['2001:db8:0:0::7'], ['2001:db8::8']],
  [['::ffff:192.0.2.0/120'], ['192.0.2.9'], ['192.0.3.9']],
  [['192.0.2.1', '::1'], ['192.0.2.1', '::1'], ['127.0.0.1']],
];
for (const [from, inside, outside] of cases) {
  void test(`from ${from.join(' ')}`, () => {
    const mayConnect = createGate(from);
    for (const address of inside) assert.equal(mayConnect(address), true, address);
    for (const address of outside) assert.equal(mayConnect(address), false, address);
    assert.equal(mayConnect(undefined), false);
  });
}

void test('without a word everybody may connect', () => {
  assert.equal(createGate([])('203.0.113.9'), true);
  assert.equal(createGate([])(undefined), true);
});

void test('what is written is kept, and what is no network is told', () => {
  const { listeners } = settingsOf(withJobs('from: [192.0.2.0/24, "2001:db8::/32", "::1"]'));
  assert.deepEqual(listeners[1]?.from, ['192.0.2.0/24', '2001:db8::/32', '::1']);
  const at = (text: string) => told(withJobs(`from: [${text}]`));
  for (const wrong of [
    '192.0.2',
    '192.0.2.0/33',
    '"2001:db8::/129"',
    'mail.example.com',
    '192.0.2.0/-1',
    '1.2.3.256',
    '"10"',
    '"cafe"',
    '"10/32"',
  ]) {
    assert.deepEqual(at(wrong), [
      '5:12: listeners.jobs.from[0]: must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"',
    ]);
  }
  assert.deepEqual(at('192.0.2.1/24'), [
    '5:12: listeners.jobs.from[0]: has bits set beyond its length; write the first address of the network',
  ]);
});
