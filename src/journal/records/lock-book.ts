// The locks in force, folded from the records of the journal, as the book of access on request is (`access-book.ts`). In doubt a grant ends
// there, and a lock stays here.

import { hash } from 'node:crypto';
import { bounds } from '../../host/bounds/bounds.js';
import { isText } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { carriedRecord, isEvent } from './access-book.js';
import { type AuditRecord, isDistanceMs, type LockRecord } from './record.js';
import { type Followed, type ReadState, readState, textsLeft } from './state.js';

export interface LockEntry {
  readonly id: string;
  readonly locked: LockRecord;
  /**
   * Unix ms, after all steps of the clock, forward too; infinite: it has no end. The key `until` of the record does not follow the clock.
   */
  readonly untilMs: number;
  /** For a hold: the first of the two who lift it, and until when the second can, as `untilMs`. */
  readonly asked?:
    | { readonly record: LockRecord; readonly untilMs: number; readonly left?: number }
    | undefined;
  /** The number of records with more of its words that are still to come. */
  readonly left?: number;
  /** Whom it stops cannot be read: it stops every command that changes or destroys, of everybody, until it is lifted. */
  readonly isUnread?: true;
  /** No signature covers the record that made it. */
  readonly isUnproven?: true;
}

export function isHold({ locked, isUnread }: LockEntry): boolean {
  return locked.action === 'held' && isUnread !== true;
}

/** What was damaged, for the log. */
interface LockDamage {
  readonly id: string;
  readonly text: string;
  /** Nothing in the journal says whom it stops, and no signature covers it: it is in force if `state` has a copy. */
  readonly isDropped: boolean;
}

const damagesMax = 1000;
const ends: ReadonlySet<unknown> = new Set(['unlocked', 'expired']);
const starts: ReadonlySet<unknown> = new Set(['locked', 'held']);

export class LockBook {
  readonly #entries = new Map<string, LockEntry>();
  readonly #damages = new Map<string, LockDamage>();
  #moreDamages = 0;

  /**
   * Follows a record, as it was appended or as parsed from its line; ignores those that do not concern locks. `isProven` false: no
   * signature covers it. Such a record can lock, hold or prolong, but not lift, shorten or change a lock.
   */
  follow(record: Followed, isProven = true): void {
    if (record.event === 'clock') {
      const { step_ms: step } = record;
      if (isDistanceMs(step) && (isProven || step > 0)) this.shift(step);
    } else if (record.event === 'lock') this.#followLock(record, isProven);
  }

  /** Moves all ends: the clock was set ahead, or the gate did not run. */
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

