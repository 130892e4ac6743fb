// The live requests and grants of temporary access, and the locks, followed while the chain is written. The writer copies them, after the
// last ended ones, to the head of each segment and after each start. A start reads the last head and what follows it: one segment, or two
// after a crash. After a start, access is alive only if a checkpoint that this host signed covers it. Records after that checkpoint can end
// access, not give it, so nobody without the key grants anything by writing to the directory. Locks are the other way round: each that is
// found is in force. Only a record lifts one that such a checkpoint covers, or the checkpoint that `state` names, so another key brings no
// lifted lock back.
//
//   checkpoint, "carries":2    access, "carried":true    lock, "carried":true    checkpoint      a head

import { bounds } from '../../host/bounds/bounds.js';
import { isCount, isText, parseLine } from '../../host/values/values.js';
import {
  AccessBook,
  type AccessEntry,
  concernsAccess,
  concernsTurns,
  isEvent,
  isFormed,
  isReadable,
  LastEnds,
} from '../records/access-book.js';
import { readNext } from '../records/ledger.js';
import { concernsLocks, LockBook } from '../records/lock-book.js';
import type { AuditRecord } from '../records/record.js';
import { OpenTurns } from '../records/turns.js';
import { readSegment } from './chain.js';
import { isRightlySigned } from './kept-end.js';
import type { RunEnd } from './run-end.js';
import { listSegments, type Segment } from './segments.js';

type Line = Readonly<Record<string, unknown>>;

const givingActions: ReadonlySet<unknown> = new Set(['requested', 'approved', 'granted']);
const unsignedText = 'no signed checkpoint covers it';
const damagedText = 'a record of it is damaged';
const redactedText = 'its arguments are not in the journal in full';

export class LiveAccess {
  readonly #books: Books;
  #pending: Line[] = [];
  #start: StartAccess | undefined;
  /** The book still has entries that this start ends. */
  #isOpening: boolean;
  #isRecovering: boolean;

  /** `start`: the books come from a start, and the records in the ring of the previous run follow. */
  constructor(books = new Books(), start?: StartAccess) {
    this.#books = books;
    this.#start = start;
    this.#isOpening = start !== undefined;
    this.#isRecovering = start !== undefined;
  }

