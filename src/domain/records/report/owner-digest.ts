// What owners of mailboxes are told in a mail a day: one pure fold over the lines of the journal, from the head of a segment on, where the
// live grants stand. It reads the uses of grants as they ended. Nothing of a line is kept but rows and what is owed: what must be told
// again, or later, is read again from the journal. A mailbox is told of by its name; masks and all users have no grant.

import { bounds } from '../../../bounds/bounds.js';
import { AccessBook, type AccessEntry, LastEnds } from '../audit/access-book.js';
import { parseLine } from '../audit/record.js';
import type { Followed } from '../audit/state.js';
import { asTexts, isText, type StoredRecord, textIn } from '../audit/stored.js';
import {
  createOwnerView,
  givenToOwner,
  type OwnerView,
  quietEndMs,
  type SeesPeople,
} from '../story/owner-view.js';
import { createTouchReader, hadEffect, touchClasses } from './touch.js';

/** A mail that somebody has not got for certain. */
export interface OwedMail {
  /** It has the records after this one, and the uses of these grants, whenever they were. */
  readonly from: number;
  readonly grants: readonly string[];
  /** The first record of the segment in which to begin. */
  readonly start: number;
  /** The day on which it may have been sent, so that it is not sent again then; '': certainly not sent. */
  readonly tried: string;
}

/** What is kept from one mail to the next. */
export interface OwnerPlan {
  /** The day of the last mails, in UTC; '': none were sent yet. */
  readonly day: string;
  /** Later records were told of to nobody. */
  readonly told: number;
  /** The first record of the segment in which to begin. */
  readonly start: number;
  /** What was shown before is told of to nobody. Unix ms. */
  readonly sinceMs: number;
  /** By user. */
  readonly owed: ReadonlyMap<string, OwedMail>;
  /** Grants whose uses are kept from the owner, by id. */
  readonly held: ReadonlyMap<string, { readonly untilMs: number; readonly start: number }>;
}

export interface DigestOptions {
  readonly nowMs: number;
  /** The last record that counts. */
  readonly upTo: number;
  /** Of a new day; else what is owed is read again, and nothing is added. */
  readonly isNew: boolean;
  readonly seesPeople: SeesPeople;
  /** Nobody tells that user. */
  readonly isExcepted: (user: string) => boolean;
}

/** In each line of a use, and of a step of access. */
export const ownerMarks = ['"grant":"', '"event":"access"'] as const;

const classTexts = new Map<string, string>(touchClasses.map((each) => [each.class, each.what]));

export function classWords(group: string): string {
  return classTexts.get(group) ?? group;
}

/** Of which record to begin with. */
export function startOf(plan: OwnerPlan, { isNew, nowMs }: Pick<DigestOptions, 'isNew' | 'nowMs'>): number {
  const owed = [...plan.owed.values()].map(({ start }) => start);
  if (!isNew) return Math.min(...owed);
  const over = [...plan.held.values()].filter(({ untilMs }) => untilMs <= nowMs);
  return Math.min(plan.start, ...owed, ...over.map(({ start }) => start));
}

