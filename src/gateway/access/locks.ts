// The locks and holds in force. One is in force as soon as it is made, and recorded then: its record is kept and tried again until the
// journal takes it. A lift, and the first of the two steps of one of a hold, take effect once their record is on disk, under a signed
// checkpoint. A lock ends by the time that the gate runs: no step of the wall clock ends or prolongs one.

import { bounds } from '../../bounds/bounds.js';
import { type Lockable, mayName, stopOn } from '../../domain/judging/policy/lock.js';
import type { Policy } from '../../domain/judging/policy/policy.js';
import { sentenceOf } from '../../domain/language/codes/codes.js';
import { openNames } from '../../domain/people/identity/human.js';
import { isPerson } from '../../domain/people/identity/origin.js';
import { folded, Persons } from '../../domain/people/identity/person.js';
import {
  endText,
  isHold,
  LockBook,
  type LockEntry,
  lockTarget,
  type ShownLock,
  whyTooLong,
} from '../../domain/records/audit/lock-book.js';
import { type AuditRecord, formatTime, type LockRecord } from '../../domain/records/audit/record.js';
import type { Clock } from '../../ports/machine.js';
import type { Ending } from '../outcome/outcome.js';
import type { AccessJournal } from './access-journal.js';

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

/** Who lifts one, and why. `identities`: of the first who lifts a hold. */
type LockLift = Pick<AuditRecord, 'by' | 'peer' | 'args' | 'reason' | 'identities'>;

/** Undefined: it is on disk; a text: why not. */
type Recorded = Promise<string | undefined>;

interface LocksParts {
  readonly clock: Clock;
  readonly journal: AccessJournal;
  readonly newId: () => string;
  /** One was made, so there are ends to look for. */
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
  /** The same of who asked to lift a hold. */
  readonly #asksEndMs = new Map<string, number>();

  /** `records`: as a start found them in the journal, each with the time at which it was read: by that clock it has its end. */
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