  note(body: Buffer): void {
    if (!this.#books.concerns(body, this.#pending.length)) return;
    const record = parseLine(`{${body.toString('utf8')}}`);
    if (record === undefined) return;
    if (this.#isRecovering && this.#start !== undefined) this.#books.takeAway(record, this.#start.uncounted);
    else this.#pending.push(record);
  }

  /** From now on the chain will not be set back before this position. */
  settle(): void {
    for (const record of this.#pending) this.#books.follow(record);
    this.#pending = [];
  }

  /** The chain was set back to the last `settle`, or to a later record: those records come again. */
  setBack(): void {
    this.#pending = [];
  }

  /** `endsMost`: the maximum number of ended entries. */
  carried(nowMs: number, endsMost: number = bounds.accessDecided): AuditRecord[] {
    const books = this.#pending.length === 0 ? this.#books : this.#books.copy();
    for (const record of this.#pending) books.follow(record);
    const { over, access, locks, turns } = books;
    return [
      ...over.carried(nowMs, endsMost),
      ...access.carried(nowMs, this.#isLeft),
      ...locks.carried(nowMs),
      ...turns.carried(nowMs),
    ];
  }

  /** Time in which the gate did not run, or by which its clock was set ahead: locks last that much longer. */
  pauseLocks(ms: number): void {
    this.#books.locks.shift(ms);
  }

  /** All of the ring's records were noted: those from now on are this run's. */
  endRecovery(): void {
    this.#isRecovering = false;
  }

  /** The ring shows that records are missing at the end of the journal: nothing lives on. */
  distrust(why: string): void {
    if (this.#start !== undefined) this.#start = { ...this.#start, why: this.#start.why ?? why };
  }

  /** The chain from the last head on is neither what was signed nor what leads to the checkpoint that `state` knows. */
  get isChanged(): boolean {
    return this.#start?.isChanged === true;
  }

  get damaged(): LockBook['damages'] {
    return this.#books.locks.damages;
  }

  /** Ids of locks that no signature covers. */
  get unproven(): readonly string[] {
    return [...this.#books.locks.entries].flatMap(({ id, isUnproven }) => (isUnproven ? [id] : []));
  }

  /** Why nothing lives on after the start; undefined: it may. */
  get doubt(): string | undefined {
    return this.#start?.why;
  }

  /** Records of what does not live on after a start. `nowMs`: the later of the wall clock and the last record. */
  ends(wallMs: number, nowMs: number): AuditRecord[] {
    const ends: AuditRecord[] = [];
    this.settle();
    for (const entry of this.#books.access.entries) {
      const { id, state, requested, granted, untilMs, usesLeft } = entry;
      if (state === 'unreviewed') continue;
      const text = this.#whyNot(entry);
      const isUsedUp = state === 'granted' && usesLeft === 0;
      const action =
        untilMs <= nowMs ? 'expired' : isUsedUp ? 'used-up' : text === undefined ? undefined : 'ended';
      if (action === undefined) continue;
      const { principal } = requested;
      const of = state === 'granted' ? { grant: id } : { request: id };
      const why = action === 'ended' ? { text } : {};
      const to = granted?.to ?? principal;
      ends.push({ time: wallMs, event: 'access', principal, action, ...why, to, ...of });
    }
    return ends;
  }

  /** The records of all ends were noted: everything else lives, and later records are this run's. */
  endOpening(): void {
    this.settle();
    this.#isOpening = false;
  }

  /** While the journal is opened, the records of ends come after the first heads. */
  readonly #isLeft = (entry: AccessEntry): boolean =>
    !this.#isOpening || entry.state === 'unreviewed' || this.#whyNot(entry) === undefined;

  #whyNot({ id, state, requested }: AccessEntry): string | undefined {
    const { why, uncounted } = this.#start ?? {};
    if (why !== undefined) return why;
    if (this.#books.access.isDamaged(id)) return damagedText;
    if (uncounted?.has(id) === true) return unsignedText;
    return state === 'requested' && !isReadable(requested) ? redactedText : undefined;
  }
}

export interface StartAccess {
  readonly why: string | undefined;
  readonly isChanged?: boolean;
  /** Ids of which no checkpoint covers all records. */
  readonly uncounted: Set<string>;
}

/** What a journal's records say is in force: access, its last ends, locks; and open outages and drains, which need no signature. */
export class Books {
  readonly access: AccessBook;
  readonly over: LastEnds;
  readonly locks: LockBook;
  readonly turns: OpenTurns;

  constructor(
    access = new AccessBook(),
    over = new LastEnds(),
    locks = new LockBook(),
    turns = new OpenTurns(),
  ) {
    this.access = access;
    this.over = over;
    this.locks = locks;
    this.turns = turns;
  }

  copy(): Books {
    return new Books(this.access.copy(), this.over.copy(), this.locks.copy(), this.turns.copy());
  }

  /** Whether an encoded record could change them. `more`: the number of entries that records before it may add. */
  concerns(body: Buffer, more: number): boolean {
    const { access, locks } = this;
    return (
      concernsAccess(body, access.size + more) ||
      concernsLocks(body, locks.size + more) ||
      concernsTurns(body)
    );
  }

  follow(record: Line): void {
    this.over.add(this.access.follow(record));
    this.locks.follow(record);
    this.turns.follow(record);
  }

  /** Follows a record that no checkpoint covers. */
  takeAway(record: Line, uncounted: Set<string>): void {
    this.locks.follow(record, false);
    this.turns.follow(record);
    const { event, action, carried, grant, request } = record;
    // A completion gives a use back; a review ends an obligation.
    if (carried === true || event === 'completion' || action === 'reviewed') return;
    const id = grant ?? request;
    if (event === 'access' && givingActions.has(action) && isText(id)) uncounted.add(id);
    this.over.add(this.access.follow(record));
  }
}

/** A line that a book follows, or a checkpoint. */
interface Item {
  readonly segment: Segment;
  readonly at: number;
  readonly record: Line;
  readonly isCheckpoint: boolean;
}

/** The last whole head, and all lines from there on. */
type Head = readonly [Item, ...Item[]];

/** In the segments up to a number; undefined: there is none, and nothing lives. */
function findHead(directory: string, number: number): Head | undefined {
  let items: readonly Item[] = [];
  // The newest segment has a head, unless a crash interrupted it, or it is damaged. Without any head, all records count that are there.
  for (const segment of listSegments(directory).toReversed()) {
    if (segment.number > number) continue;
    if (segment.isCompressed) break;
    items = [...readItems(directory, segment), ...items];
    const head = lastHead(items);
    if (head !== undefined) return head;
  }
  const [first, ...rest] = items;
  return first === undefined ? undefined : [first, ...rest];
}

function readItems(directory: string, segment: Segment): Item[] {
  const items: Item[] = [];
  let at = 0;
  readSegment(directory, segment, 0, ({ bytes, end, isWhole }) => {
    const item = isWhole ? itemOf(bytes, segment, at) : undefined;
    if (item !== undefined) items.push(item);
    at = end;
    return true;
  });
  return items;
}

function itemOf(bytes: Buffer, segment: Segment, at: number): Item | undefined {
  const body = bytes.subarray(bytes.indexOf(0x2c) + 1);
  const isCheckpoint = isEvent(body, 'ch');
  const isOurs = isCheckpoint || concernsAccess(body, 1) || concernsLocks(body, 1) || concernsTurns(body);
  // A line with a damaged head may be a lock's.
  if (!isOurs && isFormed(body)) return undefined;
  const record = parseLine(bytes.toString('utf8'));
  return record === undefined ? undefined : { segment, at, record, isCheckpoint };
}

function lastHead(items: readonly Item[]): Head | undefined {
  let found: number | undefined;
  let begun: { readonly index: number; left: number } | undefined;
  for (const [index, { record, isCheckpoint }] of items.entries()) {
    if (isCheckpoint) {
      if (begun?.left === 0) found = begun.index;
      const { carries } = record;
      begun = isCount(carries) ? { index, left: carries } : undefined;
      if (carries === 0) found = index;
    } else if (begun !== undefined && record['carried'] === true) begun.left -= 1;
    else begun = undefined;
  }
  const [first, ...rest] = found === undefined ? [] : items.slice(found);
  return first === undefined ? undefined : [first, ...rest];
}

/** What lives at the end of a segment, for a thread that continues a chain it has not written. */
export function readWritten(directory: string, number: number): LiveAccess {
  const books = new Books();
  for (const { record } of findHead(directory, number) ?? []) books.follow(record);
  return new LiveAccess(books);
}

/** Why nothing lives on; undefined: the end of the journal is the one that `state` knows, under this host's signature. */
export function doubtOf(
  { known, isInState }: RunEnd,
  keyAtEnd: string | undefined,
  ownKey: string | undefined,
  damage: string | undefined,
): string | undefined {
  if (damage !== undefined) return `the journal was changed since the last run (${damage})`;
  if (ownKey === undefined) return 'the journal is not signed';
  if (known?.key !== ownKey || (keyAtEnd ?? ownKey) !== ownKey) return 'another key signed the journal';
  return isInState ? undefined : 'the folder of audit-end.json does not name the end of the journal';
}

/** The end of the chain, and who has signed it. */
export interface AccessEnd {
  readonly segment: number | undefined;
  /** Hash of its last record. */
  readonly hash: string;
  readonly journal: string;
  readonly key: string | undefined;
  /** Hash of the last checkpoint that `state` knows: the records before it count even if another key, or none, signed them. */
  readonly hashInState: string | undefined;
  /** Why nothing may live on, according to the start. */
  readonly doubt: string | undefined;
  /** `state` has a copy of locks: the journal is checked even if it shows none. */
  readonly hasKeptLocks: boolean;
}

/** What lived when the previous run ended, except for the records in its ring. */
export function readLiveAccess(directory: string, end: AccessEnd): LiveAccess {
  const head = end.segment === undefined ? undefined : findHead(directory, end.segment);
  const start: StartAccess = { why: undefined, uncounted: new Set() };
  const books = new Books();
  // Most journals have neither, and nothing more is read: the hashes of a large segment take a second.
  const isUsed = head?.some(({ record: { event } }) => event === 'access' || event === 'lock') === true;
  if (head === undefined || !(isUsed || end.hasKeptLocks)) {
    for (const { record } of head ?? []) books.turns.follow(record);
    return new LiveAccess(books, start);
  }
  const { key } = end;
  const proven = key === undefined ? undefined : prove(directory, head, { ...end, key });
  if (proven !== undefined && end.doubt === undefined) {
    for (const record of proven.covered) books.follow(record);
    for (const record of proven.rest) books.takeAway(record, start.uncounted);
    return new LiveAccess(books, start);
  }
  for (const { record } of head) {
    // Followed so that their ends are recorded.
    books.access.follow(record);
    books.turns.follow(record);
    // A lost `state` ends no lock. Where no key is known, nothing was ever signed, and the lines count as they are.
    if (proven === undefined) books.locks.follow(record, key === undefined);
  }
  for (const record of proven?.covered ?? []) books.locks.follow(record);
  for (const record of proven?.rest ?? []) books.locks.follow(record, false);
  const why = end.doubt ?? 'the journal differs from what was signed';
  const isChanged = key !== undefined && proven === undefined;
  return new LiveAccess(books, { ...start, why, isChanged });
}

/** Checks the chain from a head to the end of the journal. Undefined: the chain is broken, or no signature covers the head. */
function prove(
  directory: string,
  [first]: Head,
  { segment: last = 0, hash, hashInState, journal, key }: AccessEnd & { readonly key: string },
): { readonly covered: readonly Line[]; readonly rest: readonly Line[] } | undefined {
  const records: Line[] = [];
  let covered: number | undefined;
  let before: string | undefined;
  let isRight = true;
  const segments = listSegments(directory).filter(
    ({ number }) => number >= first.segment.number && number <= last,
  );
  for (const segment of segments) {
    if (segment.isCompressed) return undefined;
    const from = segment.number === first.segment.number ? first.at : 0;
    readSegment(directory, segment, from, ({ bytes, isWhole }) => {
      const link = isWhole ? readNext(bytes, before) : undefined;
      isRight = link !== undefined;
      before = link?.hash;
      const item = isRight ? itemOf(bytes, segment, 0) : undefined;
      if (item?.isCheckpoint === false) records.push(item.record);
      else if (item !== undefined && (before === hashInState || isOurs(item.record, bytes)))
        covered = records.length;
      return isRight;
    });
    if (!isRight) return undefined;
  }
  // The signature must cover all copies of the head.
  if (before !== hash || covered === undefined || covered < Number(first.record['carries'])) return undefined;
  return { covered: records.slice(0, covered), rest: records.slice(covered) };

  function isOurs(record: Line, bytes: Buffer): boolean {
    return (
      record['key'] === key && record['journal'] === journal && isRightlySigned(bytes.toString('utf8'), key)
    );
  }
}
