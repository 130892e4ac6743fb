// Carries out the orders of the main thread: the one place where records reach the disk, synchronously, in a thread that
// may block. The time comes with each order.
// The rule: after any failure nothing is written to that segment again. The kernel may have dropped its pages, so what lies
// after the mark is cut off and written once more to a new segment, by the order `heal`.

import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { encodeBody } from '../../domain/audit/encode.js';
import { journalFormat, Ledger, sealBytesMax } from '../../domain/audit/ledger.js';
import { formatTime, type JournalRecord, type OwnRecord } from '../../domain/audit/record.js';
import { JournalFault } from '../../ports/faults.js';
import type { Found, Mark, MessageOrder, Order, Report, WriterOptions, Written } from './handover.js';
import type { Retired } from './keeper.js';
import { OpenSegment } from './open-segment.js';
import {
  cutAfterMark,
  findTail,
  keepCheckpointFile,
  putTornAside,
  readCheckpointFile,
  writeCheckpointFile,
} from './recover.js';
import {
  type Held,
  holdFile,
  isSameFile,
  listSegments,
  lockName,
  makeDirectory,
  openLock,
  publicKeyName,
  readIn,
  segmentName,
  shareFiles,
  writeWhole,
} from './segments.js';

/** A clock that went back further than this between two runs is recorded; one that went ahead by more is not trusted. */
const clockBackMsMin = 1000;
const clockAheadMsMin = 7 * 86_400_000;

/** A first start that was broken off has written so many records before its first checkpoint lay beside them. */
const unvouchedSeqMax = 2;

/** The folder beside the segments with the texts of policies. */
const policiesName = 'policies';

/** Written at once, at most; more than the longest line. */
const linesBytesMax = 256 * 1024;
const lf = 0x0a;

export type Writer = ReturnType<typeof createWriter>;

