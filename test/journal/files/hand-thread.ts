// A driver over a thread of the journal that answers when a test tells it to, and a clock that is turned by hand.

import { bounds } from '../../../src/host/bounds/bounds.js';
import type { JournalFault } from '../../../src/host/ports/faults.js';
import { Driver, type DriverEvent, type DriverOptions } from '../../../src/journal/files/driver.js';
import type { Mark, Order, Report, Written } from '../../../src/journal/files/handover.js';
import { createHandClock } from './hand-clock.js';
import { createSharedRing, type SharedRing } from './shared-ring.js';

const startMark: Mark = {
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
  position: 0,
  records: 0,
  lost: 0,
};

export class HandThread {
  isAlive = true;
  isEnded = false;
  onBell: ReturnType<DriverOptions['openThread']>['onBell'];
  /** What it was rung for: the position of each bell. */
  readonly bells: number[] = [];
  readonly orders: Order[] = [];
  readonly #told: ((report: Report) => void)[] = [];
  readonly #ring: SharedRing;
  #mark: Mark;

  constructor(ring: SharedRing, mark: Mark) {
    this.#ring = ring;
    this.#mark = mark;
  }

  readonly give = (order: Order, told: (report: Report) => void): void => {
    this.orders.push(order);
    this.#told.push(told);
  };

  readonly ring = (head: number): void => void this.bells.push(head);

  readonly mark = (): Mark => this.#mark;

  readonly end = (): Promise<void> => {
    this.isEnded = true;
    return Promise.resolve();
  };

  /** Brings to the disk what is published before a position; the driver is not told yet. */
  sync(position = this.#ring.writer.head): Mark {
    const { seq, records, lost } = this.#mark;
    let count = 0;
    const reader = this.#ring.reader();
    const gaps = reader.walk(this.#mark.position, position, () => {
      count += 1;
    });
    // With nothing in the ring it was an order, whose record is one of the journal's own.
    const own = count + gaps === 0 ? 1 : 0;
    const ringed = { position, records: records + count + gaps, lost: lost + gaps };
    this.#mark = { ...this.#mark, ...ringed, seq: seq + count + own };
    reader.tail = position;
    return this.#mark;
  }

  /** Answers the bell: all before a position is on disk. */
  answer(position?: number): void {
    this.sync(position);
    this.onBell?.(undefined);
  }

  /** Reports of the oldest order. */
  tell(report: Report): void {
    this.#told.shift()?.(report);
  }

  die(): void {
    this.isAlive = false;
    const gone = { kind: 'failed', code: 'writer-died', message: 'gone' } as const;
    for (const told of this.#told.splice(0)) told(gone);
    this.onBell?.(gone);
  }
}

export function writtenAt(mark: Mark): Written & { readonly kind: 'written' } {
  return { kind: 'written', mark, checkpoint: undefined, isReserveUsed: false };
}

export function createHandDriver(more: Partial<DriverOptions> = {}) {
  const clock = createHandClock();
  const ring = createSharedRing(65_536);
  const threads: HandThread[] = [];
  const open = (): HandThread => {
    const thread = new HandThread(ring, threads.at(-1)?.mark() ?? startMark);
    threads.push(thread);
    return thread;
  };
  const events: DriverEvent[] = [];
  const thread = open();
  const options: DriverOptions = {
    clock,
    wallMs: () => 0,
    openThread: open,
    lock: () => true,
    deadlineMs: bounds.journalDeadlineMs,
    observe: (event) => events.push(event),
    ...more,
  };
  const found = { journal: 'ab', unknown: 0, tornBytes: 0, damage: undefined, keyBefore: undefined };
  const ofRing = { recovered: 0, ring: undefined, ringKept: undefined };
  const nothingLeft = { ...ofRing, isBeginningRemoved: false, isGap: false, appended: undefined };
  const access = { records: [], ended: 0, doubt: undefined, damaged: [], unproven: [] };
  const opened = { mark: startMark, found: { ...found, ...nothingLeft, access } };
  const driver = new Driver(options, thread, opened, ring.writer);
  const settled: string[] = [];
  const turns = async (): Promise<void> => {
    for (let count = 0; count < 3; count += 1) await clock.nextTurn();
  };
  return {
    clock,
    ring,
    driver,
    thread,
    threads,
    events,
    /** Names of records whose waiters were told, with the code of the fault if there was one. */
    settled,
    awaited: (name: string, chars = 10): void => {
      const reject = ({ code }: JournalFault): void => void settled.push(`${name}: ${code}`);
      const resolve = (): void => void settled.push(name);
      const body = name.padEnd(chars, 'x');
      if (!driver.addAwaited([body], driver.whole, resolve, reject)) throw new Error('no room');
    },
    add: (chars = 10): boolean => driver.add(['x'.repeat(chars)], driver.whole),
    /** Lets the event loop come round, without any time passing. */
    turns,
    /** Lets the clock go on for so long. */
    pass: async (ms: number): Promise<void> => {
      const until = clock.now() + ms;
      const passed = { is: false };
      clock.setTimer(ms, () => void (passed.is = true));
      for (await turns(); !passed.is; await turns()) clock.turn();
      if (clock.now() > until) throw new Error('the clock went too far');
    },
  };
}
