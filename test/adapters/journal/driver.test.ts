// The driver with a real writer on real files and a clock that is turned by hand; the thread between them fails at the
// N-th order, in every way in which a thread or a disk can fail. What must not happen, whatever N: a record that is on disk
// twice or not at all, a wait that never ends, a timer left behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Driver, type DriverEvent, type DriverOptions } from '../../../src/adapters/journal/driver.js';
import type { Order, Report } from '../../../src/adapters/journal/handover.js';
import { createWriter } from '../../../src/adapters/journal/writer.js';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import type { JournalFault } from '../../../src/ports/faults.js';
import { createHandClock, type HandClock } from './hand-clock.js';
import { admission, completion } from './opening.js';
import { readWhole, temporaryDirectory } from './reading.js';

const deadlineMs = 1000;
const hints = ['dies before', 'dies after', 'refuses', 'is late', 'is mute', 'is mute for good'] as const;
type Hint = (typeof hints)[number];

interface Faulty {
  open(): ReturnType<DriverOptions['openThread']> & { ask(order: Order): Promise<Report> };
  readonly orders: Order[];
  readonly opened: number;
}

/** Threads over one directory; order number `failAt` (from 0, counted over all of them) meets the fault. */
function faultyThreads(directory: string, clock: HandClock, hint: Hint, failAt: number): Faulty {
  const orders: Order[] = [];
  let opened = 0;
  return {
    orders,
    get opened() {
      return opened;
    },
    open() {
      opened += 1;
      const options = {
        directory,
        segmentBytes: 4096,
        program: 'dovegate test',
        catalog: '',
        signKey: undefined,
        reserveBytes: 0,
      };
      const writer = createWriter(options, 'ab'.repeat(16));
      let isAlive = true;
      let die: ((report: Report) => void) | undefined;
      const dead: Report = { kind: 'failed', code: 'writer-died', message: 'gone' };
      const ask = async (order: Order): Promise<Report> => {
        if (!isAlive) return dead;
        const isFaulty = orders.push(order) - 1 === failAt;
        await new Promise(setImmediate);
        if (!isFaulty) return writer.carryOut(order);
        switch (hint) {
          case 'dies before':
          case 'dies after':
            if (hint === 'dies after') writer.carryOut(order);
            isAlive = false;
            return dead;
          case 'refuses':
            return { kind: 'failed', code: 'write-failed', message: 'no space' };
          case 'is late': {
            const report = writer.carryOut(order);
            await new Promise<void>((resolve) => {
              clock.setTimer(deadlineMs * 2, resolve);
            });
            return report;
          }
          case 'is mute':
          case 'is mute for good':
            return new Promise((resolve) => {
              die = resolve;
            });
          default:
            return hint satisfies never;
        }
      };
      return {
        ask,
        give: (order, told) => void ask(order).then(told),
        write(records, sync, told) {
          const text = Buffer.from(records.map(({ body }) => `${body}\n`).join(''));
          void ask({ do: 'write', text, sync }).then(told);
        },
        end() {
          if (hint === 'is mute for good' && die !== undefined) return Promise.resolve();
          isAlive = false;
          die?.(dead);
          return Promise.resolve();
        },
        get isAlive() {
          return isAlive;
        },
      };
    },
  };
}

/** Lets everything happen that can happen, then turns the clock, until `isDone`. */
async function runUntil(clock: HandClock, isDone: () => boolean): Promise<void> {
  for (let turns = 0; !isDone(); turns += 1) {
    assert.ok(turns < 200, 'nothing that happens leads to the end');
    for (let count = 0; count < 20 && !isDone(); count += 1) await new Promise(setImmediate);
    if (!isDone()) clock.turn();
  }
}

async function story(
  directory: string,
  hint: Hint,
  failAt: number,
): Promise<{ orders: number; state: string }> {
  const clock = createHandClock();
  const threads = faultyThreads(directory, clock, hint, failAt);
  const events: DriverEvent[] = [];
  const thread = threads.open();
  const lock = await thread.ask({ do: 'open', lock: undefined, wallMs: clock.wallMs() });
  const opened =
    lock.kind === 'lock'
      ? await thread.ask({ do: 'open', lock: lock.descriptor, wallMs: clock.wallMs() })
      : lock;
  // A start that fails is told to whoever starts it; here the story is about what comes after.
  if (opened.kind !== 'opened') return { orders: threads.orders.length, state: 'not opened' };
  const driver = new Driver(
    {
      clock,
      wallMs: () => clock.wallMs(),
      openThread: () => threads.open(),
      lock: () => true,
      deadlineMs,
      syncIntervalMs: 100,
      observe: (event) => events.push(event),
    },
    thread,
    opened,
  );
  const promised: string[] = [];
  const appended: string[] = [];
  let settled = 0;
  let waiting = 0;
  const append = (id: string, isDurable: boolean) => {
    appended.push(id);
    const body = encodeBody({ ...(isDurable ? admission(id) : completion(id)), time: clock.wallMs() });
    if (!isDurable) {
      driver.add(body, undefined, true, 1 << 20);
      return;
    }
    waiting += 1;
    const since = clock.now();
    const done = (isKept: boolean) => {
      settled += 1;
      if (isKept) promised.push(id);
      assert.ok(clock.now() - since <= deadlineMs + 60, `${id} waited ${clock.now() - since} ms`);
    };
    if (driver.state.at !== 'writable') {
      driver.add(body, undefined, true, 1 << 20);
      done(false);
      return;
    }
    const waiter = { resolve: () => done(true), reject: () => done(false) };
    driver.add(body, waiter, id.startsWith('B'), 1 << 20);
  };
  for (let count = 0; count < 12; count += 1) {
    append(`A${count}`, true);
    append(`B${count}`, true);
    append(`A${count}`, false);
    if (count % 3 === 0) await runUntil(clock, () => settled === waiting);
    else if (count % 3 === 1) await new Promise(setImmediate);
    else clock.turn();
  }
  const isOver = () =>
    hint === 'is mute for good' && threads.orders.length > failAt && driver.state.at === 'failed';
  await runUntil(clock, () => settled === waiting && (isOver() || driver.state.at === 'writable'));
  let end: 'open' | 'closed' | JournalFault = 'open';
  driver.close().then(
    () => {
      end = 'closed';
    },
    (fault: JournalFault) => {
      end = fault;
    },
  );
  await runUntil(clock, () => end !== 'open');
  assert.equal(driver.state.at, 'closed');
  assert.equal(settled, waiting);
  const hasMet = threads.orders.length > failAt;
  if (hint === 'is mute for good' && hasMet) return { orders: threads.orders.length, state: 'mute' };
  // One attempt to close is what a broken disk gets; then it may have been the stop record that failed.
  const onDisk = readWhole(directory).filter(({ event }) => event === 'admission' || event === 'completion');
  assert.deepEqual(
    onDisk.map((record) => record['id']),
    appended,
  );
  for (const id of promised) assert.ok(onDisk.some((record) => record['id'] === id));
  return { orders: threads.orders.length, state: driver.state.at };
}

for (const hint of hints) {
  void test(`a thread that ${hint} at the N-th order`, async (t) => {
    const parent = temporaryDirectory(t, 'memory');
    let runs = 0;
    for (let failAt = 2; ; failAt += 1, runs += 1) {
      const { orders } = await story(`${parent}/${failAt}`, hint, failAt);
      if (orders <= failAt) break;
    }
    t.diagnostic(`${runs} orders failed, one after the other`);
    assert.ok(runs >= 5);
  });
}
