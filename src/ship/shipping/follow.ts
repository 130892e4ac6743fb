// Follows a journal's files record by record, while it is written, rotated, compressed and retired, in batches that can be continued later.
// No record is given out before it is on disk. Bytes after the last durable record may be cut off and written again, so its seq must be
// known before the file is read, and later bytes are not kept.

import { predicateOf } from '../../host/kinds/kinds.js';
import { JournalFault } from '../../host/ports/faults.js';
import {
  findSegments,
  openSegmentReader,
  type SegmentReader,
  segmentName,
} from '../../journal/files/segments.js';
import { readClaim } from '../../journal/records/ledger.js';
import type { SafePosition } from '../../rules/config/receiver.js';
import { findRecord } from './find-record.js';

export type Position = SafePosition;

/** The position before the oldest existing record. */
export const beginning: Position = { segment: -1, bytes: 0, seq: 0, hash: '' };

/** Records in their order; their bytes are valid until the next call. */
export interface Batch {
  /** As in the journal, without LF. */
  readonly lines: readonly { readonly seq: number; readonly bytes: Buffer }[];
  /** The same lines with their LFs, in one piece. */
  readonly text: Buffer;
  /** After the last of them. */
  readonly position: Position;
}

export type FollowFault =
  /** Records that were not given out and are gone. */
  | { readonly kind: 'missing'; readonly from: number; readonly to: number }
  | { readonly kind: 'damaged'; readonly text: string }
  /** The record at the position does not follow the one before it: everything is given out again. */
  | { readonly kind: 'not-continued'; readonly text: string };

export const isFollowFault = predicateOf<FollowFault>();

/** The journal's record under a seq, compared with another party's hash of it. */
export type Comparison =
  | 'same'
  /** It is missing or damaged, so it cannot be compared. */
  | 'gone'
  /** Another record. `hash`: undefined if it is missing, and the next record does not follow the other's hash. */
  | { readonly hash: string | undefined };

/** Bytes that are read and given out at once; at least one line, which has at most 7 KiB. */
export interface BatchLimits {
  readonly bytes: number;
  readonly lines: number;
}

const usualLimits: BatchLimits = { bytes: 64 << 10, lines: Number.POSITIVE_INFINITY };

export type Follower = ReturnType<typeof createFollower>;

