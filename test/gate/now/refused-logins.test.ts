// Goal: who fails to log in is counted in bounded memory, and a flood of strangers does not hide a key that is stolen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RefusedLogins } from '../../../src/gate/now/refused-logins.js';

void test('failures of the last minute, and where most of them come from', () => {
  const logins = new RefusedLogins();
  assert.deepEqual(logins.logins(0), { count: 0, most: undefined });
  for (let at = 0; at < 5; at += 1) logins.failed(1_000 * at, 'panel', '192.0.2.1');
  logins.failed(5_000, 'panel', '192.0.2.2');
  const { count, most } = logins.logins(6_000);
  assert.deepEqual([count, most], [6, { network: '192.0.2.1', listener: 'panel', count: 5 }]);
  // The second of the last one is 61 s old.
  assert.deepEqual(logins.logins(66_000), { count: 0, most: undefined });
  logins.failed(70_000, 'panel', '192.0.2.1');
  assert.deepEqual(logins.logins(70_000).most?.count, 1);
});

void test('one source at two listeners is two', () => {
  const logins = new RefusedLogins();
  logins.failed(0, 'panel', '192.0.2.1');
  logins.failed(0, 'other', '192.0.2.1');
  logins.failed(0, 'other', '192.0.2.1');
  assert.deepEqual(logins.logins(0).most, { network: '192.0.2.1', listener: 'other', count: 2 });
});

void test('a key, until it was not refused for ten minutes', () => {
  const logins = new RefusedLogins();
  logins.refused(1_000, 'panel', 'webmail', 'address', '203.0.113.9');
  logins.refused(2_000, 'panel', 'webmail', 'address', '203.0.113.9');
  logins.refused(3_000, 'panel', 'webmail', 'expired', '203.0.113.9');
  const key = { listener: 'panel', key: 'webmail', network: '203.0.113.9', isFromSeveral: false };
  assert.deepEqual(logins.keys(3_000), [
    { ...key, why: 'address', count: 2, firstMs: 1_000, lastMs: 2_000 },
    { ...key, why: 'expired', count: 1, firstMs: 3_000, lastMs: 3_000 },
  ]);
  logins.refused(4_000, 'panel', 'webmail', 'address', '198.51.100.7');
  assert.deepEqual(
    logins.keys(4_000).map(({ network, isFromSeveral, count }) => [network, isFromSeveral, count])[0],
    ['198.51.100.7', true, 3],
  );
  assert.deepEqual(logins.keys(604_001), []);
  logins.refused(700_000, 'panel', 'webmail', 'address', '203.0.113.9');
  assert.deepEqual(logins.keys(700_000), [
    { ...key, why: 'address', count: 1, firstMs: 700_000, lastMs: 700_000 },
  ]);
});

void test('100,000 networks neither grow it nor push a key out', () => {
  const logins = new RefusedLogins();
  for (let at = 0; at < 3; at += 1) logins.refused(at, 'panel', 'webmail', 'address', '203.0.113.9');
  for (let at = 0; at < 100_000; at += 1)
    logins.failed(at / 10, 'panel', `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
  assert.equal(logins.keys(10_000)[0]?.count, 3);
  assert.equal(logins.logins(10_000).count, 100_000);
  assert.equal(logins.logins(10_000).most?.count, 1);
});

// bounds.failedLoginsListed
void test('more keys than are listed: the one that was refused longest ago gives way', () => {
  const logins = new RefusedLogins();
  for (let at = 0; at < 40; at += 1) logins.refused(at, 'panel', `key${at}`, 'replaced', '192.0.2.1');
  const names = logins.keys(40).map(({ key }) => key);
  assert.equal(names.length, 32);
  assert.deepEqual(
    [names.includes('key7'), names.includes('key8'), names.includes('key39')],
    [false, true, true],
  );
  assert.ok(logins.keys(40).every(({ count, isFromSeveral }) => count === 1 && !isFromSeveral));
});
