// Access on request in a trail, for `audit access` and for the reports, which name the approvers of a grant beside its commands.

import type { Piece } from '../../journal/files/compressed.js';
import type { Trail, TrailFile } from '../../journal/files/trail.js';
import { type AccessAsked, type AccessLedger, createAccessLedger } from '../report/access.js';
import type { View } from '../views/view.js';
import { filesSince, readToDamage } from './search-trail.js';

/** Without a `view` everything is visible. `look`: as in `searchTrail`. */
export async function readAccess(
  trail: Trail,
  asked: AccessAsked,
  view?: Pick<View, 'take'>,
  look?: (file: TrailFile, piece: Piece | undefined) => void,
): Promise<AccessLedger> {
  const ledger = createAccessLedger(asked);
  for (const file of await filesSince(trail.files, asked.sinceMs)) {
    for await (const piece of readToDamage(file)) {
      look?.(file, piece);
      if (piece !== undefined) ledger.take(view === undefined ? piece.bytes : view.take(piece.bytes));
    }
  }
  return ledger;
}
