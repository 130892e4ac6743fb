// The driver with a real writer on real files and a clock that is turned by hand; the thread between them fails at the
// N-th step, in every way in which a thread or a disk can fail. What must not happen, whatever N: a record that is on disk
// twice or not at all, a wait that never ends, a promise before the disk has it, a timer left behind.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { JournalFault } from '../../../src/host/ports/faults.js';
import { Driver, type DriverEvent, type DriverOptions } from '../../../src/journal/files/driver.js';
import type { Failed, Mark, Order, Report } from '../../../src/journal/files/handover.js';
import { createWriter } from '../../../src/journal/files/writer.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { createHandClock, type HandClock } from './hand-clock.js';
import { admission, completion } from './opening.js';
import { readWhole, segmentFiles, temporaryDirectory } from './reading.js';
import { createSharedRing, type SharedRing } from './shared-ring.js';

const deadlineMs = 1000;
const hints = ['dies before', 'dies after', 'refuses', 'is late', 'is mute', 'is mute for good'] as const;
type Hint = (typeof hints)[number];

type Thread = ReturnType<DriverOptions['openThread']>;

interface Faulty {
  open(): Thread;
  /** Steps of the threads so far, each an order or a bell that had news; the one with the number `failAt` meets the fault. */
  steps: number;
}

const dead: Failed = { kind: 'failed', code: 'writer-died', message: 'gone' };
const refused: Failed = { kind: 'failed', code: 'write-failed', message: 'no space' };

/** Threads over one directory and one ring. */
function faultyThreads(
  directory: string,
  ring: SharedRing,
  clock: HandClock,
  hint: Hint,
  failAt: number,
): Faulty {
  const all: Faulty = {
    steps: -Infinity,
    open() {
      const names = { program: 'dovegate test', catalog: '', signKey: undefined };
      const memory = { path: undefined, bytes: 65_536 };
      const options = { directory, segmentBytes: 4096, reserveBytes: 0, memory, ...names };
      const writer = createWriter(options, 'ab'.repeat(16));
      writer.attach(ring.reader());
      const orders: { readonly order: Order; readonly told: (report: Report) => void }[] = [];
      let head = 0;
      let flushed = 0;
      let laid: Mark | undefined;
      let isServing = false;
      let isRefusing = false;
      const mute = { is: false };
      const die = (): void => {
        thread.isAlive = false;
        for (const { told } of orders.splice(0)) told(dead);
        thread.onBell?.(dead);
      };
      /** Undefined: it does what it should. */
      const nextFault = (): Hint | undefined => {
        all.steps += 1;
        return all.steps - 1 === failAt ? hint : undefined;
      };
      const late = () => new Promise<void>((resolve) => void clock.setTimer(deadlineMs * 2, resolve));
      const carryOut = async (): Promise<void> => {
        const [{ order, told } = assert.fail()] = orders;
        const fault = nextFault();
        const isHeal = order.do === 'heal';
        if (fault === 'dies before') return die();
        if (fault === 'is mute' || fault === 'is mute for good') {
          mute.is = true;
          return;
        }
        // A writer that failed carries out nothing else before it is healed.
        isRefusing = fault === 'refuses' || (isRefusing && !isHeal);
        const report = isRefusing ? refused : writer.carryOut(order);
        if (fault === 'dies after') return die();
        if (fault === 'is late') await late();
        if (!thread.isAlive) return;
        orders.shift();
        told(report);
      };
      const flush = async (): Promise<void> => {
        const fault = head > flushed && !isRefusing ? nextFault() : undefined;
        flushed = head;
        if (fault === 'dies before') return die();
        if (fault === 'is mute' || fault === 'is mute for good') {
          mute.is = true;
          return;
        }
        if (fault === 'refuses') isRefusing = true;
        if (isRefusing) return fault === undefined ? undefined : thread.onBell?.(refused);
        const report = writer.flush(head, clock.now());
        if (fault === 'dies after') return die();
        if (fault === 'is late') await late();
        if (report === undefined || !thread.isAlive) return;
        if ('kind' in report) return thread.onBell?.(report);
        laid = report;
        thread.onBell?.(undefined);
      };
      const serve = async (): Promise<void> => {
        if (isServing) return;
        isServing = true;
        await new Promise(setImmediate);
        while (orders.length > 0 && thread.isAlive && !mute.is) await carryOut();
        if (thread.isAlive && !mute.is) await flush();
        isServing = false;
        if ((orders.length > 0 || head > flushed) && thread.isAlive && !mute.is) void serve();
      };
      const thread: Thread & { isAlive: boolean } = {
        isAlive: true,
        onBell: undefined,
        give(order, told) {
          orders.push({ order, told });
          if (thread.isAlive) void serve();
          else queueMicrotask(die);
        },
        ring(published) {
          head = published;
          void serve();
        },
        mark: () => laid ?? assert.fail('no mark'),
        end() {
          if (!mute.is || hint !== 'is mute for good') queueMicrotask(die);
          return Promise.resolve();
        },
      };
      return thread;
    },
  };
  return all;
}

