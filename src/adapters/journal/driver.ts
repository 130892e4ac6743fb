// Drives the journal's thread: gives it one order after the other, watches the deadlines, heals what failed. Owns the thread, the
// journal's state, and the records on their way to it.
// The rules: `#settle` is the only place that reports a record as on disk; after a failure nothing is served before all that was
// not on disk has been written to a new segment within the deadline; no waiter waits for a mute thread.
//
// An order wakes the thread and its report wakes us, which costs more than ten records. So records of one turn of the event loop
// go together, and those that delay nothing wait up to `lingerMsMax` to be batched.

import { JournalFault } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import { Backlog, type Waiter } from './backlog.js';
import type { Mark, MessageOrder, Opened, Report, WriterThread } from './handover.js';

/** What the driver tells whoever watches. */
export type DriverEvent =
  | { readonly kind: 'failed'; readonly fault: JournalFault }
  | { readonly kind: 'writable' }
  /** A group reached the disk: how many records, and how long from the order to its report. */
  | { readonly kind: 'synced'; readonly records: number; readonly durationMs: number }
  | { readonly kind: 'checkpoint'; readonly line: string }
  /** A full disk: a piece of the reserve was given up. */
  | { readonly kind: 'reserve-used' }
  | { readonly kind: 'lost'; readonly records: number };

/** Whether records can be promised. */
type DriverState =
  | { readonly at: 'writable' }
  | { readonly at: 'failed' | 'closed'; readonly fault: JournalFault };

type DrivenThread = Pick<WriterThread, 'give' | 'write' | 'end' | 'isAlive'>;

export interface DriverOptions {
  readonly clock: Clock;
  /** The wall clock with the steps that have a record, for records of the journal's own. */
  readonly wallMs: () => number;
  /** Starts a new thread when the old one is gone. */
  readonly openThread: () => DrivenThread;
  readonly lock: (descriptor: number) => boolean;
  readonly deadlineMs: number;
  readonly syncIntervalMs: number;
  readonly observe: (event: DriverEvent) => void;
}

/** An order of its own among the groups; `wallMs`: when it is given. */
interface Errand {
  readonly order: (wallMs: number) => MessageOrder;
  /** Gets its report; a failed one, without having been given, when the journal failed or was closed before. */
  readonly resolve: (report: Report) => void;
  /** It is given when so many records have been taken. */
  readonly behind: number;
}

/** At most so much in one order: what the thread copies and writes at once. Fits on the page that it shares. */
const orderCharsMax = 256 * 1024;
/** One order of so much costs more to write than the wake-up that a longer one would spare. */
const fullChars = 64 * 1024;
/**
 * How long a record may wait to be batched. A Dovecot on the same processors answers some hundred commands a second: in a shorter time
 * each completion would wake the thread for itself.
 */
const lingerMsMax = 20;
/** Between attempts to heal: the first at once, then the time doubles up to the longest. */
const healDelayMsMin = 250;
const healDelayMsMax = 4000;
/** Terminate a thread that missed five deadlines; another one is started when it is gone. */
const muteDeadlines = 5;
/** After a deadline, until it is looked at. */
const graceMs = 50;

export class Driver {
  state: DriverState = { at: 'writable' };
  /** The last place that is certainly on disk. */
  mark: Mark;
  /** Records that will never reach the disk. */
  lost = 0;
  readonly #options: DriverOptions;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #backlog = new Backlog();
  readonly #errands: Errand[] = [];
  readonly #journal: string;
  #thread: DrivenThread;
  /** When the order under way was given; Infinity: there is none. */
  #busySince = Infinity;
  /** The thread was ended because it does not answer. */
  #isGivenUp = false;
  #lastDurationMs = 0;
  #healDelayMs = 0;
  /** As the order `limit` says; healing brings it to a new thread. */
  #isFull = false;
  /** The waiting records go with the next order. */
  #isDue = false;
  #isTurnAwaited = false;
  #isLingering = false;
  /** Not canceled when another group takes the lingering records along: under load it would be armed for each group. */
  #lingerTimer: Timer | undefined;
  #isSyncDue = false;
  #syncTimer: Timer | undefined;
  #watchTimer: Timer | undefined;
  #watchedMs = Infinity;
  #pauseTimer: Timer | undefined;
  #endPause: (() => void) | undefined;
  #closeTimer: Timer | undefined;
  #closing: Waiter | undefined;

