// One receiver of notices: follows the journal from a stored place, and sends the notices that the receiver wants, one at a time. The queue
// is the journal, so nothing piles up while a receiver is down. A notice is sent again until the receiver has taken it or it is too old.
// The place is stored after each, so a notice may come twice, with the same id, and none is lost. If a mail server has all of a notice and
// does not answer, the notice is set aside and the later ones go on; it is repeated once if its end stays unknown.

import { noticeCodes } from '../gate/telemetry/codes.js';
import type { DaemonEvent } from '../gate/telemetry/log.js';
import { asWritten, bounds } from '../host/bounds/bounds.js';
import { backOffMs } from '../host/concurrency/back-off.js';
import { pause, Wakes } from '../host/concurrency/waiting.js';
import { JournalFault } from '../host/ports/faults.js';
import { readClaim } from '../journal/records/ledger.js';
import type { NoticeEvent, NoticeReceiver } from '../rules/config/receiver.js';
import type { KeptPlace, PlaceFile } from './carriers/place-file.js';
import {
  accessMark,
  addDropped,
  type Dropped,
  droppedNotice,
  isWanted,
  type Notice,
  noticeOf,
  withoutChosenTexts,
} from './notices/notice.js';
import { NoticeFault } from './notices/notice-fault.js';
import type { Sending } from './receiver-set.js';
import { findRecord } from './shipping/find-record.js';
import { beginning, createFollower, isFollowFault, type Position } from './shipping/follow.js';
import type { ShipperParts } from './shipping/shipper.js';

export interface NoticeFeedParts
  extends Pick<ShipperParts, 'clock' | 'log' | 'chance' | 'directory' | 'journal' | 'untilSeq'> {
  readonly name: string;
  readonly events: readonly NoticeEvent[];
  readonly host: string;
  readonly place: PlaceFile;
  /** Rejects with a NoticeFault, or with the reason of the abort. `onSlow`: called when its end may take minutes. */
  readonly send: (notice: Notice, signal: AbortSignal, onSlow: () => void) => Promise<void>;
}

const retryMs = 1_000;
/** Records without a notice move the place in memory; a start reads at most what was written in this time again. */
const saveMs = 60_000;

