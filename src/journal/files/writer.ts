// Writes the records of the ring to disk and carries out the main thread's orders, synchronously, in a thread that may block. After a
// failure nothing is written to that segment again: the kernel may have dropped its pages, so `heal` writes what is after the mark to a new
// one.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { JournalFault } from '../../host/ports/faults.js';
import { parseLine } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import { publicKeyName } from '../../rules/keys/sign-key.js';
import { encodeBody, encodeRecord, lineBytesMax } from '../records/encode.js';
import { journalFormat, Ledger, namesOfOpen, sealBytesMax } from '../records/ledger.js';
import { type AuditRecord, asTimeMs, type JournalRecord, type OwnRecord } from '../records/record.js';
import { findUnreported, joinAside, nameReported, putForeignAside } from './aside.js';
import { firstSeqIn, firstTimeIn, missingBetween } from './chain.js';
import type { BellReport, Found, Mark, Order, Report, WriterOptions, Written } from './handover.js';
import type { Retired } from './keeper.js';
import { keepRunEnd, keptLocksName, noRing, setBackRunEnd } from './kept-end.js';
import { doubtOf, LiveAccess, readLiveAccess, readWritten } from './live-access.js';
import { DirectoryLock } from './lock.js';
import { OpenSegment } from './open-segment.js';
import { forgetPolicies, keepPolicyText, policiesName, type UsedPolicies } from './past-policies.js';
import {
  cutAfterMark,
  findTail,
  foundKeys,
  keepCheckpointFile,
  putTornAside,
  type Tail,
  tailOfGone,
  unsyncedBytesMax,
  writeCheckpointFile,
} from './recover.js';
import type { Frame, RingReader } from './ring.js';
import { type Lack, type LeftRing, lackBefore, readLeftRing } from './ring-file.js';
import { followRunEnd, readRunEnd } from './run-end.js';
import { RunRing } from './run-ring.js';
import {
  isDenied,
  listSegments,
  makeDirectory,
  makeInner,
  readIn,
  segmentName,
  shareFiles,
  sharesName,
  writeWhole,
} from './segments.js';

/** Between two runs, a clock that went back by more is recorded; one that went ahead by more is not trusted. */
const clockBackMsMin = 1000;
const clockAheadMsMin = 7 * 86_400_000;

/** The most records that an interrupted first start can have written before its first checkpoint was beside them. */
const unvouchedSeqMax = 2;

/** Bytes of one write; more than the longest line. */
const linesBytesMax = 256 * 1024;
/** A segment is closed after this time, however few records it has. */
const segmentAgeMs = 24 * 3_600_000;
/** The interval after which a sync checks for a removed segment or lock. */
const lookIntervalMs = 100;

export type Writer = ReturnType<typeof createWriter>;

/** Names all files if the policies changed and no file did: the kept copy is newer than the last run (a crash during a reload). */
function whatChanged(
  { policies, files }: WriterOptions,
  was: string | undefined,
): readonly string[] | undefined {
  const named = files?.changed.length === 0 && policies !== was ? files.all : files?.changed;
  return named?.length === 0 ? undefined : named;
}

