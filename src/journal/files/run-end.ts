// The end of the previous run, and later changes of the directory. After an orderly stop nothing may follow: such lines are moved to
// `SEGMENT.appended` and never signed. After a crash, records count that are chained to the last checkpoint, up to the first one that
// should be signed and is not.

import { syncDirectory } from '../../host/machine/regular-file.js';
import { asText, isCount, parseLine } from '../../host/values/values.js';
import type { TornTail } from '../records/keys.js';
import { readClaim, readLink, readNext } from '../records/ledger.js';
import { readHead } from '../records/record.js';
import { joinAside, putEndAside, putSegmentAside } from './aside.js';
import { firstLine, firstSeqOf, inflateSegment, readSegment } from './chain.js';
import { isRightlySigned, type KnownEnd, readEndLine, readKept } from './kept-end.js';
import {
  checkpointName,
  fileName,
  listSegments,
  openSegment,
  readIn,
  removeSegment,
  type Segment,
  withFile,
  writeWhole,
} from './segments.js';
import { readLines } from './trail.js';

export type RunEnd = ReturnType<typeof readRunEnd>;

/** Both copies; `ownKey`: the present key, undefined: no signatures. */
export function readRunEnd(directory: string, state: string | undefined, ownKey: string | undefined) {
  const beside = readEndLine(readIn(directory, checkpointName)?.trimEnd());
  const found = state === undefined ? undefined : readKept(state);
  // With another directory, the setting was changed.
  const kept = found?.directory === directory ? found : undefined;
  const isEmpty = beside === undefined && listSegments(directory).length === 0;
  const journal = isEmpty ? undefined : (beside?.journal ?? journalIn(directory));
  const isOther = kept !== undefined && journal !== undefined && kept.journal !== journal;
  const own = isOther ? undefined : kept;
  const sources = own ?? beside;
  const keys = new Set([ownKey, sources?.key, sources?.nextKey].filter((key) => key !== undefined));
  // In a signed journal, an unsigned checkpoint, or a stranger's, does not count.
  const counts = beside !== undefined && (own?.key === undefined || keys.has(beside.key ?? ''));
  const known = counts && beside.seq >= (own?.seq ?? 0) ? beside : own;
  const isOrderly = known?.isStop === true && !(own?.hasBegun === true && own.seq === known.seq);
  // If the copy was not written, it may name the ring of an earlier run.
  const ring = own?.seq === known?.seq ? own?.ring : undefined;
  return {
    known,
    isOrderly,
    reportedSeq: own?.reportedSeq ?? 0,
    /** `state` knows this journal in this directory. */
    isInState: own !== undefined,
    /** The hash of the checkpoint that `state` names, under any key. */
    hashInState: own?.hash,
    /** `state` knows another journal in this directory. */
    isOther,
    /** `state` knows a journal in this directory, of which nothing is left: its segments are not there, nor a checkpoint. */
    isGone: isEmpty && own !== undefined,
    /** The number of the segment with the last checkpoint, as `state` has it. */
    segment: own?.segment,
    keys,
    /** The note of that run's ring from `state`; undefined: it has none. */
    ring,
  };
}

function journalIn(directory: string): string | undefined {
  const [first] = listSegments(directory);
  return first === undefined ? undefined : asText(parseLine(firstLine(directory, first))?.['journal']);
}

export interface Followed {
  readonly appended: TornTail | undefined;
  /** Records are missing in front of the lines that were moved away. */
  readonly isGap: boolean;
  /** The oldest record that retention left, according to signed records; undefined: none has it. */
  readonly oldestSeq: number | undefined;
  /** The checkpoint of an orderly stop, after which nothing is left; undefined: the previous run did not end so. */
  readonly stopLine: string | undefined;
  readonly isLost: boolean;
}

