// Drives the writer's thread: gives it one order after the other, watches the deadlines, heals what failed. Owns the thread and
// the journal's state; records and their waiters are in the backlog. A script: one loop, and beside it a timer for the deadlines.
// The rules: `settle` is the only place that reports a record as on disk; after a failure nothing is served before all that was
// not on disk has been written to a new segment within the deadline; no waiter waits for a mute thread.

import { JournalFault } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import { type Backlog, createBatcher, type Waiter } from './backlog.js';
import type { Mark, Order, Report } from './messages.js';
import type { WriterThread } from './thread.js';

/** What the driver tells whoever watches. */
export type DriverEvent =
  | { readonly kind: 'failed'; readonly fault: JournalFault }
  | { readonly kind: 'writable' }
  /** A group reached the disk: how many records, and how long from the order to its report. */
  | { readonly kind: 'synced'; readonly records: number; readonly durationMs: number }
  | { readonly kind: 'checkpoint'; readonly line: string }
  /** A full disk: a piece of the reserve was given up. */
  | { readonly kind: 'reserve-used' };

/** Whether records can be promised. */
export type DriverState =
  | { readonly at: 'writable' }
  /** `heal`: what lies behind the mark may be damaged. `probe`: all of it is on disk, but that took too long. */
  | { readonly at: 'failed'; readonly fault: JournalFault; readonly needs: 'heal' | 'probe' }
  | { readonly at: 'closed' };

export interface DriverOptions {
  readonly clock: Clock;
  /** The wall clock with the steps that have a record, for records of the journal's own. */
  readonly wallMs: () => number;
  readonly backlog: Backlog;
  /** Starts a new thread when the old one is gone. */
  readonly openThread: () => WriterThread;
  readonly lock: (descriptor: number) => boolean;
  readonly deadlineMs: number;
  readonly syncIntervalMs: number;
  /** Records that will never reach the disk, so far. */
  readonly lost: () => number;
  /** Whether the segments have reached their size and none of them may go yet. */
  readonly isFull: () => boolean;
  readonly observe: (event: DriverEvent) => void;
}

export interface Driver {
  readonly state: DriverState;
  /** The last place that is certainly on disk. */
  readonly mark: Mark;
  /** Something is in the backlog. `isAwaited`: it has a waiter; `isPatient`: nothing is delayed by it alone. */
  nudge(isAwaited: boolean, isPatient?: boolean): void;
  /**
   * Gives an order of its own, behind all records that are in the backlog now, with the wall clock's time then. Resolves
   * with its report; a failed one, without having been given, unless the journal is writable.
   */
  run(order: (wallMs: number) => Order): Promise<Report>;
  /** Writes what is left and the stop record; rejects with a JournalFault when that fails or takes two deadlines. */
  close(): Promise<void>;
}

/** At most so much in one order: what the thread copies and writes at once. Fits on the page that it shares. */
const orderBytesMax = 256 * 1024;
/** Between attempts to heal: the first at once, then the time doubles up to the longest. */
const healDelayMsMin = 250;
const healDelayMsMax = 4000;
/** Terminate a thread that missed five deadlines; another one is started when it is gone. */
const muteDeadlines = 5;
/** After a deadline, until it is looked at. */
const graceMs = 50;

