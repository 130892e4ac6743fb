// Mails to the owners of mailboxes: once a day, at a time of the day in UTC, to each who is owed one. Nothing is gathered meanwhile: what
// they hold is read from the journal then. Before a mail leaves, the file says that it may have been sent on that day, and after it that it
// was. So a crash between the two, or a server that does not answer, costs no second mail on that day: its rows come again the next day.
// A server that is down is tried again until the next mails are due, which then hold both days.

import { findSegments, openSegmentReader } from '../adapters/journal/segments.js';
import type { OwnerFile } from '../adapters/notices/owner-file.js';
import { findRecord } from '../adapters/shipping/find-record.js';
import { createFollower } from '../adapters/shipping/follow.js';
import { bounds } from '../bounds/bounds.js';
import { backOffMs } from '../concurrency/back-off.js';
import { pause } from '../concurrency/waiting.js';
import { NoticeFault } from '../domain/admin/notices/fault.js';
import type { NoticeMail } from '../domain/admin/notices/forms.js';
import { ownerAddress, ownerMailOf } from '../domain/admin/notices/owner-mail.js';
import type { NoticeReceiver } from '../domain/admin/notices/receiver.js';
import { readClaim } from '../domain/records/audit/ledger.js';
import { formatTime } from '../domain/records/audit/record.js';
import {
  createOwnerDigest,
  type DigestOptions,
  type OwedMail,
  type OwnerPlan,
  ownerMarks,
  startOf,
} from '../domain/records/report/owner-digest.js';
import type { OwnerView } from '../domain/records/story/owner-view.js';
import { JournalFault } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import type { NoticeFeed } from './notice-feed.js';

export interface OwnerFeedParts {
  readonly name: string;
  /** The time of the day, in ms after midnight, UTC. */
  readonly digestMs: number;
  /** Of names without one; undefined: they get no mail. */
  readonly domain: string | undefined;
  /** It gets none: an answer would reach the gate itself. */
  readonly from: string;
  readonly seesPeople: DigestOptions['seesPeople'];
  readonly isExcepted: DigestOptions['isExcepted'];
  readonly clock: Clock;
  /** From 0 to below 1, for jitter. */
  readonly chance: () => number;
  readonly directory: string;
  readonly journal: string;
  readonly host: string;
  readonly file: OwnerFile;
  /** The last record that is certainly on disk. */
  readonly untilSeq: () => number;
  /** Rejects with a NoticeFault, or with the reason of the abort. */
  readonly send: (to: string, mail: NoticeMail, signal: AbortSignal) => Promise<void>;
  readonly onFault: (fault: NoticeFault) => void;
  readonly onBack: () => void;
  readonly onDropped: (count: number, why?: string) => void;
  readonly onAgain: (why: string) => void;
}

type Told = readonly [user: string, view: OwnerView];

/** `away`: the server takes none now. */
type End = 'settled' | 'later' | 'away' | { readonly dropped: string };

const dayMs = 86_400_000;
/** A line has at most 7 KiB. */
const lineBytes = 8 << 10;
const retryMs = 1_000;
/** A step of the wall clock is noticed within this time. */
const lookMs = 60_000;