/** Moves foreign lines after the last checkpoint away. Nothing if the checkpoint is missing: that is another kind of damage. */
export function followRunEnd(
  directory: string,
  { known, isOrderly, keys }: RunEnd,
  plainMax: number,
): Followed {
  const nothing = { appended: undefined, isGap: false, oldestSeq: known?.oldestSeq, stopLine: undefined };
  if (known === undefined) return { ...nothing, isLost: false };
  const place = findRecord(directory, known, plainMax);
  if (place === undefined) return { ...nothing, isLost: true };
  const [first, ...later] = listSegments(directory).filter(({ number }) => number >= place.number);
  let last = { seq: known.seq, hash: known.hash };
  let oldestSeq = known.oldestSeq;
  let stopLine = isOrderly ? known.line : undefined;
  /** The line before is invalid, so the next one need not follow its hash. */
  let isDoubtful = false;
  let isGap = false;
  /** False: a signing daemon did not write it. */
  const takeSigned = (text: string, isFirst: boolean): boolean => {
    const event = readHead(text)?.event;
    if (event !== 'checkpoint' && event !== 'retire') return !isFirst || known.key === undefined;
    const { key, oldest_seq: oldest, action } = parseLine(text) ?? {};
    if (known.key !== undefined && !(keys.has(asText(key) ?? '') && isRightlySigned(text, key))) return false;
    if (isCount(oldest)) oldestSeq = Math.max(oldestSeq ?? 0, oldest);
    // The stop itself was written, its copies were not.
    if (event === 'checkpoint' && action === 'stop') stopLine = text;
    return true;
  };
  /** The position of the first foreign line in a segment; undefined: none. */
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
          // An appended line has the next number; a line that was taken out leaves a hole.
          isGap = stopLine === undefined && link !== undefined && link.seq > last.seq + 1;
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
    // An unreadable one is foreign: the daemon compresses no segment that a crash can leave after its last checkpoint.
    const isPlain = !isAfterStop && (!segment.isCompressed || makePlain(directory, segment, plainMax));
    const foreign = isPlain ? follow(segment.name, from) : 0;
    if (foreign !== undefined) {
      const foreigners = [{ ...segment, isCompressed: segment.isCompressed && !isPlain }, ...others];
      return {
        appended: moveAway(directory, foreigners, foreign),
        isGap,
        oldestSeq,
        stopLine,
        isLost: false,
      };
    }
    rest = others;
  }
  return { appended: undefined, isGap, oldestSeq, stopLine, isLost: false };
}

/** Segments that claim to contain the record and are searched. In an intact journal they are one or two. */
const candidatesMax = 8;

/** The segment that contains a record, and the position after the record. A compressed one is inflated to a plain file. */
function findRecord(
  directory: string,
  { seq, hash }: KnownEnd,
  plainMax: number,
): { readonly number: number; readonly end: number } | undefined {
  const begun = listSegments(directory).map((segment) => ({
    segment,
    beginSeq: firstSeqOf(directory, segment) ?? 0,
  }));
  // The newest first. If a segment has a copy under a later number, the segment is used.
  const candidates = begun
    .filter(({ beginSeq }) => beginSeq <= seq)
    .toSorted((one, other) => other.beginSeq - one.beginSeq || one.segment.number - other.segment.number);
  for (const { segment } of candidates.slice(0, candidatesMax)) {
    if (segment.isCompressed && !makePlain(directory, segment, plainMax)) continue;
    let found: number | undefined;
    const plain = { ...segment, isCompressed: false };
    readSegment(directory, plain, 0, ({ bytes, end, isWhole }) => {
      const isSame = isWhole && readClaim(bytes)?.hash === hash && readNext(bytes) !== undefined;
      found = isSame ? end : undefined;
      return found === undefined;
    });
    if (found !== undefined) return { number: segment.number, end: found };
  }
  return undefined;
}

/** Inflates a segment, since further lines may follow in it: the daemon never compresses the last one. False: it is unreadable. */
function makePlain(directory: string, segment: Segment, plainMax: number): boolean {
  try {
    writeWhole(directory, segment.name, inflateSegment(directory, segment, plainMax));
    removeSegment(directory, fileName(segment));
    return true;
  } catch {
    return false;
  }
}

/** Moves away the bytes of the first segment after `from`, and all later segments. */
function moveAway(directory: string, segments: readonly Segment[], from: number): TornTail | undefined {
  const moved = segments.map((segment, index) =>
    index === 0 && from > 0
      ? putEndAside(directory, segment.name, from, 'appended')
      : putSegmentAside(directory, segment),
  );
  syncDirectory(directory);
  return joinAside(moved);
}
