// The journal as the engine sees it: takes records, and resolves when they are on disk. Opens the directory through the writer's
// thread and encodes every record; the driver gives all further orders.
// The rule: a record is encoded when it is appended, so that a long or hostile one delays no other.

import { encodeBody } from '../../domain/audit/encode.js';
import type { JournalRecord } from '../../domain/audit/record.js';
import type { Journal, JournalSpace } from '../../gateway/outcome/journal.js';
import { JournalFault } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import { createBacklog, type Waiter } from './backlog.js';
import { type DriverEvent, startDriver } from './driver.js';
import { type MaintenanceEvent, type RetentionLimits, startMaintenance } from './maintenance.js';
import type { Found, Order, Report, WriterOptions } from './messages.js';
import { openWriterThread, type WriterThread } from './thread.js';

export interface JournalOptions extends WriterOptions {
  readonly clock: Clock;
  /** Takes the kernel lock of a descriptor without waiting; false: another process has it. May throw: there are no locks. */
  readonly lock: (descriptor: number) => boolean;
  /** A write or a sync that takes longer counts as failed; also how long anybody waits for a record. */
  readonly deadlineMs: number;
  /** Opening reads what a crash left, so it may take longer; a disk that does not answer by then counts as failed. */
  readonly openDeadlineMs: number;
  /** Between looks whether what was written is still there, also when nothing happens. */
  readonly lookIntervalMs: number;
  /** Between writing records that nobody waits for and their sync, when nothing else calls for one. */
  readonly syncIntervalMs: number;
  /** Between checkpoints, also when nothing happens. */
  readonly checkpointIntervalMs: number;
  /** Between looks at age and size of the segments; and how much of both may be there, asked each time. */
  readonly tendIntervalMs: number;
  readonly limits: () => RetentionLimits;
  /** Bytes of memory for records that wait for a disk that does not take them; what comes above is lost, and counted. */
  readonly heldBytesMax: number;
  /** Told what happened; must not throw, is never awaited. */
  readonly observe: (event: JournalEvent) => void;
}

export type JournalEvent =
  | DriverEvent
  | MaintenanceEvent
  | { readonly kind: 'lost'; readonly records: number }
  /** `isForSize`: the segments have reached their size, and none of them is old enough to go. */
  | { readonly kind: 'space'; readonly space: JournalSpace; readonly isForSize: boolean };

/** The journal as the program has it; the engine sees less of it. */
export interface OpenJournal extends Journal {
  /** What the start found in the directory. */
  readonly found: Found;
  /** Why the state is `failed`; undefined while it is writable, and after it was closed. */
  readonly fault: JournalFault | undefined;
  /** Records that will never reach the disk. */
  readonly lost: number;
  /** Seq of the last record that is on disk: what may be shown elsewhere. */
  readonly seq: number;
  /** Sum of the steps of the wall clock that the journal recorded: ages of records are counted without them. */
  readonly stepsMs: number;
  /** Keeps a policy's text beside the segments; resolves when it is on disk. `version`: its hash, hex. Rejects with a JournalFault. */
  keepPolicy(version: string, text: string): Promise<void>;
}

/** A step of the wall clock that is worth a record. */
const clockStepMsMin = 1000;

/**
 * Opens the journal in a directory: takes its lock, finds the tail, closes what a crash left open, writes the start
 * record. Rejects with a JournalFault: `locked`, `newer-format`, `unreadable`, `write-failed`, `writer-died`, `deadline`.
 *
 * A record whose `append` was rejected may still reach the disk later: who appends an admission appends its completion
 * too, whatever became of the first.
 */
