// The records that are not on disk yet, in order, with their waiters: not given to the journal's thread, under way, or written
// and not synced.
// The rule: a record leaves only when it is on disk (or the limit refused it), also when its waiter gave up.

import type { JournalFault } from '../../ports/faults.js';

/** Waits until a record is on disk. */
export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (fault: JournalFault) => void;
}

export interface Held {
  readonly body: string;
  /** Monotonic milliseconds when it came. */
  readonly since: number;
  waiter: Waiter | undefined;
}

/** Records stay in memory until they are synced: more of them would live long enough to cost the garbage collector. */
const unsyncedCharsMax = 256 * 1024;
/** Beside its text, what a record costs in memory. */
const overheadBytes = 128;

export class Backlog {
  /** Those that were not given to the thread. */
  readonly waiting: Held[] = [];
  /** Characters of these. */
  waitingChars = 0;
  /** How many records have come so far. */
  added = 0;
  /** The group that was taken last has a waiter, or too much was written since the last sync. */
  needsSync = false;
  #underWay: readonly Held[] = [];
  #written: Held[] = [];
  #bytes = 0;
  #unsyncedChars = 0;

  /** False: it would go above `bytesMax` and was not taken. */
  add(body: string, since: number, waiter: Waiter | undefined, bytesMax: number): boolean {
    const bytes = this.#bytes + body.length + overheadBytes;
    if (bytes > bytesMax) return false;
    this.#bytes = bytes;
    this.added += 1;
    this.waitingChars += body.length;
    this.waiting.push({ body, since, waiter });
    return true;
  }

  /** The next group, at most so many characters (but one record at least); it counts as under way from now on. */
  take(charsMax: number): readonly Held[] {
    let end = 0;
    let chars = 0;
    this.needsSync = false;
    for (const { body, waiter } of this.waiting) {
      if (chars + body.length > charsMax && end > 0) break;
      chars += body.length;
      if (waiter !== undefined) this.needsSync = true;
      end += 1;
    }
    this.waitingChars -= chars;
    this.#unsyncedChars += chars;
    if (this.#unsyncedChars > unsyncedCharsMax) this.needsSync = true;
    this.#underWay = this.waiting.splice(0, end);
    return this.#underWay;
  }

  /** All bodies, in order; all count as under way from now on. */
  takeAll(): string[] {
    this.#underWay = [...this.#written, ...this.#underWay, ...this.waiting];
    this.#written = [];
    this.waiting.length = 0;
    this.waitingChars = 0;
    return this.#underWay.map(({ body }) => body);
  }

  /** The group under way was handed to the kernel. */
  wrote(): void {
    for (const held of this.#underWay) this.#written.push(held);
    this.#underWay = [];
  }

  /** What was written, the group under way included, is on disk: resolves its waiters. Returns how many records. */
  synced(): number {
    const records = this.#written.length + this.#underWay.length;
    for (const group of [this.#written, this.#underWay]) {
      for (const { body, waiter } of group) {
        this.#bytes -= body.length + overheadBytes;
        waiter?.resolve();
      }
    }
    this.#written = [];
    this.#underWay = [];
    this.#unsyncedChars = 0;
    return records;
  }

  /** Rejects all waiters; the records stay. */
  reject(fault: JournalFault): void {
    for (const held of [...this.#written, ...this.#underWay, ...this.waiting]) {
      held.waiter?.reject(fault);
      held.waiter = undefined;
    }
  }

  /** When the oldest record with a waiter came; Infinity: there is none. */
  oldestWaiterSince(): number {
    // What was written has no waiter: a group with one is synced at once.
    const isAwaited = ({ waiter }: Held): boolean => waiter !== undefined;
    return (this.#underWay.find(isAwaited) ?? this.waiting.find(isAwaited))?.since ?? Infinity;
  }

  /** How many records have not reached the disk. */
  get left(): number {
    return this.#written.length + this.#underWay.length + this.waiting.length;
  }
}
