// The requests and grants of temporary access that live, folded from the records of the journal, which is their database. The writer, a
// start, the gate and readers of a trail follow the same records and come to the same book. A book that follows only what `carried`
// returned equals the book that returned it, so the newest segment suffices.

import { bounds } from '../../host/bounds/bounds.js';
import { asText, isCount, isObject, isText, parseLine } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { encodeBody } from './encode.js';
import {
  type AccessRecord,
  type AuditRecord,
  eventOpening,
  isDistanceMs,
  isEventAt,
  timeOpening,
} from './record.js';
import { type Followed, readState } from './state.js';
import { approverSeparator } from './stored.js';

export interface AccessEntry {
  readonly id: string;
  /** `requested`: undecided. `granted`: live. `unreviewed`: an ended break-glass grant, up to its review and for a day at least. */
  readonly state: 'requested' | 'granted' | 'unreviewed';
  /** The records, as they were appended; of a long text only its start may be left, of long arguments nothing. */
  readonly requested: AccessRecord;
  readonly approvals: readonly AccessRecord[];
  readonly granted: AccessRecord | undefined;
  readonly reviewed: AccessRecord | undefined;
  /** The end of an unreviewed grant, and of an entry that the book has dropped. */
  readonly ended: AccessRecord | undefined;
  /**
   * Unix ms, corrected for backward steps of the clock: when an undecided request expires, a grant ends, or an unreviewed one is forgotten.
   * The keys `until` of the records are not corrected.
   */
  readonly untilMs: number;
  readonly usesLeft: number | undefined;
  readonly used: number;
}

type Entry = { -readonly [Key in keyof AccessEntry]: AccessEntry[Key] } & { readonly bytes: number };

export interface AccessPlaces {
  readonly requests: number;
  readonly grants: number;
  readonly bytes: number;
}
export const accessPlaces: AccessPlaces = {
  requests: bounds.accessRequests,
  grants: bounds.accessGrants,
  bytes: bounds.accessBytes,
};
/** No rule needs nearly as many; a forged journal must not fill the memory. */
const approvalsMax = bounds.accessApprovals;
/** A reviewed grant is kept while it counts against its owner's daily number. */
const countedMs = 86_400_000;

export const endings: ReadonlySet<string> = new Set(['refused', 'revoked', 'expired', 'used-up', 'ended']);

type Terms = Pick<AuditRecord, 'duration_ms' | 'uses' | 'quiet_ms'>;

/** The least time and the fewest uses that a request and each of these approvals allow. */
export function leastTerms(all: readonly Terms[]) {
  return {
    for_ms: least(all.map((each) => each.duration_ms)) ?? 0,
    uses: least(all.map(({ uses }) => uses)),
  };
}

export function least(values: readonly (number | undefined)[]): number | undefined {
  const numbers = values.filter((value) => value !== undefined);
  return numbers.length === 0 ? undefined : Math.min(...numbers);
}

/** What a grant gives, or would give by the approvals in `counting`; `asked_for`: what was asked for, if that was more. */
export function accessTermsOf(
  { requested, granted }: { readonly requested: Terms; readonly granted?: Terms | undefined },
  counting: readonly Terms[],
) {
  const asked = leastTerms([requested]);
  const given = leastTerms(granted === undefined ? [requested, ...counting] : [granted]);
  const isSame = asked.for_ms === given.for_ms && asked.uses === given.uses;
  return { ...given, quiet_ms: requested.quiet_ms, asked_for: isSame ? undefined : asked };
}

/** The person who ended it; '': nobody did, and its record names the owner. */
export function enderOf({ action, principal, by }: Followed): string {
  if (action !== 'refused' && action !== 'revoked') return '';
  const name = principal || by;
  return typeof name === 'string' ? name : '';
}

export class AccessBook {
  readonly #entries = new Map<string, Entry>();
  /** Ids of which a record is damaged: they give nothing after the next start. */
  readonly #damaged = new Set<string>();
  #requests = 0;
  #bytes = 0;

