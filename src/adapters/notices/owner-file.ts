// What a receiver of mails to owners keeps from one day to the next, in a file of our own state: how far it told, and what is owed. A file
// that is not exactly what was written here counts for nothing.

import { join } from 'node:path';
import * as z from 'zod';
import { bounds } from '../../bounds/bounds.js';
import { count, fit, spanMs } from '../../domain/language/seams/shape.js';
import { parseLine } from '../../domain/records/audit/record.js';
import type { OwnerPlan } from '../../domain/records/report/owner-digest.js';
import { readRegularFile, replaceFile } from '../host/regular-file.js';

const day = z.string().regex(/^(?:\d{4}-\d\d-\d\d)?$/);
const kept = z.object({
  receiver: z.string(),
  journal: z.string(),
  day,
  told: count,
  start: count,
  sinceMs: spanMs,
  owed: z
    .array(
      z.tuple([
        z.string(),
        z.object({
          from: count,
          start: count,
          tried: day,
          grants: z.array(z.string()).max(bounds.ownerQuiet),
        }),
      ]),
    )
    .max(bounds.ownerMails),
  held: z.array(z.tuple([z.string(), z.object({ untilMs: spanMs, start: count })])).max(bounds.ownerQuiet),
});

export type OwnerFile = ReturnType<typeof createOwnerFile>;

export function createOwnerFile(directory: string, receiver: string, journal: string) {
  const path = join(directory, `owners-${receiver}.json`);
  return {
    /** Undefined: there is none; `'foreign'`: it counts for nothing. Rejects with the system's error. */
    async load(): Promise<OwnerPlan | 'foreign' | undefined> {
      try {
        const text = (await readRegularFile(path, bounds.ownerFileBytes)).toString('utf8');
        const found = fit(kept, parseLine(text));
        if (typeof found === 'string' || found.receiver !== receiver || found.journal !== journal)
          return 'foreign';
        const { receiver: _, journal: __, owed, held, ...rest } = found;
        return { ...rest, owed: new Map(owed), held: new Map(held) };
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (code === 'ENOENT') return undefined;
        if (code === 'EFTYPE' || code === 'EFBIG') return 'foreign';
        throw error;
      }
    },
    /** On disk when it resolves, also after a power cut; rejects with the system's error. One call at a time. */
    async save({ owed, held, ...rest }: OwnerPlan): Promise<void> {
      const text = JSON.stringify({ receiver, journal, ...rest, owed: [...owed], held: [...held] });
      await replaceFile(path, `${text}\n`);
    },
  };
}
