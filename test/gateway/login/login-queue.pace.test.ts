// Goal: what failures cost, by table. What must not happen: a name that is slowed from a place where nobody failed at it, a
// table that grows with what is thrown at it, failures that are forgiven to somebody else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginPace, type LoginSource } from '../../../src/gateway/login/login-queue.js';

const at = (network: string, name = 'migrator@jobs'): LoginSource => ({ network, name });
const pauseMaxMs = 2500;
const minute = 60_000;

/** How long the next try waits after each of so many failures, each at once when it may. */
function pausesOf(count: number, nameOf: (n: number) => string): number[] {
  const pace = new LoginPace();
  let nowMs = 1000;
  return Array.from({ length: count }, (_, n) => {
    const source = at('192.0.2.1', nameOf(n));
    pace.failed(source, nowMs, pauseMaxMs);
    const { dueMs } = pace.standing(at('192.0.2.1', nameOf(n + 1)), nowMs);
    const pause = Math.max(0, dueMs - nowMs);
    nowMs += pause;
    return pause;
  });
}

// bounds.loginPauseMs
void test('the pause of one name grows to its limit; that of a place, for ever new names, to less', () => {
  assert.deepEqual(
    pausesOf(7, () => 'root'),
    [250, 500, 1000, 2000, 2500, 2500, 2500],
  );
  assert.deepEqual(
    pausesOf(10, (n) => `name${n}`),
    [0, 0, 0, 0, 50, 100, 200, 400, 500, 500],
  );
});

void test('a stranger slows nobody elsewhere, and other names from there by the pause of the place only', () => {
  const pace = new LoginPace();
  for (let n = 0; n < 100; n += 1) pace.failed(at('192.0.2.1'), 0, pauseMaxMs);
  assert.deepEqual(pace.standing(at('192.0.2.2'), 0), {
    dueMs: 0,
    nameFailures: 0,
    failures: 0,
    hasSucceeded: false,
  });
  assert.deepEqual(pace.standing(at('192.0.2.1', 'other@jobs'), 0), {
    dueMs: 500,
    nameFailures: 0,
    failures: 100,
    hasSucceeded: false,
  });
});

void test('a success forgives its own name, and nothing else', () => {
  const pace = new LoginPace();
  for (let n = 0; n < 9; n += 1) pace.failed(at('192.0.2.1', 'root@jobs'), 0, pauseMaxMs);
  pace.failed(at('192.0.2.1'), 0, pauseMaxMs);
  pace.succeeded(at('192.0.2.1'), 10_000);
  const mine = pace.standing(at('192.0.2.1'), 10_000);
  assert.deepEqual([mine.nameFailures, mine.failures, mine.hasSucceeded], [0, 10, true]);
  assert.equal(pace.standing(at('192.0.2.1', 'root@jobs'), 10_000).nameFailures, 9);
  assert.equal(pace.standing(at('192.0.2.1'), 10_000 + 60 * minute).hasSucceeded, false);
});

void test('failures are forgotten after a quarter of an hour without one', () => {
  const pace = new LoginPace();
  for (let n = 0; n < 9; n += 1) pace.failed(at('192.0.2.1'), n * minute, pauseMaxMs);
  assert.equal(pace.standing(at('192.0.2.1'), 22 * minute).nameFailures, 9);
  const later = 23 * minute;
  const { nameFailures, failures } = pace.standing(at('192.0.2.1'), later);
  assert.deepEqual([nameFailures, failures], [0, 0]);
  pace.failed(at('192.0.2.1'), later, pauseMaxMs);
  assert.equal(pace.standing(at('192.0.2.1'), later).dueMs, later + 250);
});

// bounds.loginNetworks, bounds.loginNamesPerNetwork
void test('the table is bounded, and what matters most stays: who succeeded, who failed most', () => {
  const pace = new LoginPace();
  pace.succeeded(at('honest'), 0);
  for (let n = 0; n < 20; n += 1) pace.failed(at('guesser'), 0, pauseMaxMs);
  for (let n = 0; n < 40; n += 1) pace.failed(at('guesser', `name${n}@jobs`), 0, pauseMaxMs);
  for (let n = 0; n < 20_000; n += 1) pace.failed(at(`stranger${n}`), 1, pauseMaxMs);
  assert.ok(pace.size <= 2 * 8192 + 16, `${pace.size} entries`);
  assert.equal(pace.standing(at('honest'), 2).hasSucceeded, true);
  assert.equal(pace.standing(at('guesser'), 2).nameFailures, 20);
});

void test('what was not judged costs no pause, but others come first', () => {
  const pace = new LoginPace();
  pace.succeeded(at('proven'), 0);
  pace.crowded(at('192.0.2.1'), 0);
  pace.crowded(at('192.0.2.1'), 0);
  const { dueMs, nameFailures, failures } = pace.standing(at('192.0.2.1'), 0);
  assert.deepEqual([dueMs, nameFailures, failures], [0, 0, 2]);
  const ranks = ['proven', 'fresh', '192.0.2.1'].map((network) => pace.rankOf(network, 0));
  assert.deepEqual(ranks, [-1, 0, 2]);
  pace.failed(at('192.0.2.1'), 0, pauseMaxMs);
  assert.equal(pace.rankOf('192.0.2.1', 0), 3);
  assert.equal(pace.rankOf('192.0.2.1', 15 * minute), 0);
});
