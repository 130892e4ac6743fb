import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPoisonTable, type PoisonTable } from '../../../src/gateway/pool/poison.js';

const limits = { entriesMax: 3, freeDeaths: 2, pauseMs: 1_000, pauseMaxMs: 5_000 };
const bob = 'bob@support';

function pause(table: PoisonTable, shape: string, nowMs: number, principal = bob): number {
  return table.pauseMs(principal, () => shape, nowMs);
}

void test('the first deaths are free; then pauses double up to their maximum', () => {
  const table = createPoisonTable(limits);
  const pauses: number[] = [];
  let nowMs = 10;
  for (let n = 0; n < 7; n += 1) {
    table.died(bob, 'fetch nonsense', nowMs);
    pauses.push(pause(table, 'fetch nonsense', nowMs));
    nowMs += 10_000;
  }
  assert.deepEqual(pauses, [0, 0, 1_000, 2_000, 4_000, 5_000, 5_000]);
  assert.equal(pause(table, 'fetch nonsense', nowMs - 10_000 + 4_999), 1);
  assert.equal(pause(table, 'fetch nonsense', nowMs), 0, 'it may try again');
});

void test('other shapes and other principals are not held back', () => {
  const table = createPoisonTable(limits);
  for (let n = 0; n < 3; n += 1) table.died(bob, 'a', 0);
  assert.deepEqual([pause(table, 'a', 0), pause(table, 'b', 0)], [1_000, 0]);
  assert.equal(pause(table, 'a', 0, 'eve@support'), 0);
});

void test('the shape is not asked for while nothing is remembered of a principal', () => {
  const table = createPoisonTable(limits);
  const unasked = (): string => assert.fail('asked');
  assert.equal(table.pauseMs(bob, unasked, 0), 0);
  table.survived(bob, unasked);
  table.died('eve@support', 'a', 0);
  assert.equal(table.pauseMs(bob, unasked, 0), 0);
});

void test('one that got its status is forgotten', () => {
  const table = createPoisonTable(limits);
  for (let n = 0; n < 3; n += 1) table.died(bob, 'a', 0);
  table.survived(bob, () => 'a');
  assert.deepEqual([pause(table, 'a', 0), table.size], [0, 0]);
  table.pauseMs(bob, () => assert.fail('asked'), 0);
});

void test('a full table forgets the oldest, and with it whose it was', () => {
  const table = createPoisonTable(limits);
  table.died('eve@support', 'a', 0);
  for (const shape of ['a', 'b', 'c', 'd']) table.died(bob, shape, 0);
  assert.equal(table.size, 3);
  table.pauseMs('eve@support', () => assert.fail('asked'), 0);
  for (let n = 0; n < 2; n += 1) table.died(bob, 'a', 0);
  assert.equal(pause(table, 'a', 0), 0, 'its first death was forgotten');
});
