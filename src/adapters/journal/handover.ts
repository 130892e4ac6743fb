// Between the main thread and the journal's: the main thread gives one order at a time, the thread carries it out and answers
// with one report, also when it dies. Both are plain data that survive a structured clone; the only descriptor is the lock's,
// which both threads share because descriptors belong to the process.
//
// Records and the reports about them do not travel as messages but on a page of shared memory: the text of the records, a bell
// that wakes the thread, and on the way back where the chain stands.
// (An order as a message of 16 records, and its mark as another: 30 us of the main thread and 18 of the writer's. On the page: 9
// and 7.) The rule: orders go one at a time, so each side may use the page until it has answered.

import { Worker } from 'node:worker_threads';
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
  /** Its number. */
  readonly segment: number;
  readonly device: number;
  readonly inode: number;
  /** Bytes of that file that are on disk. */
  readonly bytes: number;
  /** The last record on disk, of whichever segment. */
  readonly seq: number;
  readonly hash: string;
  /** Sum of the steps of the wall clock: what a new writer's thread cannot always find again. */
  readonly stepsMs: number;
  readonly oldestSeq: number;
  /** Time of the last record. */
  readonly timeMs: number;
  /** Seq of the oldest admission without completion, else the next seq: what a restart must read from. */
  readonly openSeq: number;
}

/** Write bodies (UTF-8, each with an LF behind it) in order; then sync everything written so far, if asked. Lies on the page. */
export interface WriteOrder {
  readonly do: 'write';
  readonly text: Buffer;
  readonly sync: boolean;
}

/** What the writer is told to do by a message. */
export type MessageOrder =
  /**
   * Find the tail, close what a crash left open, write the start record. `lock`: its descriptor, once the main thread has taken
   * the lock; undefined: open it and report it.
   */
  | { readonly do: 'open'; readonly lock: number | undefined; readonly wallMs: number }
  | { readonly do: 'checkpoint'; readonly wallMs: number }
  /** Forget all behind the mark, begin a new segment with these bodies, sync. */
  | {
      readonly do: 'heal';
      readonly lock: number | undefined;
      readonly mark: Mark;
      readonly journal: string;
      readonly bodies: readonly string[];
      readonly lost: number;
      /** As in `limit`. */
      readonly isFull: boolean;
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

export type Order = WriteOrder | MessageOrder;

/** What became of an order. */
export type Report =
  /** The lock file is open; its kernel lock is not taken yet. Give the order again with the descriptor. */
  | { readonly kind: 'lock'; readonly descriptor: number }
  | Opened
  /** Everything of the order was handed to the kernel. */
  | ({ readonly kind: 'written' } & Written)
  /** Done, and nothing was written to a segment. */
  | { readonly kind: 'kept' }
  | ({ readonly kind: 'stopped' } & Written)
  /** Nothing of the order counts; the next order must be `heal` (or `open`, if that failed). */
  | { readonly kind: 'failed'; readonly code: JournalFaultCode; readonly message: string };

export interface Opened extends Written {
  readonly kind: 'opened';
  readonly mark: Mark;
  readonly found: Found;
}

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

/** A `written` report of which nothing is news but the numbers on the page, or not even those. */
type PackedReport = 'written' | 'synced';

const textBytesMax = 1024 * 1024;
/** Places of the whole numbers. */
const bell = 0;
const textBytes = 1;
const wantsSync = 2;
const integers = 4;
/** Numbers of a mark: where its file is, and where the chain stands. */
const placeNumbers = 4;
const chainNumbers = 5;
const hashChars = 64;
const placeAt = integers * 4;
const chainAt = placeAt + placeNumbers * 8;
const hashAt = chainAt + chainNumbers * 8;
const textAt = hashAt + hashChars;
const lf = 0x0a;
/** Instead of a number of bytes. */
const asMessage = -1;

/** What is shared; both threads make the same views of it. */
class Page {
  readonly memory: SharedArrayBuffer;
  readonly integers: Int32Array;
  readonly place: Float64Array;
  readonly chain: Float64Array;
  readonly hash: Buffer;
  readonly text: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.integers = new Int32Array(memory, 0, integers);
    this.place = new Float64Array(memory, placeAt, placeNumbers);
    this.chain = new Float64Array(memory, chainAt, chainNumbers);
    this.hash = Buffer.from(memory, hashAt, hashChars);
    this.text = Buffer.from(memory, textAt, textBytesMax);
  }
}

/** The main thread's side. */
export class OrderPage extends Page {
  constructor() {
    super(new SharedArrayBuffer(textAt + textBytesMax));
  }

  /** Lays records on the page and wakes the writer. */
  write(records: readonly { readonly body: string }[], sync: boolean): void {
    let at = 0;
    for (const { body } of records) {
      // A unit of a string has three bytes of UTF-8 at most.
      if (at + body.length * 3 >= textBytesMax) throw new Error('an order that the page has no room for');
      // Each by itself and not joined: that makes one piece of it, where its making had left some thirty for the garbage
      // collector to carry around until it is synced.
      at += this.text.write(body, at, 'utf8');
      this.text[at] = lf;
      at += 1;
    }
    this.integers[wantsSync] = sync ? 1 : 0;
    this.ring(at);
  }

