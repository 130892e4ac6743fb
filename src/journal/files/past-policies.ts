// The texts of policies beside the segments: on disk before a record names one, removed when no remaining record can name it.
// `unused.json` has the last possible record of each unused policy; a policy that is used again is removed from it before a
// record names it.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '../../host/machine/regular-file.js';
import { isCount, parseLine } from '../../host/values/values.js';
import { makeInner, readIn, writeWhole } from './segments.js';

export const policiesName = 'policies';
const unusedName = 'unused.json';
const textName = /^([0-9a-f]{16,128})\.yaml$/;

export interface UsedPolicies {
  readonly versions: readonly string[];
  /** The last record before the commands of this run. */
  readonly startSeq: number;
}

/** The policies that no configuration uses, each with the last record that may name it. */
type Unused = Map<string, number>;

/** Does not write an existing file again: it was synced when it was made, and a full disk has no space for it twice. */
export function keepPolicyText(
  directory: string,
  groupId: number | undefined,
  version: string,
  text: string,
): void {
  const place = join(directory, policiesName);
  makeInner(place, groupId);
  const unused = readUnused(place);
  if (unused.delete(version)) writeUnused(place, unused);
  if (readIn(place, `${version}.yaml`) !== text) writeWhole(place, `${version}.yaml`, text);
}

/** Removes the texts that only records below `oldestSeq` name. Throws the system's error. */
export function forgetPolicies(
  directory: string,
  { versions, startSeq }: UsedPolicies,
  oldestSeq: number,
): void {
  const place = join(directory, policiesName);
  const used = new Set(versions);
  const known = readUnused(place);
  const unused: Unused = new Map();
  const gone: string[] = [];
  for (const file of readdirSync(place)) {
    const version = textName.exec(file)?.[1];
    if (version === undefined || used.has(version)) continue;
    const lastSeq = known.get(version) ?? startSeq;
    if (lastSeq < oldestSeq) gone.push(file);
    else unused.set(version, lastSeq);
  }
  const isNews = unused.size !== known.size || [...unused.keys()].some((version) => !known.has(version));
  if (isNews) writeUnused(place, unused);
  for (const file of gone) rmSync(join(place, file), { force: true });
  if (gone.length > 0) syncDirectory(place);
}

function readUnused(place: string): Unused {
  const unused: Unused = new Map();
  for (const [version, seq] of Object.entries(parseLine(readIn(place, unusedName) ?? '') ?? {}))
    if (isCount(seq)) unused.set(version, seq);
  return unused;
}

function writeUnused(place: string, unused: Unused): void {
  writeWhole(place, unusedName, JSON.stringify(Object.fromEntries(unused)));
}
