// Slow disk work in a thread of its own, so that it delays no record: examines segments, compresses and removes closed ones,
// fills the reserve. A plain file is removed only when the compressed one is on disk under its name, and the age of a segment is
// taken only from records that this daemon signed, or that are chained to one.

import { randomFillSync } from 'node:crypto';
import {
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { openRegular, syncDirectory } from '../../host/machine/regular-file.js';
import { isCount, isText, parseLine } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { readNext } from '../records/ledger.js';
import { asDistanceMs, readHead } from '../records/record.js';
import { listAside } from './aside.js';
import { firstSeqOf, readFirstLine, readSegment } from './chain.js';
import { packMember } from './compressed.js';
import { isRightlySigned } from './kept-end.js';
import {
  fileName,
  isDiskFull,
  listSegments,
  openNew,
  openSegment,
  readIn,
  removeSegment,
  reserveName,
  type Segment,
  sharesName,
  withFile,
  writeWhole,
} from './segments.js';

/** A closed segment, with its end according to the first record of the next segment. */
export interface Shelved {
  readonly number: number;
  readonly name: string;
  readonly isCompressed: boolean;
  readonly bytes: number;
  /** Hash of its last record; the first seq, and the time without steps, of the next segment. */
  readonly lastHash: string;
  readonly nextSeq: number;
  readonly endMs: number;
  readonly endWallMs: number;
}

export interface Retired extends Shelved {
  readonly why: 'age' | 'size';
}

/** Slow disk work that must not delay records: done by a thread of its own. */
export type KeeperOrder =
  /** Look at the segments above a number. Only those below the mark's segment are closed: later bytes may still be cut off. */
  | ({ readonly do: 'look'; readonly above: number; readonly mark: MarkPlace } & Identity)
  | { readonly do: 'compress'; readonly name: string }
  | { readonly do: 'remove'; readonly names: readonly string[] }
  | { readonly do: 'fill-reserve'; readonly bytes: number }
  | { readonly do: 'keep-shares'; readonly text: string };

export interface MarkPlace {
  readonly segment: number;
  readonly hash: string;
}

/** The journal's id, and the public key that signs it; undefined: it is not signed, and no record in it proves anything. */
export interface Identity {
  readonly journal: string;
  readonly key: string | undefined;
}

export type KeeperReport =
  | { readonly kind: 'looked'; readonly shelf: Shelf }
  /** `bytes`: the size of the new file, if one was made. */
  | { readonly kind: 'done'; readonly bytes: number }
  /** Nothing changed. `isDiskFull`: for lack of space. */
  | { readonly kind: 'failed'; readonly message: string; readonly isDiskFull: boolean };

export type Shelf = ReturnType<typeof readShelf>;

/** Bytes of a segment in one gzip member, in whole lines; a sequence of members is a normal gzip file. */
const memberBytes = 1 << 20;

/** Never throws: a failure is a report. */
export function carryOutSlowly(directory: string, order: KeeperOrder): KeeperReport {
  try {
    switch (order.do) {
      case 'look':
        return { kind: 'looked', shelf: readShelf(directory, order) };
      case 'compress':
        return { kind: 'done', bytes: compress(directory, order.name) };
      case 'remove':
        // First the files put aside for them: after an end in between, nobody would remove those. One may be a directory.
        for (const file of listAside(directory, order.names))
          rmSync(join(directory, file), { force: true, recursive: true });
        // Every form: an end within `compress` leaves two of them, and the compressed one would come back in the middle of the journal.
        for (const name of order.names)
          for (const form of [`${name}.gz.new`, `${name}.gz`, name])
            rmSync(join(directory, form), { force: true });
        syncDirectory(directory);
        return { kind: 'done', bytes: 0 };
      case 'fill-reserve':
        fillReserve(directory, order.bytes);
        return { kind: 'done', bytes: order.bytes };
      case 'keep-shares':
        writeWhole(directory, sharesName, order.text);
        return { kind: 'done', bytes: order.text.length };
      default:
        return order satisfies never;
    }
  } catch (error) {
    return { kind: 'failed', message: String(error), isDiskFull: isDiskFull(error) };
  }
}

function compress(directory: string, name: string): number {
  const path = join(directory, `${name}.gz`);
  withFile(openSegment(directory, name), (source) =>
    withFile(openNew(directory, `${name}.gz.new`), (target) => {
      const chunk = Buffer.allocUnsafe(memberBytes);
      let held = 0;
      for (let left = bounds.plainSegmentBytes; ; ) {
        const bytes = readSync(source, chunk, held, memberBytes - held, null);
        const filled = held + bytes;
        if (filled === 0) return;
        left -= bytes;
        if (left < 0) throw new Error(`${name} is longer than ${bounds.plainSegmentBytes} bytes`);
        const lines = bytes === 0 ? 0 : chunk.lastIndexOf(0x0a, filled - 1) + 1;
        const end = lines || filled;
        writeFileSync(target, packMember(chunk.subarray(0, end)));
        held = chunk.copy(chunk, 0, end, filled);
        // In small portions: the sync of a record may have to wait for the data of this one.
        fsyncSync(target);
      }
    }),
  );
  renameSync(`${path}.new`, path);
  syncDirectory(directory);
  removeSegment(directory, name);
  return statSync(path).size;
}

/** Random bytes, because a file system that compresses would keep no room for zeros. */
function fillReserve(directory: string, bytes: number): void {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
  withFile(openRegular(join(directory, reserveName), flags), (descriptor) => {
    const { size } = fstatSync(descriptor);
    const missing = bytes - size;
    if (missing <= 0) return ftruncateSync(descriptor, bytes);
    const { bsize, bavail } = statfsSync(directory);
    // Filled to the last block, it would take the space that records need.
    if (bsize * bavail < missing + bytes / 4)
      throw Object.assign(new Error('no room for the reserve'), { code: 'ENOSPC' });
    const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(missing, memberBytes)));
    try {
      for (let left = missing; left > 0; left -= chunk.length) {
        writeFileSync(descriptor, chunk.subarray(0, Math.min(left, chunk.length)));
        fsyncSync(descriptor);
      }
    } catch (error) {
      ftruncateSync(descriptor, size);
      throw error;
    }
  });
  syncDirectory(directory);
}