/** A notice on its way at the end is given up, and sent again by the next feed. */
export function startNoticeFeed(parts: NoticeFeedParts): Sending<NoticeReceiver> {
  const { name, clock, directory, journal, host, place } = parts;
  const wakes = new Wakes(true);
  const ended = new AbortController();
  const { signal } = ended;
  const source = { journal, host };
  let delivered = 0;
  let failed = 0;
  let droppedCount = 0;
  let fault:
    | { readonly code: NoticeFault['code']; readonly status?: number | undefined; readonly sinceMs: number }
    | undefined;
  /** Notices that are not settled; those that were set aside have the place before their record. */
  const open = new Map<Notice, { readonly seq: number; readonly aside?: Position }>();
  const works = new Set<Promise<boolean>>();
  let pauses = 0;
  let waitMs = 0;
  let position: Position = beginning;
  /** Records up to this one were settled before the start, except those in `unknown`, whose end was not known. */
  let reachedSeq = 0;
  let unknown: readonly number[] = [];
  let sinceMs = 0;
  /** Later records were never sent: `sinceMs` does not apply to them, even if the clock was ahead when it was set. */
  let maybeSentSeq = 0;
  let dropped: Dropped | undefined;
  let savedMs = -Infinity;
  let savedSeq = -1;
  let saves: Promise<void> = Promise.resolve();
  const follower = createFollower(directory, (found) => {
    // Records were cut off, or an older copy was put back: what is young enough comes again.
    if (isFollowFault(found, 'not-continued')) again(found.text);
  });
  const running = run();

  return {
    get report() {
      return {
        name,
        delivered,
        failed,
        dropped: droppedCount,
        lagMs: Math.max(0, ...[...open.keys()].map(({ timeMs }) => clock.wallMs() - timeMs)),
        ...(fault && {
          fault: { code: fault.code, status: fault.status, forMs: clock.now() - fault.sinceMs },
        }),
      };
    },
    nudge: () => wakes.wake(),
    close() {
      ended.abort(new Error('dovegate ship is stopping'));
      return running;
    },
  };

  /** Never rejects. */
  async function run(): Promise<void> {
    while (!signal.aborted && !(await attempt(begin))) await backOff();
    while (!signal.aborted) {
      const isMore = await attempt(step);
      if (isMore === undefined) await backOff();
      else if (!isMore) await wakes.next(signal, { clock, ms: saveMs });
    }
    await Promise.all(works);
    await save();
    await follower.close().catch(() => undefined);
  }

  async function attempt(work: () => Promise<boolean>): Promise<boolean | undefined> {
    try {
      return await work();
    } catch (cause) {
      if (!signal.aborted) failWith(cause instanceof NoticeFault ? cause : journalFault(cause));
      return undefined;
    }
  }

  /** Loads the receiver's position; a new receiver starts with the next record. */
  async function begin(): Promise<boolean> {
    const kept = await place.load().catch((cause: unknown) => {
      throw new NoticeFault('state-file', undefined, cause);
    });
    if (kept === undefined) {
      position = await endOf(directory, parts.untilSeq());
      await follower.seek(position);
      await save();
      return true;
    }
    if (kept === 'foreign' || kept.journal !== journal) {
      again(kept === 'foreign' ? 'its file in the state was not written here' : 'it is of another journal');
      return true;
    }
    const { segment, bytes, seq, hash } = kept;
    position = { segment, bytes, seq, hash };
    ({ sinceMs, dropped, reached: reachedSeq, aside: unknown } = kept);
    maybeSentSeq = parts.untilSeq();
    savedSeq = reachedSeq;
    await follower.seek(position);
    return true;
  }

  async function step(): Promise<boolean> {
    const batch = await follower.next(parts.untilSeq());
    if (fault?.code === 'journal-unreadable') {
      fault = undefined;
      pauses = 0;
    }
    if (batch === undefined) {
      await tellDropped();
      if (position.seq !== savedSeq && clock.now() - savedMs >= saveMs) await save();
      return false;
    }
    const { segment, bytes } = batch.position;
    let at = bytes - batch.text.length;
    if (!batch.text.includes(accessMark)) {
      position = batch.position;
      if (clock.now() - savedMs >= saveMs) await save();
      return true;
    }
    try {
      for (const line of batch.lines) {
        at += line.bytes.length + 1;
        if (line.seq > maybeSentSeq) sinceMs = 0;
        const isSettled = line.seq <= reachedSeq && !unknown.includes(line.seq);
        const notice = isSettled ? undefined : noticeOf(line.bytes.toString('utf8'), source);
        const isDue = notice !== undefined && notice.timeMs >= sinceMs && isWanted(notice, parts.events);
        if (isDue) await deliver(notice, line.seq);
        position = { segment, bytes: at, seq: line.seq, hash: readClaim(line.bytes)?.hash ?? '' };
        if (isDue) await save();
      }
    } catch (cause) {
      // The follower repeats the records after `position`.
      await follower.seek(position);
      throw cause;
    }
    return true;
  }

  function again(why: string): void {
    sinceMs = oldestMs();
    maybeSentSeq = parts.untilSeq();
    reachedSeq = 0;
    tell(
      'notices-again',
      `its position was lost (${why}), so notices younger than ${asWritten.noticeKeptMs} are sent again`,
    );
  }

  /** Resolves when it is settled or set aside. Rejects only when the feed ends. */
  async function deliver(notice: Notice, seq: number): Promise<void> {
    while (works.size >= bounds.noticesAside) await Promise.race(works);
    const before = position;
    let setAside = (): void => undefined;
    const slow = new Promise<true>((resolve) => {
      setAside = () => {
        open.set(notice, { seq, aside: before });
        resolve(true);
      };
    });
    open.set(notice, { seq });
    const work = settle(notice, seq, setAside);
    works.add(work);
    void work.then(() => works.delete(work));
    if (!(await Promise.race([work, slow]))) throw signal.reason;
  }

  /** False: the feed ended before it was taken, too old, or received whole twice without an answer. Never rejects. */
  async function settle(notice: Notice, seq: number, setAside: () => void): Promise<boolean> {
    const isAside = (): boolean => open.get(notice)?.aside !== undefined;
    let isRepeat = seq <= reachedSeq;
    if (isRepeat) await later();
    while (!signal.aborted) {
      if (notice.timeMs < oldestMs()) {
        dropped = addDropped(dropped, notice.timeMs, seq);
        droppedCount += 1;
        return settled();
      }
      let isUnknown = false;
      const isTaken = await attempt(async () => {
        if (!isAside()) await unlessRefused(tellDropped, async () => undefined);
        const less = (): Promise<void> => send(withoutChosenTexts(notice), setAside);
        try {
          await unlessRefused(() => send(notice, setAside), less);
        } catch (cause) {
          isUnknown = isUnanswered(cause);
          throw cause;
        }
        // The receiver takes notices, except for the one about dropped ones.
        if (!isAside()) await forgetDropped();
        return true;
      });
      if (isTaken === true || (isUnknown && isRepeat)) return settled();
      isRepeat ||= isUnknown;
      await (isUnknown ? later() : backOff());
    }
    return false;

    async function later(): Promise<void> {
      setAside();
      await pause(clock, bounds.noticeRetryMaxMs, signal);
    }

    async function settled(): Promise<true> {
      const wasAside = isAside();
      open.delete(notice);
      if (wasAside) await save();
      return true;
    }
  }

  async function tellDropped(): Promise<void> {
    if (dropped === undefined) return;
    await send(droppedNotice(dropped, source)).catch((cause: unknown) => {
      // The log has them, too.
      if (!isUnanswered(cause)) throw cause;
    });
    await forgetDropped();
  }

  async function forgetDropped(): Promise<void> {
    if (dropped === undefined) return;
    const { count } = dropped;
    dropped = undefined;
    const why = `older than ${asWritten.noticeKeptMs}`;
    tell('notices-dropped', `${count} notices were dropped (${why}); the records are in the journal`, {
      count,
    });
    await save();
  }

  /** A notice whose text the receiver refuses, such as a mail filter, must not block the later ones: its author may intend that. */
  async function unlessRefused(first: () => Promise<void>, instead: () => Promise<void>): Promise<void> {
    try {
      await first();
    } catch (cause) {
      if (!(cause instanceof NoticeFault) || !cause.isRefusal) throw cause;
      failWith(cause);
      await instead();
    }
  }

  async function send(notice: Notice, onSlow = (): void => undefined): Promise<void> {
    await parts.send(notice, signal, onSlow);
    if (notice.event !== 'dropped') delivered += 1;
    pauses = 0;
    if (fault === undefined) return;
    fault = undefined;
    parts.log.report({
      event: 'notices-back',
      level: 'info',
      sink: name,
      text: `${name} takes notices again`,
    });
  }

  /** A place that cannot be stored is reported, and the feed goes on: after a restart these notices come again. */
  function save(): Promise<void> {
    saves = saves.then(store);
    return saves;
  }

  async function store(): Promise<void> {
    const aside = [...open.values()].filter((each) => each.aside !== undefined);
    const seqs = [...aside.map((each) => each.seq), ...unknown.filter((each) => each > position.seq)];
    const { segment, bytes, hash, seq } = aside[0]?.aside ?? position;
    const reached = Math.max(reachedSeq, position.seq);
    const at = { journal, segment, bytes, seq, hash, sinceMs, reached, aside: seqs };
    const kept: KeptPlace = { ...at, ...(dropped && { dropped }) };
    savedMs = clock.now();
    try {
      await place.save(kept);
      savedSeq = reached;
      if (fault?.code === 'state-file') fault = undefined;
    } catch (cause) {
      failWith(new NoticeFault('state-file', undefined, cause));
    }
  }

  function failWith(cause: NoticeFault): void {
    failed += 1;
    const { code, status } = cause;
    ({ waitMs } = cause);
    const isKnown = fault?.code === code && fault.status === status;
    fault = { code, status, sinceMs: fault?.sinceMs ?? clock.now() };
    if (isKnown) return;
    const [means] = noticeCodes[code];
    tell('notices-away', `${means}${status === undefined ? '' : ` (${status})`}`, { type: code });
  }

  function tell(
    event: DaemonEvent['event'],
    text: string,
    keys: Readonly<Record<string, string | number>> = {},
  ): void {
    parts.log.report({ event, level: 'warn', sink: name, ...keys, text: `${name}: ${text}` });
  }

  async function backOff(): Promise<void> {
    pauses += 1;
    const ownMs = backOffMs(pauses, retryMs, bounds.noticeRetryMaxMs, parts.chance());
    await pause(clock, Math.max(ownMs, waitMs), signal);
  }

  /** Notices from before this time are too old. */
  function oldestMs(): number {
    return Math.max(0, clock.wallMs() - bounds.noticeKeptMs);
  }
}

function isUnanswered(cause: unknown): boolean {
  return cause instanceof NoticeFault && cause.code === 'unanswered';
}

function journalFault(cause: unknown): NoticeFault {
  const isSystem = cause instanceof JournalFault || (cause instanceof Error && 'code' in cause);
  return new NoticeFault(isSystem ? 'journal-unreadable' : 'internal', undefined, cause);
}

/** After the last record that is on disk. */
async function endOf(directory: string, seq: number): Promise<Position> {
  if (seq === 0) return beginning;
  const found = await findRecord(directory, seq);
  const { segment, start, end, hash, prev } = found;
  return found.seq === seq
    ? { segment, bytes: end, seq, hash }
    : { segment, bytes: start, seq: found.seq - 1, hash: prev };
}