export async function openJournal(options: JournalOptions): Promise<OpenJournal> {
  const { clock, heldBytesMax } = options;
  const thread = openWriterThread(options);
  /** Of the wall clock over the monotonic one, as far as the records tell. */
  let clockOffsetMs = clock.wallMs() - clock.now();
  /** The journal's own records come after the record of a step, never before it. */
  const recordsWallMs = (): number => clock.now() + clockOffsetMs;
  const opened = await open(options, thread, recordsWallMs);
  const backlog = createBacklog();
  let lost = 0;
  let isClosed = false;
  let space: JournalSpace = opened.isReserveUsed ? 'reserve' : 'normal';
  let isFull = false;
  const driver = startDriver(
    {
      ...options,
      backlog,
      wallMs: recordsWallMs,
      lock: (descriptor) => takeLock(options, descriptor),
      openThread: () => openWriterThread(options),
      lost: () => lost,
      isFull: () => isFull,
      observe: (event) => {
        if (event.kind === 'reserve-used') {
          enter('reserve');
          maintenance.hurry();
        }
        options.observe(event);
      },
    },
    thread,
    opened.mark,
  );
  if (opened.checkpoint !== undefined) options.observe({ kind: 'checkpoint', line: opened.checkpoint });
  const maintenance = startMaintenance({ ...options, driver, enter, setFull, noteClockStep });
  const repeated = [
    // A segment, directory or lock that somebody took away shows with the next sync; an empty one is enough.
    repeat(options.lookIntervalMs, (wallMs) => ({ do: 'write', bodies: [], sync: true, wallMs })),
    repeat(options.checkpointIntervalMs, (wallMs) => ({ do: 'checkpoint', wallMs })),
  ];

  return {
    found: opened.found,
    append(record, { durable, isPatient = false, isBrief = false }) {
      if (isClosed) {
        lose(1);
        return Promise.reject(new JournalFault('closed', 'the journal is closed'));
      }
      const body = encodeBody(record, isBrief);
      noteClockStep();
      if (!durable)
        return hold(body, undefined, heldBytesMax) ? Promise.resolve() : Promise.reject(overflow());
      const state = driver.state;
      if (state.at === 'failed') {
        // Kept all the same: somebody asked, and the journal shall say so when the disk is back. But half of the room
        // is for the completions of those whose commands run already.
        hold(body, undefined, heldBytesMax / 2);
        return Promise.reject(state.fault);
      }
      return new Promise((resolve, reject) => {
        if (!hold(body, { resolve, reject }, heldBytesMax, isPatient)) reject(overflow());
      });
    },
    hurry: () => driver.nudge(false, false),
    async keepPolicy(version, text) {
      // The name of a file: nothing but what a hash is made of.
      if (!/^[0-9a-f]{16,128}$/.test(version)) throw new TypeError('a policy version is a hash in hex');
      const report = await driver.run(() => ({ do: 'keep-policy', version, text }));
      if (report.kind === 'failed') throw new JournalFault(report.code, report.message);
    },
    async close() {
      if (!isClosed) noteClockStep();
      isClosed = true;
      for (const timer of repeated) timer.cancel();
      // The lock goes with the writer: whoever takes it then shall be alone in the directory. But nobody waits for a disk.
      await Promise.race([maintenance.end(), later(clock, options.deadlineMs)]);
      noteClockStep();
      try {
        await driver.close();
      } finally {
        lose(backlog.drop());
      }
    },
    get state() {
      return driver.state.at === 'writable' && !isClosed ? 'writable' : 'failed';
    },
    get fault() {
      return driver.state.at === 'failed' ? driver.state.fault : undefined;
    },
    get space() {
      return space;
    },
    get lost() {
      return lost;
    },
    get seq() {
      return driver.mark.seq;
    },
    get stepsMs() {
      return driver.mark.stepsMs;
    },
  };

  function hold(body: string, waiter: Waiter | undefined, bytesMax: number, isPatient = true): boolean {
    if (!backlog.add(body, clock.now(), waiter, bytesMax)) {
      lose(1);
      return false;
    }
    driver.nudge(waiter !== undefined, isPatient);
    return true;
  }

  function lose(records: number): void {
    if (records === 0) return;
    lost += records;
    options.observe({ kind: 'lost', records });
  }

  function enter(next: JournalSpace, isForSize = false): void {
    if (space === next) return;
    space = next;
    options.observe({ kind: 'space', space, isForSize });
  }

  async function setFull(next: boolean): Promise<void> {
    isFull = next;
    // Given each time: healing brings it to the writer's thread too, so what that thread knows is not kept in mind here.
    await driver.run(() => ({ do: 'limit', isFull }));
  }

  /**
   * Ages are counted without the steps of the wall clock, and a clock that was set back shall not look like tampering. A step
   * whose record finds no room is not lost: the next call sees it again.
   */
  function noteClockStep(): void {
    const wallMs = clock.wallMs();
    const nowMs = clock.now();
    const stepMs = Math.round(wallMs - nowMs - clockOffsetMs);
    if (Math.abs(stepMs) > clockStepMsMin) {
      const record: JournalRecord = { time: wallMs, event: 'clock', step_ms: stepMs };
      if (!backlog.add(encodeBody(record), nowMs, undefined, heldBytesMax)) return;
      driver.nudge(false);
    }
    clockOffsetMs = wallMs - nowMs;
  }

  /** Gives an order again and again. A failed one needs no hand here: healing does as much. */
  function repeat(intervalMs: number, order: (wallMs: number) => Order): Timer {
    let timer = clock.setTimer(intervalMs, again);
    return { cancel: () => timer.cancel() };
    function again(): void {
      noteClockStep();
      void driver.run(order).then(() => {
        if (!isClosed) timer = clock.setTimer(intervalMs, again);
      });
    }
  }
}

async function open(
  options: JournalOptions,
  thread: WriterThread,
  wallMs: () => number,
): Promise<Report & { readonly kind: 'opened' }> {
  const { clock, directory, openDeadlineMs } = options;
  let timer: Timer | undefined;
  const late = new Promise<Report>((resolve) => {
    const message = `${directory} could not be opened within ${openDeadlineMs} ms: its disk does not answer, or is too slow`;
    timer = clock.setTimer(openDeadlineMs, () => resolve({ kind: 'failed', code: 'deadline', message }));
  });
  const ask = (lock: number | undefined): Promise<Report> =>
    Promise.race([thread.ask({ do: 'open', lock, wallMs: wallMs() }), late]);
  let report = await ask(undefined);
  if (report.kind === 'lock' && takeLock(options, report.descriptor)) report = await ask(report.descriptor);
  timer?.cancel();
  if (report.kind === 'opened') return report;
  void thread.end();
  throw report.kind === 'failed'
    ? new JournalFault(report.code, report.message)
    : new JournalFault(
        'locked',
        `another process writes the journal in ${directory}, or the file system has no locks`,
      );
}

/** A lock that cannot even be asked for is not ours. */
function takeLock(options: JournalOptions, descriptor: number): boolean {
  try {
    return options.lock(descriptor);
  } catch (error) {
    options.observe({ kind: 'not-tended', text: `lock: ${String(error)}` });
    return false;
  }
}

function later(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ms, resolve);
  });
}

function overflow(): JournalFault {
  return new JournalFault('overflow', 'too many records wait for the disk');
}