/** Examines the segments above a number. Slow for thousands of them. */
function readShelf(directory: string, order: KeeperOrder & { readonly do: 'look' }) {
  const { above, mark } = order;
  const found = listSegments(directory).filter(({ number }) => number > above);
  const leftovers = findLeftovers(directory, found, order);
  const segments = found.filter((segment) => !leftovers.includes(segment));
  const ends = readEnds(directory, segments, order);
  const closed: Shelved[] = [];
  let otherBytes = 0;
  let damaged: string | undefined;
  for (const segment of segments) {
    const bytes = statSync(join(directory, fileName(segment))).size;
    const end = ends.get(segment);
    // A segment that its successor does not name is never removed automatically.
    if (end === undefined && segment.number < mark.segment && segment !== segments.at(-1))
      damaged ??= segment.name;
    if (damaged === undefined && end !== undefined) closed.push({ ...segment, bytes, ...end });
    else otherBytes += bytes;
  }
  const { bsize, bavail, blocks } = statfsSync(directory);
  const reserve = statSync(join(directory, reserveName), { throwIfNoEntry: false });
  const sizes = { freeBytes: bsize * bavail, totalBytes: bsize * blocks, reserveBytes: reserve?.size ?? 0 };
  const shares = above < 0 ? readIn(directory, sharesName) : undefined;
  return {
    /** Those below the mark's segment, oldest first, up to the first one without a known end. */
    closed,
    /** The first segment that its successor does not name or prove: none from there on is known to be closed. */
    damaged,
    /** Names of retired segments that came back: they are in none of the other fields. */
    leftovers: leftovers.map(({ name }) => name),
    otherBytes,
    ...sizes,
    /** The text that was kept last; read when all segments are examined. */
    shares,
  };
}