export function createWriter(options: WriterOptions, journal: string) {
  const { directory, stateDirectory, groupId, segmentBytes, program, catalog, signKey } = options;
  const { reserveBytes, plainBytesMax: segmentMax = bounds.plainSegmentBytes } = options;
  const ledger = new Ledger(program, signKey, journal);
  const out = new OpenSegment(directory, reserveBytes);
  const lock = new DirectoryLock(directory);
  let access = new LiveAccess();
  let ring: RingReader | undefined;
  const runRing = new RunRing(options);
  /** State of the ring: the position up to which it was written, its records so far, and the damaged stretches among them. */
  let position = 0;
  let records = 0;
  let lost = 0;
  const lines = Buffer.allocUnsafeSlow(linesBytesMax);
  let lineBytes = 0;
  let checkpointLine: string | undefined;
  let hasLedger = false;
  /** After a failure or the stop, only `open` or `heal` may follow. */
  let isBroken = false;
  let isUnsynced = false;
  let unsyncedBytes = 0;
  let lookedMs = -Infinity;
  let segmentMs = 0;
  /** Bytes of the heads in the open segment, which do not count for its size. */
  let carriedBytes = 0;
  /** The first record of a journal whose beginning was removed, once a start has reported that. */
  let reportedSeq = 0;
  /** The last record that retention left and that is missing in the directory. */
  let missingSeq: number | undefined;
  let keptLine: string | undefined;

  return {
    /** Never throws: a failure is a report. */
    carryOut(order: Order): Report {
      for (;;) {
        try {
          const report = perform(order);
          if (!('mark' in report)) return report;
          settle();
          // Not before the whole order is on disk: healing would cut off the records that the checkpoint covers. The checkpoint of an order
          // without a sync waits for the next flush, which also reports it to the main thread.
          if (order.do !== 'stop') publish();
          return report;
        } catch (error) {
          // The next attempt needs space for a new segment. Opening has no second attempt: its state so far is that of a crash.
          const report = failed(error);
          if (out.release(error) && order.do === 'open') continue;
          return report;
        }
      }
    },

    attach(reader: RingReader): void {
      ring = reader;
    },

    /** Writes records up to `head`, at the main thread's `nowMs`. A mark if nothing else is new; undefined: nothing to do. Never throws. */
    flush(head: number, nowMs: number): Mark | BellReport | undefined {
      if (isBroken) return undefined;
      try {
        const { stepsMs } = ledger;
        consume(head);
        if (!isUnsynced) return undefined;
        const isLook = nowMs - lookedMs >= lookIntervalMs;
        if (isLook) lookedMs = nowMs;
        // A start trusts a step of the clock by its signature.
        const mark = ledger.stepsMs === stepsMs ? sync(isLook) : checkpoint(ledger.timeMs, {});
        settle();
        const { isReserveUsed } = out;
        if (checkpointLine === undefined && !isReserveUsed) return mark;
        const report = { kind: 'written', ...written(mark) } as const;
        publish();
        return report;
      } catch (error) {
        const report = failed(error);
        out.release(error);
        return report;
      }
    },
  };

  function settle(): void {
    ledger.settle();
    access.settle();
  }

  function failed(error: unknown): Report & { readonly kind: 'failed' } {
    isBroken = true;
    lineBytes = 0;
    checkpointLine = undefined;
    return error instanceof JournalFault
      ? { kind: 'failed', code: error.code, message: error.message }
      : { kind: 'failed', code: isDenied(error) ? 'no-rights' : 'write-failed', message: String(error) };
  }

  function perform(order: Order): Report {
    if (order.do === 'open') return needLock(order.lock) ?? open(order.wallMs);
    if (order.do === 'heal') return needLock(order.lock) ?? heal(order);
    if (order.do === 'attach') {
      // A later thread does not hold the lock yet, and the note may be another daemon's.
      if (!runRing.attach(order.ring) && lock.isHeld) {
        runRing.giveUp();
        if (keptLine !== undefined) keepEnd(keptLine, false);
      }
      return { kind: 'kept' };
    }
    if (isBroken) throw new JournalFault('write-failed', 'the journal has failed');
    consume(order.behind);
    switch (order.do) {
      case 'checkpoint':
        return { kind: 'written', ...written(checkpoint(order.wallMs, {})) };
      case 'look':
        return { kind: 'written', ...written(lookForMissing(sync())) };
      case 'limit':
        out.setFull(order.isFull);
        return { kind: 'kept' };
      case 'retire':
        return { kind: 'written', ...written(retire(order.segments, order.policies, order.wallMs)) };
      case 'keep-policy':
        keepPolicy(order.version, order.text);
        return { kind: 'kept' };
      case 'stop': {
        write([encodeBody({ time: order.wallMs, event: 'stop' })]);
        const told = written(checkpoint(order.wallMs, { action: 'stop' }));
        publish();
        out.close();
        if (order.shares !== undefined) keepShares(order.shares);
        runRing.leave();
        lock.release();
        // From now on the directory may be another daemon's.
        isBroken = true;
        return { kind: 'stopped', ...told };
      }
      default:
        return order satisfies never;
    }
  }

  /** Seals and writes what the ring holds up to a position. */
  function consume(asked: number): void {
    if (ring === undefined) return;
    // The number that came with the bell may be visible before the frames are; the ring's own word is not.
    const end = Math.min(asked, ring.head ?? asked);
    if (position >= end) return;
    const gaps = ring.walk(position, end, take);
    flushLines();
    lost += gaps;
    records += gaps;
    position = end;
    isUnsynced = true;
  }

  /** The number is noted before the line is written: after a crash a start uses it to find the line. */
  function take(frame: Frame): void {
    makeRoom(frame.body.length + sealBytesMax);
    ring?.stamp(frame.position, ledger.seq + 1);
    seal(frame.body);
    records += 1;
  }

  /** Undefined: the lock is held. Otherwise the descriptor that must be locked first. */
  function needLock(taken: number | undefined): Report | undefined {
    makeDirectory(directory, groupId);
    const descriptor = lock.need(taken);
    return descriptor === undefined ? undefined : { kind: 'lock', descriptor };
  }

  function open(wallMs: number): Report {
    out.close();
    const aside = [findUnreported(directory, 'appended'), putForeignAside(directory, segmentMax)];
    shareFiles(directory, groupId);
    const policies = join(directory, policiesName);
    if (existsSync(policies)) {
      makeInner(policies, groupId);
      aside.push(putForeignAside(policies, segmentMax));
      nameReported(policies);
      shareFiles(policies, groupId);
    }
    const end = readRunEnd(directory, stateDirectory, ledger.signer?.key);
    const { known } = end;
    const followed = followRunEnd(directory, end, segmentMax);
    const { oldestSeq: leftSeq, stopLine, isLost } = followed;
    const appended = joinAside([followed.appended, ...aside]);
    let tail = findTail(directory, known);
    const torn = putTornAside(directory, tail);
    if (torn !== undefined) tail = findTail(directory, known);
    // Files that were moved away may come back, so the new record follows them.
    if (end.isGone && known !== undefined) tail = tailOfGone(tail, known, end.segment);
    const isUnvouched = end.isOther || (known === undefined && tail.seq > unvouchedSeqMax);
    const isRewritten = isLost && tail.segment !== undefined;
    const damage: Found['damage'] =
      tail.damage ?? (isRewritten ? 'rewritten' : isUnvouched ? 'unvouched' : undefined);
    // Numbers are never used twice: the gap stays visible, and so does the checkpoint that proves it.
    if (damage !== undefined) keepCheckpointFile(directory, known, leftSeq ?? 0);
    const seq = damage === 'cut' ? Math.max(tail.seq, known?.seq ?? 0) : tail.seq;
    // The signed oldest record is the one that retention left, whatever is there.
    const oldestSeq = leftSeq ?? tail.oldestSeq;
    const firstSeq = firstSeqIn(directory) ?? 0;
    const isBeginningRemoved = end.isGone || (firstSeq > oldestSeq && firstSeq > end.reportedSeq);
    ({ reportedSeq } = end);
    const names = { journal: tail.journal ?? known?.journal ?? journal, timeMs: tail.timeMs ?? wallMs };
    ledger.resume({ ...tail, ...names, seq, oldestSeq });
    // From now on records may follow it.
    if (stopLine !== undefined) keepEnd(stopLine, true);
    if (isBeginningRemoved) reportedSeq = end.isGone ? seq + 1 : firstSeq;
    hasLedger = true;
    isBroken = false;
    const { segment } = tail;
    access = readLiveAccess(directory, {
      segment: segment?.number,
      hash: tail.hash,
      journal: ledger.journal,
      key: ledger.signer?.key,
      hashInState: end.hashInState,
      doubt: doubtOf(end, tail.key, ledger.signer?.key, damage ?? appended?.file),
      // Without locks the file is an empty list.
      hasKeptLocks:
        stateDirectory !== undefined && readIn(stateDirectory, keptLocksName)?.includes('"lock":') === true,
    });
    /** A lost segment may be put back later: its name is not used again. */
    const lostNumber = damage === 'cut' ? (end.segment ?? 0) : 0;
    const { key } = ledger.signer ?? {};
    const isOtherKey = tail.key !== undefined && key !== undefined && tail.key !== key;
    const keyBefore = isOtherKey ? tail.key : undefined;
    let change: Partial<OwnRecord> = isOtherKey
      ? { action: 'key-change', text: `${tail.key} signed before` }
      : {};
    showKey();
    const isOpen = segment !== undefined && !segment.isCompressed && tail.bytes < segmentBytes;
    if (isOpen && segment.number >= lostNumber) {
      out.open(segment.number, tail.bytes);
      segmentMs = firstTimeIn(directory, segment) ?? ledger.timeMs;
    } else {
      // At the time of the last record, as in `rotate`: a step of the clock since then is looked for below.
      const before = end.isGone && end.segment !== undefined ? segmentName(end.segment) : segment?.name;
      begin(Math.max(tail.nextNumber, lostNumber + 1), before, names.timeMs, change);
      change = {};
      // A start after a crash finds this segment with the end that `state` knows.
      runRing.note = end.ring;
      if (end.isGone) publish();
    }
    // Before an orderly stop the whole ring is written, so a ring found afterwards is foreign.
    const isStopped = stopLine !== undefined || (end.isGone && end.isOrderly);
    const left =
      !isStopped && end.ring !== noRing ? readLeftRing(directory, ledger.journal, end.ring) : undefined;
    const recovered = left === undefined ? { count: 0, lack: undefined } : recover(left, tail);
    access.endRecovery();
    // If the end of the journal was cut off, ends and uses are missing.
    if (recovered.lack !== undefined) access.distrust(recovered.lack.text);
    const aheadMs = tail.timeMs === undefined ? 0 : wallMs - ledger.timeMs;
    if (aheadMs < -clockBackMsMin || aheadMs > clockAheadMsMin) {
      // A long stop and a clock set ahead look the same; for retention the time does not count.
      write([encodeBody({ time: wallMs, event: 'clock', step_ms: aheadMs })]);
      // Locks use the last signed time: an appended line with a future time ends no lock.
      const signedMs = asTimeMs(parseLine(known?.line ?? '')?.['time']);
      if (aheadMs < 0 && signedMs !== undefined) access.pauseLocks(wallMs - signedMs - aheadMs);
    } else access.pauseLocks(Math.max(0, aheadMs));
    // One completion after the other: there may be too many for one message.
    const unknown = [...ledger.open];
    for (const [id, exchange] of unknown) {
      const named = { id, ...namesOfOpen(exchange) };
      const record: JournalRecord = { time: wallMs, event: 'completion', ...named, outcome: 'unknown' };
      write([encodeBody({ ...record, error: 'stopped' })]);
    }
    const identity = {
      journal: ledger.journal,
      format: journalFormat,
      program,
      catalog: catalog || undefined,
      version: options.version,
      policies: options.policies,
      was: ledger.policies,
      args: whatChanged(options, ledger.policies),
      reason: options.reason,
    };
    const ofRing = left?.state === undefined ? recovered.lack : left;
    const before = { recovered: recovered.count || undefined, ring: ofRing?.state, lost: ofRing?.lost };
    const { isGap } = followed;
    const changed = access.isChanged ? 'changed' : undefined;
    const faults = { damage: damage ?? changed, isBeginningRemoved, appended, isGap } as const;
    const start: OwnRecord = { time: wallMs, event: 'start', ...identity, key, torn, ...before };
    write([encodeBody({ ...start, ...foundKeys(faults, tail, known) })]);
    // Before the checkpoint under which the others live on.
    const ended = access.ends(wallMs, Math.max(wallMs, ledger.timeMs));
    write(ended.map((record) => encodeBody(record)));
    access.endOpening();
    const carried = access.carried(wallMs);
    const found = {
      journal: ledger.journal,
      unknown: unknown.length,
      tornBytes: torn?.bytes ?? 0,
      ...faults,
      keyBefore,
      recovered: recovered.count,
      ring: ofRing?.text,
      access: {
        records: access.carried(wallMs, bounds.accessOver),
        ended: ended.length,
        doubt: access.doubt,
        damaged: access.damaged,
        unproven: access.unproven,
      },
    };
    const mark = lookForMissing(carry(wallMs, carried, change));
    nameReported(directory);
    // From here on the note beside the segments counts: `state` must not name a ring that is gone.
    runRing.note = undefined;
    if (checkpointLine !== undefined) keepEnd(checkpointLine, false);
    // Not before all of the old ring is on disk.
    const made = runRing.make(left, ledger.journal);
    return { kind: 'opened', found: { ...found, ringKept: runRing.kept }, ring: made, ...written(mark) };
  }

  /** Writes what segments lack to disk. `lack`: records before them are missing there and in the ring, as with older copies of segments. */
  function recover(left: LeftRing, tail: Tail): { readonly count: number; readonly lack: Lack | undefined } {
    const frames = left.unwritten(tail);
    let lack: Lack | undefined;
    for (const frame of frames) {
      lack ??= lackBefore(frame, ledger.open, tail.seq + frames.length);
      makeRoom(frame.body.length + sealBytesMax);
      left.stamp(frame, ledger.seq + 1);
      seal(frame.body);
    }
    flushLines();
    if (frames.length > 0) sync();
    return { count: frames.length, lack };
  }

  /** On a full disk the previous text stays. */
  function keepShares(text: string): void {
    try {
      writeWhole(directory, sharesName, text);
    } catch {
      // Outdated counts must not fail a stop.
    }
  }

  /** The public half is beside the segments, for verification. */
  function showKey(): void {
    const text = ledger.signer?.publicPem;
    if (text !== undefined && readIn(directory, publicKeyName) !== text)
      writeWhole(directory, publicKeyName, text);
  }

  function write(bodies: readonly string[]): void {
    for (const body of bodies) {
      const bytes = Buffer.from(body);
      makeRoom(bytes.length + sealBytesMax);
      seal(bytes);
    }
    flushLines();
  }

  /** Makes space for one more line: in the buffer, and in the segment or the next one. */
  function makeRoom(bytes: number): void {
    const isTooMuch = isFull(lineBytes + bytes);
    if (isTooMuch || lineBytes + bytes > lines.length) flushLines();
    if (isTooMuch) rotate();
  }

  function seal(body: Buffer): void {
    lineBytes = ledger.sealInto(lines, lineBytes, body);
    access.note(body);
  }

  function flushLines(): void {
    const bytes = lineBytes;
    lineBytes = 0;
    out.write(lines.subarray(0, bytes));
    unsyncedBytes += bytes;
    // After a slow disk a whole ring may be written at once; a start accepts a hole as torn only near the end.
    if (unsyncedBytes > unsyncedBytesMax / 2) sync(false);
  }

  /** A segment exceeds its size by one record rather than staying empty. */
  function isFull(more: number): boolean {
    return out.file.bytes + more > Math.max(segmentBytes, 8192) + carriedBytes;
  }

  /** Everything written so far is on disk when this returns; `isLook`: and the files are still in their place. */
  function sync(isLook = true): Mark {
    const synced = out.sync(isLook);
    if (isLook && !lock.isInPlace) {
      throw new JournalFault('removed', 'the lock file was removed or replaced');
    }
    isUnsynced = false;
    unsyncedBytes = 0;
    if (ring !== undefined) ring.tail = position;
    const { seq, hash, stepsMs, oldestSeq, timeMs, openSeq } = ledger;
    return { ...synced, seq, hash, stepsMs, oldestSeq, timeMs, openSeq, position, records, lost };
  }

  /** Call once, at the end of an order: observers are notified of a used reserve. */
  function written(mark: Mark): Written {
    return { mark, checkpoint: checkpointLine, isReserveUsed: out.takeReserveUsed(), missingSeq };
  }

  /** Checks for segments that were removed or put back. */
  function lookForMissing(mark: Mark): Mark {
    const firstSeq = firstSeqIn(directory) ?? 0;
    const beforeFirst = firstSeq > ledger.oldestSeq ? firstSeq - 1 : 0;
    const lastSeq = Math.max(beforeFirst, missingBetween(directory, listSegments(directory)) ?? 0);
    missingSeq = lastSeq === 0 ? undefined : lastSeq;
    return mark;
  }

  /** The last checkpoint of the order under way goes to the checkpoint file. */
  function publish(): void {
    if (checkpointLine !== undefined) {
      writeCheckpointFile(directory, checkpointLine);
      keepEnd(checkpointLine, false);
    }
    checkpointLine = undefined;
  }

  /** A copy of the last checkpoint in a place to which writers of the journal's directory need not have access. */
  function keepEnd(line: string, hasBegun: boolean): void {
    keptLine = line;
    if (stateDirectory === undefined) return;
    const segment = out.number;
    keepRunEnd(stateDirectory, line, { directory, hasBegun, reportedSeq, ring: runRing.note, segment });
  }

  function checkpoint(wallMs: number, more: Partial<OwnRecord>): Mark {
    // Retention removes whole segments: with few records, the first of an open one would be kept for months.
    if (isFull(1024) || ledger.timeMs - segmentMs >= segmentAgeMs) rotate();
    const line = ledger.sealSigned({ ...ledger.checkpoint(wallMs), ...more });
    out.write(Buffer.from(line));
    const mark = sync();
    checkpointLine = line.trimEnd();
    return mark;
  }

  /** A checkpoint, and after it the live access: a head. All of it is in one segment. */
  function carry(wallMs: number, carried: readonly AuditRecord[], more: Partial<OwnRecord>): Mark {
    const bodies = carried.flatMap((record) => encodeRecord(record));
    const mark = checkpoint(wallMs, { ...more, carries: bodies.length });
    if (bodies.length === 0) return mark;
    const from = out.file.bytes;
    for (const each of bodies) {
      const body = Buffer.from(each);
      if (lineBytes + body.length + sealBytesMax > lines.length) flushLines();
      lineBytes = ledger.sealInto(lines, lineBytes, body);
    }
    flushLines();
    carriedBytes += out.file.bytes - from + lineBytesMax;
    return checkpoint(wallMs, {});
  }

  function rotate(): void {
    const { number, name } = out.file;
    sync();
    out.close();
    // With the time of the last record: the clock may have leapt since, and a later record shows that.
    begin(number + 1, name, ledger.timeMs, {});
  }

  function keepPolicy(version: string, text: string): void {
    for (;;) {
      try {
        keepPolicyText(directory, groupId, version, text);
        return;
      } catch (error) {
        if (!out.release(error)) throw error;
      }
    }
  }

  /** A new segment; its first record names the previous one. Synced, so that the mark is never in an older segment. */
  function begin(number: number, before: string | undefined, wallMs: number, more: Partial<OwnRecord>): void {
    out.open(number, 0);
    segmentMs = wallMs;
    carriedBytes = 0;
    // The first record of a whole journal is the start record, which has all of this anyway.
    if (before === undefined && ledger.seq === 0) return;
    carry(wallMs, access.carried(wallMs), { ...ledger.beginSegment(before), ...more });
  }

  function heal(order: Order & { readonly do: 'heal' }): Report {
    const target = order.mark;
    out.leave(target);
    out.setFull(order.isFull);
    // Before the cut: a start after a crash continues from here.
    if (ring !== undefined) ring.tail = target.position;
    // The next start reports it.
    putForeignAside(directory, segmentMax);
    cutAfterMark(directory, target);
    if (stateDirectory !== undefined) setBackRunEnd(stateDirectory, directory, target.seq);
    // A completion after the mark must be written again: until then a restart must find its admission.
    const tail = hasLedger ? undefined : findTail(directory);
    const left = tail?.open ?? ledger.openAt(target.seq);
    if (hasLedger) access.setBack();
    else access = readWritten(directory, target.segment);
    ledger.resume({
      ...target,
      journal: order.journal,
      version: tail?.version,
      policies: tail?.policies,
      open: left,
    });
    hasLedger = true;
    isBroken = false;
    position = target.position;
    records = target.records;
    lost = target.lost;
    let count = 0;
    ring?.walk(position, order.behind, () => {
      count += 1;
    });
    const last = listSegments(directory).at(-1)?.number ?? 0;
    const number = Math.max(last, target.segment) + 1;
    const more = { action: 'recover', count, lost: order.lost };
    // With the time of the last record, as in `rotate`: the record of a leap since then is in the ring or comes later.
    begin(number, segmentName(target.segment), ledger.timeMs, more);
    consume(order.behind);
    const mark = lookForMissing(sync());
    runRing.keep(ledger.journal);
    return { kind: 'written', ...written(mark) };
  }

  /** All removals are recorded, on disk, before the first one. */
  function retire(segments: readonly Retired[], policies: UsedPolicies, wallMs: number): Mark {
    for (const { name, number, lastHash, nextSeq, why, endWallMs } of segments) {
      // A segment that is being written, or must be read again, is never closed.
      if (number >= out.file.number || nextSeq > ledger.openSeq) continue;
      // Recorded before, and not removed since.
      if (nextSeq <= ledger.oldestSeq) continue;
      const place = { segment: name, segment_hash: lastHash, oldest_seq: nextSeq };
      const cause = { action: why, until: formatTime(endWallMs) };
      out.write(Buffer.from(ledger.sealSigned({ time: wallMs, event: 'retire', ...place, ...cause })));
      ledger.oldestSeq = nextSeq;
    }
    const mark = checkpoint(wallMs, {});
    try {
      forgetPolicies(directory, policies, ledger.oldestSeq);
    } catch {
      // The next round of retention removes them.
    }
    return mark;
  }
}
