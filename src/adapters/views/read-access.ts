// Access on request in a trail, for `audit access` and for the reports, which name the approvers of a grant beside its commands.

import {
  type AccessAsked,
  type AccessLedger,
  createAccessLedger,
} from '../../domain/records/report/access.js';
import { createSketchTest, type Sketch } from '../../domain/records/trail/sketch.js';
import type { View } from '../../domain/records/views/view.js';
import type { Piece } from '../journal/compressed.js';
import { filesSince, readToDamage, type Trail, type TrailFile } from '../journal/trail.js';

/** `view`: undefined: everything is visible. `look`: as in `searchTrail`. `ids`: of files that are vouched for, only what may name one. */
export async function readAccess(
  trail: Trail,
  asked: AccessAsked,
  view?: Pick<View, 'take'>,
  look?: (file: TrailFile, piece: Piece | undefined) => void,
  ids: ReadonlySet<string> = new Set(),
): Promise<AccessLedger> {
  const ledger = createAccessLedger(asked);
  const tests = [...ids].map((grant) => createSketchTest({ grant }));
  const wants = (sketch: Sketch): boolean => tests.some((mayHold) => mayHold(sketch));
  for (const file of await filesSince(trail.files, asked.sinceMs)) {
    for await (const piece of readToDamage(file, file.vouched && wants)) {
      look?.(file, piece);
      if (piece !== undefined) ledger.take(view === undefined ? piece.bytes : view.take(piece.bytes));
    }
  }
  return ledger;
}
