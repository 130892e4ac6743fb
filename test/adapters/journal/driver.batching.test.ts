// When the bell of the journal's thread rings, with a clock that is turned by hand and a thread that answers when it is told to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHandDriver, writtenAt } from './hand-thread.js';

void test('records that delay somebody are rung for at the end of the turn, together', async () => {
  const { ring, thread, awaited, turns } = createHandDriver();
  for (const name of ['A', 'B', 'C']) awaited(name);
  await Promise.resolve();
  assert.deepEqual(thread.bells, []);
  await turns();
  assert.deepEqual(thread.bells, [ring.writer.head]);
});

void test('a lone command wakes the thread once; its completion waits for the linger timer', async () => {
  const { clock, thread, settled, awaited, add, turns, pass } = createHandDriver();
  awaited('A');
  await turns();
  thread.answer();
  assert.deepEqual(settled, ['A']);
  const sinceMs = clock.now();
  add();
  await turns();
  await pass(19);
  assert.equal(thread.bells.length, 1);
  await pass(1);
  assert.deepEqual([thread.bells.length, clock.now() - sinceMs], [2, 20]);
  thread.answer();
  // The timer of the deadline fires, and finds nothing.
  while (clock.turn());
  assert.equal(thread.bells.length, 2);
  assert.equal(clock.timers, 0);
});

void test('records that delay nobody linger, unless others take them along', async () => {
  const { clock, thread, settled, awaited, add, turns, pass } = createHandDriver();
  awaited('patient', true);
  add();
  assert.equal(clock.timers, 2, 'one for the batch, one for the deadline');
  await turns();
  assert.deepEqual(thread.bells, []);
  awaited('A');
  await turns();
  assert.equal(thread.bells.length, 1);
  thread.answer();
  assert.deepEqual(settled, ['patient', 'A']);
  await pass(30);
  assert.equal(thread.bells.length, 1, 'the timer of those that were taken along rings for nothing');
});

void test('what an order took along while it lingered is not rung for: the thread would have nothing to answer', async () => {
  const { driver, thread, add, turns, pass } = createHandDriver();
  add();
  const looked = driver.run((_, behind) => ({ do: 'look', behind }));
  await turns();
  thread.tell(writtenAt(thread.sync()));
  await looked;
  await pass(30);
  assert.deepEqual(thread.bells, []);
  await pass(3000);
  assert.equal(driver.state.at, 'writable');
});

void test('so much that a longer batch would spare nothing does not linger', async () => {
  const { driver, thread, add, turns } = createHandDriver();
  for (let bytes = 0; bytes < driver.whole / 8; bytes += 1000) add(1000);
  await turns();
  assert.equal(thread.bells.length, 1);
});

void test('a bell that rang before is no answer for what came later', async () => {
  const { ring, thread, settled, awaited, turns } = createHandDriver();
  awaited('A');
  await turns();
  const first = ring.writer.head;
  awaited('B');
  await turns();
  assert.deepEqual(
    thread.bells,
    [first, ring.writer.head],
    'the thread may be busy: it looks again when it is done',
  );
  thread.answer(first);
  assert.deepEqual(settled, ['A']);
  assert.equal(ring.writer.tail, first);
  thread.answer();
  assert.deepEqual(settled, ['A', 'B']);
  assert.equal(ring.writer.used, 0);
});

void test('the age of the oldest record is counted from the bell that did not take it along', async () => {
  const { driver, ring, thread, awaited, add, turns, pass } = createHandDriver();
  assert.equal(driver.unsyncedMs, 0);
  awaited('A');
  await turns();
  const first = ring.writer.head;
  await pass(100);
  assert.equal(driver.unsyncedMs, 100);
  for (let count = 0; count < 50; count += 1) {
    add();
    await pass(10);
  }
  thread.answer(first);
  assert.equal(driver.unsyncedMs, 600);
  await pass(7);
  thread.answer();
  assert.equal(driver.unsyncedMs, 0);
});

void test('a report of an order that is older than the mark read before it settles nothing', async () => {
  const { driver, ring, thread, events, settled, awaited, turns } = createHandDriver();
  awaited('A');
  const looked = driver.run((_, behind) => ({ do: 'look', behind }));
  await turns();
  const old = thread.sync();
  awaited('B');
  await turns();
  // The word of an earlier bell, read after the next mark was laid.
  thread.answer();
  assert.deepEqual(settled, ['A', 'B']);
  thread.tell(writtenAt(old));
  assert.equal((await looked).kind, 'written');
  assert.equal(driver.mark, thread.mark());
  assert.equal(ring.writer.tail, ring.writer.head);
  const synced = events.flatMap((event) => (event.kind === 'synced' ? [event.records] : []));
  assert.deepEqual(synced, [2]);
});

void test('a record that is damaged in the ring is never promised, and the journal goes on', async () => {
  const { driver, ring, thread, events, settled, awaited, turns } = createHandDriver();
  awaited('A');
  await turns();
  const first = ring.writer.head;
  awaited('B');
  await turns();
  ring.bytes[4096 + 40] = 0;
  thread.answer(first);
  assert.deepEqual(settled, ['A: write-failed']);
  assert.deepEqual([driver.lost, ring.writer.tail, driver.state.at], [1, first, 'writable']);
  thread.answer();
  assert.deepEqual(settled, ['A: write-failed', 'B']);
  assert.deepEqual(
    events.flatMap((event) => (event.kind === 'lost' ? [event.records] : [])),
    [1],
  );
});

void test('of records that come to the disk together nobody knows which one was damaged: none is promised', async () => {
  const { driver, ring, thread, settled, awaited, turns } = createHandDriver();
  for (const name of ['A', 'B', 'C']) awaited(name);
  await turns();
  ring.bytes[4096 + 2 * 48 - 8] = 0;
  // Two bells were answered, and the word of the first finds the mark of the second.
  awaited('D');
  thread.answer();
  assert.deepEqual(
    settled,
    ['A', 'B', 'C', 'D'].map((name) => `${name}: write-failed`),
  );
  assert.equal(driver.lost, 1);
});

void test('an observer that asks for an order while a report is taken neither loses nor promises records', async () => {
  let isAsked = false;
  const made = createHandDriver({
    observe({ kind }) {
      if (kind !== 'checkpoint' || isAsked) return;
      isAsked = true;
      void made.driver.run((_, behind) => ({ do: 'keep-policy', behind, version: 'ab', text: '' }));
    },
  });
  const { thread, settled, awaited, turns } = made;
  awaited('one');
  await turns();
  const mark = thread.sync();
  awaited('two');
  thread.onBell?.({ ...writtenAt(mark), checkpoint: 'the line' });
  assert.deepEqual(settled, ['one']);
  assert.deepEqual(
    thread.orders.map((order) => order.do),
    ['keep-policy'],
  );
  thread.tell({ kind: 'kept' });
  assert.deepEqual(settled, ['one']);
  await turns();
  thread.answer();
  assert.deepEqual(settled, ['one', 'two']);
});
