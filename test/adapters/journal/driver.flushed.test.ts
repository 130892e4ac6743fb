// Waiting until what was published is on disk: it forces no sync, and is no deadline of the disk.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { createHandDriver } from './hand-thread.js';

void test('it resolves with the records that were published before, and rings no bell of its own', async () => {
  const { driver, ring, thread, add, turns, pass } = createHandDriver();
  await driver.flushed();
  const told: string[] = [];
  add();
  for (const name of ['A', 'B']) void driver.flushed().then(() => told.push(name));
  const first = ring.writer.head;
  add();
  void driver.flushed().then(() => told.push('C'));
  await turns();
  assert.deepEqual(thread.bells, [], 'the records wait for their linger timer');
  await pass(20);
  assert.deepEqual(thread.bells, [ring.writer.head]);
  thread.answer(first);
  await turns();
  assert.deepEqual(told, ['A', 'B']);
  thread.answer();
  await turns();
  assert.deepEqual(told, ['A', 'B', 'C']);
  await driver.flushed();
  assert.equal(thread.bells.length, 1);
});

void test('it rejects when the disk misses its deadline, and at once until it is served again', async () => {
  const { driver, thread, add, turns, pass } = createHandDriver();
  add();
  const waiting = driver.flushed().catch((fault: unknown) => fault);
  await pass(20);
  await pass(2100);
  assert.equal(driver.state.at, 'slow');
  assert.match(String(await waiting), /longer than 2000 ms/);
  await assert.rejects(driver.flushed(), { code: 'deadline' });
  thread.answer();
  await turns();
  await driver.flushed();
});

void test('only so many wait at once; later ones are refused, and none is left behind', async () => {
  const { driver, thread, add, turns, pass } = createHandDriver();
  add();
  const waiting = Array.from({ length: bounds.flushWaiters }, () => driver.flushed());
  await assert.rejects(driver.flushed(), { code: 'overflow' });
  await pass(20);
  thread.answer();
  await Promise.all(waiting);
  add();
  const next = driver.flushed();
  await turns();
  await pass(20);
  thread.answer();
  await next;
});