  /** Takes over a thread that has opened the journal, and what it reported. */
  constructor(options: DriverOptions, thread: DrivenThread, opened: Pick<Opened, 'mark' | 'found'>) {
    this.#options = options;
    this.#clock = options.clock;
    this.#deadlineMs = options.deadlineMs;
    this.#thread = thread;
    this.mark = opened.mark;
    this.#journal = opened.found.journal;
  }

  /** Takes a record. `isPatient`: nothing is delayed by it alone. False: it would go above `bytesMax`, and was not taken. */
  add(body: string, waiter: Waiter | undefined, isPatient: boolean, bytesMax: number): boolean {
    const nowMs = this.#clock.now();
    if (!this.#backlog.add(body, nowMs, waiter, bytesMax)) return false;
    // Looked at only when it can be earlier than what is armed: this is the way of every record.
    if (waiter !== undefined && nowMs + this.#deadlineMs < this.#watchedMs) this.#watch();
    if (!isPatient || this.#backlog.waitingChars >= fullChars) this.hurry();
    else if (!this.#isDue && this.state.at === 'writable') {
      this.#isLingering = true;
      const ms = Math.min(lingerMsMax, this.#deadlineMs / 10);
      this.#lingerTimer ??= this.#clock.setTimer(ms, this.#onLinger);
    }
    return true;
  }

  /** Gives what waits at the end of this turn, or right after the order under way. */
  hurry(): void {
    if (this.#isDue || this.state.at !== 'writable') return;
    if (this.#busySince !== Infinity) this.#isDue = true;
    else if (!this.#isTurnAwaited) {
      this.#isTurnAwaited = true;
      void this.#clock.nextTurn().then(this.#onTurn);
    }
  }

  /** Syncs, which shows a segment, directory or lock that somebody took away. */
  readonly look = (): void => {
    this.#isSyncDue = true;
    this.#drive();
  };

  /**
   * Gives an order of its own, behind all records that are in the backlog now, with the wall clock's time then. Resolves
   * with its report; a failed one, without having been given, unless the journal is writable.
   */
  run(order: Errand['order']): Promise<Report> {
    return new Promise((resolve) => {
      this.#errands.push({ order, resolve, behind: this.#backlog.added });
      this.#isDue = true;
      if (this.state.at === 'writable') this.#drive();
      else this.#reject(this.state.fault);
    });
  }

  /** Whether the segments have reached their size and none of them may go yet. */
  async setFull(isFull: boolean): Promise<void> {
    this.#isFull = isFull;
    // Given each time: healing brings it to the thread too, so what that one has been told is not kept here.
    await this.run(() => ({ do: 'limit', isFull }));
  }

  lose(records: number): void {
    if (records === 0) return;
    this.lost += records;
    this.#options.observe({ kind: 'lost', records });
  }

  /** Writes what is left and the stop record; rejects with a JournalFault when that fails or takes two deadlines. */
  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#closing = { resolve, reject };
      const late = new JournalFault('deadline', 'the journal could not be closed in time');
      this.#closeTimer = this.#clock.setTimer(2 * this.#deadlineMs, () => this.#finish(late));
      this.#pauseTimer?.cancel();
      this.#endPause?.();
      this.#watch();
      this.#drive();
    });
  }

  readonly #onTurn = (): void => {
    this.#isTurnAwaited = false;
    this.#isDue = true;
    this.#drive();
  };

  readonly #onLinger = (): void => {
    this.#lingerTimer = undefined;
    if (this.#isLingering) this.#isDue = true;
    this.#drive();
  };

  /** Gives the next order, unless one is under way or there is nothing to do. */
  #drive(): void {
    if (this.#busySince !== Infinity || this.state.at !== 'writable') return;
    const { waiting, added } = this.#backlog;
    const [errand] = this.#errands;
    if (errand !== undefined && errand.behind <= added - waiting.length) {
      this.#errands.shift();
      return this.#give(errand.order(this.#options.wallMs()), (report) => {
        this.#onReport(report);
        errand.resolve(report);
      });
    }
    const isClosing = this.#closing !== undefined;
    if (waiting.length === 0) {
      this.#isDue = false;
      this.#isLingering = false;
      if (isClosing) return this.#give({ do: 'stop', wallMs: this.#options.wallMs() }, this.#onReport);
    }
    if (!this.#isDue && !this.#isSyncDue && !isClosing) return;
    const records = this.#backlog.take(orderCharsMax);
    this.#isDue = waiting.length > 0;
    this.#isLingering = false;
    this.#busySince = this.#clock.now();
    if (this.#busySince + this.#deadlineMs < this.#watchedMs) this.#watch();
    this.#thread.write(records, this.#backlog.needsSync || this.#isSyncDue, this.#onReport);
  }

  /** However long its report takes: the watch looks at the deadline. */
  #give(order: MessageOrder, told: (report: Report) => void): void {
    this.#busySince = this.#clock.now();
    this.#watch();
    this.#thread.give(order, told);
  }

  readonly #onReport = (report: Report): void => {
    this.#take(report);
    if (report.kind === 'written') this.#healDelayMs = 0;
    if (this.state.at === 'failed') void this.#heal();
    else this.#drive();
  };

