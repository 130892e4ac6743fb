// How large a journal is, without reading its segments.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { readRegularFile } from '../../host/machine/regular-file.js';
import { JournalFault } from '../../host/ports/faults.js';
import { isCount, isText, parseLine } from '../../host/values/values.js';
import { asTimeMs } from '../records/record.js';
import { checkpointName, findKeptCheckpoints, findSegments, isSystemError } from './segments.js';
import { fileOf, firstSeqOf, type TrailFile } from './trail.js';

/** Figures of a journal, from its directory, its checkpoints and the first line of its oldest segment. */
export type TrailSize = Awaited<ReturnType<typeof measureTrail>>;

/** Does not block the event loop, and reads no segment beyond its first line. Rejects with a JournalFault. */
export async function measureTrail(directory: string) {
  let files: readonly TrailFile[];
  let kept: readonly string[];
  try {
    kept = await readKeptFiles(directory);
    files = (await findSegments(directory)).map((segment) => fileOf(directory, segment));
  } catch (error) {
    throw new JournalFault('unreadable', `${directory} cannot be read`, error);
  }
  const [oldest] = files;
  const checkpoints = kept.flatMap((text) => {
    const record = parseLine(text.trimEnd());
    const { seq, time, key } = record ?? {};
    if (!isCount(seq) || !isText(time) || asTimeMs(time) === undefined) return [];
    return [{ seq, at: time, ...(isText(key) && { key }) }];
  });
  return {
    segments: files.length,
    bytes: (await sizesOf(files)).reduce((sum, bytes) => sum + bytes, 0),
    oldestSeq: oldest === undefined ? undefined : await firstSeqOf(oldest),
    checkpoint: checkpoints.toSorted((one, other) => other.seq - one.seq)[0],
  };
}

async function readKeptFiles(directory: string): Promise<readonly string[]> {
  const texts: string[] = [];
  const kept = (await findKeptCheckpoints(directory)).slice(0, bounds.keptCheckpoints);
  for (const file of [checkpointName, ...kept]) {
    try {
      texts.push((await readRegularFile(join(directory, file), bounds.besideFileBytes)).toString('utf8'));
    } catch (error) {
      if (file !== checkpointName || !isSystemError(error, 'ENOENT')) throw error;
    }
  }
  return texts;
}

/** Bytes of the files as they lie there; 0: it is gone, or has another name since. */
export async function sizesOf(files: readonly TrailFile[]): Promise<number[]> {
  const sizes: number[] = [];
  for (const { path } of files) {
    const found = await stat(path).catch(() => stat(`${path}.gz`).catch(() => undefined));
    sizes.push(found?.size ?? 0);
  }
  return sizes;
}
