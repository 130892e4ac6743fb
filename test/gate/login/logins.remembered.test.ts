// Goal: who logged in a few minutes ago is let in at once, and nobody else. What must not happen: another password, place, listener or
// hash that is let in; a guess at once that is worth more than one that waits; a table without end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RememberedLogins, type SaidLogin } from '../../../src/gate/login/logins.js';

const right: SaidLogin = {
  listener: 'jobs',
  network: '192.0.2.1',
  account: 'migrator',
  password: Buffer.from('secret'),
  hash: 'scrypt$1',
};
const wrong: SaidLogin = { ...right, password: Buffer.from('Secret') };
const minute = 60_000;

void test('the same login within five minutes, and nothing that differs in anything', () => {
  const logins = new RememberedLogins();
  assert.equal(logins.has(right, 0), false);
  logins.remember(right, 0);
  const others: readonly Partial<SaidLogin>[] = [
    { listener: 'other' },
    { network: '192.0.2.2' },
    { account: 'other' },
    { password: Buffer.from('') },
    { password: Buffer.from('secret ') },
    // The password was changed, by a reload.
    { hash: 'scrypt$2' },
  ];
  for (const other of others) {
    assert.equal(logins.has({ ...right, ...other }, 1), false, Object.keys(other).join());
  }
  assert.equal(logins.has(right, 5 * minute - 1), true);
  assert.equal(logins.has(right, 5 * minute), false);
});

void test('it is not held longer by being used, or judged again', () => {
  const logins = new RememberedLogins();
  logins.remember(right, 0);
  logins.remember(right, 4 * minute);
  assert.equal(logins.has(right, 4 * minute), true);
  assert.equal(logins.has(right, 5 * minute), false);
});

void test('after 1,024 wrong guesses nobody is remembered there until the five minutes are over, whoever is judged meanwhile', () => {
  const logins = new RememberedLogins();
  logins.remember(right, 0);
  for (let n = 0; n < 1023; n += 1) assert.equal(logins.has(wrong, 1), false);
  assert.equal(logins.has(right, 1), true);
  assert.equal(logins.has(wrong, 1), false);
  assert.equal(logins.has(right, 1), false);
  logins.remember(right, 2);
  assert.equal(logins.has(right, 3), false);
  logins.remember(right, 5 * minute);
  assert.equal(logins.has(right, 5 * minute), true);
});

void test('the table is bounded: the oldest go', () => {
  const logins = new RememberedLogins();
  logins.remember(right, 0);
  for (let n = 0; n < 5000; n += 1) logins.remember({ ...right, account: `a${n}` }, n / 100);
  assert.equal(logins.size, 4096);
  assert.equal(logins.has(right, 60), false);
  assert.equal(logins.has({ ...right, account: 'a4999' }, 60), true);
});
