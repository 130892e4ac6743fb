// The records that are not on disk yet, in order, with their waiters: not given to the writer's thread, under way, or written
// and not synced; the orders of another kind among them; and the batcher, which says when records go to the thread.
// The rule: a record leaves only when it is on disk (or the limit refused it), also when its waiter gave up.

import { JournalFault } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import type { Order, Report } from './messages.js';

/** Waits until a record is on disk. */
export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (fault: JournalFault) => void;
}

/** An order of its own among the groups; `wallMs`: when it is given. */
export interface Errand {
  readonly order: (wallMs: number) => Order;
  /** Gets its report; a failed one, without having been given, when the journal failed or was closed before. */
  readonly resolve: (report: Report) => void;
}

interface Held {
  readonly body: string;
  /** Monotonic milliseconds when it came. */
  readonly since: number;
  waiter: Waiter | undefined;
}

/** Records that go to the disk together. */
export interface Group {
  readonly bodies: string[];
  /** It has a waiter, or too much was written since the last sync. */
  readonly needsSync: boolean;
}

export interface Backlog {
  /** False: it would go above `bytesMax` and was not taken. */
  add(body: string, since: number, waiter: Waiter | undefined, bytesMax: number): boolean;
  /** The next group, at most so many bytes (but one record at least); it counts as under way from now on. */
  take(bytesMax: number): Group;
  /** All bodies, in order; all count as under way from now on. */
  takeAll(): string[];
  /** What is under way was handed to the kernel. */
  wrote(): void;
  /** What was written, the group under way included, is on disk: resolves its waiters. Returns how many records. */
  synced(): number;
  /** An order that is to be given when all records that are here now have been taken. */
  addErrand(errand: Errand): void;
  /** The next errand whose turn it is; it is the caller's from now on. */
  takeErrand(): Errand | undefined;
  /** Rejects all waiters and drops the errands; the records stay. Undefined: the journal is closed. */
  reject(fault: JournalFault | undefined): void;
  /** When the oldest record with a waiter came. */
  readonly oldestWaiterSince: number | undefined;
  /** So much waits that a longer batch would spare nothing. */
  readonly isFull: boolean;
  /** Whether a group can be taken. */
  readonly hasWaiting: boolean;
  /** Forgets all records; returns how many they were. */
  drop(): number;
}

/** Records stay in memory until they are synced: more of them would live long enough to cost the garbage collector. */
const unsyncedBytesMax = 256 * 1024;
/** One order of so much costs more to write than the wake-up that a longer one would spare. */
const fullChars = 64 * 1024;
/** Beside its text, what a record costs in memory. */
const overheadBytes = 128;