/** Follows the journal in a directory from `beginning`, until `seek` or `goBehind`; one call at a time. */
export function createFollower(
  directory: string,
  tell: (fault: FollowFault) => void,
  most: BatchLimits = usualLimits,
) {
  let position = beginning;
  let reader: SegmentReader | undefined;
  /** The segment of the position is missing, so the next record must show whether it follows. */
  let isFirst = false;
  /** The position was just found by reading, so it is not compared with the file. */
  let isFound = false;
  /**
   * The position is after a record of the open segment. The end of a plain one may be cut off and written again meanwhile; a compressed one
   * is not looked at again, since a step back inflates it from its start.
   */
  let isRead = false;
  /** Reported already, so not reported again when the same records are read again. */
  let toldMissing = { from: 0, to: 0 };
  let toldDamageSeq = 0;

  return {
    get position(): Position {
      return position;
    },
    async seek(to: Position): Promise<void> {
      await close();
      position = to;
      isFirst = to.hash !== '';
      isFound = false;
    },
    /** Moves to after that record, even if it is gone, unless it has another hash. The journal must have reached it. Rejects as `next`. */
    async goBehind(seq: number, hash: string): Promise<Comparison> {
      const found = await findRecord(directory, seq);
      const isThere = found.seq === seq;
      if (isThere && found.hash !== hash) return { hash: found.hash };
      if (found.seq === seq + 1 && found.prev !== hash) return { hash: undefined };
      await close();
      position = { segment: found.segment, bytes: isThere ? found.end : found.start, seq, hash };
      isFirst = false;
      isFound = true;
      return isThere ? 'same' : 'gone';
    },
    /** The position after that record; undefined: it is not there. Rejects with the system's error. */
    async positionOf(seq: number): Promise<Position | undefined> {
      try {
        const found = await findRecord(directory, seq);
        if (found.seq === seq) return { segment: found.segment, bytes: found.end, seq, hash: found.hash };
      } catch (fault) {
        if (!(fault instanceof JournalFault)) throw fault;
      }
      return undefined;
    },
    /** The next batch up to a seq that is on disk; undefined: no more. Rejects with the system's error; the next call tries again. */
    async next(untilSeq: number): Promise<Batch | undefined> {
      if (position.seq > untilSeq) {
        await rewind(`the journal ends with record ${untilSeq}, and ${position.seq} was shipped already`);
      }
      for (;;) {
        if (reader !== undefined && isRead && !(await isBehindRecord(reader))) await close();
        reader ??= await reopen();
        const batch = await scan(untilSeq);
        if (batch !== undefined) return batch;
        if (position.seq >= untilSeq) return undefined;
        const at = reader?.segment.number ?? position.segment;
        const segments = await findSegments(directory);
        const following = segments.find(({ number }) => number > at);
        if (following === undefined) {
          if (reader !== undefined || at < 0 || segments.some(({ number }) => number === at))
            return undefined;
          // An older copy of the journal was put back, or the position is of no journal.
          await rewind(`${segmentName(at)} is not in the journal`);
          continue;
        }
        // Another segment has begun, so this one gets no more records; but some may have come since the read.
        const rest = await scan(untilSeq);
        if (rest !== undefined) return rest;
        const opened = await openSegmentReader(directory, following);
        // Retired just now: the directory is read again.
        if (opened === undefined) continue;
        await close();
        reader = opened;
      }
    },
    /** Closes the file; only `seek` may follow. */
    close,
  };

  async function close(): Promise<void> {
    const old = reader;
    reader = undefined;
    isRead = false;
    await old?.close();
  }

  async function rewind(text: string): Promise<void> {
    await close();
    position = beginning;
    isFirst = false;
    isFound = false;
    tell({ kind: 'not-continued', text });
  }

  /** Opens the segment of the position, which must contain the record before it; undefined: it is gone. */
  async function reopen(): Promise<SegmentReader | undefined> {
    const segment = (await findSegments(directory)).find(({ number }) => number === position.segment);
    const opened = segment === undefined ? undefined : await openSegmentReader(directory, segment);
    if (opened === undefined) return undefined;
    if (isFound) {
      isFound = false;
      return opened;
    }
    if (await isBehindRecord(opened)) {
      isFirst = false;
      return opened;
    }
    await opened.close();
    await rewind(`record ${position.seq}, which was shipped, is not in ${segmentName(position.segment)}`);
    return undefined;
  }

  async function isBehindRecord(from: SegmentReader): Promise<boolean> {
    const end = Buffer.from(`${position.hash}"}\n`);
    const at = position.bytes - end.length;
    return at >= 0 && (await readOf(from, at, end.length)).equals(end);
  }

  /** The whole lines after the position in the open segment. */
  async function scan(untilSeq: number): Promise<Batch | undefined> {
    if (reader === undefined) return undefined;
    const { number } = reader.segment;
    let damagedAt: number | undefined;
    for (let at = number === position.segment ? position.bytes : 0; ; ) {
      const bytes = await readOf(reader, at, most.bytes);
      const lines: Batch['lines'][number][] = [];
      let start = 0;
      let textAt = 0;
      const upTo = (end: number): Batch => ({ lines, text: bytes.subarray(textAt, end), position });
      for (;;) {
        const lf = bytes.indexOf(0x0a, start);
        if (lf < 0) break;
        const line = bytes.subarray(start, lf);
        const claim = readClaim(line);
        // A batch has no damaged line: the next one begins after it.
        if (lines.length > 0 && (claim === undefined || claim.seq > untilSeq)) return upTo(start);
        if (claim === undefined) damagedAt ??= at + start;
        else if (claim.seq > untilSeq) return undefined;
        else {
          if (isFirst && !isContinued(claim)) {
            await rewind(`record ${claim.seq} does not follow record ${position.seq}, which was shipped`);
            return undefined;
          }
          isFirst = false;
          if (damagedAt !== undefined) {
            tellDamaged(claim.seq, `${segmentName(number)}, byte ${damagedAt}: this is not a record`);
          }
          damagedAt = undefined;
          tellMissing(claim.seq);
          position = { segment: number, bytes: at + lf + 1, seq: claim.seq, hash: claim.hash };
          isRead = !reader.segment.isCompressed;
          if (lines.length === 0) textAt = start;
          lines.push({ seq: claim.seq, bytes: line });
          if (lines.length >= most.lines) return upTo(lf + 1);
        }
        start = lf + 1;
      }
      if (lines.length > 0) return upTo(start);
      if (bytes.length < most.bytes) return undefined;
      // Only damage so far; a piece without any line end is skipped as a whole.
      if (start === 0) damagedAt ??= at;
      at += start === 0 ? bytes.length : start;
    }
  }

  /** The same place in the chain, or further on if segments are missing. */
  function isContinued({ seq, prev }: { readonly seq: number; readonly prev: string }): boolean {
    return seq > position.seq + 1 || (seq === position.seq + 1 && prev === position.hash);
  }

  async function readOf(from: SegmentReader, at: number, bytes: number): Promise<Buffer> {
    try {
      return await from.read(at, bytes);
    } catch (error) {
      if (!from.segment.isCompressed) throw error;
      tellDamaged(position.seq + 1, `${from.segment.name}.gz cannot be read further: ${String(error)}`);
      return Buffer.alloc(0);
    }
  }

  /** `seq`: the record after the damage. */
  function tellDamaged(seq: number, text: string): void {
    if (seq > toldDamageSeq) tell({ kind: 'damaged', text });
    toldDamageSeq = Math.max(toldDamageSeq, seq);
  }

  function tellMissing(seq: number): void {
    const from = position.seq + 1;
    const to = seq - 1;
    const isTold = from >= toldMissing.from && to <= toldMissing.to;
    if (position.hash === '' || seq <= from || isTold) return;
    toldMissing = { from, to };
    tell({ kind: 'missing', from, to });
  }
}
