// The channel between the main thread and the journal's: the bell makes the thread write the records published so far, and
// everything else is an order, a message of plain data with exactly one report, also if the thread dies. The threads share one
// descriptor, the lock's, because descriptors belong to the process.

import type { JournalFaultCode } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { Thread } from '../../host/threads/thread.js';
import { namesOf, type TornTail } from '../records/keys.js';
import type { LockBook } from '../records/lock-book.js';
import type { AuditRecord } from '../records/record.js';
import type { Retired } from './keeper.js';
import type { UsedPolicies } from './past-policies.js';
import type { RingIdentity } from './ring.js';

export interface WriterOptions {
  readonly directory: string;
  /** The folder for the second copy of a run's end; undefined: none. */
  readonly stateDirectory?: string | undefined;
  /** The group that may read the directory and its files; undefined: only the owner may. */
  readonly groupId?: number | undefined;
  /** Beyond this size a segment is closed and the next one begun. */
  readonly segmentBytes: number;
  /** A compressed segment with more text is not read at a start; default: from the table of bounds. */
  readonly plainBytesMax?: number;
  /** Name and version of the program, for the records. */
  readonly program: string;
  /** Hash of the command catalog, for the start record; empty: not known. */
  readonly catalog: string;
  /** Hash of the configuration that this run begins with. */
  readonly version?: string | undefined;
  /** Hash of the list of its policies. */
  readonly policies?: string | undefined;
  /** `changed`: the files that changed since the previous run, with owner and time; `all`: all files, likewise. */
  readonly files?: { readonly changed: readonly string[]; readonly all: readonly string[] } | undefined;
  /** Why this is not the configuration in the files; undefined: it is. */
  readonly reason?: string | undefined;
  /** PEM of the Ed25519 key that signs checkpoints; undefined: they are not signed. */
  readonly signKey: string | undefined;
  /** Size of the file that keeps space free for a full disk; 0: none. */
  readonly reserveBytes: number;
  /** The file of the ring, and its size; `path` undefined: process memory is used. */
  readonly memory: { readonly path: string | undefined; readonly bytes: number };
}

/** The ring's memory for both threads: mapped at an address of the process, or shared. */
export interface RingShare {
  readonly memory: SharedArrayBuffer | { readonly address: bigint; readonly bytes: number };
  readonly generation: bigint;
}

/** The numbers of a {@link Mark}. */
const noNumbers = {
  segment: 0,
  device: 0,
  inode: 0,
  bytes: 0,
  seq: 0,
  /** Sum of the steps of the wall clock, which a new writer's thread cannot always find again. */
  stepsMs: 0,
  oldestSeq: 0,
  timeMs: 0,
  /** Seq of the oldest admission without completion, else the next seq: the start of a restart's reading. */
  openSeq: 0,
  /** Position in the ring up to which everything is on disk. */
  position: 0,
  /** Records of the ring that are on disk or damaged, since the process began. */
  records: 0,
  /** Damaged stretches of the ring since then, each of one record or more. */
  lost: 0,
};
const numbersOfMark = [...namesOf(noNumbers).entries()];

/** The last position that is certainly on disk: later bytes of that file do not count. */
export interface Mark extends Readonly<typeof noNumbers> {
  readonly hash: string;
}

