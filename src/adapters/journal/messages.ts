// Between the main thread and the writer's: the main thread gives one order at a time, the writer carries it out and answers
// with one report. Both are plain data that survive a structured clone; the only descriptor is the lock's, which both threads
// share because descriptors belong to the process.
//
// Orders to write and their reports do not travel as messages but on a page of shared memory: the text of the order, a bell that
// wakes the writer, and on the way back where the chain stands. What does not fit there goes as a message.
// (An order as a message of 16 records, and its mark as another: 30 us of the main thread and 18 of the writer's. On the page: 9
// and 7.) The rule: orders go one at a time, so each side may use the page until it has answered.

import type { JournalFaultCode } from '../../ports/faults.js';
import type { Retired } from './keeper.js';

/** What the writer's thread needs to know from the start. */
export interface WriterOptions {
  readonly directory: string;
  /** The group that may read the directory and its files; undefined: nobody but the owner. */
  readonly groupId?: number | undefined;
  /** A segment that would grow beyond this is closed and the next begun. */
  readonly segmentBytes: number;
  /** Name and version of the program, as it stands in the records. */
  readonly program: string;
  /** Hash of the command catalog, for the start record; empty: not known. */
  readonly catalog: string;
  /** PEM of the Ed25519 key that signs checkpoints; undefined: they are not signed. */
  readonly signKey: string | undefined;
  /** Bytes kept free on the disk for when it is full (a file of that size); 0: none. */
  readonly reserveBytes: number;
}

/** The last place that is certainly on disk: what follows it in that file does not count. */
export interface Mark {
  readonly segment: string;
  readonly device: number;
  readonly inode: number;
  /** Bytes of that file that are on disk. */
  readonly bytes: number;
  /** The last record on disk, of whichever segment. */
  readonly seq: number;
  readonly hash: string;
  /** The journal's id, and the sum of the steps of the wall clock: what a new writer's thread cannot always find again. */
  readonly journal: string;
  readonly stepsMs: number;
  readonly oldestSeq: number;
  /** Time of the last record. */
  readonly timeMs: number;
  /** Seq of the oldest admission without completion, else the next seq: what a restart must read from. */
  readonly openSeq: number;
}

/** The lock's descriptor, once the main thread has taken the lock; undefined: open it and report it. */
type Lock = number | undefined;

/** What the writer is told to do. */
export type Order =
  /** Find the tail, close what a crash left open, write the start record. */
  | { readonly do: 'open'; readonly lock: Lock; readonly wallMs: number }
  /** Write bodies in order; then sync everything written so far, if asked. */
  | {
      readonly do: 'write';
      readonly bodies: readonly string[];
      readonly sync: boolean;
      readonly wallMs: number;
    }
  | { readonly do: 'checkpoint'; readonly wallMs: number }
  /** Forget all behind the mark, begin a new segment with these bodies, sync. */
  | {
      readonly do: 'heal';
      readonly lock: Lock;
      readonly mark: Mark;
      readonly bodies: readonly string[];
      readonly lost: number;
      /** As in `limit`; absent: no. */
      readonly isFull?: boolean;
    }
  /**
   * `isFull`: the segments have reached their size and none of them may go yet. What is written from now on takes its room from
   * the reserve, as on a full disk.
   */
  | { readonly do: 'limit'; readonly isFull: boolean }
  /** Write retire records for these segments, oldest first. Their files may go when that is on disk. */
  | { readonly do: 'retire'; readonly segments: readonly Retired[]; readonly wallMs: number }
  /** A policy's text beside the segments, on disk before a record names it. */
  | { readonly do: 'keep-policy'; readonly version: string; readonly text: string }
  /** Write the stop record, sync, close the files. */
  | { readonly do: 'stop'; readonly wallMs: number };

/** A `write` whose bodies came through the memory that both threads share: UTF-8, each with an LF behind it. */
export interface SharedWrite {
  readonly do: 'write-shared';
  readonly text: Buffer;
  readonly sync: boolean;
}

/** What became of an order. */
export type Report =
  /** The lock file is open; its kernel lock is not taken yet. Give the order again with the descriptor. */
  | { readonly kind: 'lock'; readonly descriptor: number }
  | ({ readonly kind: 'opened'; readonly mark: Mark; readonly found: Found } & Written)
  /** Everything of the order was handed to the kernel. */
  | ({ readonly kind: 'written' } & Written)
  /** Done, and nothing was written to a segment. */
  | { readonly kind: 'kept' }
  | ({ readonly kind: 'stopped' } & Written)
  /** Nothing of the order counts; the next order must be `heal` (or `open`, if that failed). */
  | { readonly kind: 'failed'; readonly code: JournalFaultCode; readonly message: string };

/** What writing brought about. */
export interface Written {
  /** Defined: all that was written so far is on disk. */
  readonly mark: Mark | undefined;
  /** The last checkpoint that this order wrote, as its line without LF: for the daemon's log. */
  readonly checkpoint: string | undefined;
  /** The disk was full: part of the reserve was given up for this. */
  readonly isReserveUsed: boolean;
}

/** What a thread is for. */
export type ThreadTask =
  | { readonly role: 'write'; readonly options: WriterOptions; readonly page: SharedArrayBuffer }
  | { readonly role: 'keep'; readonly directory: string };

/** What a start found in the directory. */
export interface Found {
  readonly journal: string;
  /** Admissions without completion, closed as `unknown`. */
  readonly unknown: number;
  /** Bytes of a torn last line, put aside; 0: none. */
  readonly tornBytes: number;
  /**
   * The journal does not hold what its last checkpoint says: records are missing at its end, or are other ones. Or there is
   * no checkpoint beside it that could say so.
   */
  readonly damage: 'cut' | 'rewritten' | 'unvouched' | undefined;
  /** The public key that signed before, where another one signs now without having been named; undefined: it is the same. */
  readonly keyBefore: string | undefined;
}

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
