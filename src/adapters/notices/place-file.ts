// How far a receiver of notices is, in a file of the page's own state. A notice is on its way until the place after it is stored, so that one
// may be sent twice and none is lost.
// The rule: a file that is not exactly what was written here counts for nothing.
//
//   {"receiver":"chat","journal":"<32 hex>","segment":12,"bytes":4711,"seq":90210,"hash":"<64 hex>","since":0}

import { join } from 'node:path';
import { bounds } from '../../bounds/bounds.js';
import { isCount, parseLine } from '../../domain/audit/record.js';
import type { Dropped } from '../../domain/notices/notice.js';
import { readRegularFile, replaceFile } from '../host/regular-file.js';

export interface KeptPlace {
  readonly journal: string;
  /** After a record, as in adapters/shipping. */
  readonly segment: number;
  readonly bytes: number;
  readonly seq: number;
  readonly hash: string;
  /** Older records are passed over, by their time: the receiver had them, or was not there yet. */
  readonly sinceMs: number;
  /** Of which the receiver was not told yet. */
  readonly dropped?: Dropped | undefined;
}

export type PlaceFile = ReturnType<typeof createPlaceFile>;

/** A file in a directory, which is made for the first place. */
export function createPlaceFile(directory: string, receiver: string) {
  const path = join(directory, `notices-${receiver}.json`);
  return {
    /** Undefined: there is none; `'foreign'`: it counts for nothing. Rejects with the system's error. */
    async load(): Promise<KeptPlace | 'foreign' | undefined> {
      try {
        const text = (await readRegularFile(path, bounds.besideFileBytes)).toString('utf8');
        return readKept(text, receiver) ?? 'foreign';
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (code === 'ENOENT') return undefined;
        if (code === 'EFTYPE' || code === 'EFBIG') return 'foreign';
        throw error;
      }
    },
    /** On disk when it resolves, also after a power cut; rejects with the system's error. One call at a time. */
    async save({ sinceMs: since, ...place }: KeptPlace): Promise<void> {
      await replaceFile(path, `${JSON.stringify({ receiver, ...place, since })}\n`);
    },
  };
}

function readKept(text: string, wanted: string): KeptPlace | undefined {
  const { receiver, journal, segment, bytes, seq, hash, since, dropped } = parseLine(text) ?? {};
  if (receiver !== wanted || typeof journal !== 'string' || typeof hash !== 'string') return undefined;
  // -1: before the oldest segment.
  if (!Number.isSafeInteger(segment) || !isCount(bytes) || !isCount(seq) || !isCount(since)) return undefined;
  if (hash !== '' && !/^[0-9a-f]{64}$/.test(hash)) return undefined;
  if (dropped !== undefined && !isDropped(dropped)) return undefined;
  const place = { journal, segment: Number(segment), bytes, seq, hash, sinceMs: since };
  return dropped === undefined ? place : { ...place, dropped };
}

function isDropped(value: unknown): value is Dropped {
  if (typeof value !== 'object' || value === null) return false;
  const { count, fromMs, toMs, seq }: Readonly<Record<string, unknown>> = { ...value };
  return [count, fromMs, toMs, seq].every(isCount);
}