/** An order to the writer. `behind`: a position in the ring; the order takes effect after the records up to there are written. */
export type Order =
  /** `lock`: the descriptor that the main thread has locked; undefined: open it and report it. */
  | { readonly do: 'open'; readonly lock: number | undefined; readonly wallMs: number }
  /** From now on records come through this ring. */
  | { readonly do: 'attach'; readonly ring: RingShare }
  /** Forget everything after the mark, begin a new segment with the ring's records from there up to `behind`, sync. */
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
  | { readonly do: 'checkpoint'; readonly behind: number; readonly wallMs: number }
  /** Sync, which reveals a removed segment, directory or lock. */
  | { readonly do: 'look'; readonly behind: number }
  /** `isFull`: the segments have reached their size, and none may be removed yet. Further records use the reserve, as on a full disk. */
  | { readonly do: 'limit'; readonly behind: number; readonly isFull: boolean }
  /** Write retire records for these segments, oldest first. Their files may be removed when these are on disk. */
  | {
      readonly do: 'retire';
      readonly behind: number;
      readonly segments: readonly Retired[];
      /** Texts of other policies are removed with the last records that name them. */
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

export type Report =
  /** The lock file is open; its kernel lock is not taken yet. Repeat the order with the descriptor. */
  | { readonly kind: 'lock'; readonly descriptor: number }
  | Opened
  | ({ readonly kind: 'written' } & Written)
  /** Done, without writing to a segment. */
  | { readonly kind: 'kept' }
  | ({ readonly kind: 'stopped' } & Written)
  | Failed;

/** Nothing of the order, or of the bell, counts; the next order must be `heal` (or `open`, if that failed). */
export interface Failed {
  readonly kind: 'failed';
  readonly code: JournalFaultCode;
  readonly message: string;
}

export interface Opened extends Written {
  readonly kind: 'opened';
  readonly found: Found;
  /** The ring's new file; a text: why there is none. */
  readonly ring: RingIdentity | string;
}

export interface Written {
  readonly mark: Mark;
  /** The last checkpoint that this order wrote, as its line without LF: for the daemon's log. */
  readonly checkpoint: string | undefined;
  /** The disk was full: a part of the reserve was released. */
  readonly isReserveUsed: boolean;
  /** The last record that retention left and whose file is missing; undefined: none is known. */
  readonly missingSeq?: number | undefined;
}

/** The result of the bell. If only the mark is new, it is in shared memory, and a word announces it. */
export type BellReport = ({ readonly kind: 'written' } & Written) | Failed;

export type ThreadTask =
  | { readonly role: 'write'; readonly options: WriterOptions; readonly shared: SharedArrayBuffer }
  | { readonly role: 'keep'; readonly directory: string };

export interface Found {
  readonly journal: string;
  /** Admissions without completion, closed as `unknown`. */
  readonly unknown: number;
  /** Bytes of a torn last line, put aside; 0: none. */
  readonly tornBytes: number;
  /**
   * Records are missing at the end, or differ from the last checkpoint; `unvouched`: there is no checkpoint to compare with; `changed`: the
   * records before it are not those that it signs.
   */
  readonly damage: 'cut' | 'rewritten' | 'unvouched' | 'changed' | undefined;
  /** Segments at the beginning that retention had left are missing; reported by the first start that finds it. */
  readonly isBeginningRemoved: boolean;
  /** Records are missing in front of the lines in `appended`. */
  readonly isGap: boolean;
  /** Lines that were appended after the end of the previous run, and their new place; undefined: none. */
  readonly appended: TornTail | undefined;
  /** The public key that signed before, if another one signs now without having been named; undefined: it is the same. */
  readonly keyBefore: string | undefined;
  /** Records from the ring of the previous run that were missing in the segments. */
  readonly recovered: number;
  /** The fault of that ring, in words for the log; undefined: none, or there was no ring. */
  readonly ring: string | undefined;
  /** Where the ring of another journal is now that lay in the place of the new one, in words for the log; undefined: there was none. */
  readonly ringKept: string | undefined;
  readonly access: {
    /** What ended since the last head, each with its end, so that requesters still see it; then what lives after the start. */
    readonly records: readonly AuditRecord[];
    /** Requests and grants that lived when the previous run ended, and do not any more. */
    readonly ended: number;
    /** Why all of them ended; undefined: each has a reason of its own. */
    readonly doubt: string | undefined;
    /** Locks and holds whose records are damaged. */
    readonly damaged: LockBook['damages'];
    /** Ids of locks and holds in force that no signature covers. */
    readonly unproven: readonly string[];
  };
}

const integers = 4;
/** Indexes of the whole numbers: rings of the bell; orders given; marks written. */
const bells = 0;
const orders = 1;
const marks = 2;
/** The numbers of a mark, followed by its hash. */
const markNumbers = numbersOfMark.length;
const hashChars = 64;
const markBytes = markNumbers * 8 + hashChars;
const rungAt = integers * 4;
const marksAt = rungAt + 16;

/**
 * Memory that both threads share besides the ring; each makes its own views. It has the result of a bell, announced by a message of one
 * word (as a message, a mark took 18 us of the thread's time, and 9 of the main thread's). The mark outlives the thread: another one
 * continues from it.
 */
class Shared {
  readonly memory: SharedArrayBuffer;
  protected readonly integers: Int32Array;
  /** The last ring: the main thread's clock, and the head of the ring. */
  protected readonly rung: Float64Array;
  /** Two places for marks, in turns: one is read while the next mark is written to the other. */
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

  /** Wakes the thread, or makes it check once more; `isOrder`: an order was sent before. */
  ring(nowMs: number, head: number, isOrder: boolean): void {
    this.rung[0] = nowMs;
    this.rung[1] = head;
    if (isOrder) Atomics.add(this.integers, orders, 1);
    Atomics.add(this.integers, bells, 1);
    Atomics.notify(this.integers, bells);
  }

  mark(): Mark {
    for (;;) {
      const count = Atomics.load(this.integers, marks);
      const { numbers, hash } = this.placeOf(count);
      const mark = { ...noNumbers, hash: hash.toString('latin1') };
      for (const [at, key] of numbersOfMark) mark[key] = numbers[at] ?? 0;
      // The thread may have continued meanwhile, up to the place that was read.
      if (Atomics.load(this.integers, marks) === count) return mark;
    }
  }
}

/** The journal's thread's side. */
export class Bell extends Shared {
  #heard = 0;
  #taken = 0;

  get nowMs(): number {
    return this.rung[0] ?? 0;
  }

  get head(): number {
    return this.rung[1] ?? 0;
  }

  wait(): void {
    // It may have rung before: then there is no wait.
    while (Atomics.load(this.integers, bells) === this.#heard)
      Atomics.wait(this.integers, bells, this.#heard);
    this.#heard = Atomics.load(this.integers, bells);
  }

  /** Whether an order is pending; it counts as taken then. */
  takeOrder(): boolean {
    if (this.#taken === Atomics.load(this.integers, orders)) return false;
    this.#taken += 1;
    return true;
  }

  lay(mark: Mark): void {
    const count = Atomics.load(this.integers, marks) + 1;
    const { numbers, hash } = this.placeOf(count);
    for (const [at, key] of numbersOfMark) numbers[at] = mark[key];
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

/** Messages of the journal's thread without an order; `synced`: only the mark is new. */
export type OwnMessage = 'synced' | BellReport;

/** A thread of the journal. Its file is beside this one, so that it is found in a checkout, in a package and under any path. */
export class JournalThread<Asked, Told> extends Thread<Asked, Told | Gone, OwnMessage> {
  constructor(task: ThreadTask) {
    const name = task.role === 'write' ? 'journal' : 'journal-keeper';
    super(new URL('./journal-thread.js', import.meta.url), { workerData: task, name }, goneOf);
  }
}

function goneOf(cause: string): Gone {
  const message = `the journal's thread is gone: ${cause}`;
  return { kind: 'failed', code: 'writer-died', message, isDiskFull: false };
}

/** The thread that writes; its first order opens the journal. */
export class WriterThread extends JournalThread<Order, Report> {
  /** Called with the result of a bell, also when the thread ends; undefined: only the mark is new. */
  onBell: ((report: BellReport | undefined) => void) | undefined;
  readonly #rope: BellRope;
  readonly #clock: Clock;
  #head = 0;

  constructor(options: WriterOptions, clock: Clock) {
    const { directory, stateDirectory, groupId, segmentBytes, program, catalog, signKey } = options;
    const { reserveBytes, memory, version, policies, files, reason } = options;
    const rope = new BellRope();
    // Only named fields: functions cannot be sent to a thread.
    const named = { directory, stateDirectory, groupId, program, catalog, version, policies, files, reason };
    const narrow = { ...named, segmentBytes, signKey, reserveBytes, memory };
    super({ role: 'write', options: narrow, shared: rope.memory });
    this.#rope = rope;
    this.#clock = clock;
    this.onSaid = (said) => this.onBell?.(said === 'synced' ? undefined : said);
    this.onGone = (cause) => this.onBell?.(goneOf(cause));
  }

  override give(order: Order, told: (report: Report) => void): void {
    super.give(order, told);
    this.#rope.ring(this.#clock.now(), this.#head, true);
  }

  ring(head: number): void {
    this.#head = head;
    this.#rope.ring(this.#clock.now(), head, false);
  }

  /** The position of the journal, after a successful bell. */
  mark(): Mark {
    return this.#rope.mark();
  }
}