  get damages(): readonly LockDamage[] {
    const partly = [...this.#entries.values()].filter(({ left = 0, asked }) => left + (asked?.left ?? 0) > 0);
    const missing = partly.map(({ id }) => ({
      id,
      text: 'records of its words are missing',
      isDropped: false,
    }));
    const all = [...this.#damages.values(), ...missing];
    const last = this.#moreDamages > 0 ? all.pop() : undefined;
    if (last !== undefined)
      all.push({ ...last, text: `${last.text}; ${this.#moreDamages} more are not listed` });
    return all;
  }

  copy(): LockBook {
    const other = new LockBook();
    for (const [id, entry] of this.#entries) other.#entries.set(id, entry);
    for (const [id, damage] of this.#damages) other.#damages.set(id, damage);
    other.#moreDamages = this.#moreDamages;
    return other;
  }

  /** The records from which another book becomes equal, written with this time. */
  carried(nowMs: number): AuditRecord[] {
    return [...this.#entries.values()].flatMap(({ locked: record, untilMs, asked }) => [
      carriedRecord(record, nowMs, { until: endText(untilMs) }),
      ...(asked === undefined ? [] : [carriedRecord(asked.record, nowMs, { until: endText(asked.untilMs) })]),
    ]);
  }

  #followLock(raw: Followed, isProven: boolean): void {
    const { record, faults } = readState(raw, 'lock');
    const { action } = record;
    const isEnd = ends.has(action);
    const id = record.lock === '' ? undefined : record.lock;
    const known = this.#entries.get(id ?? '');
    if (isEnd) {
      if (isProven && known !== undefined) this.#entries.delete(known.id);
      if (!isProven && known !== undefined && action === 'unlocked')
        this.#note(id ?? '', 'no signed checkpoint vouches for the record that lifts it', false);
      return;
    }
    if (action === 'unlock-asked') {
      if (known !== undefined && isProven) this.#ask(known, record, faults);
      return;
    }
    if (action === 'words') {
      const isAwaited = (known?.left ?? 0) + (known?.asked?.left ?? 0) > 0;
      if (known === undefined || (!isProven && !isAwaited)) return;
      if (faults.length > 0) this.#note(known.id, wordsOf(faults), false);
      this.#entries.set(known.id, withWords(known, record, raw));
      return;
    }
    this.#lock(id ?? `unread-${unreadOf(raw)}`, raw, { record, faults }, isProven);
  }

  /** A record with a damaged `action` locks, unless it is about a known lock. */
  #lock(id: string, raw: Followed, { record, faults }: ReadState<'lock'>, isProven: boolean): void {
    const known = this.#entries.get(id);
    const { action, until } = record;
    const isClear = starts.has(action);
    const target = targetOf({ ...record, lock: id, action: action === 'held' ? 'held' : 'locked' }, raw);
    const isUnread = target === undefined;
    const why = isClear
      ? wordsOf(isChanged(record, target) ? ['target', ...faults] : faults)
      : 'its `action` cannot be read';
    const isDropped = isUnread && !isProven && known === undefined;
    if (why !== '' || isUnread || record.lock !== id)
      this.#note(id, why || 'it does not say whom it stops', isDropped);
    if (known !== undefined && !isProven) {
      const end = until === undefined && isHold(known) ? Number.POSITIVE_INFINITY : parseTime(until ?? '');
      const untilMs = isClear ? Math.max(known.untilMs, end ?? 0) : known.untilMs;
      this.#entries.set(id, { ...known, untilMs });
      return;
    }
    if (isUnread && (!isProven || (known !== undefined && known.isUnread !== true))) return;
    if (known !== undefined && !isClear) return;
    if (known === undefined && this.#entries.size >= bounds.locks)
      return this.#note(id, `${bounds.locks} are in force already`, !isProven);
    const { parts: left = 0, ...locked } = target ?? { ...record, ...nobody, lock: id };
    // A hold that is recorded again, with other names of its mail user, keeps the request to lift it.
    const asked = target?.action === 'held' ? known?.asked : undefined;
    this.#entries.set(id, {
      id,
      locked,
      untilMs: endOf(record),
      ...(asked !== undefined && { asked }),
      ...(left > 0 && { left }),
      ...(isUnread && { isUnread }),
      ...(!isProven && { isUnproven: true }),
    });
  }

  #ask(entry: LockEntry, { parts: left = 0, ...record }: LockRecord, faults: readonly string[]): void {
    const untilMs = parseTime(record.until ?? '');
    if (!isHold(entry)) return;
    // Without it nothing is lifted: the first of the two asks again.
    if (untilMs === undefined || faults.length > 0)
      return this.#note(entry.id, 'who asked to lift it cannot be read', false);
    const asked = { record, untilMs, ...(left > 0 && { left }) };
    this.#entries.set(entry.id, { ...entry, asked });
  }

  #note(id: string, text: string, isDropped: boolean): void {
    if (this.#damages.has(id)) return;
    if (this.#damages.size < damagesMax) this.#damages.set(id, { id, text, isDropped });
    else this.#moreDamages += 1;
  }
}

function wordsOf(faults: readonly string[]): string {
  return faults.length === 0 ? '' : `of another form: ${faults.join(', ')}`;
}

/** An id from the record's own values, the same for its copies. */
function unreadOf({ time, at = time, action, reason }: Followed): string {
  return hash('sha256', JSON.stringify([at, action, reason]), 'hex').slice(0, 12);
}

const nobody = {
  to: undefined,
  identities: undefined,
  user: undefined,
  users: undefined,
  backend: undefined,
  listener: undefined,
};

/** Nobody locks root: records with such words are forged. */
const rootWords: ReadonlySet<string> = new Set(['uid:0', 'name:root', 'user:root']);