  #take(report: Report): void {
    this.#lastDurationMs = this.#clock.now() - this.#busySince;
    try {
      this.#judge(report);
    } finally {
      // Not sooner: an observer that asks for an order must not have it given before this report is taken.
      this.#busySince = Infinity;
    }
  }

  /** What a report makes of the journal. */
  #judge(report: Report): void {
    this.#isGivenUp = false;
    if (this.state.at === 'closed') return;
    const { observe } = this.#options;
    switch (report.kind) {
      case 'written':
      case 'stopped':
        if (report.isReserveUsed) observe({ kind: 'reserve-used' });
        if (report.checkpoint !== undefined) observe({ kind: 'checkpoint', line: report.checkpoint });
        if (report.mark === undefined) {
          this.#backlog.wrote();
          this.#syncTimer ??= this.#clock.setTimer(this.#options.syncIntervalMs, this.look);
        } else this.#settle(report.mark);
        if (report.kind === 'stopped') this.#finish(undefined);
        return;
      case 'kept':
        return;
      case 'failed':
        return this.#fail(new JournalFault(report.code, report.message));
      case 'lock':
        return this.#fail(new JournalFault('locked', 'another process has the lock of the journal'));
      case 'opened':
        throw new Error('the journal was opened twice');
      default:
        report satisfies never;
    }
  }

  #settle(mark: Mark): void {
    this.mark = mark;
    this.#isSyncDue = false;
    this.#syncTimer?.cancel();
    this.#syncTimer = undefined;
    const records = this.#backlog.synced();
    if (records > 0) this.#options.observe({ kind: 'synced', records, durationMs: this.#lastDurationMs });
  }

  #fail(fault: JournalFault): void {
    const isNews = this.state.at === 'writable';
    this.state = { at: 'failed', fault };
    this.#reject(fault);
    if (isNews) this.#options.observe({ kind: 'failed', fault });
  }

  #reject(fault: JournalFault): void {
    const { code, message } = fault;
    for (const { resolve } of this.#errands.splice(0)) resolve({ kind: 'failed', code, message });
    this.#backlog.reject(fault);
  }

  /** Attempts to serve again, the first at once, until one succeeds or the journal is closed; a closing one makes one attempt. */
  async #heal(): Promise<void> {
    /** All records are, but that took too long to serve: no need to begin segment after segment. */
    let isOnDisk = false;
    for (;;) {
      if (this.#healDelayMs > 0 && this.#closing === undefined) {
        await new Promise<void>((resolve) => {
          this.#endPause = resolve;
          this.#pauseTimer = this.#clock.setTimer(this.#healDelayMs, resolve);
        });
      }
      if (this.state.at === 'closed') return;
      const isLast = this.#closing !== undefined;
      this.#healDelayMs = Math.min(Math.max(this.#healDelayMs * 2, healDelayMsMin), healDelayMsMax);
      if (!this.#thread.isAlive) this.#thread = this.#options.openThread();
      const report = await this.#attempt(isOnDisk);
      this.#take(report);
      const { state } = this;
      if (state.at !== 'failed') return;
      isOnDisk = report.kind === 'written';
      if (isOnDisk && this.#lastDurationMs < this.#deadlineMs) break;
      if (!isOnDisk && isLast) return this.#finish(state.fault);
    }
    this.state = { at: 'writable' };
    this.#options.observe({ kind: 'writable' });
    this.#isDue = true;
    this.#drive();
  }

  /** What lies behind the mark may be damaged, unless all `isOnDisk`: then it is tried whether the disk is fast again. */
  async #attempt(isOnDisk: boolean): Promise<Report> {
    const ask = (order: MessageOrder): Promise<Report> =>
      new Promise((resolve) => this.#give(order, resolve));
    // Not at the clock's time: it may have leapt, and the record of that step is not written yet.
    if (isOnDisk) return ask({ do: 'checkpoint', wallMs: this.mark.timeMs });
    const bodies = this.#backlog.takeAll();
    const heal = (lock: number | undefined): Promise<Report> => {
      const chain = { mark: this.mark, journal: this.#journal, bodies, lost: this.lost };
      return ask({ do: 'heal', lock, ...chain, isFull: this.#isFull });
    };
    const report = await heal(undefined);
    const isLocked = report.kind === 'lock' && this.#options.lock(report.descriptor);
    return isLocked ? heal(report.descriptor) : report;
  }

  /** One timer for all deadlines: armed for the first that comes, and looked at again when it fires. */
  #watch(): void {
    const due = this.#dueAt();
    if (due >= this.#watchedMs) return;
    this.#watchedMs = due;
    this.#lookAt(due + graceMs, -Infinity);
  }

  /**
   * A look that is late itself (a stopped process, a paused machine) comes before reports are read and orders given: then
   * only what was due at the look before has failed, and there is another one, after as long as this thread stood still.
   */
  #lookAt(atMs: number, beforeMs: number): void {
    this.#watchTimer?.cancel();
    this.#watchTimer = this.#clock.setTimer(Math.max(atMs - this.#clock.now(), 1), () => {
      const nowMs = this.#clock.now();
      const isLate = nowMs - atMs >= graceMs;
      if (this.#dueAt() <= (isLate ? beforeMs : nowMs)) this.#overdue();
      else if (isLate) return this.#lookAt(nowMs + Math.min(nowMs - atMs, this.#deadlineMs), nowMs);
      this.#watchedMs = Infinity;
      this.#watch();
    });
  }

  /** Infinity: nothing is awaited. */
  #dueAt(): number {
    if (this.state.at === 'writable')
      return Math.min(this.#busySince, this.#backlog.oldestWaiterSince()) + this.#deadlineMs;
    if (this.state.at === 'closed' || this.#isGivenUp) return Infinity;
    // A closing journal does not wait for a mute thread: a new one may still write what is left.
    return this.#busySince + (this.#closing === undefined ? muteDeadlines : 1) * this.#deadlineMs;
  }

  #overdue(): void {
    const wasFailed = this.state.at === 'failed';
    const isIdle = this.#busySince === Infinity;
    this.#fail(new JournalFault('deadline', `a write or sync took longer than ${this.#deadlineMs} ms`));
    if (isIdle) void this.#heal();
    else if (wasFailed || this.#closing !== undefined) {
      this.#isGivenUp = true;
      void this.#thread.end();
    }
  }

  /** The one end: of the thread, the timers, the waiters. */
  #finish(fault: JournalFault | undefined): void {
    if (this.state.at === 'closed') return;
    const end = fault ?? new JournalFault('closed', 'the journal is closed');
    this.state = { at: 'closed', fault: end };
    this.#lingerTimer?.cancel();
    this.#syncTimer?.cancel();
    this.#watchTimer?.cancel();
    this.#pauseTimer?.cancel();
    this.#closeTimer?.cancel();
    this.#reject(end);
    this.lose(this.#backlog.left);
    void this.#thread.end();
    if (fault === undefined) this.#closing?.resolve();
    else this.#closing?.reject(fault);
    this.#endPause?.();
  }
}
