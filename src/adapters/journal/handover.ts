// Between the main thread and the journal's. Records lie in the ring: the main thread rings the bell, and the thread brings to the
// disk what is published by then. All else is an order, a message of its own that gets one report, also when the thread dies; orders
// and reports are plain data that survive a structured clone. The only descriptor is the lock's, which both threads share because
// descriptors belong to the process.
//
// What a bell brought about lies in memory that both share, and a message of one word tells that it does. (A mark as a message:
// 18 us of the thread's time, and 9 of the main thread's.) The mark outlives the thread: another one goes on from it.

import { Worker } from 'node:worker_threads';
import type { TornTail } from '../../domain/audit/record.js';
import type { JournalFaultCode } from '../../ports/faults.js';
import type { Clock } from '../../ports/machine.js';
import type { Retired } from './keeper.js';
import type { UsedPolicies } from './past-policies.js';
import type { RingIdentity } from './ring.js';

/** What the writer's thread needs to know from the start. */
export interface WriterOptions {
  readonly directory: string;
  /** Where the end of a run is kept a second time; undefined: nowhere. */
  readonly stateDirectory?: string | undefined;
  /** The group that may read the directory and its files; undefined: nobody but the owner. */
  readonly groupId?: number | undefined;
  /** A segment that would grow beyond this is closed and the next begun. */
  readonly segmentBytes: number;
  /** A compressed segment with more text is not read at a start; default: as in the table of bounds. */
  readonly plainBytesMax?: number;
  /** Name and version of the program, as it stands in the records. */
  readonly program: string;
  /** Hash of the command catalog, for the start record; empty: not known. */
  readonly catalog: string;
  /** PEM of the Ed25519 key that signs checkpoints; undefined: they are not signed. */
  readonly signKey: string | undefined;
  /** Bytes kept free on the disk for when it is full (a file of that size); 0: none. */
  readonly reserveBytes: number;
  /** The file of the ring, and its size; `path` undefined: it is to be memory of the process. */
  readonly memory: { readonly path: string | undefined; readonly bytes: number };
}

/** The ring's memory as both threads find it: mapped at an address of the process, or shared. */
export interface RingShare {
  readonly memory: SharedArrayBuffer | { readonly address: bigint; readonly bytes: number };
  readonly generation: bigint;
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
  /** Of the ring: what lies before it is on disk. */
  readonly position: number;
  /** Records of the ring that are on disk or damaged, since the process began. */
  readonly records: number;
  /** Damaged stretches of the ring since then: each was a record, or several. */
  readonly lost: number;
}

/** What the writer is told to do by a message; all but the first three behind what is published in the ring up to `behind`. */
export type Order =
  /**
   * Find the tail, close what a crash left open, write the start record. `lock`: its descriptor, once the main thread has taken
   * the lock; undefined: open it and report it.
   */
  | { readonly do: 'open'; readonly lock: number | undefined; readonly wallMs: number }
  /** From now on records come through this ring. */
  | { readonly do: 'attach'; readonly ring: RingShare }
  /** Forget all behind the mark, begin a new segment with what the ring holds from there up to `behind`, sync. */
  | {
      readonly do: 'heal';
      readonly lock: number | undefined;
      readonly mark: Mark;
      readonly journal: string;
      readonly behind: number;
      readonly lost: number;
      /** As in `limit`. */
      readonly isFull: boolean;
    }
  /**
   * `isFull`: the segments have reached their size and none of them may go yet. What is written from now on takes its room from
   * the reserve, as on a full disk.
   */
  | { readonly do: 'checkpoint'; readonly behind: number; readonly wallMs: number }
  /** Sync, which shows a segment, directory or lock that somebody took away. */
  | { readonly do: 'look'; readonly behind: number }
  | { readonly do: 'limit'; readonly behind: number; readonly isFull: boolean }
  /** Write retire records for these segments, oldest first. Their files may go when that is on disk. */
  | {
      readonly do: 'retire';
      readonly behind: number;
      readonly segments: readonly Retired[];
      /** Texts of other policies go with the last records that name them. */
      readonly policies: UsedPolicies;
      readonly wallMs: number;
    }
  /** A policy's text beside the segments, on disk before a record names it. */
  | { readonly do: 'keep-policy'; readonly behind: number; readonly version: string; readonly text: string }
  /** Write the stop record, sync, close the files. `shares`: a text of `Shares` to keep. */
  | {
      readonly do: 'stop';
      readonly behind: number;
      readonly wallMs: number;
      readonly shares?: string | undefined;
    };

/** What became of an order. */
export type Report =
  /** The lock file is open; its kernel lock is not taken yet. Give the order again with the descriptor. */
  | { readonly kind: 'lock'; readonly descriptor: number }
  | Opened
  | ({ readonly kind: 'written' } & Written)
  /** Done, and nothing was written to a segment. */
  | { readonly kind: 'kept' }
  | ({ readonly kind: 'stopped' } & Written)
  | Failed;