export function createBacklog(): Backlog {
  let written: Held[] = [];
  let underWay: Held[] = [];
  let waiting: Held[] = [];
  let bytes = 0;
  let waitingChars = 0;
  let unsyncedBytes = 0;
  let added = 0;
  const errands: { readonly errand: Errand; readonly behind: number }[] = [];

  return {
    add(body, since, waiter, bytesMax) {
      const more = body.length + overheadBytes;
      if (bytes + more > bytesMax) return false;
      bytes += more;
      added += 1;
      waitingChars += body.length;
      waiting.push({ body, since, waiter });
      return true;
    },
    take(bytesMax) {
      let end = 0;
      let taken = 0;
      let isAwaited = false;
      for (const held of waiting) {
        if (taken + held.body.length > bytesMax && end > 0) break;
        taken += held.body.length;
        isAwaited ||= held.waiter !== undefined;
        end += 1;
      }
      unsyncedBytes += taken;
      waitingChars -= taken;
      underWay = end === waiting.length ? waiting : waiting.slice(0, end);
      waiting = end === waiting.length ? [] : waiting.slice(end);
      const needsSync = isAwaited || unsyncedBytes > unsyncedBytesMax;
      return { bodies: underWay.map((held) => held.body), needsSync };
    },
    takeAll() {
      underWay = [...written, ...underWay, ...waiting];
      written = [];
      waiting = [];
      waitingChars = 0;
      return underWay.map((held) => held.body);
    },
    wrote() {
      // Not a new array each time: where nobody waits for a sync, many groups are written between two of them.
      if (written.length === 0) written = underWay;
      else for (const held of underWay) written.push(held);
      underWay = [];
    },
    synced() {
      this.wrote();
      const done = written;
      written = [];
      unsyncedBytes = 0;
      for (const held of done) {
        bytes -= held.body.length + overheadBytes;
        held.waiter?.resolve();
      }
      return done.length;
    },
    addErrand(errand) {
      errands.push({ errand, behind: added });
    },
    takeErrand() {
      const taken = added - waiting.length;
      return errands[0] !== undefined && errands[0].behind <= taken ? errands.shift()?.errand : undefined;
    },
    reject(cause) {
      const fault = cause ?? new JournalFault('closed', 'the journal is closed');
      const report: Report = { kind: 'failed', code: fault.code, message: fault.message };
      for (const { errand } of errands.splice(0)) errand.resolve(report);
      for (const held of [...written, ...underWay, ...waiting]) {
        held.waiter?.reject(fault);
        held.waiter = undefined;
      }
    },
    get oldestWaiterSince() {
      // What was written has no waiter: a group with one is synced at once.
      for (const group of [underWay, waiting]) {
        const oldest = group.find((held) => held.waiter !== undefined);
        if (oldest !== undefined) return oldest.since;
      }
      return undefined;
    },
    get isFull() {
      return waitingChars >= fullChars;
    },
    get hasWaiting() {
      return waiting.length > 0;
    },
    drop() {
      const records = written.length + underWay.length + waiting.length;
      written = [];
      underWay = [];
      waiting = [];
      bytes = 0;
      waitingChars = 0;
      unsyncedBytes = 0;
      return records;
    },
  };
}

/**
 * When records go to the writer's thread: an order wakes the thread and its report wakes us, which costs more than ten records. So
 * records of one turn of the event loop go together, and those that delay nothing wait up to `lingerMsMax` to be batched.
 */
export interface Batcher {
  /** A record came. `isPatient`: nothing waits for it; `isBusy`: an order is under way, and the next one follows its report at once. */
  came(isPatient: boolean, isBusy: boolean): void;
  /** Flush now. */
  hurry(): void;
  /** Whether the records go with the next order. */
  readonly isDue: boolean;
  /** A group went, or there was none; whether records are left that did not fit in. */
  went(isMoreLeft: boolean): void;
  cancel(): void;
}

/**
 * How long a record may wait to be batched. A Dovecot on the same processors answers some hundred commands a second: in a shorter time
 * each completion would wake the writer for itself.
 */
const lingerMsMax = 20;

/** `deadlineMs`: of the journal, which includes the wait here; `send`: called when something is due, also where nothing waits any more. */
export function createBatcher(clock: Clock, deadlineMs: number, send: () => void): Batcher {
  const lingerMs = Math.min(lingerMsMax, deadlineMs / 10);
  let isDue = false;
  let isTurnAwaited = false;
  let isLingering = false;
  /** Not canceled when another group takes the lingering records along: under load it would be armed for each group. */
  let timer: Timer | undefined;

  return {
    came(isPatient, isBusy) {
      if (isDue) return;
      if (isPatient) linger();
      else if (isBusy) isDue = true;
      else sendAfterTurn();
    },
    hurry,
    get isDue() {
      return isDue;
    },
    went(isMoreLeft) {
      isDue = isMoreLeft;
      isLingering = false;
    },
    cancel() {
      timer?.cancel();
      timer = undefined;
    },
  };

  function linger(): void {
    isLingering = true;
    timer ??= clock.setTimer(lingerMs, () => {
      timer = undefined;
      if (isLingering) hurry();
    });
  }

  function sendAfterTurn(): void {
    if (isTurnAwaited) return;
    isTurnAwaited = true;
    void clock.nextTurn().then(() => {
      isTurnAwaited = false;
      hurry();
    });
  }

  function hurry(): void {
    isDue = true;
    send();
  }
}