/** Fed with lines that have one of {@link ownerMarks}. */
export function createOwnerDigest(plan: OwnerPlan, options: DigestOptions) {
  const { nowMs, isNew, upTo, seesPeople, isExcepted } = options;
  const book = new AccessBook();
  const ends = new LastEnds();
  const pending = new Map<string, { readonly record: StoredRecord; readonly start: number }>();
  const owed = new Map(plan.owed);
  const held = new Map(plan.held);
  const over = new Set([...held].filter(([, { untilMs }]) => isNew && untilMs <= nowMs).map(([id]) => id));
  const views = new Map<string, OwnerView>();
  let start = plan.start;
  let full: number | undefined;

  return {
    /** `segment`: the first record of its segment. False: no more owners fit, and the rest is for the next day. */
    take(line: string, seq: number, segment: number): boolean {
      start = segment;
      const record = parseLine(line);
      if (record === undefined) return true;
      ends.add(book.follow(record));
      const id = textIn(record, 'id');
      // A search that counts mails for the command is nothing that a person did.
      if (!isText(record['grant']) || record['for'] !== undefined) return true;
      if (record['event'] === 'admission' && pending.size < bounds.ownerOpen)
        pending.set(id, { record, start: segment });
      const admitted = pending.get(id);
      if (record['event'] !== 'completion' || admitted === undefined) return true;
      pending.delete(id);
      return end(admitted, record, seq);
    },
    /** Lines of that segment without a mark. */
    pass(segment: number): void {
      start = segment;
    },
    /** What is kept after it, and a mail for each user that is owed one. */
    finish(): { readonly plan: OwnerPlan; readonly mails: ReadonlyMap<string, OwnerView> } {
      if (!isNew) return { plan, mails: views };
      // What was not read to its end is let go of another day.
      if (full === undefined) for (const id of over) held.delete(id);
      const starts = [...pending.values()].map((each) => each.start);
      const next = { told: full === undefined ? upTo : full - 1, start: Math.min(start, ...starts) };
      return { plan: { ...plan, ...next, owed, held }, mails: views };
    },
  };

  function end(
    { record: admitted, start: from }: { readonly record: StoredRecord; readonly start: number },
    completion: Followed & StoredRecord,
    seq: number,
  ): boolean {
    const { seq: _, time: _t, event: _e, prev: _p, hash: _h, ...ended } = completion;
    const fields = { ...admitted, event: undefined, ...ended };
    const grant = textIn(fields, 'grant');
    const entry = book.find(grant) ?? ends.find(grant);
    const endMs = entry && quietEndMs(entry);
    const isHeld = held.has(grant) && !over.has(grant);
    if (isHeld || (endMs ?? 0) > nowMs) {
      if (isNew && !isHeld && held.size < bounds.ownerQuiet)
        held.set(grant, { untilMs: endMs ?? 0, start: from });
      return true;
    }
    if (Math.max(Date.parse(textIn(admitted, 'time')), endMs ?? 0) < plan.sinceMs) return true;
    for (const user of asTexts(admitted['users']))
      if (!isExcepted(user) && !tell(user, fields, { grant, entry, from, seq })) return false;
    return true;
  }

  function tell(
    user: string,
    fields: StoredRecord,
    {
      grant,
      entry,
      from,
      seq,
    }: {
      readonly grant: string;
      readonly entry: AccessEntry | undefined;
      readonly from: number;
      readonly seq: number;
    },
  ): boolean {
    const touch = createTouchReader(user)({ fields, admittedSeq: 0, completedSeq: seq });
    if (!hadEffect(touch)) return true;
    const isOver = over.has(grant);
    // Of what comes after the last mails, only another day tells.
    if (!isNew && seq > plan.told) return true;
    let mail = owed.get(user);
    if (isNew && mail === undefined && (seq > plan.told || isOver)) {
      if (owed.size >= bounds.ownerMails) {
        full ??= seq;
        return false;
      }
      mail = { from: plan.told, grants: [], start: from, tried: '' };
    }
    if (mail === undefined) return true;
    if (isNew && isOver && !mail.grants.includes(grant)) mail = { ...mail, grants: [...mail.grants, grant] };
    if (seq <= mail.from && !mail.grants.includes(grant)) return true;
    owed.set(user, { ...mail, start: Math.min(mail.start, from) });
    const view = views.get(user) ?? createOwnerView(seesPeople, bounds.ownerMailRows);
    views.set(user, view);
    const { reason, time } = touch;
    const [policy, principal] = [textIn(fields, 'policy'), touch.requester];
    view.take({
      time,
      class: touch.class,
      policy,
      principal,
      reason: reason || (entry?.requested.reason ?? ''),
      grant,
      given: entry && givenToOwner(entry),
    });
    return true;
  }
}