  /**
   * Follows a record of the journal, as it was appended or as parsed from its line; ignores those that do not concern access. Returns the
   * entry that it ended, which the book then has no longer.
   */
  follow(record: Followed): AccessEntry | undefined {
    switch (record.event) {
      case 'access':
        return this.#followAccess(record);
      case 'admission':
        this.#bind(record);
        // A search that counts mails for the command is no use of its own.
        if (record.for === undefined) this.#use(record.grant, 1);
        return undefined;
      case 'completion':
        if (record.sent === false) this.#use(record.grant, -1);
        return undefined;
      case 'clock': {
        const { step_ms: step } = record;
        // A step forward changes nothing: with the clock, each end comes nearer.
        if (!isDistanceMs(step) || step >= 0) return undefined;
        for (const entry of this.#entries.values()) entry.untilMs += step;
        return undefined;
      }
      default:
        return undefined;
    }
  }

  find(id: string): AccessEntry | undefined {
    return this.#entries.get(id);
  }

  /** In the order of the requests. */
  get entries(): Iterable<AccessEntry> {
    return this.#entries.values();
  }

  get size(): number {
    return this.#entries.size;
  }

  get requests(): number {
    return this.#requests;
  }

  taken(policy?: string): AccessPlaces {
    if (policy === undefined)
      return { requests: this.#requests, grants: this.#entries.size - this.#requests, bytes: this.#bytes };
    let [requests, grants, bytes] = [0, 0, 0];
    for (const entry of this.#entries.values()) {
      if (entry.requested.policy !== policy) continue;
      if (entry.state === 'requested') requests += 1;
      else grants += 1;
      bytes += entry.bytes;
    }
    return { requests, grants, bytes };
  }

  isDamaged(id: string): boolean {
    return this.#damaged.has(id);
  }

  copy(): AccessBook {
    const other = new AccessBook();
    for (const id of this.#damaged) other.#damaged.add(id);
    for (const [id, entry] of this.#entries) other.#entries.set(id, { ...entry });
    other.#requests = this.#requests;
    other.#bytes = this.#bytes;
    return other;
  }

  /**
   * The records from which another book becomes equal, written with this time. Drops unreviewed grants that are over. `isLeft` false: the
   * entry is left out.
   */
  carried(nowMs: number, isLeft: (entry: AccessEntry) => boolean = () => true): AuditRecord[] {
    const records: AuditRecord[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.state === 'unreviewed' && entry.untilMs <= nowMs) this.#drop(entry);
      else if (isLeft(entry)) records.push(...carriedOf(entry, nowMs));
    }
    return records;
  }

  #followAccess(raw: Followed): AccessEntry | undefined {
    const { record, faults } = readState(raw, 'access');
    const id = record.grant ?? record.request;
    if (id === undefined) return undefined;
    const isCarried = raw.carried === true;
    const entry = this.#entries.get(id);
    const lacks = requiredOf(record).some((key) => record[key] === undefined);
    // A damaged record gives nothing, but an end counts whatever else it says.
    if ((lacks || faults.length > 0) && !endings.has(record.action ?? '')) {
      if (this.#damaged.size < bounds.accessRequests) this.#damaged.add(id);
      return undefined;
    }
    if (record.action === 'requested') this.#request(id, record, entry, isCarried);
    if (record.action === 'requested' || entry === undefined) return undefined;
    const { action = '' } = record;
    if (action === 'approved') {
      // One that did not count when a later one arrived never counts again: else a request could have enough approvals, and no grant.
      const before = countedFor(record, entry.approvals);
      if (entry.state === 'requested' && before.length < approvalsMax) entry.approvals = [...before, record];
    } else if (action === 'granted') this.#grant(entry, record);
    else if (action === 'reviewed') this.#review(entry, record);
    else if (endings.has(action)) this.#end(entry, record);
    return this.#entries.has(id) ? undefined : entry;
  }

  #request(id: string, record: AccessRecord, before: Entry | undefined, isCarried: boolean): void {
    const untilMs = parseTime(record.until ?? '');
    // Which users a request concerns must be known in full.
    if (untilMs === undefined || record.users === undefined || record.users.length === 0) return;
    if (before !== undefined) {
      if (!isCarried) return;
      this.#forget(before);
    }
    const bytes = JSON.stringify({ ...record, bound: undefined }).length + boundBytes;
    // A carried grant is a request until its next record.
    const isFull =
      this.#requests >= bounds.accessRequests + (isCarried ? 1 : 0) ||
      this.#bytes + bytes > bounds.accessBytes;
    if (isFull) {
      this.#entries.delete(id);
      return;
    }
    this.#requests += 1;
    this.#bytes += bytes;
    // A known id keeps its place.
    this.#entries.set(id, {
      id,
      state: 'requested',
      requested: record,
      approvals: [],
      granted: undefined,
      reviewed: undefined,
      ended: undefined,
      untilMs,
      usesLeft: record.uses,
      used: 0,
      bytes,
    });
  }

