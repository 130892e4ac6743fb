// Opens a real journal in a directory, with real time, and gathers what it tells.

import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { verifyTrail } from '../../../src/evidence/reading/search-trail.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { loadNative } from '../../../src/host/machine/native.js';
import {
  type JournalEvent,
  type JournalOptions,
  type OpenJournal,
  openJournal,
} from '../../../src/journal/files/journal.js';
import type { RetentionLimits } from '../../../src/journal/files/maintenance.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { closeBefore, segmentFiles, temporaryDirectory } from './reading.js';

export interface Watched {
  readonly journal: OpenJournal;
  readonly events: JournalEvent[];
  /** Resolves with the next event of a kind, one that happened already included. */
  readonly seen: (kind: JournalEvent['kind']) => Promise<JournalEvent>;
}

/** Nothing goes. */
export const keepAll: RetentionLimits = {
  keepMs: Infinity,
  keepMinMs: 0,
  sizeMax: { bytes: Infinity },
  shippedSeq: undefined,
  unshippedBytesMax: Infinity,
};

export async function openWatched(directory: string, more: Partial<JournalOptions> = {}): Promise<Watched> {
  const native = await loadNative();
  const events: JournalEvent[] = [];
  const waiting: { kind: string; resolve: (event: JournalEvent) => void }[] = [];
  const journal = await openJournal({
    directory,
    segmentBytes: 64 << 20,
    program: 'dovegate test',
    catalog: 'c0ffee',
    clock: systemClock,
    lock: (descriptor) => native.lockExclusive(descriptor),
    // A machine that runs many tests at once may keep a sync waiting for seconds; where that matters, a test says so.
    deadlineMs: 60_000,
    openDeadlineMs: 60_000,
    lookIntervalMs: 3_600_000,
    checkpointIntervalMs: 3_600_000,
    tendIntervalMs: 3_600_000,
    limits: () => keepAll,
    signKey: undefined,
    reserveBytes: 0,
    memory: { path: join(directory, '..', `${basename(directory)}.ring`), bytes: 1 << 20 },
    map: (path, bytes) => native.mapShared(path, bytes),
    observe: (event) => {
      events.push(event);
      for (const waiter of waiting.filter(({ kind }) => kind === event.kind)) waiter.resolve(event);
    },
    ...more,
  });
  return {
    journal,
    events,
    seen(kind) {
      const found = events.find((event) => event.kind === kind);
      if (found !== undefined) return Promise.resolve(found);
      return new Promise((resolve) => {
        waiting.push({ kind, resolve });
      });
    },
  };
}

/** As `openWatched`, closed at the end of the test if it is not closed yet. */
export async function openFor(
  t: TestContext,
  directory: string,
  more: Partial<JournalOptions> = {},
): Promise<Watched> {
  const watched = await openWatched(directory, more);
  closeBefore(t, () => watched.journal.close());
  return watched;
}

/** Appends exchanges until there are so many segments. */
export async function fillSegments(
  { journal }: Pick<Watched, 'journal'>,
  directory: string,
  segments: number,
  name = 'E',
): Promise<void> {
  for (let count = 0; segmentFiles(directory).length < segments; count += 1) {
    await journal.appendDurable(admission(`${name}${count}`));
    await journal.appendDurable(completion(`${name}${count}`));
  }
}

/** A closed journal of so many exchanges. */
export async function written(
  t: TestContext,
  more: Partial<JournalOptions>,
  exchanges = 40,
): Promise<string> {
  const directory = temporaryDirectory(t);
  const { journal } = await openWatched(directory, { segmentBytes: 8192, ...more });
  for (let count = 0; count < exchanges; count += 1) {
    await journal.appendDurable(admission(`E${count}`));
    journal.append(completion(`E${count}`));
  }
  await journal.close();
  return directory;
}

/** What is wrong with a journal on disk, as `audit verify` says it. */
export async function faultsIn(directory: string, trustedKeys: readonly string[] = []) {
  const request = { trustedKeys, fromSeq: undefined, faultsMax: 20 };
  return (await verifyTrail(findTrail([directory]), request)).faults;
}

export function admission(id: string): AuditRecord {
  const named = { session: 'S1', id, listener: 'support', principal: 'bob@support', policy: 'support' };
  const asked = {
    decision: 'allow',
    command: 'quota get',
    user: 'alice@example.com',
    effect: 'read',
  } as const;
  return { time: systemClock.wallMs(), event: 'admission', ...named, ...asked, backend: 'mail1' };
}

export function completion(id: string): AuditRecord {
  const ended = { outcome: 'ok', status: '+', sent: true } as const;
  return {
    time: systemClock.wallMs(),
    event: 'completion',
    session: 'S1',
    id,
    listener: 'support',
    ...ended,
  };
}
