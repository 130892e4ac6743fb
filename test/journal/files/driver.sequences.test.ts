// The driver in random sequences of what its users, the clock and the journal's thread do. The thread is as the real one: it takes its
// orders before it looks at the bell, its words are read later, and a bell with nothing to sync has no answer.
// DOVEGATE_ROUNDS multiplies the sequences, DOVEGATE_SEED chooses others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Order } from '../../../src/journal/files/handover.js';
import { createHandDriver, writtenAt } from './hand-thread.js';

const sequences = 40 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 1);
const deadlineMs = 2000;

const orders: readonly ((behind: number) => Order)[] = [
  (behind) => ({ do: 'look', behind }),
  (behind) => ({ do: 'limit', behind, isFull: false }),
  (behind) => ({ do: 'checkpoint', behind, wallMs: 0 }),
  (behind) => ({ do: 'keep-policy', behind, version: 'ab', text: '' }),
];

/** Numbers from 0 up to `below`, the same ones for the same start (mulberry32). */
function numbersFrom(start: number): (below: number) => number {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** `isLate`: sometimes the thread takes longer than the deadline. */
async function sequence(random: (below: number) => number, isLate: boolean): Promise<void> {
  const { clock, ring, driver, thread, events, add } = createHandDriver();
  const words: (() => void)[] = [];
  let taken = 0;
  let written = 0;
  let waiting = 0;
  let servedMs = clock.now();

  /** One time round the thread's loop. */
  const work = (): void => {
    for (const order of thread.orders.slice(taken)) {
      if ('behind' in order) written = Math.max(written, order.behind);
      const isKept = order.do === 'limit' || order.do === 'keep-policy';
      if (!isKept && (order.do !== 'look' || written > thread.mark().position)) thread.sync(written);
      const done = writtenAt(thread.mark());
      if (isKept) words.push(() => thread.tell({ kind: 'kept' }));
      else words.push(() => thread.tell(order.do === 'stop' ? { ...done, kind: 'stopped' } : done));
    }
    taken = thread.orders.length;
    written = Math.max(written, thread.bells.at(-1) ?? 0);
    if (written <= thread.mark().position) return;
    thread.sync(written);
    words.push(() => thread.onBell?.(undefined));
  };
  const hear = (): void => words.shift()?.();
  const serve = async (): Promise<void> => {
    await clock.nextTurn();
    for (work(); words.length > 0; work()) {
      hear();
      await clock.nextTurn();
    }
    servedMs = clock.now();
  };
  const awaited = (): void => {
    if (driver.state.at !== 'writable') return void add();
    waiting += 1;
    const settle = (end: number): void => {
      waiting -= 1;
      assert.ok(end <= thread.mark().position, 'promised, and not synced');
    };
    const kept = (): void => settle(end);
    assert.ok(driver.addAwaited(['x'], driver.whole, kept, () => settle(0)));
    const end = ring.writer.head;
  };
  const run = (): void => {
    const make = orders[random(orders.length)] ?? assert.fail();
    waiting += 1;
    void driver.run((_, behind) => make(behind)).then(() => (waiting -= 1));
  };
  const pass = async (ms: number, isServed: boolean): Promise<void> => {
    const passed = { is: false };
    clock.setTimer(ms, () => void (passed.is = true));
    while (!passed.is) {
      await (isServed ? serve() : clock.nextTurn());
      clock.turn();
    }
  };

  const actions: readonly (() => unknown)[] = [add, awaited, run, work, hear, () => clock.nextTurn()];
  for (let step = 0; step < 30; step += 1) {
    const choice = random(isLate ? 10 : 9);
    if (choice < actions.length) await actions[choice]?.();
    else await pass(choice < 9 ? random(25) : random(3) * deadlineMs, false);
    if (clock.now() - servedMs > deadlineMs * (isLate ? 2 : 0.25)) await serve();
  }
  await pass(6 * deadlineMs, true);
  assert.deepEqual([driver.state.at, waiting, driver.unsyncedMs, clock.timers], ['writable', 0, 0, 0]);
  assert.equal(driver.mark.position, ring.writer.head);
  const faults = () => events.filter(({ kind }) => kind === 'failed').length;
  const before = faults();
  if (!isLate) assert.equal(before, 0);
  // Neither the timer of a batch nor the end of a turn is taken for one that comes yet.
  add();
  await pass(30, true);
  assert.equal(driver.unsyncedMs, 0);
  awaited();
  await pass(30, true);
  assert.equal(waiting, 0);
  await pass(2 * deadlineMs, true);
  const closed = driver.close(clock.now() + deadlineMs);
  await serve();
  await closed;
  assert.deepEqual([faults(), clock.timers, driver.lost], [before, 0, 0]);
}

for (const isLate of [false, true]) {
  void test(`random sequences with a thread that is ${isLate ? 'late at times' : 'in time'}`, async () => {
    for (let count = 0; count < sequences; count += 1) {
      const own = seed * 1_000_003 + count;
      await sequence(numbersFrom(own), isLate).catch((error: unknown) => {
        assert.fail(`sequence ${own}: ${error instanceof Error ? error.stack : String(error)}`);
      });
    }
  });
}
