// What the driver does while the disk or the thread does not answer, with a clock that is turned by hand and a thread that answers
// when it is told to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { type JournalFault } from '../../../src/host/ports/faults.js';
import { createHandDriver, writtenAt } from './hand-thread.js';

const deadlineMs = bounds.journalDeadlineMs;
/** From a deadline until it is looked at. */
const graceMs = 50;
const look = (_: number, behind: number) => ({ do: 'look', behind }) as const;
const kindsOf = (events: readonly { readonly kind: string }[]) => events.map(({ kind }) => kind);

/** A record is waited for, and its bell is not answered within the deadline. */
async function slowed() {
  const made = createHandDriver();
  made.awaited('A');
  await made.turns();
  await made.pass(deadlineMs + graceMs);
  assert.deepEqual(made.settled, ['A: deadline']);
  assert.equal(made.driver.state.at, 'slow');
  return made;
}

void test('a slow disk: waiters are rejected, records are kept up to the limit, and an answer in time ends it', async () => {
  const { driver, ring, thread, events, settled, awaited, add, turns, pass } = await slowed();
  const firstHead = ring.writer.head;
  assert.equal(events.filter(({ kind }) => kind === 'failed').length, 1);
  let count = 0;
  while (add(1000)) count += 1;
  assert.ok(driver.whole - ring.writer.used < 1100, `${count} records`);
  await pass(100);
  assert.equal(thread.bells.length, 1, 'nothing is rung for while it is slow');
  thread.answer(firstHead);
  assert.equal(driver.state.at, 'slow');
  assert.equal(ring.writer.tail, firstHead);
  assert.deepEqual(thread.bells, [firstHead, ring.writer.head], 'what is asked now shows how fast it is');
  await pass(100);
  thread.answer();
  assert.equal(driver.state.at, 'writable');
  assert.deepEqual(kindsOf(events), ['failed', 'synced', 'synced', 'writable']);
  assert.equal(ring.writer.used, 0);
  assert.equal(driver.lost, 0);
  awaited('B');
  await turns();
  thread.answer();
  assert.deepEqual(settled, ['A: deadline', 'B']);
});

void test('an answer beyond the deadline does not end it', async () => {
  const { driver, ring, thread, add, pass } = await slowed();
  for (let count = 2; count < 5; count += 1) {
    const asked = ring.writer.head;
    add();
    thread.answer(asked);
    assert.equal(thread.bells.length, count);
    await pass(deadlineMs + 1);
  }
  thread.answer();
  assert.equal(driver.state.at, 'slow');
  await pass(10);
  const [checkpoint] = thread.orders;
  assert.ok(checkpoint?.do === 'checkpoint', 'with nothing to ring for, a checkpoint shows it');
  thread.tell(writtenAt(thread.sync()));
  assert.equal(driver.state.at, 'writable');
});

void test('an order that is asked for while the journal is not writable fails at once', async () => {
  const { driver, thread } = await slowed();
  const report = await driver.run(look);
  assert.equal(report.kind === 'failed' && report.code, 'deadline');
  thread.onBell?.({ kind: 'failed', code: 'write-failed', message: 'no space' });
  const next = await driver.run(look);
  assert.equal(next.kind === 'failed' && next.code, 'write-failed');
  assert.equal(thread.orders.map((order) => order.do).join(), 'heal');
});

void test('a mute thread is ended after five deadlines, and another one heals from the mark', async () => {
  const { driver, ring, thread, threads, settled, awaited, add, turns, pass } = await slowed();
  const before = driver.mark;
  add();
  await pass(3 * deadlineMs);
  assert.equal(thread.isEnded, false);
  await pass(deadlineMs);
  assert.equal(thread.isEnded, true);
  assert.equal(threads.length, 1, 'no other one before it is gone');
  thread.die();
  await turns();
  const [, second] = threads;
  const [heal] = second?.orders ?? [];
  assert.ok(second !== undefined && heal?.do === 'heal');
  assert.deepEqual([heal.mark, heal.behind, heal.lost], [before, ring.writer.head, 0]);
  assert.equal(driver.state.at, 'failed');
  second.tell(writtenAt(second.sync()));
  await turns();
  assert.equal(driver.state.at, 'writable');
  assert.equal(ring.writer.used, 0);
  awaited('B');
  await turns();
  second.answer();
  assert.deepEqual(settled, ['A: deadline', 'B']);
});

void test('closing ends in its time while the thread hangs', async () => {
  const { clock, driver, threads, thread, settled, awaited, add, turns, pass, events } = createHandDriver();
  awaited('A');
  await turns();
  add();
  let end: JournalFault | undefined;
  driver.close(clock.now() + 2 * deadlineMs).catch((fault: JournalFault) => void (end = fault));
  await pass(deadlineMs + graceMs);
  assert.deepEqual(settled, ['A: deadline']);
  assert.equal(thread.isEnded, true, 'a new one may still write what is left');
  await pass(deadlineMs);
  assert.equal(end?.code, 'deadline');
  assert.deepEqual([driver.state.at, driver.lost, threads.length, clock.timers], ['closed', 0, 1, 0]);
  assert.deepEqual(events.at(-1), { kind: 'left', records: 2 });
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
  add();
  add();
  assert.equal(clock.timers, 1, 'one for the batch');
  await turns();
  assert.deepEqual(thread.bells, []);
  awaited('A');
  await turns();
  assert.equal(thread.bells.length, 1);
  thread.answer();
  assert.deepEqual(settled, ['A']);
  await pass(30);
  assert.equal(thread.bells.length, 1, 'the timer of those that were taken along rings for nothing');
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
  const lost = events.flatMap((event) => (event.kind === 'lost' ? [event.records] : []));
  assert.deepEqual(lost, [1]);
});

// Waiting until what was published is on disk: it forces no sync, and is no deadline of the disk.

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
