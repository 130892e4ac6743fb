// The locks and holds in force. A lock is in force as soon as it is made; its record is tried again until the journal takes it. A lift, and
// the first of the two steps that lift a hold, take effect once their record is on disk under a signed checkpoint. A lock ends by the
// monotonic clock: no step of the wall clock ends or prolongs it.

import { lockTarget } from '../../doveadm/codes/lock-target.js';
import { lockSaying, lockSentence, type ShownLock } from '../../doveadm/codes/locks.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatTime } from '../../host/words/instants.js';
import { endText, isHold, LockBook, type LockEntry, whyTooLong } from '../../journal/records/lock-book.js';
import type { AuditRecord, LockRecord } from '../../journal/records/record.js';
import { openNames } from '../../rules/identity/human.js';
import { isPerson } from '../../rules/identity/origin.js';
import { folded, Persons } from '../../rules/identity/person.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { Ending } from '../outcome/outcome.js';
import type { AccessJournal, Recorded } from './access-journal.js';
import { type Lockable, mayName, stopOn } from './lock.js';

type LockedEnding = Extract<Ending, { kind: 'locked' }>;
type Stop = NonNullable<ReturnType<typeof stopOn>>;

/** What is locked or held, by whom and why, for `forMs`; undefined: without an end. */
type LockWish = Pick<
  AuditRecord,
  'to' | 'identities' | 'user' | 'users' | 'backend' | 'listener' | 'by' | 'peer' | 'args' | 'reason'
> & {
  readonly forMs: number | undefined;
  readonly isHold?: boolean;
};

/** `identities`: of the first of the two who lift a hold. */
type LockLift = Pick<AuditRecord, 'by' | 'peer' | 'args' | 'reason' | 'identities'>;

/** Smaller steps of the wall clock are not recorded either. */
const endDoubtMs = 1000;

interface LocksParts {
  readonly clock: Clock;
  readonly journal: AccessJournal;
  readonly newId: () => string;
  /** Called after a lock was made, since its end must be watched for. */
  readonly onMade: () => void;
}

export class Locks {
  persons = new Persons(new Map());
  /** Called after each change of what is in force. */
  onChanged: () => void = () => undefined;
  readonly #parts: LocksParts;
  readonly #book = new LockBook();
  /** When each ends, by the monotonic clock. */
  readonly #endsMs = new Map<string, number>();
  /** The last end shown to people, by the wall clock; only where it differs from the record's. */
  readonly #toldEndsMs = new Map<string, number>();
  /** When a request to lift a hold expires, by the monotonic clock. */
  readonly #asksEndMs = new Map<string, number>();
  #lastLift: Promise<unknown> = Promise.resolve();

  /** `records`: as a start found them in the journal; `time` of each is when it was read, on the wall clock that its end refers to. */
  constructor(parts: LocksParts, records: readonly AuditRecord[]) {
    this.#parts = parts;
    for (const record of records) {
      this.#book.follow(record);
      const lock = this.#book.find(record.lock ?? '');
      if (lock === undefined) continue;
      const offsetMs = parts.clock.now() - record.time;
      this.#endsMs.set(lock.id, lock.untilMs + offsetMs);
      this.#asksEndMs.set(lock.id, (lock.asked?.untilMs ?? 0) + offsetMs);
    }
  }

  get size(): number {
    return this.#book.size;
  }

