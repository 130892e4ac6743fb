// How far a receiver of notices is, in a file of the state of `dovegate ship`. A notice is on its way until the place after it is stored,
// so that one may be sent twice and none is lost. A file that is not exactly what was written here counts for nothing.
//
//   {"receiver":"chat","journal":"<32 hex>","segment":12,"bytes":4711,"seq":90210,"hash":"<64 hex>","sinceMs":0,"reached":90210,"aside":[]}

import { join } from 'node:path';
import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { readOwnFile, replaceFile } from '../../host/machine/regular-file.js';
import { fit } from '../../host/values/fit.js';
import { count, spanMs } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';

const place = z.object({
  journal: z.string(),
  /** After a record, as in ship/shipping; -1: before the oldest segment. */
  segment: z.int().min(-1),
  bytes: count,
  seq: count,
  hash: z.string().regex(/^(?:[0-9a-f]{64})?$/),
  /** Older records are passed over, by their time: the receiver had them, or was not there yet. */
  sinceMs: spanMs,
  /** Records up to this one are settled, even after the position, except those in `aside`: notices whose end was not known. */
  reached: count,
  aside: z.array(count).max(bounds.noticesAside),
  /** Dropped notices that the receiver was not told of yet. */
  dropped: z.object({ count, fromMs: spanMs, toMs: spanMs, seq: count }).optional(),
});

export type KeptPlace = Readonly<z.infer<typeof place>>;

const kept = place.extend({ receiver: z.string() });

export type PlaceFile = ReturnType<typeof createPlaceFile>;

/** A file in a directory, which is made for the first place. */
export function createPlaceFile(directory: string, receiver: string) {
  const path = join(directory, `notices-${receiver}.json`);
  return {
    /** Undefined: there is none; `'foreign'`: it counts for nothing. Rejects with the system's error. */
    async load(): Promise<KeptPlace | 'foreign' | undefined> {
      try {
        const text = await readOwnFile(path);
        if (text === undefined) return undefined;
        const found = fit(kept, parseLine(text));
        if (typeof found === 'string' || found.receiver !== receiver) return 'foreign';
        const { receiver: _, ...rest } = found;
        return rest;
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (code === 'EFTYPE' || code === 'EFBIG') return 'foreign';
        throw error;
      }
    },
    /** On disk when it resolves, also after a power cut; rejects with the system's error. One call at a time. */
    async save(at: KeptPlace): Promise<void> {
      await replaceFile(path, `${JSON.stringify({ receiver, ...at })}\n`);
    },
  };
}
