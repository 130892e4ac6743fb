// The journal as the engine sees it: takes records, and tells when they are on disk. It opens the directory through the
// writer's thread and gives every record its text; it touches no file and gives no order after that (drive.ts does).
// The rule: a record is encoded when it is appended, so that what is too long or hostile costs nobody else anything.

import { encodeBody } from '../audit/encode.js';
import type { JournalRecord } from '../audit/record.js';
import { JournalFault } from '../engine/journal-fault.js';
import type { Journal } from '../engine/ports.js';
import type { Clock } from '../ports/clock.js';
import { createBacklog, type Waiter } from './backlog.js';
import { type DriverEvent, startDriver } from './drive.js';
import type { Found, Report, WriterOptions } from './messages.js';
import { openThread, type WriterThread } from './thread.js';

export interface JournalOptions extends WriterOptions {
  readonly clock: Clock;
  /** Takes the kernel lock of a descriptor without waiting; false: another process has it. */
  readonly lock: (descriptor: number) => boolean;
  /** A write or a sync that takes longer counts as failed; also how long anybody waits for a record. */
  readonly deadlineMs: number;
  /** Between writing records that nobody waits for and their sync, when nothing else calls for one. */
  readonly syncIntervalMs: number;
  /** Bytes of memory for records that wait for a disk that does not take them; what comes above is lost, and counted. */
  readonly heldBytesMax: number;
  /** Told what happened; must not throw, is never awaited. */
  readonly observe: (event: JournalEvent) => void;
}

export type JournalEvent = DriverEvent | { readonly kind: 'lost'; readonly records: number };

export interface OpenJournal extends Journal {
  /** What the start found in the directory. */
  readonly found: Found;
  /** Why the state is `failed`; undefined while it is writable, and after it was closed. */
  readonly fault: JournalFault | undefined;
  /** Records that will never reach the disk. */
  readonly lost: number;
}

/** A step of the wall clock that is worth a record. */
const clockStepMsMin = 1000;

/**
 * Opens the journal in a directory: takes its lock, finds the tail, closes what a crash left open, writes the start
 * record. Rejects with a JournalFault: `locked`, `newer-format`, `unreadable`, `write-failed`, `writer-died`.
 *
 * A record whose `append` was rejected may still reach the disk later: who appends an admission appends its completion
 * too, whatever became of the first.
 */
export async function openJournal(options: JournalOptions): Promise<OpenJournal> {
  const { clock, observe, heldBytesMax } = options;
  const thread = openThread(options);
  const opened = await open(options, thread);
  const backlog = createBacklog();
  let lost = 0;
  let isClosed = false;
  let clockOffsetMs = clock.wallMs() - clock.now();
  const begin = () => openThread(options);
  const driver = startDriver(
    { ...options, backlog, openThread: begin, lost: () => lost },
    thread,
    opened.mark,
  );

  return {
    found: opened.found,
    append(record, { durable }) {
      if (isClosed) {
        lose(1);
        return Promise.reject(new JournalFault('closed', 'the journal is closed'));
      }
      const body = encodeBody(record);
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
        if (!hold(body, { resolve, reject }, heldBytesMax)) reject(overflow());
      });
    },
    async close() {
      isClosed = true;
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
    get lost() {
      return lost;
    },
  };

  function hold(body: string, waiter: Waiter | undefined, bytesMax: number): boolean {
    if (!backlog.add(body, clock.now(), waiter, bytesMax)) {
      lose(1);
      return false;
    }
    driver.nudge(waiter !== undefined);
    return true;
  }

  function lose(records: number): void {
    if (records === 0) return;
    lost += records;
    observe({ kind: 'lost', records });
  }

  /** Ages are counted without the steps of the wall clock, and a clock that was set back shall not look like tampering. */
  function noteClockStep(): void {
    const wallMs = clock.wallMs();
    const offsetMs = wallMs - clock.now();
    const stepMs = Math.round(offsetMs - clockOffsetMs);
    clockOffsetMs = offsetMs;
    if (Math.abs(stepMs) <= clockStepMsMin) return;
    const record: JournalRecord = { time: wallMs, event: 'clock', step_ms: stepMs };
    hold(encodeBody(record), undefined, heldBytesMax);
  }
}

async function open(
  options: JournalOptions,
  thread: WriterThread,
): Promise<Report & { readonly kind: 'opened' }> {
  const { clock, lock, directory } = options;
  let report = await thread.ask({ do: 'open', lock: undefined, wallMs: clock.wallMs() });
  if (report.kind === 'lock' && lock(report.descriptor)) {
    report = await thread.ask({ do: 'open', lock: report.descriptor, wallMs: clock.wallMs() });
  }
  if (report.kind === 'opened') return report;
  thread.end();
  throw report.kind === 'failed'
    ? new JournalFault(report.code, report.message)
    : new JournalFault('locked', `another process writes the journal in ${directory}`);
}

function overflow(): JournalFault {
  return new JournalFault('overflow', 'too many records wait for the disk');
}