  /** Wakes the writer; without a number of bytes, for a message that was sent before. */
  ring(bytes = asMessage): void {
    this.integers[textBytes] = bytes;
    Atomics.add(this.integers, bell, 1);
    Atomics.notify(this.integers, bell);
  }

  /** The report that a message from the writer stands for. */
  readonly unpack = (message: Report | PackedReport): Report => {
    if (message === 'written') return nothingNew;
    if (message !== 'synced') return message;
    const [segment = 0, device = 0, inode = 0, bytes = 0] = this.place;
    const [seq = 0, stepsMs = 0, oldestSeq = 0, timeMs = 0, openSeq = 0] = this.chain;
    const hash = this.hash.toString('latin1');
    const mark = { segment, device, inode, bytes, seq, hash, stepsMs, oldestSeq, timeMs, openSeq };
    return { kind: 'written', mark, checkpoint: undefined, isReserveUsed: false };
  };
}

/** The writer's side. */
export class WriterPage extends Page {
  #rung = 0;

  /** Waits for the bell, however long; undefined: the order comes as a message. */
  wait(): WriteOrder | undefined {
    // It may have rung before this: then there is nothing to wait for.
    while (Atomics.load(this.integers, bell) === this.#rung) Atomics.wait(this.integers, bell, this.#rung);
    this.#rung = Atomics.load(this.integers, bell);
    const bytes = this.integers[textBytes] ?? asMessage;
    if (bytes === asMessage) return undefined;
    return { do: 'write', text: this.text.subarray(0, bytes), sync: this.integers[wantsSync] === 1 };
  }

  /** What the message about a report has to hold: the rest of it lies on the page. */
  pack(report: Report): Report | PackedReport {
    if (report.kind !== 'written' || report.checkpoint !== undefined || report.isReserveUsed) return report;
    if (report.mark === undefined) return 'written';
    const { segment, device, inode, bytes, seq, hash, stepsMs, oldestSeq, timeMs, openSeq } = report.mark;
    this.place.set([segment, device, inode, bytes]);
    this.chain.set([seq, stepsMs, oldestSeq, timeMs, openSeq]);
    this.hash.write(hash, 'latin1');
    return 'synced';
  }
}

const nothingNew = { kind: 'written', mark: undefined, checkpoint: undefined, isReserveUsed: false } as const;

/** The report of a thread that ended before it answered. */
interface Gone {
  readonly kind: 'failed';
  readonly code: 'writer-died';
  readonly message: string;
  readonly isDiskFull: false;
}

/** A thread of the journal. Its file is beside this one, so that it is there in a checkout, in a package and under any path. */
export class Thread<Asked, Told> {
  /** False: it ended, and another thread may be started. */
  isAlive = true;
  readonly #worker: Worker;
  protected told: ((report: Told | Gone) => void) | undefined;
  #cause = 'it ended';

  constructor(task: ThreadTask, unpack: (message: Told) => Told = (message) => message) {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: task,
      // Whatever flags and variables the program was started with are not for this thread.
      env: {},
      execArgv: [],
      name: task.role === 'write' ? 'journal' : 'journal-keeper',
    });
    this.#worker.on('message', (message: Told) => {
      const { told } = this;
      this.told = undefined;
      told?.(unpack(message));
    });
    this.#worker.on('messageerror', () => void this.end());
    this.#worker.on('error', (error) => {
      this.#cause = String(error);
    });
    this.#worker.on('exit', () => {
      this.isAlive = false;
      this.gone();
    });
  }

  /** Gives an order; one at a time. `told` gets its report, or a failed one when the thread ends before. */
  give(order: Asked, told: (report: Told | Gone) => void): void {
    this.told = told;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    if (this.isAlive) this.#worker.postMessage(order);
    else queueMicrotask(() => this.gone());
  }

  ask(order: Asked): Promise<Told | Gone> {
    return new Promise((resolve) => this.give(order, resolve));
  }

  /** Ends the thread; resolves when it is gone. A thread that hangs in the kernel goes on until the kernel lets go. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  protected gone(): void {
    const { told } = this;
    this.told = undefined;
    const message = `the journal's thread is gone: ${this.#cause}`;
    told?.({ kind: 'failed', code: 'writer-died', message, isDiskFull: false });
  }
}

/** The thread that writes; the journal is opened by its first order. */
export class WriterThread extends Thread<MessageOrder, Report> {
  readonly #page: OrderPage;

  constructor(options: WriterOptions) {
    const { directory, groupId, segmentBytes, program, catalog, signKey, reserveBytes } = options;
    const page = new OrderPage();
    // Not the whole of what the caller has: functions cannot go to a thread.
    const narrow = { directory, groupId, segmentBytes, program, catalog, signKey, reserveBytes };
    super({ role: 'write', options: narrow, page: page.memory }, page.unpack);
    this.#page = page;
  }

  override give(order: MessageOrder, told: (report: Report) => void): void {
    super.give(order, told);
    this.#page.ring();
  }

  /** Gives records to write; `sync`: everything written so far is on disk when `told` gets the report. */
  write(records: readonly { readonly body: string }[], sync: boolean, told: (report: Report) => void): void {
    this.told = told;
    if (this.isAlive) this.#page.write(records, sync);
    else queueMicrotask(() => this.gone());
  }
}