  /** In force, the oldest first. */
  get entries(): readonly LockEntry[] {
    const inForce = [...this.#book.entries].filter((lock) => this.#leftMs(lock) > 0);
    return inForce.map((lock) =>
      this.#leftMs(lock, this.#asksEndMs) > 0 ? lock : { ...lock, asked: undefined },
    );
  }

  on(what: Lockable): Stop | undefined {
    return this.size === 0 ? undefined : stopOn(this.entries, what, this.persons);
  }

  endingOn(what: Lockable): LockedEnding | undefined {
    const stop = this.on(what);
    return stop && { kind: 'locked', lock: stop.lock.id, isNamed: stop.isNamed, ...this.#saying(stop) };
  }

  /** `carol is locked by root until 2026-11-20T10:00:00.000Z: her laptop was stolen`. */
  sentence(stop: Stop): string {
    const { code, values } = this.#saying(stop);
    return sentenceOf(code, values);
  }

  /** The holds of users whom a policy lets name, in sentences. */
  heldFor(policy: Pick<Policy, 'users' | 'except'>): string[] {
    return this.entries.flatMap((lock) => {
      const isNamed = mayName(policy, lock);
      const why = 'what could destroy, hide, move or change its mail is refused';
      return isHold(lock) && isNamed ? [this.sentence({ lock, isNamed, hold: { lock, isNamed, why } })] : [];
    });
  }

  #saying({ lock, hold, isNamed }: Stop): Pick<LockedEnding, 'code' | 'values'> {
    const { id, target, by, since, until = '', reason } = this.shown(lock);
    const name = target.replace(':', ' ');
    if (lock.isUnread) return { code: 'lock-unread', values: { lock: id } };
    // Whose mailbox it is and why stays with those who may name the user.
    const noun = hold === undefined ? 'lock' : 'hold';
    const hidden = { target: 'a mailbox', reason: `that of ${noun} ${id}` };
    const about = isNamed ? { target: name, reason } : hidden;
    if (hold === undefined) return { code: 'locked', values: { ...about, by, until } };
    const values = {
      ...about,
      by,
      since,
      get why() {
        return hold.why;
      },
    };
    return { code: 'held', values };
  }

  shown(lock: LockEntry): ShownLock {
    const { id, locked, asked } = lock;
    const { by = '', reason = '', time } = locked;
    const nowMs = this.#parts.clock.wallMs();
    const until = endText(nowMs + this.#leftMs(lock));
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

  /** In force when this returns, where fewer than `most` are. `count`: of what it ended. */
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

  /** One whose records the journal lost or cannot read, with its time again. False: it is there. */
  restore(locked: LockRecord): boolean {
    const { clock, journal, onMade } = this.#parts;
    const { lock: id = '', duration_ms: forMs } = locked;
    const known = this.#book.find(id);
    if (known !== undefined && known.isUnread !== true) return false;
    const time = clock.wallMs();
    const record = { ...locked, time, ...(forMs !== undefined && { until: formatTime(time + forMs) }) };
    this.#book.follow(record);
    const lock = this.#book.find(id);
    if (lock === undefined || lock.isUnread === true) return false;
    this.#endsMs.set(id, clock.now() + (forMs ?? Number.POSITIVE_INFINITY));
    onMade();
    journal.appendEnd(record);
    return true;
  }

  /** More is known of who or what it is for. */
  learn({ id }: LockEntry, more: Pick<AuditRecord, 'users' | 'identities'>): void {
    const lock = this.#book.find(id);
    if (lock === undefined) return;
    const { until } = this.shown(lock);
    const record = { ...lock.locked, ...more, ...(until !== undefined && { until }) };
    this.#book.follow(record);
    this.onChanged();
    this.#parts.journal.appendEnd({ ...record, time: this.#parts.clock.wallMs() });
  }

  async lift(lock: LockEntry, lift: LockLift): Recorded {
    const { journal } = this.#parts;
    const record = this.#recordOf(lock, 'unlocked', lift);
    const why = await journal.record([record]);
    if (why === undefined) this.#forget(record);
    // The record of the lift may be on disk all the same.
    else journal.appendEnd({ ...lock.locked, time: record.time, until: this.shown(lock).until });
    return why;
  }

  /** The first of the two who lift a hold. */
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
   * The persons of another configuration. Who is locked keeps every word of before, and gets those of now: only a lift frees. Returns, in
   * sentences, who stays locked by words that `persons` has no more.
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
      const lost = [...new Set(was)].filter((word) => !now.includes(word));
      const [stays, free] = [true, false].map((isKept) =>
        lost.filter((word) => all.includes(word) === isKept),
      );
      return [
        ...someOf(stays, `${target} stays locked with`, `only dovegate unlock ${id} frees`),
        ...someOf(
          free,
          `${target} is not locked any more with`,
          'its lock had no room for them: lock them again',
        ),
      ];
    });
  }

  /** Every human who is locked, as others compare them: with all words of today. */
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

  /** Those whose time is over end. */
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
    for (const ends of [this.#endsMs, this.#asksEndMs]) ends.delete(record.lock ?? '');
    this.onChanged();
  }
}

/** A sentence about words that `persons` has no more; none where there are none. */
function someOf(words: readonly string[] = [], what: string, then: string): readonly string[] {
  if (words.length === 0) return [];
  const more = words.length > 8 ? ` and ${words.length - 8} more` : '';
  return [`${what} ${words.slice(0, 8).join(', ')}${more}, which \`persons\` has no more; ${then}`];
}

function doubtOf(lock: LockEntry): string | undefined {
  if (isByOneName(lock)) return 'other names of that user are not known, and not covered';
  const open = openNames(lock.locked.identities ?? []);
  if (open.length === 0) return undefined;
  const what = `the name service does not say who "${open.join('", "')}" is, which is asked again`;
  return `in force for the name alone: ${what}; until then clients without a known name are refused`;
}

/** Whether nobody knows the other names of the mail user that it is for. */
export function isByOneName({ locked: { user, users } }: LockEntry): boolean {
  return user !== undefined && users === undefined;
}
