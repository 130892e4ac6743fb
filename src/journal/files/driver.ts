// Drives the journal's thread: publishes records in the ring, rings the bell, gives orders, checks deadlines, repairs failures.
// After a failure nothing is served until all records that were not on disk are in a new segment.

import { bounds } from '../../host/bounds/bounds.js';
import { backOffMs } from '../../host/concurrency/back-off.js';
import { Wakes } from '../../host/concurrency/waiting.js';
import { JournalFault } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { BellReport, Failed, Mark, Opened, Order, Report, WriterThread, Written } from './handover.js';
import type { RingWriter } from './ring.js';

export type DriverEvent =
  | { readonly kind: 'failed'; readonly fault: JournalFault }
  | { readonly kind: 'writable' }
  /** A group reached the disk: the number of records, and the time from the bell to the answer. */
  | { readonly kind: 'synced'; readonly records: number; readonly durationMs: number }
  | { readonly kind: 'checkpoint'; readonly line: string }
  /** The disk is full: a piece of the reserve was released. */
  | { readonly kind: 'reserve-used' }
  /** `left`: the closed journal could not write them; they are in the ring. */
  | { readonly kind: 'lost' | 'left'; readonly records: number };

/**
 * Whether records can be promised. `slow`: the disk missed a deadline without an error; records without a sync continue.
 * `failed`: nothing reaches the disk before the journal is healed; a closing journal stops then without serving again.
 * `isGivenUp`: the thread was ended because it did not answer.
 */
type DriverState =
  | { readonly at: 'writable' }
  | {
      readonly at: 'slow';
      readonly fault: JournalFault;
      /** When the driver asked again after the late answer, to measure whether the disk is fast again; -Infinity: not yet. */
      readonly trialSince: number;
      readonly isGivenUp: boolean;
    }
  | {
      readonly at: 'failed';
      readonly fault: JournalFault;
      readonly doing: 'healing' | 'stopping';
      readonly isGivenUp: boolean;
    }
  | { readonly at: 'closed'; readonly fault: JournalFault };

type DrivenThread = Pick<WriterThread, 'give' | 'ring' | 'mark' | 'end' | 'isAlive' | 'onBell'>;

export interface DriverOptions {
  readonly clock: Clock;
  /** The wall clock with the recorded steps, for the journal's own records. */
  readonly wallMs: () => number;
  /** Starts a new thread with the same ring, after the old one has ended. */
  readonly openThread: () => DrivenThread;
  readonly lock: (descriptor: number) => boolean;
  readonly deadlineMs: number;
  /** The counts of `Shares`, which the thread keeps beside the segments when it stops. */
  readonly shares?: () => string;
  readonly observe: (event: DriverEvent) => void;
}

/** Records that retention left, and whose files were removed. */
export interface Missing {
  /** The last of them. */
  readonly seq: number;
  /** Unix milliseconds; undefined: the start found it. */
  readonly sinceMs: number | undefined;
}

interface Waiter {
  /** The end of its record in the ring. */
  readonly end: number;
  /** Monotonic milliseconds at the start of the wait. */
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (fault: JournalFault) => void;
}

/** Waits until everything published at its start is on disk. The disk's deadline does not apply. */
interface Flush {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (fault: JournalFault) => void;
}

/** Delay of the bell where nobody waits: it costs more than ten records, and each of some hundred commands a second would ring it. */
const lingerMsMax = 20;
/** Pauses between attempts to heal: the first attempt at once, then the pause doubles up to the longest. */
const healDelayMsMin = 250;
const healDelayMsMax = 4000;
/** Terminate a thread that missed five deadlines; another one is started after its end. */
const muteDeadlines = 5;
const damagedText = 'a record was damaged in memory before it was written';
const graceMs = 50;