/** Takes over a thread that has opened the journal, and the mark that it reported. */
export function startDriver(options: DriverOptions, firstThread: WriterThread, firstMark: Mark): Driver {
  const { clock, backlog, deadlineMs, observe } = options;
  let thread = firstThread;
  let mark = firstMark;
  let state: DriverState = { at: 'writable' };
  let underWay: { readonly since: number; isGivenUp: boolean } | undefined;
  let lastDurationMs = 0;
  let healDelayMs = 0;
  let isSyncDue = false;
  let syncTimer: Timer | undefined;
  let watchTimer: Timer | undefined;
  let watchedMs = Infinity;
  let pauseTimer: Timer | undefined;
  let closeTimer: Timer | undefined;
  let wake: (() => void) | undefined;
  let closing: Waiter | undefined;
  let closed: Promise<void> | undefined;
  const batcher = createBatcher(clock, deadlineMs, () => {
    if (state.at === 'writable') wake?.();
  });
  void drive();

  return {
    get state() {
      return state;
    },
    get mark() {
      return mark;
    },
    nudge(isAwaited, isPatient = !isAwaited) {
      // Looked at only when it can be earlier than what is armed: this is the way of every record.
      if (isAwaited && clock.now() + deadlineMs < watchedMs) watch();
      if (state.at === 'writable') batcher.came(isPatient && !backlog.isFull, wake === undefined);
    },
    run(order) {
      return new Promise((resolve) => {
        backlog.addErrand({ order, resolve });
        if (state.at === 'writable') batcher.hurry();
        else backlog.reject(state.at === 'failed' ? state.fault : undefined);
      });
    },
    close() {
      closed ??= new Promise((resolve, reject) => {
        closing = { resolve, reject };
        pauseTimer?.cancel();
        wake?.();
        watch();
        const late = new JournalFault('deadline', 'the journal could not be closed in time');
        closeTimer = clock.setTimer(2 * deadlineMs, () => finish(late));
      });
      return closed;
    },
  };

  async function drive(): Promise<void> {
    for (;;) {
      const now: DriverState = state;
      if (now.at === 'closed') return;
      if (now.at === 'failed') {
        await healed(now);
        continue;
      }
      const errand = backlog.takeErrand();
      const order = errand?.order(options.wallMs()) ?? next(options.wallMs());
      if (order === undefined) {
        await idle(undefined);
        continue;
      }
      const report = await ask(order);
      take(order, report);
      errand?.resolve(report);
    }
  }

  /** Until there is something to do; with a time: until then, or until the journal is to be closed. */
  async function idle(ms: number | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (ms !== undefined) pauseTimer = clock.setTimer(ms, resolve);
    });
    wake = undefined;
    pauseTimer = undefined;
  }

  function next(wallMs: number): Order | undefined {
    if (backlog.hasWaiting && (batcher.isDue || isSyncDue || closing !== undefined)) {
      const { bodies, needsSync } = backlog.take(orderBytesMax);
      batcher.went(backlog.hasWaiting);
      return { do: 'write', bodies, sync: needsSync || isSyncDue, wallMs };
    }
    if (closing !== undefined) return { do: 'stop', wallMs };
    if (!backlog.hasWaiting) batcher.went(false);
    return isSyncDue ? { do: 'write', bodies: [], sync: true, wallMs } : undefined;
  }

  /** However long its report takes: the watch looks at the deadline. */
  async function ask(order: Order): Promise<Report> {
    const now = { since: clock.now(), isGivenUp: false };
    underWay = now;
    watch();
    const report = await thread.ask(order);
    underWay = undefined;
    lastDurationMs = clock.now() - now.since;
    return report;
  }

  /** What a report makes of the journal. */
  function take(order: Order, report: Report): void {
    if (state.at === 'closed') return;
    switch (report.kind) {
      case 'written':
      case 'stopped':
        if (report.isReserveUsed) observe({ kind: 'reserve-used' });
        if (report.checkpoint !== undefined) observe({ kind: 'checkpoint', line: report.checkpoint });
        settle(report.mark);
        if (order.do === 'write') healDelayMs = 0;
        if (report.kind === 'stopped') finish(undefined);
        return;
      case 'kept':
        return;
      case 'failed':
        fail(new JournalFault(report.code, report.message), 'heal');
        return;
      case 'lock':
        fail(new JournalFault('locked', 'another process has the lock of the journal'), 'heal');
        return;
      case 'opened':
        throw new Error('the journal was opened twice');
      default:
        report satisfies never;
    }
  }

  function settle(reached: Mark | undefined): void {
    if (reached === undefined) {
      backlog.wrote();
      syncTimer ??= clock.setTimer(options.syncIntervalMs, () => {
        isSyncDue = true;
        if (state.at === 'writable') wake?.();
      });
      return;
    }
    mark = reached;
    isSyncDue = false;
    syncTimer?.cancel();
    syncTimer = undefined;
    const records = backlog.synced();
    if (records > 0) observe({ kind: 'synced', records, durationMs: lastDurationMs });
  }

  /** One attempt to serve again, after a while unless it is the first or the journal is to be closed. */
  async function healed(failed: DriverState & { readonly at: 'failed' }): Promise<void> {
    if (healDelayMs > 0 && closing === undefined) await idle(healDelayMs);
    const isLast = closing !== undefined;
    healDelayMs = Math.min(Math.max(healDelayMs * 2, healDelayMsMin), healDelayMsMax);
    if (!thread.isAlive) thread = options.openThread();
    const order: Order =
      failed.needs === 'probe'
        ? // Not at the clock's time: it may have leapt, and the record of that step is not written yet.
          { do: 'checkpoint', wallMs: mark.timeMs }
        : {
            do: 'heal',
            lock: undefined,
            mark,
            bodies: backlog.takeAll(),
            lost: options.lost(),
            isFull: options.isFull(),
          };
    let report = await ask(order);
    if (report.kind === 'lock' && order.do === 'heal' && options.lock(report.descriptor)) {
      report = await ask({ ...order, lock: report.descriptor });
    }
    take(order, report);
    const now = state;
    if (now.at !== 'failed') return;
    if (report.kind !== 'written') {
      // While closing, a broken disk gets one attempt.
      if (isLast) finish(now.fault);
    } else if (lastDurationMs >= deadlineMs) {
      // On disk, every record of it, but still too slow to serve: no need to begin segment after segment.
      state = { ...now, needs: 'probe' };
    } else {
      state = { at: 'writable' };
      batcher.hurry();
      observe({ kind: 'writable' });
    }
  }

  function fail(fault: JournalFault, needs: 'heal' | 'probe'): void {
    if (state.at === 'closed') return;
    const isNews = state.at === 'writable';
    state = { at: 'failed', fault, needs };
    backlog.reject(fault);
    if (!isNews) return;
    observe({ kind: 'failed', fault });
    wake?.();
  }

  /** One timer for all deadlines: armed for the first that comes, and looked at again when it fires. */
  function watch(): void {
    const due = dueAt();
    if (due === undefined || due >= watchedMs) return;
    watchedMs = due;
    look(due + graceMs, -Infinity);
  }

  /**
   * A look that is late itself (a stopped process, a paused machine) comes before reports are read and orders given: then
   * only what was due at the look before has failed, and there is another one, after as long as this thread stood still.
   */
  function look(atMs: number, beforeMs: number): void {
    watchTimer?.cancel();
    watchTimer = clock.setTimer(Math.max(atMs - clock.now(), 1), () => {
      const nowMs = clock.now();
      const isLate = nowMs - atMs >= graceMs;
      if ((dueAt() ?? Infinity) <= (isLate ? beforeMs : nowMs)) overdue();
      else if (isLate) return look(nowMs + Math.min(nowMs - atMs, deadlineMs), nowMs);
      watchedMs = Infinity;
      watch();
    });
  }

  function dueAt(): number | undefined {
    if (state.at === 'closed') return undefined;
    if (state.at === 'failed') {
      if (underWay === undefined || underWay.isGivenUp) return undefined;
      // A closing journal does not wait for a mute thread: a new one may still write what is left.
      return underWay.since + (closing === undefined ? muteDeadlines : 1) * deadlineMs;
    }
    const since = Math.min(underWay?.since ?? Infinity, backlog.oldestWaiterSince ?? Infinity);
    return since === Infinity ? undefined : since + deadlineMs;
  }

  function overdue(): void {
    const wasFailed = state.at === 'failed';
    fail(new JournalFault('deadline', `a write or sync took longer than ${deadlineMs} ms`), 'heal');
    if (underWay === undefined || (!wasFailed && closing === undefined)) return;
    underWay.isGivenUp = true;
    void thread.end();
  }

  /** The one end: of the thread, the timers, the waiters. */
  function finish(fault: JournalFault | undefined): void {
    if (state.at === 'closed') return;
    state = { at: 'closed' };
    for (const one of [batcher, syncTimer, watchTimer, pauseTimer, closeTimer]) one?.cancel();
    backlog.reject(fault);
    void thread.end();
    if (fault === undefined) closing?.resolve();
    else closing?.reject(fault);
    wake?.();
  }
}
