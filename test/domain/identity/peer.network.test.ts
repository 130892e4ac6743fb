// Goal: one place on the network is counted under one text, however it is written; who may connect, by address.
// What must not happen: an address that is in by its spelling, or by that of a network; a name that counts as loopback.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGate, isLoopback, networkOf } from '../../../src/domain/identity/peer.js';

void test('addresses and what they count as', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:ffff::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    // No addresses: each counts as it is written.
    ['-', '-'],
    ['1:2:3', '1:2:3'],
    ['1::2::3', '1::2::3'],
    ['1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:9'],
    ['::ffff:192.0.2.256', '::ffff:192.0.2.256'],
    ['12345::', '12345::'],
  ];
  for (const [address, expected] of cases) assert.equal(networkOf(address), expected, address);
});

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

void test('loopback is an address, never a name', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1']) assert.equal(isLoopback(host), true, host);
  for (const host of ['localhost', '128.0.0.1', '::', '0.0.0.0', '127.example.com']) {
    assert.equal(isLoopback(host), false, host);
  }
});