export function startOwnerFeed(parts: OwnerFeedParts): NoticeFeed {
  const { clock, directory, file, digestMs } = parts;
  const ended = new AbortController();
  const { signal } = ended;
  let delivered = 0;
  let failed = 0;
  let droppedCount = 0;
  let fault:
    | { readonly code: NoticeFault['code']; readonly status?: number | undefined; readonly sinceMs: number }
    | undefined;
  let pauses = 0;
  /** Since when, by the wall clock, somebody waits for a mail. */
  let waitsMs: number | undefined;
  let plan: OwnerPlan = { day: '', told: 0, start: 0, sinceMs: 0, owed: new Map(), held: new Map() };
  const running = run();

  return {
    get state(): NoticeReceiver {
      return {
        name: parts.name,
        delivered,
        failed,
        dropped: droppedCount,
        lagMs: waitsMs === undefined ? 0 : Math.max(0, clock.wallMs() - waitsMs),
        ...(fault && {
          fault: { code: fault.code, status: fault.status, forMs: clock.now() - fault.sinceMs },
        }),
      };
    },
    close() {
      ended.abort(new Error('dovegate ship is stopping'));
      return running;
    },
  };

  /** Never rejects. */
  async function run(): Promise<void> {
    while (!signal.aborted && !(await attempt(begin))) await backOff();
    // After a restart something may be owed of today.
    let isOpen = true;
    while (!signal.aborted) {
      const isNew = dueDay() > plan.day;
      if (!isNew && !isOpen) {
        await pause(clock, Math.min(lookMs, untilNextMs()), signal);
        continue;
      }
      isOpen = !(await attempt(() => round(isNew)));
      if (isOpen) await backOff();
    }
  }

  async function attempt(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (cause) {
      if (!signal.aborted) failWith(cause instanceof NoticeFault ? cause : journalFault(cause));
      return false;
    }
  }

  /** The day of the last time that mails were due, in UTC. */
  function dueDay(): string {
    return formatTime(clock.wallMs() - digestMs).slice(0, 10);
  }

  function untilNextMs(): number {
    return dayMs - ((clock.wallMs() - digestMs) % dayMs);
  }

  /** A new receiver tells of what happens from now on. */
  async function begin(): Promise<void> {
    const kept = await file.load().catch((cause: unknown) => {
      throw new NoticeFault('state-file', undefined, cause);
    });
    const upTo = parts.untilSeq();
    if (kept !== undefined && kept !== 'foreign' && kept.told <= upTo) {
      plan = kept;
      return;
    }
    const isLost = kept !== undefined;
    // The whole journal is read: what was kept from an owner may be old.
    const first = {
      ...plan,
      day: isLost ? '' : dueDay(),
      told: isLost ? 0 : upTo,
      start: isLost || upTo === 0 ? 0 : await segmentStart(upTo),
      sinceMs: isLost ? Math.max(0, clock.wallMs() - bounds.noticeKeptMs) : 0,
    };
    await save(first);
    if (isLost) parts.onAgain('its file in the state was lost, or is of another journal');
  }

  /** The mails of a new day, or what is left of those of today. */
  async function round(isNew: boolean): Promise<void> {
    const day = isNew ? dueDay() : plan.day;
    const { plan: next, mails } = await read(isNew);
    await save({ ...next, day });
    let open: readonly Told[] = [...mails].filter(([user]) => plan.owed.get(user)?.tried !== day);
    waitsMs = open.length === 0 ? undefined : clock.wallMs();
    const dropped = new Map<string, number>();
    try {
      while (open.length > 0 && !signal.aborted && dueDay() === day) {
        const left = await sendAll(open, day, (why) => dropped.set(why, (dropped.get(why) ?? 0) + 1));
        if (left.length > 0) await backOff();
        open = left;
      }
    } finally {
      waitsMs = undefined;
      for (const [why, count] of dropped) parts.onDropped(count, why);
    }
  }

  /** Returns those to try again. */
  async function sendAll(
    open: readonly Told[],
    day: string,
    onDropped: (why: string) => void,
  ): Promise<Told[]> {
    const left: Told[] = [];
    for (const [at, each] of open.entries()) {
      if (signal.aborted || dueDay() !== day) break;
      const end = await tell(...each, day);
      if (typeof end === 'object') onDropped(end.dropped);
      if (end === 'later') left.push(each);
      // The server takes none.
      if (end === 'away') return [...left, ...open.slice(at)];
    }
    return left;
  }

  async function tell(user: string, view: OwnerView, day: string): Promise<End> {
    const to = ownerAddress(user, parts.domain);
    const mail = plan.owed.get(user);
    if (mail === undefined) return 'settled';
    if (to === undefined) return drop(user, 'the name of the owner is no address');
    if (to.toLowerCase() === parts.from.toLowerCase())
      return drop(user, 'they would go to the sender itself');
    await owe(user, { ...mail, tried: day });
    const id = `owner.${parts.journal}.${day}.${to.replace('@', '%')}`;
    const { host } = parts;
    const first = await sent(to, ownerMailOf(view, { user, host, id, timeMs: clock.wallMs() }));
    // By the words of a reason a requester could have the mail of all grants of the day refused.
    const bare = { rows: view.rows.map((row) => ({ ...row, reason: '' })), more: view.more };
    const failure =
      first?.isOfRecipient === true && first.isRefusal
        ? await sent(to, ownerMailOf(bare, { user, host, id, timeMs: clock.wallMs() }))
        : first;
    if (failure !== undefined) {
      // It may have left: nobody is told twice a day.
      if (signal.aborted) return 'settled';
      failWith(failure);
      if (failure.code === 'unanswered') return 'settled';
      if (failure.isOfRecipient && failure.isRefusal) return drop(user, 'the mail server refused it');
      await owe(user, mail);
      return failure.isOfRecipient ? 'later' : 'away';
    }
    delivered += 1;
    pauses = 0;
    await owe(user, undefined);
    if (fault !== undefined) {
      fault = undefined;
      parts.onBack();
    }
    return 'settled';
  }

  /** Undefined: the server took it. */
  async function sent(to: string, mail: NoticeMail): Promise<NoticeFault | undefined> {
    try {
      await parts.send(to, mail, signal);
      return undefined;
    } catch (cause) {
      return cause instanceof NoticeFault ? cause : new NoticeFault('internal', undefined, cause);
    }
  }

  async function drop(user: string, why: string): Promise<End> {
    await owe(user, undefined);
    droppedCount += 1;
    return { dropped: why };
  }

  /** On disk when it resolves: without that nothing is sent. Rejects with a NoticeFault. */
  async function owe(user: string, mail: OwedMail | undefined): Promise<void> {
    const owed = new Map(plan.owed);
    if (mail === undefined) owed.delete(user);
    else owed.set(user, mail);
    await save({ ...plan, owed });
  }

  /** Takes a plan once it is on disk. Rejects with a NoticeFault. */
  async function save(next: OwnerPlan): Promise<void> {
    await file.save(next).catch((cause: unknown) => {
      throw new NoticeFault('state-file', undefined, cause);
    });
    plan = next;
  }

  /** The plan of the new day, and the mails. Rejects with the system's error, or a JournalFault. */
  async function read(isNew: boolean): Promise<ReturnType<ReturnType<typeof createOwnerDigest>['finish']>> {
    if (!isNew && plan.owed.size === 0) return { plan, mails: new Map() };
    const { seesPeople, isExcepted } = parts;
    const upTo = isNew ? parts.untilSeq() : plan.told;
    const options = { nowMs: clock.wallMs(), upTo, isNew, seesPeople, isExcepted };
    const digest = createOwnerDigest(plan, options);
    const follower = createFollower(directory, () => undefined);
    try {
      const start = startOf(plan, options);
      if (start > 0) await follower.goBefore(start);
      let segment = -1;
      let first = 0;
      for (let isRoom = true; isRoom && !signal.aborted; ) {
        const batch = await follower.next(upTo);
        if (batch === undefined) break;
        if (batch.position.segment !== segment) {
          ({ segment } = batch.position);
          first = batch.lines[0]?.seq ?? 0;
        }
        if (!ownerMarks.some((mark) => batch.text.includes(mark))) {
          digest.pass(first);
          continue;
        }
        for (const { seq, bytes } of batch.lines)
          if (isRoom && ownerMarks.some((mark) => bytes.includes(mark)))
            isRoom = digest.take(bytes.toString('utf8'), seq, first);
      }
      signal.throwIfAborted();
      return digest.finish();
    } finally {
      await follower.close().catch(() => undefined);
    }
  }

  /** The first record of the segment of that one. */
  async function segmentStart(seq: number): Promise<number> {
    const { segment: number } = await findRecord(directory, seq);
    const segment = (await findSegments(directory)).find((each) => each.number === number);
    const reader = segment && (await openSegmentReader(directory, segment));
    if (reader === undefined) return seq;
    try {
      const bytes = await reader.read(0, lineBytes);
      return readClaim(bytes.subarray(0, Math.max(0, bytes.indexOf(0x0a))))?.seq ?? seq;
    } finally {
      await reader.close();
    }
  }

  function failWith(cause: NoticeFault): void {
    failed += 1;
    const { code, status } = cause;
    const isKnown = fault?.code === code && fault.status === status;
    fault = { code, status, sinceMs: fault?.sinceMs ?? clock.now() };
    if (!isKnown) parts.onFault(cause);
  }

  async function backOff(): Promise<void> {
    pauses += 1;
    await pause(clock, backOffMs(pauses, retryMs, bounds.noticeRetryMaxMs, parts.chance()), signal);
  }
}

function journalFault(cause: unknown): NoticeFault {
  const isSystem = cause instanceof JournalFault || (cause instanceof Error && 'code' in cause);
  return new NoticeFault(isSystem ? 'journal-unreadable' : 'internal', undefined, cause);
}