/** The record with a target that can be compared; undefined: whom it stops cannot be read. */
function targetOf(record: LockRecord, raw: Followed): LockRecord | undefined {
  const { users: all = textsLeft(raw.users), ...rest } = record;
  // The words of a hold are those of the mailbox owner, who may not lift it.
  const given = rest.identities ?? textsLeft(raw.identities);
  const words = given.some((each) => rootWords.has(each))
    ? given.filter((each) => !rootWords.has(each))
    : given;
  const known = all.filter(isOneUser);
  const [first] = known;
  const user = record.user === undefined || !isOneUser(record.user) ? first : record.user;
  // An incomplete list is left out, so that the names are looked up again.
  const users = record.users !== undefined && known.length === all.length ? { users: known } : {};
  const identities = words.length === 0 ? {} : { identities: words };
  if (user !== undefined) return { ...rest, ...users, ...identities, user };
  if (record.action === 'held') return undefined;
  const { backend, listener, to = words[0] } = record;
  if (backend || listener) return { ...rest, ...identities };
  if (words.length > 0) return { ...rest, ...identities, to };
  if (to === undefined || to === '' || to === 'root' || to === '0') return undefined;
  return { ...rest, to, identities: to.startsWith('key:') ? [to] : [`person:${to}`, `name:${to}`] };
}

function isChanged(record: LockRecord, target: LockRecord | undefined): boolean {
  return target !== undefined && (record.user !== target.user || record.identities !== target.identities);
}

/** A mask would stop everybody. No lock is made of a longer name. */
function isOneUser(user: string): boolean {
  return user !== '' && !/[*?]/.test(user) && Buffer.byteLength(user) <= bounds.lockWordBytes;
}

/** Infinite: it has no end, or an unreadable one. */
function endOf({ action, until, time, duration_ms: forMs = bounds.lockMs }: LockRecord): number {
  const isOver = action === 'locked' && until === undefined && time > 0;
  return parseTime(until ?? '') ?? (isOver ? time + forMs : Number.POSITIVE_INFINITY);
}

function withWords(entry: LockEntry, record: LockRecord, raw: Followed): LockEntry {
  const { asked } = entry;
  if (asked !== undefined && (asked.left ?? 0) > 0) {
    const identities = joined(asked.record.identities, record.identities ?? textsLeft(raw.identities));
    return {
      ...entry,
      asked: { ...asked, left: (asked.left ?? 1) - 1, record: { ...asked.record, identities } },
    };
  }
  const { locked, left = 0 } = entry;
  const identities = joined(locked.identities, record.identities ?? textsLeft(raw.identities));
  const users = joined(locked.users, (record.users ?? textsLeft(raw.users)).filter(isOneUser));
  const lists = { ...(identities.length > 0 && { identities }), ...(users.length > 0 && { users }) };
  return { ...entry, left: Math.max(0, left - 1), locked: { ...locked, ...lists } };
}

function joined(before: readonly string[] = [], more: readonly string[]): readonly string[] {
  return [...before, ...more].slice(0, bounds.lockWords);
}

/** Why it cannot be recorded whole; undefined: it can. */
export function whyTooLong(record: Partial<LockRecord>): string | undefined {
  const { user, to, backend, listener, identities = [], users = [] } = record;
  const words = [user, to, backend, listener, ...identities, ...users].filter(isText);
  const longest = words.find((word) => Buffer.byteLength(word) > bounds.lockWordBytes);
  if (longest !== undefined) return `a name of more than ${bounds.lockWordBytes} bytes cannot be locked`;
  if (Math.max(identities.length, users.length) <= bounds.lockWords) return undefined;
  return `more than ${bounds.lockWords} words stand for it`;
}

/** Undefined: no end. */
export function endText(untilMs: number): string | undefined {
  return Number.isFinite(untilMs) ? formatTime(untilMs) : undefined;
}

/** Whether a book could change by an encoded record (without `seq`). `size`: the number of its entries. */
export function concernsLocks(body: Buffer, size: number): boolean {
  return isEvent(body, 'loc') || (size > 0 && isEvent(body, 'cl'));
}