export class Driver {
  state: DriverState = { at: 'writable' };
  mark: Mark;
  lost = 0;
  /** Records up to this one are not all in the directory; undefined: none are known to be missing. */
  missing: Missing | undefined;
  /** Bytes of the ring, and half of them: the rest is reserved for completions of exchanges that began. */
  readonly whole: number;
  readonly half: number;
  readonly #options: DriverOptions;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #ring: RingWriter;
  readonly #journal: string;
  readonly #waiters: Waiter[] = [];
  readonly #flushes: Flush[] = [];
  readonly #errands = new Set<(report: Report) => void>();
  #published = 0;
  #thread: DrivenThread;
  /** Orders without a report. */
  #orders = 0;
  /** The end of the records of the last bell, and its time; Infinity: everything is answered. */
  #askedHead = 0;
  #bellSince = Infinity;
  /** When an order was given, or the last report came, while one is outstanding; Infinity: none is. */
  #orderSince = Infinity;
  /** When the oldest record came that is not known to be on disk; Infinity: there is none. */
  #unsyncedSince = Infinity;
  #heals = 0;
  /** As in the order `limit`; healing passes it to a new thread. */
  #isFull = false;
  #isTurnAwaited = false;
  /** The timer survives other bells: under load it would be armed again for each group. */
  #lingerTimer: Timer | undefined;
  #watchTimer: Timer | undefined;
  #watchedMs = Infinity;
  readonly #pauseEnds = new Wakes();
  #closeTimer: Timer | undefined;
  #closing: { readonly resolve: () => void; readonly reject: (fault: JournalFault) => void } | undefined;

  /** Takes over a thread that has opened the journal and has the ring, with its report. */
  constructor(
    options: DriverOptions,
    thread: DrivenThread,
    opened: Pick<Opened, 'mark' | 'found' | 'missingSeq'>,
    ring: RingWriter,
  ) {
    this.#options = options;
    this.#clock = options.clock;
    this.#deadlineMs = options.deadlineMs;
    this.#ring = ring;
    this.whole = ring.dataBytes;
    this.half = ring.dataBytes / 2;
    this.mark = opened.mark;
    this.#journal = opened.found.journal;
    if (opened.missingSeq !== undefined) this.missing = { seq: opened.missingSeq, sinceMs: undefined };
    this.#thread = thread;
    thread.onBell = this.#onBell;
  }

  get unsyncedMs(): number {
    return this.#unsyncedSince === Infinity ? 0 : this.#clock.now() - this.#unsyncedSince;
  }

