// When records go to the journal's thread, with a clock that is turned by hand and a thread that answers when it is told to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Driver, type DriverEvent } from '../../../src/adapters/journal/driver.js';
import type { Mark, Report } from '../../../src/adapters/journal/handover.js';
import { createHandClock } from './hand-clock.js';

const mark: Mark = {
  segment: 1,
  device: 1,
  inode: 1,
  bytes: 0,
  seq: 1,
  hash: 'a'.repeat(64),
  stepsMs: 0,
  oldestSeq: 1,
  timeMs: 0,
  openSeq: 2,
};
const written: Report = { kind: 'written', mark, checkpoint: undefined, isReserveUsed: false };

/** `orders`: how many records each order had. */
function begin(deadlineMs = 2_000) {
  const clock = createHandClock();
  const orders: number[] = [];
  let tell: ((report: Report) => void) | undefined;
  const thread = {
    isAlive: true,
    give: () => assert.fail('an order that is none to write'),
    write(records: readonly unknown[], _sync: boolean, told: (report: Report) => void) {
      orders.push(records.length);
      tell = told;
    },
    end: () => Promise.resolve(),
  };
  const parts = { clock, wallMs: () => 0, openThread: () => thread, lock: () => true };
  const options = { ...parts, deadlineMs, syncIntervalMs: 1_000, observe: () => undefined };
  const found = { journal: 'ab', unknown: 0, tornBytes: 0, damage: undefined, keyBefore: undefined };
  const driver = new Driver(options, thread, { mark, found });
  return {
    clock,
    orders,
    answer: () => tell?.(written),
    awaited: (chars = 10) => {
      const waiter = { resolve: () => undefined, reject: () => assert.fail('rejected') };
      driver.add('x'.repeat(chars), waiter, false, 1 << 24);
    },
    patient: (chars = 10) => driver.add('x'.repeat(chars), undefined, true, 1 << 24),
  };
}

void test('records that hold somebody up go at the end of the turn, together', async () => {
  const { clock, orders, awaited } = begin();
  for (let count = 0; count < 3; count += 1) awaited();
  await Promise.resolve();
  assert.deepEqual(orders, []);
  await clock.nextTurn();
  await clock.nextTurn();
  assert.deepEqual(orders, [3]);
});

void test('those that hold nobody up linger, unless others take them along', async () => {
  const { clock, orders, answer, awaited, patient } = begin();
  patient();
  patient();
  assert.equal(clock.timers, 1);
  await clock.nextTurn();
  assert.deepEqual(orders, []);
  clock.turn();
  assert.deepEqual(orders, [2]);
  answer();
  assert.deepEqual(orders, [2]);
  patient();
  awaited();
  await clock.nextTurn();
  await clock.nextTurn();
  assert.deepEqual(orders, [2, 2]);
  answer();
  // The timer of the one that was taken along fires, and so does the one that watches the deadline.
  while (clock.turn());
  assert.deepEqual(orders, [2, 2]);
  patient(70_000);
  await clock.nextTurn();
  await clock.nextTurn();
  assert.deepEqual(orders, [2, 2, 1], 'nor does so much that a longer batch would spare nothing');
});

void test('behind an order that is under way nobody waits for a turn', async () => {
  const { clock, orders, answer, awaited, patient } = begin();
  awaited();
  await clock.nextTurn();
  await clock.nextTurn();
  patient();
  awaited();
  assert.deepEqual(orders, [1]);
  answer();
  assert.deepEqual(orders, [1, 2]);
  for (let count = 0; count < 3; count += 1) awaited(200_000);
  answer();
  assert.deepEqual(orders, [1, 2, 1]);
  answer();
  answer();
  assert.deepEqual(orders, [1, 2, 1, 1, 1], 'what did not fit in goes next');
});

void test('nothing lingers for a good part of the deadline', () => {
  for (const [deadlineMs, atMost] of [
    [2_000, 20],
    [50, 5],
  ] as const) {
    const { clock, orders, patient } = begin(deadlineMs);
    const startMs = clock.now();
    patient();
    clock.turn();
    assert.deepEqual([orders.length, clock.now() - startMs], [1, atMost]);
  }
});

void test('an observer that asks for an order while a report is taken neither loses nor promises records', async () => {
  const clock = createHandClock();
  const orders: (number | string)[] = [];
  let tell: ((report: Report) => void) | undefined;
  const thread = {
    isAlive: true,
    give(order: { readonly do: string }, told: (report: Report) => void) {
      orders.push(order.do);
      tell = told;
    },
    write(records: readonly unknown[], _sync: boolean, told: (report: Report) => void) {
      orders.push(records.length);
      tell = told;
    },
    end: () => Promise.resolve(),
  };
  let isAsked = false;
  const observe = ({ kind }: DriverEvent): void => {
    if (kind !== 'checkpoint' || isAsked) return;
    isAsked = true;
    void driver.run(() => ({ do: 'keep-policy', version: 'ab', text: '' }));
  };
  const parts = { clock, wallMs: () => 0, openThread: () => thread, lock: () => true };
  const found = { journal: 'ab', unknown: 0, tornBytes: 0, damage: undefined, keyBefore: undefined };
  const options = { ...parts, deadlineMs: 2_000, syncIntervalMs: 1_000, observe };
  const driver = new Driver(options, thread, { mark, found });
  const settled: string[] = [];
  const add = (body: string): void => {
    const reject = (): void => void settled.push(`${body} rejected`);
    driver.add(body, { resolve: () => void settled.push(body), reject }, false, 1 << 20);
  };
  add('one');
  await clock.nextTurn();
  await clock.nextTurn();
  add('two');
  tell?.({ ...written, checkpoint: 'the line' });
  assert.deepEqual(settled, ['one']);
  tell?.(written);
  tell?.(written);
  assert.deepEqual(settled, ['one', 'two']);
  assert.equal(orders.filter((each) => each === 1).length, 2);
});
