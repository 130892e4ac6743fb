// Finds the end of a journal: the last whole record, the torn tail after it, the open exchanges; cuts off torn tails and owns
// the checkpoint file. Only bytes after the last whole record are torn, and they are copied to a file before the cut; damage
// before it stays, for `verify` to find.

import { fsyncSync, ftruncateSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { JournalFault } from '../../host/ports/faults.js';
import { asCount, asText, parseLine } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import type { TornTail } from '../records/keys.js';
import {
  genesisHash,
  journalFormat,
  noteExchange,
  type OpenExchanges,
  readClaim,
  readLink,
  readNext,
} from '../records/ledger.js';
import { asDistanceMs, asTimeMs, type OwnRecord, readHead } from '../records/record.js';
import { findUnreported, putEndAside } from './aside.js';
import { readSegment, scanFrom } from './chain.js';
import type { Found, Mark } from './handover.js';
import { type KnownEnd, readEndLine } from './kept-end.js';
import {
  checkpointName,
  isSameFile,
  listKeptCheckpoints,
  listSegments,
  openSegment,
  readIn,
  removeSegment,
  type Segment,
  segmentName,
  seqOfKept,
  withFile,
  writeWhole,
} from './segments.js';
import type { RawLine } from './trail.js';

export interface Tail {
  /** The segment with the last whole record; undefined: there is none. */
  readonly segment: Segment | undefined;
  /** Its bytes up to there, and its whole size: the rest is torn. */
  readonly bytes: number;
  readonly fileBytes: number;
  /** Younger segments without one whole record: empty, or all torn. */
  readonly void: readonly Segment[];
  readonly nextNumber: number;
  /** Seq of the last record; 0 and the genesis hash for an empty journal. */
  readonly seq: number;
  readonly hash: string;
  /** Milliseconds since 1970 of the last record; undefined: there is none. */
  readonly timeMs: number | undefined;
  /** The journal's id; undefined: no record that was read has it. */
  readonly journal: string | undefined;
  /** The public key of signatures from the last checkpoint on; undefined: it is not signed. */
  readonly key: string | undefined;
  readonly stepsMs: number;
  /** Hash of the configuration that the last start or reload took; undefined: no record that was read has it. */
  readonly version: string | undefined;
  readonly policies: string | undefined;
  /** The oldest record that retention left, according to the last checkpoint. */
  readonly oldestSeq: number;
  /** `cut`: the checkpoint beside the segments names a later record. `rewritten`: that record differs here. */
  readonly damage: 'cut' | 'rewritten' | undefined;
  readonly open: OpenExchanges;
}

/** The record in the checkpoint file: it was certainly on disk. */
export interface KnownRecord {
  readonly seq: number;
  readonly hash: string;
  /** The key that signed it; undefined: it is not signed. */
  readonly key?: string | undefined;
}

/** A hole (unsynced bytes read as NUL) counts as torn only this near to the end: the most that can be unsynced. */
export const unsyncedBytesMax = 4 << 20;

/** Throws a JournalFault: `newer-format`, or `unreadable`. */
export function findTail(directory: string, known?: KnownRecord): Tail {
  const segments = listSegments(directory);
  const nextNumber = (segments.at(-1)?.number ?? 0) + 1;
  const empty: Segment[] = [];
  for (const segment of segments.toReversed()) {
    const start = { ...nothing, known };
    const end = readEnd(directory, segment, start);
    if (end.bytes === 0) {
      if (!segment.isCompressed) empty.push(segment);
      continue;
    }
    const open = readOpen(directory, segments, segment, end);
    const damage = end.damage ?? (known !== undefined && known.seq > end.seq ? 'cut' : undefined);
    return { ...end, damage, segment, void: empty, nextNumber, open };
  }
  const damage = known === undefined ? undefined : 'cut';
  return { ...nothing, damage, segment: undefined, void: empty, nextNumber, open: new Map() };
}

type End = Omit<Tail, 'segment' | 'void' | 'nextNumber' | 'open'> & {
  /** The oldest record that recovery must read, according to the segment's first record. */
  readonly openSeq: number | undefined;
  readonly known: KnownRecord | undefined;
};

const nothing: End = {
  bytes: 0,
  fileBytes: 0,
  seq: 0,
  hash: genesisHash,
  timeMs: undefined,
  journal: undefined,
  key: undefined,
  stepsMs: 0,
  version: undefined,
  policies: undefined,
  oldestSeq: 1,
  damage: undefined,
  openSeq: undefined,
  known: undefined,
};

/** Stands for the tail of a journal whose files are gone: the end that `state` knows, in a segment of that number. */
export function tailOfGone(tail: Tail, known: KnownEnd, segment = 0): Tail {
  const { time, steps_ms: stepsMs } = parseLine(known.line) ?? {};
  return {
    ...tail,
    seq: known.seq,
    hash: known.hash,
    timeMs: asTimeMs(time),
    journal: known.journal,
    version: known.version,
    policies: known.policies,
    key: known.nextKey ?? known.key,
    stepsMs: asDistanceMs(stepsMs) ?? 0,
    damage: undefined,
    nextNumber: segment + 1,
  };
}

/** Calls `take` for every line of a plain segment from `from` on, until it returns false. Returns the bytes of the file. */
function scan(directory: string, name: string, from: number, take: (line: RawLine) => boolean): number {
  return readSegment(directory, { number: 0, name, isCompressed: false }, from, take);
}

function readEnd(directory: string, segment: Segment, start: End): End {
  let end = start;
  let beforeHole: End | undefined;
  const { isCompressed } = segment;
  const take = ({ bytes, end: endsAt, isWhole }: RawLine): boolean => {
    const next = isWhole ? follow(end, bytes, endsAt) : undefined;
    if (next !== undefined) end = next;
    else if (!isCompressed && bytes.includes(0)) beforeHole ??= end;
    return true;
  };
  let fileBytes: number;
  try {
    fileBytes = readSegment(directory, segment, 0, take);
  } catch (error) {
    // The tail is compressed only if the plain segments after it are gone.
    if (!isCompressed || error instanceof JournalFault) throw error;
    throw new JournalFault('unreadable', `${segment.name}.gz cannot be read`, error);
  }
  if (beforeHole !== undefined && fileBytes - beforeHole.bytes <= unsyncedBytesMax) end = beforeHole;
  return { ...end, fileBytes: isCompressed ? end.bytes : fileBytes };
}

/** Events whose records are parsed for facts that outlast their run. */
const ownFacts: ReadonlySet<string> = new Set(['start', 'checkpoint', 'clock', 'reload']);

/** Updates the state by a whole record; undefined: these bytes are not one. */
function follow(end: End, bytes: Buffer, endsAt: number): End | undefined {
  const link = readNext(bytes);
  if (link === undefined) return undefined;
  const text = bytes.toString('latin1');
  const head = readHead(text);
  if (head === undefined) return undefined;
  // A repeated old record at the end must not make numbers occur twice.
  const seq = Math.max(end.seq, link.seq);
  const isOther = link.seq === end.known?.seq && link.hash !== end.known.hash;
  const damage = isOther ? 'rewritten' : end.damage;
  const next = { ...end, bytes: endsAt, seq, hash: link.hash, timeMs: parseTime(head.time), damage };
  const isOwn = ownFacts.has(head.event);
  if (end.bytes > 0 && !isOwn) return next;
  const record = parseLine(text);
  const format = asCount(record?.['format']);
  if (format !== undefined && format > journalFormat) {
    throw new JournalFault(
      'newer-format',
      `the journal has format ${format}; this program writes ${journalFormat}: run the release that wrote it, or a later one`,
    );
  }
  const journal = record?.['journal'];
  const { key, next_key: nextKey } = record ?? {};
  // A start record names its key before the key has signed anything.
  const signing = head.event === 'checkpoint' ? (nextKey ?? key) : end.key;
  return {
    ...next,
    key: asText(signing),
    journal: asText(journal) ?? end.journal,
    version: (isOwn ? asText(record?.['version']) : undefined) ?? end.version,
    policies: (isOwn ? asText(record?.['policies']) : undefined) ?? end.policies,
    stepsMs: asDistanceMs(record?.['steps_ms']) ?? end.stepsMs + stepOf(end, link.seq, record?.['step_ms']),
    oldestSeq: asCount(record?.['oldest_seq']) ?? end.oldestSeq,
    openSeq: end.bytes === 0 ? asCount(record?.['open_seq']) : end.openSeq,
  };
}

/** The step of a `clock` record. A signature follows each step at once: a step back without one may be forged to make segments look old. */
function stepOf({ known }: End, seq: number, step: unknown): number {
  const isVouched = known?.key === undefined || seq <= known.seq;
  return isVouched ? (asDistanceMs(step) ?? 0) : Math.max(0, asDistanceMs(step) ?? 0);
}

/** Reads admissions and completions, beginning where the tail's first record says. */
function readOpen(directory: string, segments: readonly Segment[], tail: Segment, end: End): OpenExchanges {
  const open: OpenExchanges = new Map();
  const upToTail = segments.filter((one) => one.number <= tail.number);
  scanFrom(directory, upToTail, end.openSeq ?? Infinity, (line, { name }) => {
    if (name === tail.name && line.end > end.bytes) return false;
    const claim = line.isWhole ? readClaim(line.bytes) : undefined;
    if (claim !== undefined) noteExchange(open, claim.seq, line.bytes.toString('utf8'));
    return true;
  });
  return open;
}

/**
 * Copies the torn bytes of the tail beside their segments and cuts them off; segments without a record are moved as a whole. Unreported
 * ones of an earlier start count too. Undefined: nothing was torn. Of several, the one with most bytes is returned.
 */
export function putTornAside(directory: string, tail: Tail): TornTail | undefined {
  const torn = [findUnreported(directory, 'torn')];
  for (const { name } of tail.void) {
    torn.push(putEndAside(directory, name, 0, 'torn'));
    // At once: the next copy may need its space.
    removeSegment(directory, name);
  }
  if (tail.segment !== undefined && tail.fileBytes > tail.bytes)
    torn.push(putEndAside(directory, tail.segment.name, tail.bytes, 'torn'));
  return torn.filter((part) => part !== undefined).toSorted((one, other) => other.bytes - one.bytes)[0];
}

function cut(directory: string, name: string, bytes: number): void {
  withFile(openSegment(directory, name), (descriptor) => {
    ftruncateSync(descriptor, bytes);
    fsyncSync(descriptor);
  });
}

/**
 * Cuts off everything after a mark: those records were never acknowledged, and are about to be written again. Does nothing if the mark's
 * file is gone: it was removed or replaced, maybe with the whole directory, so later segments may be another daemon's, with acknowledged
 * records. Records may then exist twice, with their numbers; `verify` reports that, and the missing segment. Throws a JournalFault `locked`
 * if another process continued after the mark: it may have had the lock while ours was lost with its thread, and its records must not be
 * cut off.
 */
export function cutAfterMark(directory: string, mark: Mark): void {
  const marked = segmentName(mark.segment);
  const path = join(directory, marked);
  if (!isSameFile(path, mark)) return;
  const after = listSegments(directory).filter((segment) => segment.number > mark.segment);
  const isTaken = after.some(({ name, isCompressed }) => isCompressed || hasStart(directory, name, 0));
  if (isTaken || hasStart(directory, marked, mark.bytes))
    throw new JournalFault('locked', 'another process went on with this journal');
  setBackCheckpointFile(directory, mark);
  for (const { name } of after) removeSegment(directory, name);
  if (statSync(path).size > mark.bytes) cut(directory, marked, mark.bytes);
}

/** If the thread died before its report, the file names a record after the mark: `verify` would report a cut journal. */
function setBackCheckpointFile(directory: string, mark: Mark): void {
  const known = readEndLine(readIn(directory, checkpointName)?.trimEnd());
  if (known === undefined || known.seq <= mark.seq) return;
  let last: string | undefined;
  scan(directory, segmentName(mark.segment), 0, ({ bytes, end }) => {
    if (end > mark.bytes) return false;
    if (readHead(bytes.toString('latin1', 0, 128))?.event === 'checkpoint') last = bytes.toString('utf8');
    return true;
  });
  if (last !== undefined) writeWhole(directory, checkpointName, `${last}\n`);
}

/** A process that takes over a journal writes a start record first. */
function hasStart(directory: string, segment: string, from: number): boolean {
  let isFound = false;
  scan(directory, segment, from, ({ bytes }) => {
    isFound = readHead(bytes.toString('latin1', 0, 128))?.event === 'start';
    return !isFound;
  });
  return isFound;
}

/** Replaces the checkpoint file; `line`: the checkpoint without LF. Never throws. */
export function writeCheckpointFile(directory: string, line: string): void {
  try {
    writeWhole(directory, checkpointName, `${line}\n`);
  } catch {
    // The record itself is on disk; its copy is made again with the next one.
  }
}

/**
 * Copies the known checkpoints to files of their own before a start replaces them, so that `verify` still sees the fault. When there are
 * too many copies, the first ones stay: they show where the damage began.
 */
export function keepCheckpointFile(directory: string, known: KnownEnd | undefined, oldestSeq: number): void {
  const beside = readIn(directory, checkpointName);
  for (const text of [known && `${known.line}\n`, beside]) {
    const seq = readLink(Buffer.from(text?.trimEnd() ?? ''))?.seq ?? 0;
    const file = `checkpoint-${seq}.json`;
    const kept = listKeptCheckpoints(directory);
    const retired = kept.filter((one) => seqOfKept(one) < oldestSeq);
    for (const one of retired) rmSync(join(directory, one), { recursive: true, force: true });
    const hasRoom = kept.length - retired.length < bounds.keptCheckpoints || kept.includes(file);
    if (text !== undefined && hasRoom) writeWhole(directory, file, text);
  }
}

export function foundKeys(
  found: Pick<Found, 'damage' | 'isBeginningRemoved' | 'appended' | 'isGap'>,
  tail: Tail,
  known: KnownRecord | undefined,
): Pick<OwnRecord, 'appended' | 'last_seq' | 'last_hash' | 'error'> {
  const { damage, isBeginningRemoved, appended, isGap } = found;
  const codes = [
    ...(damage === undefined ? [] : [`journal-${damage}`]),
    ...(isBeginningRemoved ? ['journal-removed'] : []),
    ...(appended === undefined ? [] : [isGap ? 'journal-gap' : 'journal-appended']),
  ];
  // If the end of the journal is missing or differs, the known checkpoint is named.
  const last = damage === 'cut' || damage === 'rewritten' ? (known ?? tail) : tail;
  const named = last.seq === 0 ? {} : { last_seq: last.seq, last_hash: last.hash };
  return { appended, ...named, error: codes.join(' ') || undefined };
}
