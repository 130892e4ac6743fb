// Where the run before ended, and what was written into the directory since. The last checkpoint lies beside the segments and, once more,
// in `state`, which those who can write to the audit directory need not be able to write to.
// The rules: after an orderly stop nothing may follow; whatever does is moved to a file `SEGMENT.appended` and never signed. After a crash
// the records count that are chained after the last checkpoint, up to the first one that should be signed and is not. What retention left is taken from signed records only.

import { fstatSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { bounds } from '../../bounds/bounds.js';
import { readClaim, readLink } from '../../domain/audit/ledger.js';
import { parseLine, readHead, type TornTail } from '../../domain/audit/record.js';
import { openRegular, readRegular } from '../host/regular-file.js';
import { joinAside, putEndAside, putSegmentAside } from './aside.js';
import { inflateStart } from './compressed.js';
import { isRightlySigned, type KnownEnd, readEndLine, readKept, wordOf } from './kept-end.js';
import {
  checkpointName,
  fileName,
  listSegments,
  openSegment,
  readIn,
  removeSegment,
  type Segment,
  syncDirectory,
  withFile,
  writeWhole,
} from './segments.js';
import { readLines } from './trail.js';

/** What a start knows of the end of the run before. */
export interface RunEnd {
  /** The last checkpoint of all that count; undefined: there is none. */
  readonly known: KnownEnd | undefined;
  readonly isOrderly: boolean;
  readonly reportedSeq: number;
  /** `state` knows another journal in this directory. */
  readonly isOther: boolean;
  /** `state` knows a journal in this directory, of which nothing is left: its segments are not there, nor a checkpoint. */
  readonly isGone: boolean;
  /** The number of the segment with the last checkpoint, as `state` has it. */
  readonly segment: number | undefined;
  readonly keys: ReadonlySet<string>;
  /** The note of the ring of that run as `state` has it; undefined: it does not say. */
  readonly ring: string | undefined;
}

/** Both copies; `ownKey`: of the key that signs now, undefined: nothing is signed. */
export function readRunEnd(directory: string, state: string | undefined, ownKey: string | undefined): RunEnd {
  const beside = readEndLine(readIn(directory, checkpointName)?.trimEnd());
  const found = state === undefined ? undefined : readKept(state);
  // Of another directory: the setting was changed.
  const kept = found?.directory === directory ? found : undefined;
  const isEmpty = beside === undefined && listSegments(directory).length === 0;
  const journal = isEmpty ? undefined : (beside?.journal ?? journalIn(directory));
  const isOther = kept !== undefined && journal !== undefined && kept.journal !== journal;
  const own = isOther ? undefined : kept;
  const sources = own ?? beside;
  const keys = new Set([ownKey, sources?.key, sources?.nextKey].filter((key) => key !== undefined));
  // Where this journal was signed, an unsigned checkpoint, or one of a stranger, says nothing.
  const counts = beside !== undefined && (own?.key === undefined || keys.has(beside.key ?? ''));
  const known = counts && beside.seq >= (own?.seq ?? 0) ? beside : own;
  const isOrderly = known?.isStop === true && !(own?.hasBegun === true && own.seq === known.seq);
  // A copy that could not be written may name the ring of an earlier run.
  const ring = own?.seq === known?.seq ? own?.ring : undefined;
  const isGone = isEmpty && own !== undefined;
  const { segment, reportedSeq = 0 } = own ?? {};
  return { known, isOrderly, reportedSeq, isOther, keys, ring, isGone, segment };
}

/** The journal's id, as its first record has it. */
function journalIn(directory: string): string | undefined {
  const [first] = listSegments(directory);
  return first === undefined ? undefined : wordOf(parseLine(firstLine(directory, first))?.['journal']);
}

/** What a start found after the end of the run before. */
export interface Followed {
  /** Lines that were moved away; undefined: none. */
  readonly appended: TornTail | undefined;
  /** The oldest record that retention left, as signed records say; undefined: none does. */
  readonly oldestSeq: number | undefined;
  /** The checkpoint of an orderly stop, after which nothing is left; undefined: the run before did not end so. */
  readonly stopLine: string | undefined;
  /** The last checkpoint is not there. */
  readonly isLost: boolean;
}

/**
 * Follows the segments from the last checkpoint on, and moves away what no run of the daemon wrote there. Nothing is moved where the
 * checkpoint itself is not found: that is damage of another kind.
 */
export function followRunEnd(
  directory: string,
  { known, isOrderly, keys }: RunEnd,
  plainMax = plainBytesMax,
): Followed {
  const nothing = { appended: undefined, oldestSeq: known?.oldestSeq, stopLine: undefined };
  if (known === undefined) return { ...nothing, isLost: false };
  const place = findRecord(directory, known, plainMax);
  if (place === undefined) return { ...nothing, isLost: true };
  const [first, ...later] = listSegments(directory).filter(({ number }) => number >= place.number);
  let last = { seq: known.seq, hash: known.hash };
  let oldestSeq = known.oldestSeq;
  let stopLine = isOrderly ? known.line : undefined;
  /** A line there is none: the next one may follow it. */
  let isDoubtful = false;
  /** False: a daemon that signs did not write it. */
  const takeSigned = (text: string, isFirst: boolean): boolean => {
    const event = readHead(text)?.event;
    if (event !== 'checkpoint' && event !== 'retire') return !isFirst || known.key === undefined;
    const { key, oldest_seq: oldest, action } = parseLine(text) ?? {};
    if (known.key !== undefined && !(keys.has(wordOf(key) ?? '') && isRightlySigned(text, key))) return false;
    if (typeof oldest === 'number') oldestSeq = Math.max(oldestSeq ?? 0, oldest);
    // The stop itself was written, and its copies were not.
    if (event === 'checkpoint' && action === 'stop') stopLine = text;
    return true;
  };
  /** Where in a segment something begins that no run wrote; undefined: nowhere. */
  const follow = (name: string, from: number): number | undefined => {
    let begin = from;
    let foreign: number | undefined;
    withFile(openSegment(directory, name), (descriptor) =>
      readLines(descriptor, from, ({ bytes, end, isWhole }) => {
        const link = isWhole ? readLink(bytes) : undefined;
        const isChained = link !== undefined && (isDoubtful ? link.seq > last.seq : link.prev === last.hash);
        const isOurs = (): boolean => isChained && takeSigned(bytes.toString('utf8'), begin === 0);
        if (stopLine !== undefined || (link?.isIntact === true && !isOurs())) {
          foreign = begin;
          return false;
        }
        begin = end;
        isDoubtful = link?.isIntact !== true;
        last = link ?? last;
        return true;
      }),
    );
    return foreign;
  };
  let rest: readonly Segment[] = first === undefined ? [] : [first, ...later];
  for (let from: number | undefined = place.end; rest.length > 0; from = 0) {
    const [segment, ...others] = rest;
    if (segment === undefined) break;
    const isAfterStop = from === 0 && stopLine !== undefined;
    // One that cannot be read is foreign: the daemon compresses no segment that a crash can leave after its last checkpoint.
    const isPlain = !isAfterStop && (!segment.isCompressed || makePlain(directory, segment, plainMax));
    const foreign = isPlain ? follow(segment.name, from) : 0;
    if (foreign !== undefined) {
      const foreigners = [{ ...segment, isCompressed: segment.isCompressed && !isPlain }, ...others];
      return { appended: moveAway(directory, foreigners, foreign), oldestSeq, stopLine, isLost: false };
    }
    rest = others;
  }
  return { appended: undefined, oldestSeq, stopLine, isLost: false };
}

/** Segments that claim to hold the record, and are looked through for it. Those of the journal are one, or two. */
const candidatesMax = bounds.appendedSearched;

/** The segment that holds a record, and where in it the record ends. A compressed one is made plain. */
function findRecord(
  directory: string,
  { seq, hash }: KnownEnd,
  plainMax: number,
): { readonly number: number; readonly end: number } | undefined {
  const begun = listSegments(directory).map((segment) => {
    const claim = readClaim(Buffer.from(firstLine(directory, segment)));
    return { segment, beginSeq: claim?.seq ?? 0 };
  });
  // The newest first; of a segment and its copy under a later number, the segment.
  const candidates = begun
    .filter(({ beginSeq }) => beginSeq <= seq)
    .toSorted((one, other) => other.beginSeq - one.beginSeq || one.segment.number - other.segment.number);
  for (const { segment } of candidates.slice(0, candidatesMax)) {
    if (segment.isCompressed && !makePlain(directory, segment, plainMax)) continue;
    let found: number | undefined;
    withFile(openSegment(directory, segment.name), (descriptor) =>
      readLines(descriptor, 0, ({ bytes, end, isWhole }) => {
        const isSame = isWhole && readClaim(bytes)?.hash === hash && readLink(bytes)?.isIntact === true;
        found = isSame ? end : undefined;
        return found === undefined;
      }),
    );
    if (found !== undefined) return { number: segment.number, end: found };
  }
  return undefined;
}

/** No segment of ours has more text. */
export const plainBytesMax = bounds.plainSegmentBytes;

/** The daemon never compresses the last segment: lines may follow in it. False: it cannot be read. */
function makePlain(directory: string, segment: Segment, plainMax: number): boolean {
  try {
    const text = gunzipSync(readRegular(join(directory, fileName(segment)), plainMax), {
      maxOutputLength: plainMax,
    });
    writeWhole(directory, segment.name, text);
    removeSegment(directory, fileName(segment));
    return true;
  } catch {
    return false;
  }
}

/** Of the first segment what follows `from`, and all later ones. */
function moveAway(directory: string, segments: readonly Segment[], from: number): TornTail | undefined {
  const moved = segments.map((segment, index) =>
    index === 0 && from > 0
      ? putEndAside(directory, segment.name, from, 'appended')
      : putSegmentAside(directory, segment),
  );
  syncDirectory(directory);
  return joinAside(moved);
}

/** The first record that is there; undefined: its line cannot be read. */
export function firstSeqIn(directory: string): number | undefined {
  const [first] = listSegments(directory);
  return first === undefined ? undefined : readClaim(Buffer.from(firstLine(directory, first)))?.seq;
}

/**
 * The last record that is missing between two segments; undefined: none is. A number without a segment may never have had one: the first
 * record of the next segment names the one before it.
 */
export function missingBetween(directory: string, segments: readonly Segment[]): number | undefined {
  let last: number | undefined;
  for (const [index, segment] of segments.entries()) {
    const before = segments[index - 1];
    if (before === undefined || segment.number === before.number + 1) continue;
    const line = firstLine(directory, segment);
    const seq = readClaim(Buffer.from(line))?.seq;
    if (seq !== undefined && parseLine(line)?.['segment'] !== before.name) last = seq - 1;
  }
  return last;
}

/** A first record is a line of at most 7 KiB; compressed, so many bytes of a file hold it all the more. */
const headBytes = 65_536;

function firstLine(directory: string, segment: Segment): string {
  try {
    const path = join(directory, fileName(segment));
    const head = withFile(openRegular(path), (descriptor) => {
      const bytes = Buffer.alloc(Math.min(headBytes, fstatSync(descriptor).size));
      return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0));
    });
    const text = segment.isCompressed ? inflateStart(head) : head;
    return text.toString('utf8', 0, Math.max(0, text.indexOf(0x0a)));
  } catch {
    return '';
  }
}
