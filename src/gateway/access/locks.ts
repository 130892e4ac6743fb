// The locks in force. One is in force as soon as it is made, and recorded then: its record is kept and tried again until the journal takes
// it. A lift takes effect once its record is on disk, under a signed checkpoint. A lock ends by the time that the gate runs: no step of the
// wall clock ends or prolongs one.

import { bounds } from '../../bounds/bounds.js';
import { type Lockable, lockOn } from '../../domain/judging/policy/lock.js';
import { sentenceOf } from '../../domain/language/codes/codes.js';
import { Persons } from '../../domain/people/identity/person.js';
import {
  LockBook,
  type LockEntry,
  lockTarget,
  type ShownLock,
} from '../../domain/records/audit/lock-book.js';
import { type AuditRecord, formatTime, type LockRecord } from '../../domain/records/audit/record.js';
import type { Clock } from '../../ports/machine.js';
import type { Ending } from '../outcome/outcome.js';
import type { AccessJournal } from './access-journal.js';

/** What is locked, by whom and why, for `forMs`. */
export type LockWish = Pick<
  AuditRecord,
  'to' | 'identities' | 'user' | 'backend' | 'listener' | 'by' | 'peer' | 'args' | 'reason'
> & { readonly forMs: number };

/** Who lifts one, and why. */
export type LockLift = Pick<AuditRecord, 'by' | 'peer' | 'args' | 'reason'>;

/** Undefined: it is on disk; a text: why not. */
type Recorded = Promise<string | undefined>;

export interface LocksParts {
  readonly clock: Clock;
  readonly journal: AccessJournal;
  readonly newId: () => string;
  /** One was made, so there are ends to look for. */
  readonly onMade: () => void;
}

export class Locks {
  persons: Pick<Persons, 'sharesHuman'> = new Persons(new Map());
  readonly #parts: LocksParts;
  readonly #book = new LockBook();
  /** When each ends, by the monotonic clock. */
  readonly #endsMs = new Map<string, number>();

  /** `records`: as a start found them in the journal. */
  constructor(parts: LocksParts, records: readonly AuditRecord[]) {
    this.#parts = parts;
    for (const record of records) this.#book.follow(record);
    const { clock } = parts;
    for (const { id, untilMs } of this.#book.entries)
      this.#endsMs.set(id, clock.now() + untilMs - clock.wallMs());
  }

  get size(): number {
    return this.#book.size;
  }

  /** In force, the oldest first. */
  get entries(): readonly LockEntry[] {
    return [...this.#book.entries].filter((lock) => this.#leftMs(lock) > 0);
  }

  on(what: Lockable): LockEntry | undefined {
    return this.size === 0 ? undefined : lockOn(this.entries, what, this.persons);
  }

  endingOn(what: Lockable): (Ending & { readonly kind: 'locked' }) | undefined {
    const lock = this.on(what);
    return lock && { kind: 'locked', lock: lock.id, values: this.#valuesOf(lock) };
  }

  /** `carol is locked by root until 2026-11-20T10:00:00.000Z: her laptop was stolen`. */
  sentence(lock: LockEntry): string {
    return sentenceOf('locked', this.#valuesOf(lock));
  }

  #valuesOf(lock: LockEntry): Readonly<Record<'target' | 'by' | 'until' | 'reason', string>> {
    const { target, by, until, reason } = this.shown(lock);
    return { target: target.replace(':', ' '), by, until, reason };
  }

  shown(lock: LockEntry): ShownLock {
    const { id, locked } = lock;
    const { by = '', reason = '', time } = locked;
    const until = formatTime(this.#parts.clock.wallMs() + this.#leftMs(lock));
    return { id, target: lockTarget(locked), by, reason, since: formatTime(time), until };
  }

  /** In force when this returns, at a time when there is a place. `count`: of what it ended. */
  lock(
    { forMs, ...wish }: LockWish,
    kill: (lock: LockEntry) => number | undefined,
  ):
    | { readonly lock: LockEntry; readonly count: number | undefined; readonly recorded: Recorded }
    | undefined {
    if (this.size >= bounds.locks) return undefined;
    const { clock, newId, journal, onMade } = this.#parts;
    const time = clock.wallMs();
    const id = newId();
    const until = formatTime(time + forMs);
    const record: LockRecord = {
      time,
      event: 'lock',
      action: 'locked',
      lock: id,
      ...wish,
      duration_ms: forMs,
      until,
    };
    this.#book.follow(record);
    const lock = this.#book.find(id);
    if (lock === undefined) throw new Error('a lock of nothing was made');
    this.#endsMs.set(id, clock.now() + forMs);
    onMade();
    const count = kill(lock);
    return { lock, count, recorded: journal.recordEnd({ ...record, count }) };
  }

  async lift(lock: LockEntry, lift: LockLift): Recorded {
    const { journal } = this.#parts;
    const record = this.#endOf(lock, 'unlocked', lift);
    const why = await journal.record([record]);
    if (why === undefined) this.#forget(record);
    // The record of the lift may be on disk all the same.
    else journal.appendEnd({ ...lock.locked, time: record.time, until: this.shown(lock).until });
    return why;
  }

  /** Those whose time is over end. */
  sweep(): void {
    for (const lock of this.#book.entries) {
      if (this.#leftMs(lock) > 0) continue;
      const record = this.#endOf(lock, 'expired', {});
      this.#forget(record);
      this.#parts.journal.appendEnd(record);
    }
  }

  #leftMs({ id }: LockEntry): number {
    return (this.#endsMs.get(id) ?? 0) - this.#parts.clock.now();
  }

  #endOf({ id, locked }: LockEntry, action: 'unlocked' | 'expired', lift: LockLift): LockRecord {
    const { to, user, backend, listener } = locked;
    const of = { to, user, backend, listener };
    return { time: this.#parts.clock.wallMs(), event: 'lock', action, lock: id, ...of, ...lift };
  }

  #forget(record: LockRecord): void {
    this.#book.follow(record);
    this.#endsMs.delete(record.lock ?? '');
  }
}
