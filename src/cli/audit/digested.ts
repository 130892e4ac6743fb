// The digests of a mirror (domain/records/fleet/digest.ts), as reports use them: of the segments that a trusted digest covers only the
// members are read that are wanted, each compared with its signed hash; the verifier goes on behind them. Nothing else in the mirror is
// believed: a digest that is not what it should be is not used, and its journal is read whole.

import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readRegular } from '../../adapters/host/regular-file.js';
import type { VouchedMember } from '../../adapters/journal/compressed.js';
import { isCheckpointFile, readIn, segmentName, segmentsIn } from '../../adapters/journal/segments.js';
import { fileOf, type TrailFile } from '../../adapters/journal/trail.js';
import { bounds } from '../../bounds/bounds.js';
import {
  type DigestRow,
  isFaultless,
  type ReadDigest,
  readDigest,
  readRows,
} from '../../domain/records/fleet/digest.js';
import { stateFrom, type VerifierState } from '../../domain/records/trail/verify.js';
import { JournalFault } from '../../ports/faults.js';
import { headName, rowsName } from '../fleet/digests.js';
import type { MirroredHost } from './fleet-places.js';

export interface DigestedJournal {
  readonly digest: ReadDigest;
  /** Behind the segments that it covers, without those that retention removed since. */
  readonly state: VerifierState;
  /** The segments that it covers; `differs`: of a member in a file. Throws a JournalFault. */
  open(differs: (file: TrailFile, member: VouchedMember) => void): readonly TrailFile[];
  readonly behind: readonly TrailFile[];
}

/** A text says why there is none that counts, empty if nothing is closed. `keys`: of the host, as they are trusted here. */
export function readDigested(
  directory: string,
  { verifier, elsewhere }: MirroredHost,
  keys: readonly string[],
): DigestedJournal | string {
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
  const covered = new Set(rows.map(({ segment }) => segment));
  const present = new Set(names);
  const isThere = (number: number): boolean => present.has(`${segmentName(number)}.gz`);
  const retired = [...covered].findIndex(isThere);
  const left = retired < 0 ? [] : [...covered].slice(retired);
  const isOther = segments.some(({ number }) => number <= end && !left.includes(number));
  if (left.length === 0 || isOther || !left.every(isThere)) return 'other segments than those of its digest';
  const [first = end] = left;
  const begin = rows.find(({ segment }) => segment === first);
  if (begin === undefined || begin.firstSeq === 0) return 'a digest whose beginning is unknown';
  const before = [...covered][retired - 1];
  let held: readonly DigestRow[] | undefined = rows;
  return {
    digest,
    state: before === undefined ? state : stateFrom(state, { ...begin, before: segmentName(before) }),
    open(differs) {
      const files = filesOf(directory, held ?? rowsIn(directory, digest), first, differs);
      // A large fleet has millions.
      held = undefined;
      return files;
    },
    behind: segments.filter(({ number }) => number > end).map((segment) => fileOf(directory, segment)),
  };
}

function rowsIn(directory: string, digest: ReadDigest): readonly DigestRow[] | undefined {
  try {
    return readRows(readRegular(join(directory, rowsName), bounds.digestBodyBytes), digest);
  } catch {
    return undefined;
  }
}

function filesOf(
  directory: string,
  rows: readonly DigestRow[] | undefined,
  first: number,
  differs: (file: TrailFile, member: VouchedMember) => void,
): readonly TrailFile[] {
  if (rows === undefined)
    throw new JournalFault('unreadable', `${join(directory, rowsName)} was changed meanwhile: start again`);
  const members = new Map<number, DigestRow[]>();
  for (const row of rows) {
    if (row.segment < first) continue;
    const known = members.get(row.segment);
    if (known === undefined) members.set(row.segment, [row]);
    else known.push(row);
  }
  return [...members].map(([number, own]) => {
    const file = fileOf(directory, { number, name: segmentName(number), isCompressed: true });
    return { ...file, vouched: { members: own, differs: (member) => differs(file, member) } };
  });
}
