// The locks in force, folded from the records of the journal, which is their database, as that of access on request (`access-book.ts`). The
// difference is what counts in doubt: a grant ends, and a lock stays.

import { bounds } from '../../../bounds/bounds.js';
import { carriedRecord, type Followed, isEvent, uncarried } from './access-book.js';
import { type AuditRecord, formatTime, isDistanceMs, type LockRecord, parseTime } from './record.js';
import { isText } from './stored.js';

export interface LockEntry {
  readonly id: string;
  readonly locked: LockRecord;
  /**
   * Unix ms, after all steps of the clock, forward too; infinite: it has no end. The key `until` of the record does not follow the clock.
   */
  readonly untilMs: number;
  /** Of a hold: the first of the two who lift it, and until when the second can, as `untilMs`. */
  readonly asked?: { readonly record: LockRecord; readonly untilMs: number } | undefined;
}

/** A lock for people and programs. */
export interface ShownLock {
  readonly id: string;
  readonly target: string;
  readonly by: string;
  readonly reason: string;
  /** RFC 3339. */
  readonly since: string;
  /** Absent: it has no end. */
  readonly until?: string;
  /** It stops only what could change mail. */
  readonly hold: boolean;
  /** Who asked to lift it, and until when that counts. */
  readonly asked?: string;
  readonly asked_until?: string;
  /** Of a mail user whose other names, if there are any, the userdb has not said: they are not covered. */
  readonly isByOneName?: true;
}

export function isHold({ locked }: LockEntry): boolean {
  return locked.action === 'held';
}

export class LockBook {
  readonly #entries = new Map<string, LockEntry>();

  /** Follows a record, as it was appended or as parsed from its line; ignores those that do not concern locks. */
  follow(record: Followed): void {
    if (record.event === 'clock') {
      const { step_ms: step } = record;
      if (isDistanceMs(step)) this.shift(step);
    } else if (record.event === 'lock') {
      const { lock: id, action } = record;
      if (!isText(id)) return;
      if (action === 'locked' || action === 'held') this.#add(id, uncarried(record, 'lock'));
      else if (action === 'unlock-asked') this.#ask(id, uncarried(record, 'lock'));
      else if (action === 'unlocked' || action === 'expired') this.#entries.delete(id);
    }
  }

  /** Follows a record that nobody vouches for: it can lock, hold, or prolong either, and neither lift, shorten nor change one. */
  followUnproven(record: Followed): void {
    const { event, action, lock: id, step_ms: step, until } = record;
    if (event === 'clock' && isDistanceMs(step) && step > 0) this.shift(step);
    if (event !== 'lock' || (action !== 'locked' && action !== 'held')) return;
    const known = this.#entries.get(String(id));
    if (known === undefined) return this.follow(record);
    const endMs = until === undefined && isHold(known) ? Number.POSITIVE_INFINITY : parseTime(String(until));
    const untilMs = Math.max(known.untilMs, endMs ?? 0);
    this.#entries.set(known.id, { ...known, untilMs });
  }

  /** All ends come so much later: the clock was set ahead, or the gate did not run. */
  shift(ms: number): void {
    for (const [id, { asked, ...entry }] of this.#entries) {
      const later = asked && { ...asked, untilMs: asked.untilMs + ms };
      this.#entries.set(id, { ...entry, untilMs: entry.untilMs + ms, asked: later });
    }
  }

  find(id: string): LockEntry | undefined {
    return this.#entries.get(id);
  }

  /** The oldest first. */
  get entries(): Iterable<LockEntry> {
    return this.#entries.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  copy(): LockBook {
    const other = new LockBook();
    for (const [id, entry] of this.#entries) other.#entries.set(id, entry);
    return other;
  }

  /** The records from which another book becomes equal, with this time. */
  carried(nowMs: number): AuditRecord[] {
    return [...this.#entries.values()].flatMap(({ locked: record, untilMs, asked }) => [
      carriedRecord(record, nowMs, { until: endText(untilMs) }),
      ...(asked === undefined ? [] : [carriedRecord(asked.record, nowMs, { until: endText(asked.untilMs) })]),
    ]);
  }

  #add(id: string, locked: LockRecord): void {
    const { action, until, user, backend, listener, identities = [] } = locked;
    const isHeld = action === 'held';
    const untilMs = isHeld && until === undefined ? Number.POSITIVE_INFINITY : parseTime(until ?? '');
    const isOfNothing = isHeld
      ? user === undefined
      : [user, backend, listener].every((each) => each === undefined) && identities.length === 0;
    if (untilMs === undefined || isOfNothing) return;
    if (!this.#entries.has(id) && this.#entries.size >= bounds.locks) return;
    // Once more: the other names of a mail user are known now.
    const asked = isHeld ? this.#entries.get(id)?.asked : undefined;
    this.#entries.set(id, { id, locked, untilMs, ...(asked !== undefined && { asked }) });
  }

  #ask(id: string, asked: LockRecord): void {
    const entry = this.#entries.get(id);
    const untilMs = parseTime(asked.until ?? '');
    if (entry === undefined || !isHold(entry) || untilMs === undefined) return;
    this.#entries.set(id, { ...entry, asked: { record: asked, untilMs } });
  }
}

/** Undefined: there is none. */
export function endText(untilMs: number): string | undefined {
  return Number.isFinite(untilMs) ? formatTime(untilMs) : undefined;
}

/** Whether a book could change by an encoded record (without `seq`). `size`: the number of its entries. */
export function concernsLocks(body: Buffer, size: number): boolean {
  return isEvent(body, 'loc') || (size > 0 && isEvent(body, 'cl'));
}

/** What a lock stops, as `dovegate lock` takes it: `carol`, `key:panel`, `backend:mail1`. */
export function lockTarget({ user, backend, listener, to = '' }: AuditRecord): string {
  if (user !== undefined) return `user:${user}`;
  if (backend !== undefined) return `backend:${backend}`;
  return listener === undefined ? to : `listener:${listener}`;
}