/** Nothing of the order, or of what the bell was rung for, counts; the next order must be `heal` (or `open`, if that failed). */
export interface Failed {
  readonly kind: 'failed';
  readonly code: JournalFaultCode;
  readonly message: string;
}

export interface Opened extends Written {
  readonly kind: 'opened';
  readonly found: Found;
  /** The ring's file that was made; a text: why there is none. */
  readonly ring: RingIdentity | string;
}

/** What writing brought about. */
export interface Written {
  /** All that was written so far is on disk. */
  readonly mark: Mark;
  /** The last checkpoint that this order wrote, as its line without LF: for the daemon's log. */
  readonly checkpoint: string | undefined;
  /** The disk was full: part of the reserve was given up for this. */
  readonly isReserveUsed: boolean;
  /** The last of the records that retention left and whose files are not in the directory; undefined: none is known to be missing. */
  readonly missingSeq?: number | undefined;
}

/** What became of the bell. Where nothing but the mark is news, that lies in the memory that both share, and a word tells so. */
export type BellReport = ({ readonly kind: 'written' } & Written) | Failed;

/** What a thread is for. */
export type ThreadTask =
  | { readonly role: 'write'; readonly options: WriterOptions; readonly shared: SharedArrayBuffer }
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
  /** Segments at the beginning are gone that retention had left; told by the first start that finds it. */
  readonly isBeginningRemoved: boolean;
  /** Lines that were appended after the run before had ended, and where they are now; undefined: none. */
  readonly appended: TornTail | undefined;
  /** The public key that signed before, where another one signs now without having been named; undefined: it is the same. */
  readonly keyBefore: string | undefined;
  /** Records that the ring of the run before held and the segments did not. */
  readonly recovered: number;
  /** What was wrong with that ring, in words for the log; undefined: nothing, or there was none. */
  readonly ring: string | undefined;
}

const integers = 4;
/** Places of the whole numbers: rung so many times; orders given; marks laid down. */
const bells = 0;
const orders = 1;
const marks = 2;
/** Numbers of a mark, then its hash. */
const markNumbers = 12;
const hashChars = 64;
const markBytes = markNumbers * 8 + hashChars;
const rungAt = integers * 4;
const marksAt = rungAt + 16;

/** What both threads share besides the ring; each makes its own views. */
class Shared {
  readonly memory: SharedArrayBuffer;
  protected readonly integers: Int32Array;
  /** When the main thread rang last: its clock, and what was published in the ring. */
  protected readonly rung: Float64Array;
  /** Two places for marks, in turns: one is read while the next mark is laid into the other. */
  readonly #places: readonly [MarkPlace, MarkPlace];

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.integers = new Int32Array(memory, 0, integers);
    this.rung = new Float64Array(memory, rungAt, 2);
    this.#places = [placeAt(memory, marksAt), placeAt(memory, marksAt + markBytes)];
  }

  protected placeOf(count: number): MarkPlace {
    return this.#places[count & 1 ? 1 : 0];
  }
}

interface MarkPlace {
  readonly numbers: Float64Array;
  readonly hash: Buffer;
}

function placeAt(memory: SharedArrayBuffer, at: number): MarkPlace {
  return {
    numbers: new Float64Array(memory, at, markNumbers),
    hash: Buffer.from(memory, at + markNumbers * 8, hashChars),
  };
}

/** The main thread's side. */
export class BellRope extends Shared {
  constructor() {
    super(new SharedArrayBuffer(marksAt + 2 * markBytes));
  }

  /** Wakes the thread, or has it look once more; `isOrder`: an order was sent before. */
  ring(nowMs: number, head: number, isOrder: boolean): void {
    this.rung[0] = nowMs;
    this.rung[1] = head;
    if (isOrder) Atomics.add(this.integers, orders, 1);
    Atomics.add(this.integers, bells, 1);
    Atomics.notify(this.integers, bells);
  }

  /** The last mark that was laid down. */
  mark(): Mark {
    for (;;) {
      const count = Atomics.load(this.integers, marks);
      const { numbers, hash } = this.placeOf(count);
      const mark = {
        segment: numbers[0] ?? 0,
        device: numbers[1] ?? 0,
        inode: numbers[2] ?? 0,
        bytes: numbers[3] ?? 0,
        seq: numbers[4] ?? 0,
        hash: hash.toString('latin1'),
        stepsMs: numbers[5] ?? 0,
        oldestSeq: numbers[6] ?? 0,
        timeMs: numbers[7] ?? 0,
        openSeq: numbers[8] ?? 0,
        position: numbers[9] ?? 0,
        records: numbers[10] ?? 0,
        lost: numbers[11] ?? 0,
      };
      // The thread may have gone on meanwhile, up to the place that was read.
      if (Atomics.load(this.integers, marks) === count) return mark;
    }
  }
}

