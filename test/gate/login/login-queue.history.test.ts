// Goal: what is remembered of logins, by table. What must not happen: a name that is slowed from a place where nobody failed, a table
// that grows with what is thrown at it, a success that gives a guesser new tokens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginHistory, type LoginSource } from '../../../src/gate/login/login-queue.js';

const at = (network: string, name = 'migrator@jobs'): LoginSource => ({ network, name });
const minute = 60_000;

/** How long the next try waits after each of so many failures, each at once when it may. */
function pausesOf(history: LoginHistory, count: number, nameOf: (n: number) => string): number[] {
  let nowMs = 1000;
  return Array.from({ length: count }, (_, n) => {
    history.failed(at('192.0.2.1', nameOf(n)), nowMs);
    const pause = history.waitMs(at('192.0.2.1', nameOf(n + 1)), nowMs);
    nowMs += pause;
    return pause;
  });
}

// bounds.loginFailures, bounds.loginPauseMs
void test('four failures of a network, of whatever names, then one a second', () => {
  const expected = [0, 0, 0, 1000, 1000, 1000];
  for (const nameOf of [() => 'root', (n: number) => `name${n}`])
    assert.deepEqual(pausesOf(new LoginHistory(), 6, nameOf), expected);
});

void test('a name that logged in from there has tokens of its own for an hour, and gives others none', () => {
  const history = new LoginHistory();
  for (let n = 0; n < 4; n += 1) history.failed(at('192.0.2.1', `name${n}`), 0);
  history.succeeded(at('192.0.2.1'), 0);
  const waits = (nowMs: number) =>
    ['migrator@jobs', 'root@jobs'].map((name) => history.waitMs(at('192.0.2.1', name), nowMs));
  assert.deepEqual(waits(0), [0, 1000]);
  for (let n = 0; n < 4; n += 1) history.failed(at('192.0.2.1'), 1000);
  assert.deepEqual(waits(1000), [1000, 0]);
  // Logging in again is no new bucket.
  history.succeeded(at('192.0.2.1'), 1000);
  assert.deepEqual(waits(1000), [1000, 0]);
  for (let n = 0; n < 4; n += 1) history.failed(at('192.0.2.1'), 61 * minute);
  assert.deepEqual(waits(61 * minute), [1000, 1000]);
});

void test('known for an hour, on its network only; then whose turn is longest ago', () => {
  const history = new LoginHistory();
  history.succeeded(at('office'), 0);
  assert.deepEqual(
    [history.isKnown('office', 0), history.isKnown('office', 60 * minute), history.isKnown('other', 0)],
    [true, false, false],
  );
  history.tookTurn(at('guesser', 'root'), true);
  history.tookTurn(at('dropped', 'root'), false);
  const places = [
    at('office'),
    at('office', 'root'),
    at('other'),
    at('guesser', 'root'),
    at('guesser', 'new'),
    at('dropped', 'root'),
  ].map((source) => history.placeOf(source, 0));
  assert.deepEqual(places, [
    [0, 0, 0],
    [1, 0, 0],
    [2, 0, 0],
    [2, 1, 1],
    [2, 1, 0],
    [2, 2, 0],
  ]);
});

void test('the tables are bounded: strangers push out no success, and no failure that still counts', () => {
  const history = new LoginHistory();
  history.succeeded(at('honest'), 0);
  for (let n = 0; n < 20; n += 1) history.failed(at('guesser'), 0);
  for (let n = 0; n < 20_000; n += 1) {
    const stranger = at(`stranger${n}`, `name${n}`);
    history.failed(stranger, 1);
    history.tookTurn(stranger, true);
  }
  assert.equal(history.size, 2 + 8192 + 8192 + 8192);
  assert.equal(history.isKnown('honest', 2), true);
  assert.equal(history.waitMs(at('guesser'), 2), 998);
  // The newest ones are remembered.
  assert.notEqual(history.placeOf(at('stranger19999'), 2)[1], 0);
  assert.equal(history.placeOf(at('stranger0'), 2)[1], 0);
  // Account owners cannot fill it either.
  for (let n = 0; n < 20_000; n += 1) history.succeeded(at(`owner${n}`), 3);
  assert.equal(history.size, 4 * 8192);
});

void test('a network where somebody failed within a minute is known, and no better than strangers in the turns', () => {
  const history = new LoginHistory();
  history.succeeded(at('192.0.2.1'), 0);
  assert.equal(history.isTrusted('192.0.2.1', 0), true);
  history.failed(at('192.0.2.1', 'root@jobs'), 1000);
  assert.deepEqual(
    [history.isTrusted('192.0.2.1', 61_000), history.isKnown('192.0.2.1', 61_000)],
    [false, true],
  );
  assert.equal(history.isTrusted('192.0.2.1', 61_001), true);
  assert.equal(history.isTrusted('192.0.2.9', 0), false);
});
