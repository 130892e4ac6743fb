// The memory that the main thread and the writer's thread have in common: the text of one order to write, and the bell that
// wakes the writer for it; on the way back where the chain stands. What does not fit goes as a message, as all that is rare does.
// It does not know what is written. The rule: orders go one at a time, so each side may use the page until it has answered.
//
// (An order as a message of 16 records, and its mark as another: 30 us of the main thread and 18 of the writer's. So: 9 and 7.)

import type { Mark, Order, Report, SharedWrite } from './messages.js';

/** What is shared; both threads make the same views of it. */
export type PageMemory = SharedArrayBuffer;

/** The main thread's side. */
export interface OrderPage {
  readonly memory: PageMemory;
  /** Lays an order on the page; false: it has to be sent as a message, before the bell. */
  lay(order: Order): boolean;
  /** Wakes the writer. */
  ring(): void;
  /** The report that a message from the writer stands for. */
  unpack(message: Report | PackedReport): Report;
}

/** The writer's side. */
export interface WriterPage {
  /** Waits for the bell, however long; undefined: the order comes as a message. */
  wait(): SharedWrite | undefined;
  /** What the message about a report has to hold: the rest of it lies on the page. */
  pack(report: Report): Report | PackedReport;
}

/** A `written` report of which nothing is news but the numbers on the page, or not even those. */
export type PackedReport = 'written' | 'synced';

const textBytesMax = 1024 * 1024;
/** Places of the whole numbers. */
const bell = 0;
const textBytes = 1;
const wantsSync = 2;
const integers = 4;
const numbers = 6;
const hashChars = 64;
const numbersAt = integers * 4;
const hashAt = numbersAt + numbers * 8;
const textAt = hashAt + hashChars;
const lf = 0x0a;
/** Instead of a number of bytes. */
const asMessage = -1;

function viewsOf(memory: PageMemory) {
  return {
    integers: new Int32Array(memory, 0, integers),
    numbers: new Float64Array(memory, numbersAt, numbers),
    hash: Buffer.from(memory, hashAt, hashChars),
    text: Buffer.from(memory, textAt, textBytesMax),
  };
}

/** A new page. */
export function createOrderPage(): OrderPage {
  const memory = new SharedArrayBuffer(textAt + textBytesMax);
  const page = viewsOf(memory);
  let place: Mark | undefined;
  return {
    memory,
    lay(order) {
      page.integers[textBytes] = asMessage;
      if (order.do !== 'write') return false;
      const bytes = layText(page.text, order.bodies);
      if (bytes === undefined) return false;
      page.integers[textBytes] = bytes;
      page.integers[wantsSync] = order.sync ? 1 : 0;
      return true;
    },
    ring() {
      Atomics.add(page.integers, bell, 1);
      Atomics.notify(page.integers, bell);
    },
    unpack(message) {
      if (message === 'written') return nothingNew;
      if (message !== 'synced') {
        place = markOf(message) ?? place;
        return message;
      }
      if (place === undefined) throw new Error('a mark without its place');
      const [seq = 0, bytes = 0, stepsMs = 0, oldestSeq = 0, timeMs = 0, openSeq = 0] = page.numbers;
      const hash = page.hash.toString('latin1');
      const { segment, device, inode, journal } = place;
      const at = { segment, device, inode, journal };
      return { ...nothingNew, mark: { ...at, seq, bytes, stepsMs, oldestSeq, timeMs, openSeq, hash } };
    },
  };
}

/** The writer's side of a page. */
export function openWriterPage(memory: PageMemory): WriterPage {
  const page = viewsOf(memory);
  let rung = 0;
  let place: Mark | undefined;
  return {
    wait() {
      // It may have rung before this: then there is nothing to wait for.
      while (Atomics.load(page.integers, bell) === rung) Atomics.wait(page.integers, bell, rung);
      rung = Atomics.load(page.integers, bell);
      const bytes = page.integers[textBytes] ?? asMessage;
      if (bytes === asMessage) return undefined;
      return { do: 'write-shared', text: page.text.subarray(0, bytes), sync: page.integers[wantsSync] === 1 };
    },
    pack(report) {
      const mark = markOf(report);
      const isNews = report.kind !== 'written' || report.checkpoint !== undefined || report.isReserveUsed;
      if (!isNews && mark === undefined) return 'written';
      if (isNews || mark === undefined || place === undefined || !isSamePlace(mark, place)) {
        place = mark ?? place;
        return report;
      }
      const { seq, bytes, stepsMs, oldestSeq, timeMs, openSeq } = mark;
      page.numbers.set([seq, bytes, stepsMs, oldestSeq, timeMs, openSeq]);
      page.hash.write(mark.hash, 'latin1');
      return 'synced';
    },
  };
}

const nothingNew = { kind: 'written', mark: undefined, checkpoint: undefined, isReserveUsed: false } as const;

function markOf(report: Report): Mark | undefined {
  return 'mark' in report ? report.mark : undefined;
}

/** What a packed mark does not say again. */
function isSamePlace(one: Mark, other: Mark): boolean {
  return (
    one.segment === other.segment &&
    one.device === other.device &&
    one.inode === other.inode &&
    one.journal === other.journal
  );
}

/** Bodies, each with an LF behind it; undefined: they may not fit. Returns how many bytes they have. */
function layText(into: Buffer, bodies: readonly string[]): number | undefined {
  let bytesMax = 0;
  // A unit of a string has three bytes of UTF-8 at most.
  for (const body of bodies) bytesMax += body.length * 3 + 1;
  if (bytesMax > into.length) return undefined;
  let at = 0;
  for (const body of bodies) {
    // Each by itself and not joined: that makes one piece of it, where its making had left some thirty for the garbage
    // collector to carry around until it is synced.
    at += into.write(body, at, 'utf8');
    into[at] = lf;
    at += 1;
  }
  return at;
}