/** The journal's thread's side. */
export class Bell extends Shared {
  #heard = 0;
  #taken = 0;

  /** The main thread's clock when it rang last. */
  get nowMs(): number {
    return this.rung[0] ?? 0;
  }

  /** What was published then. */
  get head(): number {
    return this.rung[1] ?? 0;
  }

  /** Waits until it rings, however long. */
  wait(): void {
    // It may have rung before this: then there is nothing to wait for.
    while (Atomics.load(this.integers, bells) === this.#heard)
      Atomics.wait(this.integers, bells, this.#heard);
    this.#heard = Atomics.load(this.integers, bells);
  }

  /** Whether an order was sent that was not taken yet; it counts as taken then. */
  takeOrder(): boolean {
    if (this.#taken === Atomics.load(this.integers, orders)) return false;
    this.#taken += 1;
    return true;
  }

  lay(mark: Mark): void {
    const count = Atomics.load(this.integers, marks) + 1;
    const { numbers, hash } = this.placeOf(count);
    numbers[0] = mark.segment;
    numbers[1] = mark.device;
    numbers[2] = mark.inode;
    numbers[3] = mark.bytes;
    numbers[4] = mark.seq;
    numbers[5] = mark.stepsMs;
    numbers[6] = mark.oldestSeq;
    numbers[7] = mark.timeMs;
    numbers[8] = mark.openSeq;
    numbers[9] = mark.position;
    numbers[10] = mark.records;
    numbers[11] = mark.lost;
    hash.write(mark.hash, 'latin1');
    Atomics.store(this.integers, marks, count);
  }
}

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
  readonly #told: ((report: Told | Gone) => void)[] = [];
  #cause = 'it ended';

  constructor(task: ThreadTask) {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: task,
      // Whatever flags and variables the program was started with are not for this thread.
      env: {},
      execArgv: [],
      name: task.role === 'write' ? 'journal' : 'journal-keeper',
    });
    this.#worker.on('message', (message: Told) => this.received(message));
    this.#worker.on('messageerror', () => void this.end());
    this.#worker.on('error', (error) => {
      this.#cause = String(error);
    });
    this.#worker.on('exit', () => {
      this.isAlive = false;
      this.gone();
    });
  }

  /** Gives an order. `told` gets its report, or a failed one when the thread ends before; reports come in the order of the orders. */
  give(order: Asked, told: (report: Told | Gone) => void): void {
    this.#told.push(told);
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

  protected received(message: Told): void {
    this.#told.shift()?.(message);
  }

  protected gone(): Gone {
    const message = `the journal's thread is gone: ${this.#cause}`;
    const report: Gone = { kind: 'failed', code: 'writer-died', message, isDiskFull: false };
    for (const told of this.#told.splice(0)) told(report);
    return report;
  }
}

/** A message from the thread that writes. */
export type WriterMessage = Report | 'synced' | { readonly kind: 'bell'; readonly report: BellReport };

/** The thread that writes; the journal is opened by its first order. */
export class WriterThread extends Thread<Order, Report> {
  /** Told what became of the bell, also when the thread ends; undefined: only the mark is news. */
  onBell: ((report: BellReport | undefined) => void) | undefined;
  readonly #rope: BellRope;
  readonly #clock: Clock;
  #head = 0;

  constructor(options: WriterOptions, clock: Clock) {
    const { directory, stateDirectory, groupId, segmentBytes, program, catalog, signKey } = options;
    const { reserveBytes, memory } = options;
    const rope = new BellRope();
    // Not the whole of what the caller has: functions cannot go to a thread.
    const named = { directory, stateDirectory, groupId, program, catalog };
    const narrow = { ...named, segmentBytes, signKey, reserveBytes, memory };
    super({ role: 'write', options: narrow, shared: rope.memory });
    this.#rope = rope;
    this.#clock = clock;
  }

  override give(order: Order, told: (report: Report) => void): void {
    super.give(order, told);
    this.#rope.ring(this.#clock.now(), this.#head, true);
  }

  /** Has everything brought to the disk that is published before `head`. */
  ring(head: number): void {
    this.#head = head;
    this.#rope.ring(this.#clock.now(), head, false);
  }

  /** Where the journal stands, after a bell that went well. */
  mark(): Mark {
    return this.#rope.mark();
  }

  protected override received(message: WriterMessage): void {
    if (message === 'synced') return this.onBell?.(undefined);
    if (message.kind === 'bell') return this.onBell?.(message.report);
    super.received(message);
  }

  protected override gone(): Gone {
    const report = super.gone();
    this.onBell?.(report);
    return report;
  }
}
