// The digests of a mirror (domain/records/fleet/digest.ts), as reports use them: of the segments that a trusted digest covers only the
// members are read that are wanted, each compared with its signed hash; the verifier goes on behind them. Nothing else in the mirror is
// believed: a digest that is not what it should be is not used, and its journal is read whole.

import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readRegular } from '../../adapters/host/regular-file.js';
import type { Vouched } from '../../adapters/journal/compressed.js';
import {
  isCheckpointFile,
  readIn,
  type Segment,
  segmentName,
  segmentsIn,
} from '../../adapters/journal/segments.js';
import { fileOf, type TrailFile } from '../../adapters/journal/trail.js';
import { bounds } from '../../bounds/bounds.js';
import {
  type DigestRow,
  headName,
  isFaultless,
  type ReadDigest,
  readDigest,
  readRows,
  rowsName,
} from '../../domain/records/fleet/digest.js';
import type { HostJournal } from '../../domain/records/report/hosts.js';
import { stateFrom, type VerifierState } from '../../domain/records/trail/verify.js';
import { JournalFault } from '../../ports/faults.js';
import type { MirroredHost } from './fleet-places.js';

export interface DigestedJournal {
  /** Of the verifier. */
  readonly key: string;
  /** The keys of the host that it trusted. */
  readonly hostKeys: readonly string[];
  /** Behind the segments that it covers, without those that retention removed since. */
  readonly state: VerifierState;
  /** The number of the first segment that is there. */
  readonly first: number;
  /** Of the segments that it covers. Throws a JournalFault. */
  readonly open: (differs: Vouched['differs']) => Vouched;
  readonly behind: readonly TrailFile[];
}

/** Why no digest counts; `why`: empty if nothing is closed. `mirroredTo`: what one says that is right, and does not fit what is there. */
export type NotDigested = Required<Pick<HostJournal, 'mirroredTo'>> & { readonly why: string };

/** `keys`: of the host, as they are trusted here. */
export function readDigested(
  directory: string,
  host: MirroredHost,
  keys: readonly string[],
): DigestedJournal | NotDigested {
  const found = findDigest(directory, host, keys);
  return typeof found === 'string' ? { why: found, mirroredTo: undefined } : found;
}

function findDigest(
  directory: string,
  { verifier, elsewhere }: MirroredHost,
  keys: readonly string[],
): DigestedJournal | NotDigested | string {
  if ((elsewhere?.get(directory) ?? []).length > 0) return 'parts of it in several cells';
  // First: what it covers is compressed by then.
  const digest = readDigest(readIn(directory, headName) ?? '');
  const rows = digest && rowsIn(directory, digest);
  const names = readdirSync(directory);
  const segments = segmentsIn(names);
  if (names.some(isCheckpointFile)) return 'a checkpoint beside it';
  if (digest === undefined) return segments.length < 2 ? '' : 'no digest';
  const { host, journal, key, state, hostKeys, segment: end } = digest;
  if (verifier?.keys.includes(key) !== true) return 'a digest of an unknown key';
  if (host !== basename(dirname(directory)) || journal !== basename(directory))
    return 'the digest of another journal';
  // Its key lies beside the mirror: who has the keys of hosts at hand wants a proof.
  if (!verifier.isListed && keys.length > 0) return 'a digest whose key is not listed';
  if (verifier.isListed && hostKeys.toSorted().join() !== [...new Set(keys)].toSorted().join())
    return 'a digest for another key of the host';
  if (!isFaultless(digest)) return 'a digest with faults';
  if (rows === undefined) return 'a digest that does not fit its rows';
  const left = leftOf(rows, segments, names, end);
  const [begin, before] = left ?? [];
  if (begin === undefined) {
    const mirroredTo = { seq: state.last?.seq ?? 0, to: state.lastRecordTime };
    return { why: 'other segments than those of its digest', mirroredTo };
  }
  if (begin.firstSeq === 0) return 'a digest whose beginning is unknown';
  return {
    key,
    hostKeys,
    first: begin.segment,
    state: before === undefined ? state : stateFrom(state, { ...begin, before: segmentName(before) }),
    open: opener(directory, digest, begin.segment, rows),
    behind: segments.filter(({ number }) => number > end).map((segment) => fileOf(directory, segment)),
  };
}

/** The first row whose segment is there, and the number of the segment before it. Undefined: not all later ones are, or others. */
function leftOf(
  rows: readonly DigestRow[],
  segments: readonly Segment[],
  names: readonly string[],
  end: number,
): readonly [begin: DigestRow, before: number | undefined] | undefined {
  const begins = rows.filter(({ segment }, at) => segment !== rows[at - 1]?.segment);
  const closed = segments.filter(({ number }) => number <= end);
  const first = begins.length - closed.length;
  const begin = begins[first];
  const isAsSigned = closed.every(
    ({ number, name, isCompressed }, at) =>
      number === begins[first + at]?.segment && (isCompressed || names.includes(`${name}.gz`)),
  );
  return begin === undefined || !isAsSigned ? undefined : [begin, begins[first - 1]?.segment];
}

type Rows = Pick<ReadDigest, 'bytes' | 'sha256' | 'segment'>;

function rowsIn(directory: string, digest: Rows): readonly DigestRow[] | undefined {
  try {
    return readRows(readRegular(join(directory, rowsName), bounds.digestBodyBytes), digest);
  } catch {
    return undefined;
  }
}

/** Holds the rows only until the first call, and nothing else of the digest: a large fleet has millions. */
function opener(
  directory: string,
  { bytes, sha256, segment }: Rows,
  first: number,
  rows: readonly DigestRow[],
): DigestedJournal['open'] {
  let held: readonly DigestRow[] | undefined = rows;
  return (differs) => {
    const found = held ?? rowsIn(directory, { bytes, sha256, segment });
    held = undefined;
    if (found === undefined) {
      const text = `${join(directory, rowsName)} was changed meanwhile: start again`;
      throw new JournalFault('unreadable', text);
    }
    const members = found.slice(found.findIndex((row) => row.segment >= first));
    return { members, differs, pathOf: (number) => join(directory, `${segmentName(number)}.gz`) };
  };
}