  /** True: it survives a crash of the process from now on. False: not taken, as more than `usedMax` bytes would not be on disk. */
  add(bodies: readonly string[], usedMax: number): boolean {
    if (!this.#ring.publish(bodies, usedMax)) return false;
    this.#published += bodies.length;
    if (this.#unsyncedSince === Infinity) this.#unsyncedSince = this.#clock.now();
    this.#lingerTimer ??= this.#clock.setTimer(lingerMsMax, this.#onLinger);
    if (this.#ring.head - this.#askedHead > this.#ring.dataBytes / 8) this.#askSoon();
    return true;
  }

  /** The same for a record with a waiting caller. */
  addAwaited(
    bodies: readonly string[],
    usedMax: number,
    resolve: Waiter['resolve'],
    reject: Waiter['reject'],
  ): boolean {
    if (!this.#ring.publish(bodies, usedMax)) return false;
    this.#published += bodies.length;
    const since = this.#clock.now();
    if (this.#unsyncedSince === Infinity) this.#unsyncedSince = since;
    this.#waiters.push({ end: this.#ring.head, since, resolve, reject });
    // Called for every record, so checked only if the deadline is earlier than the armed one.
    if (since + this.#deadlineMs < this.#watchedMs) this.#watch();
    this.#askSoon();
    return true;
  }

  /**
   * Resolves when everything published now is on disk. It rings no bell: the linger timer has been armed since the oldest of
   * these records, so repeated calls force no sync. Rejects with a JournalFault as soon as the journal is not writable, and at
   * once if too many calls wait.
   */
  flushed(): Promise<void> {
    const { state } = this;
    const { head } = this.#ring;
    if (this.mark.position >= head) return Promise.resolve();
    if (state.at !== 'writable') return Promise.reject(state.fault);
    if (this.#flushes.length >= bounds.flushWaiters)
      return Promise.reject(
        new JournalFault('overflow', `${bounds.flushWaiters} requests wait for the disk`),
      );
    return new Promise((resolve, reject) => {
      this.#flushes.push({ end: head, resolve, reject });
    });
  }

  /** Takes effect after all records published now. Resolves with its report, a failed one once the journal is not writable. */
  run(make: (wallMs: number, behind: number) => Order): Promise<Report> {
    return new Promise((resolve) => {
      const { state } = this;
      if (state.at !== 'writable') return resolve(failedReport(state.fault));
      this.#errands.add(resolve);
      this.#give(make(this.#options.wallMs(), this.#ring.head), (report) => {
        this.#errands.delete(resolve);
        this.#onReport(report);
        resolve(report);
      });
    });
  }

  async setFull(isFull: boolean): Promise<void> {
    this.#isFull = isFull;
    // Sent each time: healing sends it to the thread too, so the driver does not know which value the thread has.
    await this.run((_, behind) => ({ do: 'limit', behind, isFull }));
  }

  lose(records: number): void {
    this.lost += records;
    this.#options.observe({ kind: 'lost', records });
  }

  /** Writes what is left and the stop record; rejects with a JournalFault if that fails or is not done by `untilMs`. */
  close(untilMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#closing = { resolve, reject };
      const late = new JournalFault('deadline', 'the journal could not be closed in time');
      const leftMs = Math.max(untilMs - this.#clock.now(), 0);
      this.#closeTimer = this.#clock.setTimer(leftMs, () => this.#finish(late));
      this.#pauseEnds.wake();
      if (this.state.at !== 'failed') this.#stop();
    });
  }

  #stop(): void {
    const { wallMs, shares } = this.#options;
    const order = { do: 'stop', behind: this.#ring.head, wallMs: wallMs(), shares: shares?.() } as const;
    this.#give(order, this.#onReport);
  }

  /** Rings at the end of this turn. */
  #askSoon(): void {
    if (this.#isTurnAwaited || this.state.at !== 'writable') return;
    this.#isTurnAwaited = true;
    void this.#clock.nextTurn().then(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#isTurnAwaited = false;
    this.#ask();
  };

  readonly #onLinger = (): void => {
    this.#lingerTimer = undefined;
    this.#ask();
  };

  /** Rings for new records. Not while the disk is slow or healed, nor for records of an order: the thread answers only after a write. */
  #ask(): void {
    const { head } = this.#ring;
    if (this.state.at === 'writable' && head > this.#askedHead && head > this.mark.position)
      this.#ringFor(head);
  }

  #ringFor(head: number): void {
    this.#askedHead = head;
    if (this.#bellSince === Infinity) {
      this.#bellSince = this.#clock.now();
      if (this.#bellSince + this.#deadlineMs < this.#watchedMs) this.#watch();
    }
    this.#thread.ring(head);
  }

  /** Its report may take any time: the watch checks the deadline. */
  #give(order: Order, told: (report: Report) => void): void {
    this.#orders += 1;
    if (this.#orderSince === Infinity) this.#orderSince = this.#clock.now();
    this.#watch();
    this.#thread.give(order, (report) => {
      this.#orders -= 1;
      // The orders after it had to wait for this one.
      this.#orderSince = this.#orders === 0 ? Infinity : this.#clock.now();
      told(report);
      this.#tryAgain();
    });
  }

  /** The result of a bell; undefined: only the mark is new. */
  readonly #onBell = (report: BellReport | undefined): void => {
    if (this.state.at === 'closed') return;
    if (report?.kind === 'failed') return this.#fail(report.code, report.message);
    this.#take(report ?? { mark: this.#thread.mark() }, this.#bellSince);
    this.#heals = 0;
    this.#tryAgain();
  };