  #grant(entry: Entry, record: AccessRecord): void {
    const untilMs = parseTime(record.until ?? '');
    const grants = this.#entries.size - this.#requests;
    if (entry.state !== 'requested' || untilMs === undefined || grants >= bounds.accessGrants) return;
    const { used: usedBefore = 0, ...granted } = record;
    this.#requests -= 1;
    entry.state = 'granted';
    entry.granted = granted;
    entry.untilMs = untilMs;
    entry.used = usedBefore;
    entry.usesLeft = leftOf(entry);
  }

  #review(entry: Entry, record: AccessRecord): void {
    if (entry.state === 'unreviewed') entry.untilMs = entry.requested.time + countedMs;
    if (entry.state === 'requested') return;
    entry.reviewed = record;
  }

  #end(entry: Entry, record: AccessRecord): void {
    const { state, requested, reviewed } = entry;
    if (state === 'unreviewed') return;
    const { until, ...ended } = record;
    entry.ended = ended;
    if (state === 'requested' || requested.approvals !== 0) return this.#drop(entry);
    entry.state = 'unreviewed';
    const untilMs = reviewed ? requested.time + countedMs : record.time + bounds.accessUnreviewedMs;
    entry.untilMs = parseTime(until ?? '') ?? untilMs;
  }

  /** The first command under a grant that an approver gave binds the grant to its login or credential. */
  #bind({ grant: id, bound }: Followed): void {
    const entry = this.#entries.get(asText(id) ?? '');
    if (entry?.state !== 'granted' || isBound(entry.requested) || !isObject(bound)) return;
    const { login, credential, uid } = bound;
    const owner = {
      ...(isText(login) && { login }),
      ...(isText(credential) && { credential }),
      ...(isCount(uid) && { uid }),
    };
    entry.requested = { ...entry.requested, bound: { ...entry.requested.bound, ...owner } };
  }

  #use(id: unknown, by: 1 | -1): void {
    const entry = this.#entries.get(asText(id) ?? '');
    if (entry === undefined || entry.state === 'requested') return;
    entry.used = Math.max(0, entry.used + by);
    entry.usesLeft = leftOf(entry);
  }

  #drop(entry: Entry): void {
    this.#forget(entry);
    this.#entries.delete(entry.id);
  }

  #forget({ state, bytes }: Entry): void {
    if (state === 'requested') this.#requests -= 1;
    this.#bytes -= bytes;
  }
}

/** What ended last, for its requesters and those who decided. */
export class LastEnds {
  /** The oldest first. */
  readonly #ended = new Map<string, AccessEntry>();

  find(id: string): AccessEntry | undefined {
    return this.#ended.get(id);
  }

  get entries(): Iterable<AccessEntry> {
    return this.#ended.values();
  }

  /** Undefined: nothing ended. */
  add(entry: AccessEntry | undefined): void {
    if (entry === undefined) return;
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined && this.#ended.size >= bounds.accessOver) this.#ended.delete(oldest);
    this.#ended.set(entry.id, entry);
  }

  copy(): LastEnds {
    const other = new LastEnds();
    for (const entry of this.entries) other.add(entry);
    return other;
  }

  /** As `carried` of a book: the newest ones, for as long as a grant may wait for its review. */
  carried(nowMs: number, most: number): AuditRecord[] {
    return [...this.entries]
      .slice(-most)
      .filter(({ ended }) => ended !== undefined && nowMs < ended.time + bounds.accessUnreviewedMs)
      .flatMap((entry) => carriedOf(entry, nowMs));
  }
}

/** A copy of a record for the head of a segment. */
export function carriedRecord(record: AuditRecord, nowMs: number, change: Partial<AuditRecord>): AuditRecord {
  return { ...record, ...change, time: nowMs, at: formatTime(record.time), carried: true };
}