  /** The locks in force, the oldest first. `asked` is left out if it expired or if the one who asked is locked now. */
  get entries(): readonly LockEntry[] {
    return this.#inForce.map((lock) => {
      const { identities = [] } = lock.asked?.record ?? {};
      const counts =
        this.#leftMs(lock, this.#asksEndMs) > 0 && this.on({ human: { identities } }) === undefined;
      return counts ? lock : { ...lock, asked: undefined };
    });
  }

  /** Includes those whose time is over, until the next sweep. */
  get all(): readonly LockEntry[] {
    return [...this.#book.entries];
  }

  get #inForce(): readonly LockEntry[] {
    return this.all.filter((lock) => this.#leftMs(lock) > 0);
  }

  on(what: Lockable): Stop | undefined {
    return this.size === 0 ? undefined : stopOn(this.#inForce, what, this.persons);
  }

  endingOn(what: Lockable): LockedEnding | undefined {
    const stop = this.on(what);
    if (stop === undefined) return undefined;
    const { lock, isNamed, hold } = stop;
    return { kind: 'locked', lock: lock.id, isNamed, ...lockSaying(this.shown(lock), isNamed, hold) };
  }

  /** `carol is locked by root until 2026-11-20T10:00:00.000Z: her laptop was stolen`. */
  sentence({ lock, isNamed, hold }: Stop): string {
    return lockSentence(this.shown(lock), isNamed, hold);
  }

  /** Sentences about the holds of users whom the policy lets name. */
  heldFor(policy: Pick<Policy, 'users' | 'except'>): string[] {
    return this.entries.flatMap((lock) => {
      const isNamed = mayName(policy, lock);
      return isHold(lock) && isNamed ? [this.sentence({ lock, isNamed })] : [];
    });
  }

  shown(lock: LockEntry): ShownLock {
    const { id, locked, asked } = lock;
    const { by = '', reason = '', time } = locked;
    const nowMs = this.#parts.clock.wallMs();
    const until = endText(this.#endOf(lock));
    const { isUnread } = lock;
    const askedUntil = formatTime(nowMs + this.#leftMs(lock, this.#asksEndMs));
    const doubt = doubtOf(lock);
    return {
      id,
      target: lockTarget(locked),
      by,
      reason,
      since: formatTime(time),
      ...(until !== undefined && { until }),
      hold: isHold(lock),
      ...(asked !== undefined && { asked: asked.record.by ?? '', asked_until: askedUntil }),
      ...(doubt !== undefined && { doubt }),
      ...(isUnread && { isUnread }),
    };
  }

  /** Stays the same until the wall clock steps: the difference of the two clocks varies by fractions of a millisecond. */
  #endOf(lock: LockEntry): number {
    const endMs = this.#parts.clock.wallMs() + this.#leftMs(lock);
    const known = this.#toldEndsMs.get(lock.id) ?? lock.untilMs;
    if (Math.abs(endMs - known) < endDoubtMs) return known;
    this.#toldEndsMs.set(lock.id, endMs);
    return endMs;
  }

  /** In force when this returns; undefined: there are `most` already. `count`: what `kill` ended. */
  lock(
    { forMs, isHold: holds = false, ...wish }: LockWish,
    most: number,
    kill: (lock: LockEntry) => number | undefined,
  ):
    | { readonly lock: LockEntry; readonly count: number | undefined; readonly recorded: Recorded }
    | undefined {
    const { clock, newId, journal, onMade } = this.#parts;
    const time = clock.wallMs();
    const id = newId();
    if (this.size >= most) return undefined;
    const record: LockRecord = {
      time,
      event: 'lock',
      action: holds ? 'held' : 'locked',
      lock: id,
      ...wish,
      ...(forMs !== undefined && { duration_ms: forMs, until: formatTime(time + forMs) }),
    };
    this.#book.follow(record);
    const lock = this.#book.find(id);
    if (lock === undefined) throw new Error('a lock of nothing was made');
    this.#endsMs.set(id, clock.now() + (forMs ?? Number.POSITIVE_INFINITY));
    onMade();
    this.onChanged();
    const count = kill(lock);
    return { lock, count, recorded: journal.recordEnd({ ...record, count }) };
  }

  /** At a start: replaces the journal's record of this lock, and restarts its time; the later end counts. False: there is no place. */
  restore({ until: _until, duration_ms, ...locked }: LockRecord): boolean {
    const { clock, journal, onMade } = this.#parts;
    const { lock: id = '' } = locked;
    const known = this.#book.find(id);
    const leftMs = known === undefined || known.isUnread === true ? 0 : Math.ceil(this.#leftMs(known));
    const mostMs = Math.max(duration_ms ?? Number.POSITIVE_INFINITY, leftMs);
    const forMs = Number.isFinite(mostMs) ? Math.min(mostMs, bounds.holdMs) : undefined;
    const time = clock.wallMs();
    const end = forMs === undefined ? {} : { duration_ms: forMs, until: formatTime(time + forMs) };
    const record = { ...locked, time, ...end };
    this.#book.follow(record);
    const lock = this.#book.find(id);
    if (lock === undefined || lock.isUnread === true) return false;
    this.#endsMs.set(id, clock.now() + (forMs ?? Number.POSITIVE_INFINITY));
    this.#toldEndsMs.delete(id);
    onMade();
    journal.appendEnd(record);
    return true;
  }

  /** At a start: ends a lock because others need its place. */
  drop(lock: LockEntry): void {
    const record = this.#recordOf(lock, 'expired', {});
    this.#forget(record);
    this.#parts.journal.appendEnd({
      ...record,
      text: 'no signature covers it, and locks in `state` need its place',
    });
  }

  /** Adds users or identities to a lock. The entry is read again, since the caller may have awaited something. */
  learn({ id }: LockEntry, more: Pick<AuditRecord, 'users' | 'identities'>): void {
    const lock = this.#book.find(id);
    if (lock === undefined) return;
    const { until } = this.shown(lock);
    const record = { ...lock.locked, ...more, ...(until !== undefined && { until }) };
    this.#book.follow(record);
    this.onChanged();
    this.#again(record, this.#parts.clock.wallMs());
  }

  /**
   * Lifts run one after the other. `whyNot` is checked before the record is written, and again right before the lift takes effect. Resolves
   * to its answer, or to a text why it cannot be recorded; undefined: it is lifted.
   */
  lift<No extends { readonly text: string }>(
    { id }: LockEntry,
    lift: LockLift,
    whyNot: () => No | undefined,
  ): Promise<No | string | undefined> {
    const { journal } = this.#parts;
    const step = async (): Promise<No | string | undefined> => {
      const early = whyNot();
      const lock = this.#book.find(id);
      if (early !== undefined || lock === undefined) return early;
      const record = this.#recordOf(lock, 'unlocked', lift);
      const why = (await journal.record([record])) ?? whyNot();
      if (why === undefined) this.#forget(record);
      else this.#recordAgain(id, `not lifted: ${typeof why === 'string' ? why : why.text}`);
      return why;
    };
    const next = this.#lastLift.then(step);
    this.#lastLift = next.catch(() => undefined);
    return next;
  }

  /** Records the lock again where the record of a lift is, or may be, on disk, and the lift takes no effect. */
  #recordAgain(id: string, text: string): void {
    const lock = this.entries.find((each) => each.id === id);
    if (lock === undefined) return;
    const time = this.#parts.clock.wallMs();
    const { until, asked_until } = this.shown(lock);
    this.#again({ ...lock.locked, until, text }, time);
    if (lock.asked !== undefined) this.#again({ ...lock.asked.record, until: asked_until }, time);
  }

  /** `at`: it stays locked since the time of the first record. */
  #again(record: LockRecord, time: number): void {
    this.#parts.journal.appendEnd({ ...record, time, at: formatTime(record.time) });
  }

  /** The first of the two steps that lift a hold. */
  async askLift(lock: LockEntry, lift: LockLift): Recorded {
    const { clock, journal } = this.#parts;
    const long = whyTooLong(lift);
    if (long !== undefined) return long;
    const endMs = clock.now() + bounds.liftAskMs;
    const step = this.#recordOf(lock, 'unlock-asked', lift);
    const until = formatTime(step.time + bounds.liftAskMs);
    const record: LockRecord = { ...step, duration_ms: bounds.liftAskMs, until };
    const why = await journal.record([record]);
    if (why !== undefined) return why;
    this.#book.follow(record);
    this.#asksEndMs.set(lock.id, endMs);
    return undefined;
  }

  /**
   * Puts the persons of another configuration in force. A locked human keeps all earlier words and gets the new ones: only a lift frees.
   * Returns sentences about those who stay locked by words that `persons` has no more, and those who are locked by words that it adds.
   */
  turnTo(next: Persons): readonly string[] {
    const before = this.persons;
    this.persons = next;
    return this.entries.flatMap((lock) => {
      const { identities = [], to = '' } = lock.locked;
      if (isHold(lock) || to.startsWith('key:')) return [];
      // Of each person who may be meant: an entry may have another name now.
      const wordsIn = (persons: Persons): readonly string[] =>
        persons
          .withPersons(identities)
          .flatMap((word) => (isPerson(word) && persons.wordsOf(word.slice('person:'.length))) || []);
      const [was, now] = [wordsIn(before), wordsIn(next)];
      const all = [...new Set([...identities, ...was, ...now])].slice(0, bounds.lockWords);
      if (all.length > identities.length) this.learn(lock, { identities: all });
      const { id, target } = this.shown(lock);
      const got = [...new Set(now)].filter((word) => !was.includes(word) && !identities.includes(word));
      const lost = [...new Set(was)].filter((word) => !now.includes(word));
      const [stays, free] = [true, false].map((isKept) =>
        lost.filter((word) => all.includes(word) === isKept),
      );
      const frees = `only dovegate unlock ${id} frees`;
      const gone = 'which `persons` has no more';
      return [
        ...someOf(stays, `${target} stays locked with`, `${gone}; ${frees}`),
        ...someOf(
          free,
          `${target} is not locked any more with`,
          `${gone}; its lock had no room for them: lock them again`,
        ),
        ...someOf(
          got.toSorted((one, other) => Number(isPerson(other)) - Number(isPerson(one))),
          `the lock of ${target} stops now also`,
          `to whom \`persons\` gives what is locked; ${frees}`,
        ),
      ];
    });
  }

  /** Every locked human with all current words, for comparison elsewhere. */
  get ofPeople(): readonly {
    readonly words: readonly string[];
    readonly isForName: boolean;
    readonly why: string;
  }[] {
    return this.entries.flatMap((lock) => {
      const { identities, to = '' } = lock.locked;
      if (identities === undefined || isHold(lock) || to.startsWith('key:')) return [];
      const words = this.persons.withPersons(identities).map(folded);
      const why = this.sentence({ lock, isNamed: true });
      return [{ words, isForName: openNames(identities).length > 0, why }];
    });
  }

  sweep(): void {
    for (const lock of this.#book.entries) {
      if (this.#leftMs(lock) > 0) continue;
      const record = this.#recordOf(lock, 'expired', {});
      this.#forget(record);
      this.#parts.journal.appendEnd(record);
    }
  }

  #leftMs({ id }: LockEntry, endsMs = this.#endsMs): number {
    return (endsMs.get(id) ?? 0) - this.#parts.clock.now();
  }

  #recordOf(
    { id, locked }: LockEntry,
    action: 'unlock-asked' | 'unlocked' | 'expired',
    lift: LockLift,
  ): LockRecord {
    const { to, user, backend, listener } = locked;
    const of = { to, user, backend, listener };
    return { time: this.#parts.clock.wallMs(), event: 'lock', action, lock: id, ...of, ...lift };
  }

  #forget(record: LockRecord): void {
    this.#book.follow(record);
    for (const ends of [this.#endsMs, this.#asksEndMs, this.#toldEndsMs]) ends.delete(record.lock ?? '');
    this.onChanged();
  }
}

/** A sentence about words that `persons` had or has; none where there are none. */
function someOf(words: readonly string[] = [], what: string, then: string): readonly string[] {
  if (words.length === 0) return [];
  const more = words.length > 8 ? ` and ${words.length - 8} more` : '';
  return [`${what} ${words.slice(0, 8).join(', ')}${more}, ${then}`];
}

function doubtOf(lock: LockEntry): string | undefined {
  if (isByOneName(lock)) return 'other names of that user are not known, and not covered';
  const open = openNames(lock.locked.identities ?? []);
  if (open.length === 0) return undefined;
  const what = `the name service does not say who "${open.join('", "')}" is, which is asked again`;
  return `in force for the name alone: ${what}; until then clients without a known name are refused`;
}

/** Whether only one name of the locked mail user is known. */
export function isByOneName({ locked: { user, users } }: LockEntry): boolean {
  return user !== undefined && users === undefined;
}