/** `journal`: the id that a new journal gets. */
export function createWriter(options: WriterOptions, journal: string) {
  const { directory, groupId, segmentBytes, program, catalog, signKey, reserveBytes } = options;
  const ledger = new Ledger(program, signKey, journal);
  const out = new OpenSegment(directory, reserveBytes);
  let lock: Held | undefined;
  let candidate: Held | undefined;
  /** Sealed lines on their way to the file. */
  const lines = Buffer.allocUnsafeSlow(linesBytesMax);
  /** The last one of the order under way. */
  let checkpointLine: string | undefined;
  let hasLedger = false;

  return {
    /** Never throws: what goes wrong is a report. */
    carryOut(order: Order): Report {
      checkpointLine = undefined;
      for (;;) {
        try {
          const report = perform(order);
          if ('mark' in report && report.mark !== undefined) ledger.settle();
          // Not before all of the order is on disk: healing would cut off what it vouches for.
          if (order.do !== 'stop') publish();
          return report;
        } catch (error) {
          out.close();
          // The next attempt shall find room for what a new segment needs. Who opens has only this one: what it did so far is
          // what a crash would have left.
          if (out.release(error) && order.do === 'open') continue;
          if (error instanceof JournalFault)
            return { kind: 'failed', code: error.code, message: error.message };
          return { kind: 'failed', code: 'write-failed', message: String(error) };
        }
      }
    },
  };

  function perform(order: Order): Report {
    switch (order.do) {
      case 'open':
        return needLock(order.lock) ?? open(order.wallMs);
      case 'heal':
        return needLock(order.lock) ?? heal(order);
      case 'write': {
        writeLines(order.text);
        // A checkpoint that is told must not be cut off later: behind a rotation all is synced.
        const isSynced = order.sync || checkpointLine !== undefined;
        return { kind: 'written', ...written(isSynced ? sync() : undefined) };
      }
      case 'checkpoint':
        return { kind: 'written', ...written(checkpoint(order.wallMs, {})) };
      case 'limit':
        out.setFull(order.isFull);
        return { kind: 'kept' };
      case 'retire':
        return { kind: 'written', ...written(retire(order.segments, order.wallMs)) };
      case 'keep-policy':
        keepPolicy(order.version, order.text);
        return { kind: 'kept' };
      case 'stop': {
        write([encodeBody({ time: order.wallMs, event: 'stop' })]);
        const last = checkpoint(order.wallMs, {});
        publish();
        out.close();
        if (lock !== undefined) closeSync(lock.descriptor);
        lock = undefined;
        return { kind: 'stopped', ...written(last) };
      }
      default:
        return order satisfies never;
    }
  }

  /** Undefined: the lock is held, and on the file that stands there now. Else the descriptor that must be locked first. */
  function needLock(taken: number | undefined): Report | undefined {
    makeDirectory(directory, groupId);
    const path = join(directory, lockName);
    if (taken !== undefined && taken === candidate?.descriptor) {
      if (lock !== undefined) closeSync(lock.descriptor);
      lock = candidate;
      candidate = undefined;
    }
    if (lock !== undefined && isSameFile(path, lock)) return undefined;
    if (candidate !== undefined && !isSameFile(path, candidate)) {
      closeSync(candidate.descriptor);
      candidate = undefined;
    }
    candidate ??= holdFile(openLock(directory));
    return { kind: 'lock', descriptor: candidate.descriptor };
  }

  function open(wallMs: number): Report {
    shareFiles(directory, groupId);
    const policies = join(directory, policiesName);
    if (existsSync(policies)) {
      makeDirectory(policies, groupId);
      shareFiles(policies, groupId);
    }
    const vouched = readCheckpointFile(directory);
    let tail = findTail(directory, vouched);
    const torn = putTornAside(directory, tail);
    if (torn !== undefined) tail = findTail(directory, vouched);
    const isUnvouched = vouched === undefined && tail.seq > unvouchedSeqMax;
    const damage: Found['damage'] = tail.damage ?? (isUnvouched ? 'unvouched' : undefined);
    // A number that was given once is never given again: the gap stays to be seen, and so does the checkpoint that tells.
    if (damage !== undefined) keepCheckpointFile(directory);
    const seq = damage === 'cut' ? Math.max(tail.seq, vouched?.seq ?? 0) : tail.seq;
    const known = { journal: tail.journal ?? vouched?.journal ?? journal, timeMs: tail.timeMs ?? wallMs };
    ledger.resume({ ...tail, ...known, seq });
    hasLedger = true;
    const { segment } = tail;
    const { key } = ledger.signer ?? {};
    const isOtherKey = tail.key !== undefined && key !== undefined && tail.key !== key;
    const keyBefore = isOtherKey ? tail.key : undefined;
    let change: Partial<OwnRecord> = isOtherKey
      ? { action: 'key-change', text: `${tail.key} signed before` }
      : {};
    showKey();
    if (segment !== undefined && !segment.isCompressed && tail.bytes < segmentBytes) {
      out.open(segment.number, tail.bytes);
    } else {
      begin(tail.nextNumber, segment?.name, wallMs, change);
      change = {};
    }
    const aheadMs = tail.timeMs === undefined ? 0 : wallMs - tail.timeMs;
    if (aheadMs < -clockBackMsMin || aheadMs > clockAheadMsMin) {
      // Nobody can tell a long stop from a clock that was set ahead; for retention it was no time at all.
      write([encodeBody({ time: wallMs, event: 'clock', step_ms: aheadMs })]);
    }
    // One completion after the other: there may be more of them than a message should hold.
    const unknown = [...ledger.open];
    for (const [id, { session }] of unknown) {
      const record: JournalRecord = { time: wallMs, event: 'completion', session, id, outcome: 'unknown' };
      write([encodeBody({ ...record, error: 'stopped' })]);
    }
    const names = { journal: ledger.journal, format: journalFormat, program, catalog: catalog || undefined };
    const error = damage === undefined ? undefined : `journal-${damage}`;
    write([encodeBody({ time: wallMs, event: 'start', ...names, key, torn, error })]);
    const ends = { unknown: unknown.length, tornBytes: torn?.bytes ?? 0, damage };
    const found = { journal: ledger.journal, ...ends, keyBefore };
    return { kind: 'opened', found, ...written(checkpoint(wallMs, change)) };
  }

  /** The public half lies beside the segments, for those who verify. */
  function showKey(): void {
    const text = ledger.signer?.publicPem;
    if (text !== undefined && readIn(directory, publicKeyName) !== text)
      writeWhole(directory, publicKeyName, text);
  }

  function write(bodies: readonly string[]): void {
    if (bodies.length > 0) writeLines(Buffer.from(`${bodies.join('\n')}\n`));
  }

  /** Bodies with an LF behind each: sealed, and written as one where they fit into one buffer and one segment. */
  function writeLines(text: Buffer): void {
    let lineBytes = 0;
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf(lf, at);
      const more = end - at + sealBytesMax;
      const isTooMuch = isFull(lineBytes + more);
      if (isTooMuch || lineBytes + more > lines.length) {
        out.write(lines.subarray(0, lineBytes));
        lineBytes = 0;
      }
      if (isTooMuch) rotate();
      lineBytes = ledger.sealInto(lines, lineBytes, text.subarray(at, end));
      at = end + 1;
    }
    out.write(lines.subarray(0, lineBytes));
  }

  /** A segment takes one record more than it should rather than none at all. */
  function isFull(more: number): boolean {
    return out.file.bytes + more > Math.max(segmentBytes, 8192);
  }

  /** Everything written so far is on disk, in files that are still in their place, when this returns. */
  function sync(): Mark {
    const synced = out.sync();
    if (lock === undefined || !isSameFile(join(directory, lockName), lock)) {
      throw new JournalFault('removed', 'the lock file was removed or replaced');
    }
    const { seq, hash, stepsMs, oldestSeq, timeMs, openSeq } = ledger;
    return { ...synced, seq, hash, stepsMs, oldestSeq, timeMs, openSeq };
  }

  /** Once, at the end of an order: whoever watches is told of the reserve that it took. */
  function written<Reached extends Mark | undefined>(mark: Reached): Written & { readonly mark: Reached } {
    return { mark, checkpoint: checkpointLine, isReserveUsed: out.takeReserveUsed() };
  }

  /** The last checkpoint of the order under way goes to the checkpoint file. */
  function publish(): void {
    if (checkpointLine !== undefined) writeCheckpointFile(directory, checkpointLine);
  }

  /** A checkpoint, on disk in the segment. */
  function checkpoint(wallMs: number, more: Partial<OwnRecord>): Mark {
    if (isFull(1024)) rotate();
    const line = ledger.sealSigned({ ...ledger.checkpoint(wallMs), ...more });
    out.write(Buffer.from(line));
    const mark = sync();
    checkpointLine = line.trimEnd();
    return mark;
  }

  function rotate(): void {
    const { number, name } = out.file;
    sync();
    out.close();
    // At the time of the last record: the clock may have leapt since, and what tells of it comes with a later record.
    begin(number + 1, name, ledger.timeMs, {});
  }

  /** What lies there already was synced when it was made, and a full disk has no room for it twice. */
  function keepPolicy(version: string, text: string): void {
    const place = join(directory, policiesName);
    makeDirectory(place, groupId);
    for (;;) {
      try {
        if (readIn(place, `${version}.yaml`) !== text) writeWhole(place, `${version}.yaml`, text);
        return;
      } catch (error) {
        if (!out.release(error)) throw error;
      }
    }
  }

  /** A new segment; its first record names the one before. Synced, so that the mark never lies in an older segment. */
  function begin(number: number, before: string | undefined, wallMs: number, more: Partial<OwnRecord>): void {
    out.open(number, 0);
    // The first record of a whole journal is the start record, which has all of this anyway.
    if (before === undefined && ledger.seq === 0) return;
    const place = { segment: before, segment_hash: ledger.hash };
    const restart = { open_seq: ledger.openSeq, steps_ms: ledger.stepsMs };
    checkpoint(wallMs, { ...place, ...restart, ...more });
  }

  function heal(order: MessageOrder & { readonly do: 'heal' }): Report {
    out.close();
    out.setFull(order.isFull);
    const target = order.mark;
    cutAfterMark(directory, target);
    // A completion behind the mark is yet to be written: until then a restart must find its admission.
    const left = hasLedger ? ledger.openAt(target.seq) : findTail(directory).open;
    ledger.resume({ ...target, journal: order.journal, open: left });
    hasLedger = true;
    const last = listSegments(directory).at(-1)?.number ?? 0;
    const number = Math.max(last, target.segment) + 1;
    const more = { action: 'recover', count: order.bodies.length, lost: order.lost };
    // At the time of the last record, as in `rotate`: the clock may have leapt while the journal was failed, and the record of
    // that step is among the bodies or comes later. Retention takes ages from here, and a start compares the clock with it.
    begin(number, segmentName(target.segment), ledger.timeMs, more);
    write(order.bodies);
    return { kind: 'written', ...written(sync()) };
  }

  /** All are told, on disk, before the first one goes. */
  function retire(segments: readonly Retired[], wallMs: number): Mark {
    for (const { name, number, lastHash, nextSeq, why, endWallMs } of segments) {
      // What is written to or must be read again is not closed, whatever somebody thought of it.
      if (number >= out.file.number || nextSeq > ledger.openSeq) continue;
      const place = { segment: name, segment_hash: lastHash, oldest_seq: nextSeq };
      const cause = { action: why, until: formatTime(endWallMs) };
      out.write(Buffer.from(ledger.sealSigned({ time: wallMs, event: 'retire', ...place, ...cause })));
      ledger.oldestSeq = nextSeq;
    }
    return checkpoint(wallMs, {});
  }
}