/** Lets everything happen that can happen, then turns the clock, until `isDone`. */
async function runUntil(clock: HandClock, isDone: () => boolean): Promise<void> {
  for (let turns = 0; !isDone(); turns += 1) {
    assert.ok(turns < 200, 'nothing that happens leads to the end');
    for (let count = 0; count < 20 && !isDone(); count += 1) await new Promise(setImmediate);
    if (!isDone()) clock.turn();
  }
}

async function story(directory: string, hint: Hint, failAt: number): Promise<number> {
  const clock = createHandClock();
  const ring = createSharedRing(65_536);
  const threads = faultyThreads(directory, ring, clock, hint, failAt);
  const events: DriverEvent[] = [];
  const thread = threads.open();
  const open = (lock: number | undefined) =>
    new Promise<Report>((resolve) => thread.give({ do: 'open', lock, wallMs: clock.wallMs() }, resolve));
  const lock = await open(undefined);
  const opened = lock.kind === 'lock' ? await open(lock.descriptor) : lock;
  assert.ok(opened.kind === 'opened');
  const options: DriverOptions = {
    clock,
    wallMs: () => clock.wallMs(),
    openThread: () => threads.open(),
    lock: () => true,
    deadlineMs,
    observe: (event) => events.push(event),
  };
  const driver = new Driver(options, thread, opened, ring.writer);
  const appended: string[] = [];
  let settled = 0;
  let waiting = 0;
  const textOf = (file: string) => readFileSync(join(directory, file), 'utf8');
  const isOnDisk = (id: string) =>
    segmentFiles(directory).some((file) => textOf(file).includes(`"id":"${id}"`));
  const append = (id: string, isDurable: boolean) => {
    appended.push(id);
    const body = encodeBody({ ...(isDurable ? admission(id) : completion(id)), time: clock.wallMs() });
    if (!isDurable || driver.state.at !== 'writable') {
      assert.ok(driver.add([body], driver.whole));
      return;
    }
    waiting += 1;
    const since = clock.now();
    const done = (isKept: boolean) => {
      settled += 1;
      if (isKept) assert.ok(isOnDisk(id), `${id} was promised and is not on disk`);
      assert.ok(ring.writer.tail <= (ring.reader().tail ?? 0));
      assert.ok(clock.now() - since <= deadlineMs + 60, `${id} waited ${clock.now() - since} ms`);
    };
    const [kept, lost] = [() => done(true), () => done(false)];
    assert.ok(driver.addAwaited([body], driver.whole, kept, lost));
  };
  // What comes next goes over the end of the ring.
  for (let count = 0; ring.writer.head < ring.writer.dataBytes - 4000; count += 1) {
    append(`W${count}`, true);
    append(`W${count}`, false);
    if (count % 10 === 0) await runUntil(clock, () => settled === waiting);
  }
  await runUntil(clock, () => settled === waiting && driver.mark.position === ring.writer.head);
  threads.steps = 0;
  for (let count = 0; count < 12; count += 1) {
    append(`A${count}`, true);
    append(`B${count}`, true);
    append(`A${count}`, false);
    if (count % 3 === 0) await runUntil(clock, () => settled === waiting);
    else if (count % 3 === 1) await new Promise(setImmediate);
    else clock.turn();
    if (count % 4 === 0) void driver.run((_, behind) => ({ do: 'look', behind }));
  }
  const isOver = () =>
    hint === 'is mute for good' && threads.steps > failAt && driver.state.at !== 'writable';
  await runUntil(clock, () => settled === waiting && (isOver() || driver.state.at === 'writable'));
  const ends: ('closed' | JournalFault)[] = [];
  driver.close(clock.now() + 2 * deadlineMs).then(
    () => ends.push('closed'),
    (fault: JournalFault) => ends.push(fault),
  );
  await runUntil(clock, () => ends.length > 0);
  assert.equal(driver.state.at, 'closed');
  assert.equal(settled, waiting);
  if (hint !== 'is late') assert.equal(clock.timers, 0);
  const hasMet = threads.steps > failAt;
  if (hint === 'is mute for good' && hasMet) return threads.steps;
  const onDisk = readWhole(directory).filter(({ event }) => event === 'admission' || event === 'completion');
  assert.deepEqual(
    onDisk.map((record) => record['id']),
    appended,
  );
  const lost = events.flatMap((event) =>
    event.kind === 'lost' || event.kind === 'left' ? [event.records] : [],
  );
  if (ends[0] === 'closed') assert.deepEqual(lost, []);
  return threads.steps;
}

for (const hint of hints) {
  void test(`a thread that ${hint} at the N-th step`, async (t) => {
    const parent = temporaryDirectory(t);
    let runs = 0;
    for (let failAt = 0; ; failAt += 1, runs += 1) {
      if ((await story(`${parent}/${failAt}`, hint, failAt)) <= failAt) break;
    }
    t.diagnostic(`${runs} steps failed, one after the other`);
    assert.ok(runs >= 5);
  });
}
