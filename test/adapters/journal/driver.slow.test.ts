// What the driver does while the disk or the thread does not answer, with a clock that is turned by hand and a thread that answers
// when it is told to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalFault } from '../../../src/ports/faults.js';
import { createHandDriver, writtenAt } from './hand-thread.js';

const deadlineMs = 2000;
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

void test('two answers that come together are not one in time', async () => {
  const { driver, ring, thread, awaited, turns, pass } = createHandDriver();
  awaited('A');
  await turns();
  const first = ring.writer.head;
  awaited('B');
  await turns();
  await pass(deadlineMs + graceMs);
  thread.sync(first);
  thread.sync();
  // The thread told of each; the word of the first finds the mark of both.
  thread.onBell?.(undefined);
  thread.onBell?.(undefined);
  assert.equal(driver.state.at, 'slow');
  thread.tell(writtenAt(thread.sync()));
  assert.equal(driver.state.at, 'writable');
});

void test('an order that hangs alone: its late report is followed by another one that shows how fast the disk is', async () => {
  const { driver, thread, turns, pass } = createHandDriver();
  const looked = driver.run(look);
  await turns();
  await pass(deadlineMs + graceMs);
  const report = await looked;
  assert.equal(report.kind === 'failed' && report.code, 'deadline');
  assert.equal(driver.state.at, 'slow');
  thread.tell(writtenAt(thread.sync()));
  assert.deepEqual(
    thread.orders.map((order) => order.do),
    ['look', 'checkpoint'],
  );
  await pass(10);
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
  assert.deepEqual(
    thread.orders.map((order) => order.do),
    ['heal'],
  );
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

void test('a thread that comes back before it is given up is not ended', async () => {
  const { driver, thread, pass } = await slowed();
  await pass(3 * deadlineMs);
  thread.answer();
  thread.tell(writtenAt(thread.sync()));
  await pass(10 * deadlineMs);
  assert.deepEqual([driver.state.at, thread.isEnded], ['writable', false]);
});

void test('the first fault is the one that is told, whatever the orders behind it report', async () => {
  const { driver, thread, turns } = createHandDriver();
  const looked = driver.run(look);
  await turns();
  thread.onBell?.({ kind: 'failed', code: 'write-failed', message: 'no space' });
  const report = await looked;
  assert.equal(report.kind === 'failed' && report.message, 'no space');
  thread.tell({ kind: 'failed', code: 'write-failed', message: 'the journal has failed' });
  const { state } = driver;
  assert.equal(state.at === 'failed' && state.fault.message, 'no space');
});

void test('a slow disk that fails is told once more, with its error', async () => {
  const { driver, thread, events } = await slowed();
  thread.onBell?.({ kind: 'failed', code: 'write-failed', message: 'no space' });
  assert.equal(driver.state.at, 'failed');
  const faults = events.flatMap((event) => (event.kind === 'failed' ? [event.fault.code] : []));
  assert.deepEqual(faults, ['deadline', 'write-failed']);
});

void test('records that an order brought along are told with a duration', async () => {
  const { driver, thread, events, add, turns } = createHandDriver();
  add();
  const kept = driver.run((_, behind) => ({ do: 'keep-policy', behind, version: 'ab', text: '' }));
  await turns();
  thread.tell({ kind: 'kept' });
  await kept;
  // Such an order syncs nothing: the thread does that when it has none left, though no bell was rung for it.
  thread.answer();
  assert.deepEqual(events, [{ kind: 'synced', records: 1, durationMs: 0 }]);
});

void test('closing ends in its time while the thread hangs', async () => {
  const { clock, driver, threads, thread, settled, awaited, add, turns, pass } = createHandDriver();
  awaited('A');
  await turns();
  add();
  let end: JournalFault | undefined;
  driver.close(clock.now() + 2 * deadlineMs).catch((fault: JournalFault) => {
    end = fault;
  });
  await pass(deadlineMs + graceMs);
  assert.deepEqual(settled, ['A: deadline']);
  assert.equal(thread.isEnded, true, 'a new one may still write what is left');
  await pass(deadlineMs);
  assert.equal(end?.code, 'deadline');
  assert.deepEqual([driver.state.at, driver.lost, threads.length, clock.timers], ['closed', 2, 1, 0]);
});

void test('closing a slow journal asks for nothing behind the stop record', async () => {
  const { clock, driver, thread, turns } = await slowed();
  const closed = driver.close(clock.now() + 2 * deadlineMs);
  thread.answer();
  assert.deepEqual(
    thread.orders.map((order) => order.do),
    ['stop'],
  );
  thread.tell({ ...writtenAt(thread.sync()), kind: 'stopped' });
  await turns();
  await closed;
  assert.deepEqual([driver.lost, clock.timers], [0, 0]);
});