  readonly #onReport = (report: Report): void => {
    if (this.state.at === 'closed') return;
    switch (report.kind) {
      case 'written':
      case 'stopped':
        this.#take(report, this.#bellSince);
        this.#heals = 0;
        if (report.kind === 'stopped') return this.#finish(undefined);
        return;
      case 'kept':
        return;
      case 'failed':
        return this.#fail(report.code, report.message);
      case 'lock':
        return this.#fail('locked', 'another process has the lock of the journal');
      case 'opened':
        throw new Error('the journal was opened twice');
      default:
        report satisfies never;
    }
  };

  /** A slow disk is fast again if a request that was sent after all others were answered is answered within the deadline. */
  #tryAgain(): void {
    const isBusy = this.#bellSince !== Infinity || this.#orders > 0;
    const { state } = this;
    if (state.at !== 'slow' || isBusy || this.#closing !== undefined) return;
    const nowMs = this.#clock.now();
    if (nowMs - state.trialSince < this.#deadlineMs) return this.#serveAgain();
    this.state = { ...state, trialSince: nowMs };
    if (this.#ring.head > this.mark.position) return this.#ringFor(this.#ring.head);
    // Not the present time: the clock may have leapt, and the record of that step is not written yet.
    this.#give({ do: 'checkpoint', behind: this.#ring.head, wallMs: this.mark.timeMs }, this.#onReport);
  }

  #serveAgain(): void {
    this.state = { at: 'writable' };
    this.#options.observe({ kind: 'writable' });
    this.#ask();
  }

  /** A report of the disk, requested at `since` (Infinity: unrequested). It may be older than the last mark. */
  #take(news: Pick<Written, 'mark'> | Written, since: number): void {
    const { observe } = this.#options;
    if (this.state.at !== 'writable') this.#setGivenUp(false);
    if ('checkpoint' in news) {
      this.#noteMissing(news.missingSeq);
      if (news.isReserveUsed) observe({ kind: 'reserve-used' });
      if (news.checkpoint !== undefined) observe({ kind: 'checkpoint', line: news.checkpoint });
    }
    const { seq, position } = news.mark;
    // If all records of a batch are damaged, only the position has moved.
    if (seq > this.mark.seq || position > this.mark.position) this.#settle(news.mark, since);
  }

  #noteMissing(seq: number | undefined): void {
    if (seq === this.missing?.seq) return;
    this.missing = seq === undefined ? undefined : { seq, sinceMs: this.#options.wallMs() };
  }

  #settle(mark: Mark, since: number): void {
    const nowMs = this.#clock.now();
    const records = mark.records - this.mark.records;
    const lost = mark.lost - this.mark.lost;
    this.mark = mark;
    this.#ring.tail = mark.position;
    this.#bellSince = mark.position >= this.#askedHead ? Infinity : nowMs;
    // The remaining records came after the request: nothing else is known about them.
    if (mark.position >= this.#ring.head) this.#unsyncedSince = Infinity;
    else if (since !== Infinity) this.#unsyncedSince = since;
    // It is unknown which record was damaged, so none of them is promised.
    const damaged = lost > 0 ? new JournalFault('write-failed', damagedText) : undefined;
    let done = 0;
    for (const waiter of this.#waiters) {
      if (waiter.end > mark.position) break;
      done += 1;
      if (damaged === undefined) waiter.resolve();
      else waiter.reject(damaged);
    }
    this.#waiters.splice(0, done);
    const reached = this.#flushes.findIndex(({ end }) => end > mark.position);
    const ended = this.#flushes.splice(0, reached === -1 ? this.#flushes.length : reached);
    for (const { resolve } of ended) resolve();
    if (lost > 0) this.lose(lost);
    if (records > 0)
      this.#options.observe({ kind: 'synced', records, durationMs: Math.max(nowMs - since, 0) });
  }

  #fail(code: JournalFault['code'], message: string): void {
    const { state } = this;
    this.#bellSince = Infinity;
    // Orders after the failed one only report that it failed.
    const fault = state.at === 'failed' ? state.fault : new JournalFault(code, message);
    this.state = { at: 'failed', fault, doing: 'healing', isGivenUp: false };
    if (state.at !== 'failed') {
      this.#reject(fault);
      this.#options.observe({ kind: 'failed', fault });
    }
    if (state.at !== 'failed' || state.doing !== 'healing') void this.#heal();
  }

  #setGivenUp(isGivenUp: boolean): void {
    const { state } = this;
    if (state.at === 'slow' || state.at === 'failed') this.state = { ...state, isGivenUp };
  }

  #reject(fault: JournalFault): void {
    for (const { reject } of this.#waiters.splice(0)) reject(fault);
    for (const { reject } of this.#flushes.splice(0)) reject(fault);
    for (const resolve of this.#errands) resolve(failedReport(fault));
    this.#errands.clear();
  }

  /** Attempts to serve again, the first at once, until one succeeds; a closing journal makes one attempt. */
  async #heal(): Promise<void> {
    for (;;) {
      if (this.#heals > 0 && this.#closing === undefined) {
        const ms = backOffMs(this.#heals, healDelayMsMin, healDelayMsMax);
        await this.#pauseEnds.next(undefined, { clock: this.#clock, ms });
      }
      if (this.state.at === 'closed') return;
      const isLast = this.#closing !== undefined;
      const heals = this.#heals + 1;
      if (!this.#thread.isAlive) {
        this.#thread = this.#options.openThread();
        this.#thread.onBell = this.#onBell;
      }
      const startMs = this.#clock.now();
      const report = await this.#attempt();
      if (this.#hasClosed()) return;
      this.#heals = heals;
      if (report.kind === 'written') {
        this.#healed(report, startMs);
        return;
      }
      if (isLast) {
        const why =
          report.kind === 'failed'
            ? report
            : ({ code: 'locked', message: 'another process has the lock' } as const);
        return this.#finish(new JournalFault(why.code, why.message));
      }
    }
  }

  #hasClosed(): boolean {
    return this.state.at === 'closed';
  }

  /** All records are on disk; if that took too long to serve, one more attempt follows, without a new segment. */
  #healed(report: Report & { readonly kind: 'written' }, startMs: number): void {
    const { state } = this;
    if (state.at !== 'failed') return;
    this.#askedHead = report.mark.position;
    this.#take(report, startMs);
    if (this.#closing !== undefined) {
      this.state = { ...state, doing: 'stopping', isGivenUp: false };
      return this.#stop();
    }
    this.state = { at: 'slow', fault: state.fault, trialSince: startMs, isGivenUp: false };
    this.#tryAgain();
  }

  /** Data after the mark may be damaged. */
  async #attempt(): Promise<Report> {
    const { mark, lost } = this;
    const order = {
      do: 'heal',
      mark,
      journal: this.#journal,
      behind: this.#ring.head,
      lost,
      isFull: this.#isFull,
    } as const;
    const heal = (lock: number | undefined): Promise<Report> =>
      new Promise((resolve) => this.#give({ ...order, lock }, resolve));
    const report = await heal(undefined);
    const isLocked = report.kind === 'lock' && this.#options.lock(report.descriptor);
    return isLocked ? heal(report.descriptor) : report;
  }

  /** One timer for all deadlines: armed for the first one, and checked again when it fires. */
  #watch(): void {
    const due = this.#dueAt();
    if (due >= this.#watchedMs) return;
    this.#watchedMs = due;
    this.#lookAt(due + graceMs, -Infinity);
  }

  /**
   * A check that is late itself (a stopped process, a paused machine) runs before reports are read and orders given. It fails
   * only deadlines that were due at the previous check, and checks again after the time for which this thread stood still.
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

  /** Infinity: nothing is outstanding. */
  #dueAt(): number {
    const busySince = Math.min(this.#bellSince, this.#orderSince);
    const { state } = this;
    if (state.at === 'writable')
      return Math.min(busySince, this.#waiters[0]?.since ?? Infinity) + this.#deadlineMs;
    if (state.at === 'closed' || state.isGivenUp) return Infinity;
    // A closing journal does not wait for a mute thread: a new one may still write the rest.
    return busySince + (this.#closing === undefined ? muteDeadlines : 1) * this.#deadlineMs;
  }

  #overdue(): void {
    const wasWritable = this.state.at === 'writable';
    if (wasWritable) {
      const fault = new JournalFault('deadline', `a write or sync took longer than ${this.#deadlineMs} ms`);
      this.state = { at: 'slow', fault, trialSince: -Infinity, isGivenUp: false };
      this.#reject(fault);
      this.#options.observe({ kind: 'failed', fault });
    }
    const isIdle = this.#bellSince === Infinity && this.#orders === 0;
    if (isIdle) this.#tryAgain();
    else if (!wasWritable || this.#closing !== undefined) {
      this.#setGivenUp(true);
      void this.#thread.end();
    }
  }

  /** The only end of the thread, the timers and the waiters. */
  #finish(fault: JournalFault | undefined): void {
    if (this.state.at === 'closed') return;
    const end = fault ?? new JournalFault('closed', 'the journal is closed');
    this.state = { at: 'closed', fault: end };
    this.#lingerTimer?.cancel();
    this.#watchTimer?.cancel();
    this.#closeTimer?.cancel();
    this.#reject(end);
    const records = this.#published - this.mark.records;
    if (records > 0) this.#options.observe({ kind: 'left', records });
    void this.#thread.end();
    if (fault === undefined) this.#closing?.resolve();
    else this.#closing?.reject(fault);
    this.#pauseEnds.wake();
  }
}

function failedReport({ code, message }: JournalFault): Failed {
  return { kind: 'failed', code, message };
}