/** The records from which another book gets an entry, written with this time; the last one ends an entry that has ended. */
export function carriedOf(entry: AccessEntry, nowMs: number): AuditRecord[] {
  const records: AuditRecord[] = [];
  const { state, requested, approvals, granted, reviewed, ended, used } = entry;
  const until = formatTime(entry.untilMs);
  const add = (record: AccessRecord | undefined, change: Partial<AuditRecord> = {}): void => {
    if (record !== undefined) records.push(carriedRecord(record, nowMs, change));
  };
  add(requested, state === 'requested' ? { until } : {});
  for (const each of approvals) add(each);
  add(granted, { used, ...(state === 'granted' ? { until } : {}) });
  add(reviewed);
  add(ended, { until });
  return records;
}

/** The approvals that count when another one arrives: all, or where some do not any more, those of the principals in `by`. */
export function countedFor<Approval extends Pick<AuditRecord, 'principal'>>(
  { by }: Pick<AuditRecord, 'by'>,
  approvals: readonly Approval[],
): readonly Approval[] {
  const names = by?.split(approverSeparator);
  return names === undefined
    ? approvals
    : approvals.filter(({ principal = '' }) => names.includes(principal));
}

function leftOf({ granted, used }: Entry): number | undefined {
  return granted?.uses === undefined ? undefined : Math.max(0, granted.uses - used);
}

/** A request is bound to its login or credential; a grant that an approver gave is not, up to its first use. */
export function isBound({ bound }: AccessRecord): boolean {
  return bound?.login !== undefined || bound?.credential !== undefined;
}

/** The longest `bound`: a grant does not grow when it is bound. */
const boundBytes = 300;

/** The event's position in a body: its time has always the same length. */
const eventAt = timeOpening.length - 1 + formatTime(0).length + eventOpening.length;
const grantText = Buffer.from('grant":"');

/** Whether a book could change by an encoded record (without `seq`). `size`: the number of its entries. */
export function concernsAccess(body: Buffer, size: number): boolean {
  // Two characters tell the events apart: this runs for each record of a journal.
  if (isEvent(body, 'ac')) return true;
  if (size === 0) return false;
  // A quote within a value has a backslash before it.
  if (isEvent(body, 'ad') || isEvent(body, 'co')) return body.includes(grantText);
  return isEvent(body, 'cl');
}

/** Whether an encoded record could change `OpenTurns`: `start`, `stop`, `backend`, `operator`, `journal`. */
export function concernsTurns(body: Buffer): boolean {
  return isEvent(body, 'st') || isEvent(body, 'ba') || isEvent(body, 'op') || isEvent(body, 'jo');
}

const headText = Buffer.from(eventOpening);

/** Whether the event of an encoded record stands where {@link isEvent} looks for it. */
export function isFormed(body: Buffer): boolean {
  return body.indexOf(headText) === eventAt - headText.length;
}

/**
 * Whether the event of an encoded record (without `seq`) begins so: `access`, `admission`, `completion`, `clock`, `checkpoint`, `lock`.
 * Only `lock` needs three characters, beside `log`.
 */
export function isEvent(
  body: Buffer,
  start: 'ac' | 'ad' | 'co' | 'cl' | 'ch' | 'loc' | 'st' | 'ba' | 'op' | 'jo',
): boolean {
  return isEventAt(body, eventAt, start);
}

function requiredOf({ action }: AccessRecord): readonly (keyof AccessRecord)[] {
  if (action === 'requested') return ['users', 'until', 'approvals'];
  return action === 'granted' ? ['until'] : [];
}

/** Why a step cannot be recorded: what must be read back whole would be cut. */
export function whyNotWhole(record: AuditRecord): string | undefined {
  const { faults } = readState(parseLine(`{${encodeBody(record)}}`) ?? {}, 'access');
  return faults.length === 0
    ? undefined
    : `it is too long for a record that is read back: ${faults.join(', ')}`;
}

/** Whether a restart can read again what an undecided request asks for: its arguments are complete and none is redacted. */
export function isReadable({ args }: AccessRecord): boolean {
  return args?.every((argument) => typeof argument === 'string') === true;
}
