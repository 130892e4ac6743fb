// The newest segments of a journal, back to a time. It reads their first records only: who asks reads the rest.

import { beginOf, findTrail, type TrailFile } from './trail.js';

/** What a journal holds of the last while. */
export interface Recent {
  /** Oldest first. */
  readonly files: readonly TrailFile[];
  /** Sum of the steps of the wall clock that were recorded before the first of them. */
  readonly stepsMs: number;
  /** False: there would have been more than `filesMax`. */
  readonly isWhole: boolean;
}

/**
 * The segments that hold what was recorded since a time, which is counted without the steps of the wall clock; at most
 * `filesMax` of them. Throws a JournalFault when the directory cannot be read.
 */
export async function findRecent(directory: string, sinceMs: number, filesMax: number): Promise<Recent> {
  const { files } = findTrail([directory]);
  const chosen: TrailFile[] = [];
  let stepsMs = 0;
  for (const file of files.toReversed()) {
    if (chosen.length >= filesMax) return { files: chosen, stepsMs, isWhole: false };
    chosen.unshift(file);
    const began = await beginOf(file);
    // A segment that does not tell is read, and so is the one before it.
    if (began === undefined) continue;
    ({ stepsMs } = began);
    if (began.timeMs - stepsMs <= sinceMs) break;
  }
  return { files: chosen, stepsMs, isWhole: true };
}