/**
 * Retired segments that came back, such as a compressed form that stayed when only the plain file was removed. A checkpoint at the head of
 * the newest segment says which record is the oldest left; they stand before the segment that begins with that record, and begin with an
 * older one. Both heads must be signed by this daemon's key: what no checkpoint calls retired is never removed here.
 */
function findLeftovers(
  directory: string,
  segments: readonly Segment[],
  { above, mark, ...identity }: KeeperOrder & { readonly do: 'look' },
): readonly Segment[] {
  const newest = segments.findLast(({ number }) => number <= mark.segment);
  // In later looks the oldest one is not among them.
  if (newest === undefined || above >= 0 || identity.key === undefined) return [];
  const headOf = (segment: Segment) => {
    const first = readFirst(directory, segment, identity);
    return first?.isProven === true ? first : undefined;
  };
  const oldestSeq = headOf(newest)?.oldestSeq;
  if (oldestSeq === undefined) return [];
  const oldest = segments.findIndex((segment) => headOf(segment)?.end.nextSeq === oldestSeq);
  const before = segments.slice(0, Math.max(0, oldest));
  return before.filter((segment) => (firstSeqOf(directory, segment) ?? oldestSeq) < oldestSeq);
}

/**
 * The ends of the segments before the mark's, from the first record of the next one. That record counts if this daemon's key signed it.
 * With another key, or none, it counts if the hashes of its segment lead from it to a known record: the end that a later record names, or
 * the mark. Only such segments are read whole.
 */
function readEnds(
  directory: string,
  segments: readonly Segment[],
  { mark, ...identity }: Identity & { readonly mark: MarkPlace },
): ReadonlyMap<Segment, End> {
  const ends = new Map<Segment, End>();
  let known: string | undefined = mark.hash;
  // A repair may cut off what comes after the mark, and write these segments again: none of them is closed yet.
  const written = segments.filter(({ number }) => number <= mark.segment);
  for (const [at, next] of [...written.entries()].toReversed()) {
    const segment = written[at - 1];
    if (segment === undefined) break;
    const first = readFirst(directory, next, identity);
    const end = first?.before === segment.name ? first.end : undefined;
    const counts: boolean =
      first?.isProven === true || (known !== undefined && leadsTo(directory, next, known));
    known = counts ? end?.lastHash : undefined;
    if (counts && end !== undefined) ends.set(segment, end);
  }
  return ends;
}

type End = Pick<Shelved, 'lastHash' | 'nextSeq' | 'endMs' | 'endWallMs'>;

/** The statement of a segment's first record about the previous one. */
function readFirst(directory: string, segment: Segment, { journal, key }: Identity) {
  const line = readFirstLine(directory, segment);
  const record = parseLine(line) ?? {};
  const { segment: before, segment_hash: lastHash, seq: nextSeq, steps_ms: stepsMs } = record;
  const { oldest_seq: oldest } = record;
  const endWallMs = parseTime(readHead(line)?.time ?? '');
  if (endWallMs === undefined || !isText(lastHash) || !isCount(nextSeq)) return undefined;
  const endMs = endWallMs - (asDistanceMs(stepsMs) ?? 0);
  // Another journal of the same key has segments of the same names.
  const isSigned = record['key'] === key && record['journal'] === journal && isRightlySigned(line, key);
  const isProven = key === undefined || isSigned;
  const oldestSeq = isCount(oldest) ? oldest : undefined;
  return { before, isProven, oldestSeq, end: { lastHash, nextSeq, endMs, endWallMs } };
}

/** Whether every record of a segment contains the hash of the one before, up to the record with this hash. */
function leadsTo(directory: string, segment: Segment, hash: string): boolean {
  let last: string | undefined;
  try {
    readSegment(directory, segment, 0, ({ bytes, isWhole }) => {
      if (last === hash) return false;
      last = isWhole ? readNext(bytes, last)?.hash : undefined;
      return last !== undefined;
    });
  } catch {
    return false;
  }
  return last === hash;
}
