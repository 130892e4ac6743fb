// Rows of an audit journal for subcommands that review policies, and what those rows leave out.

import { statSync } from 'node:fs';
import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { CommandFault } from '../../host/output/output.js';
import { JournalFault } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { findTrail } from '../../journal/files/trail.js';
import { searchTrail } from '../reading/search-trail.js';
import { createUnseenWatch, type Unseen } from '../reading/unseen.js';
import type { ExchangeRow } from '../trail/search.js';

/** Gives `take` every exchange of a directory of segments, or of one segment. Rejects with a CommandFault. */
export async function readRows(
  path: string,
  take: (row: ExchangeRow) => void,
  filter: TrailFilter = {},
): Promise<Unseen> {
  try {
    const trail = findTrail([path]);
    if (trail.files.length === 0) {
      const text = `${path} holds no segment of an audit journal (*.jsonl, *.jsonl.gz)`;
      throw new CommandFault(exitCodes.configuration, text);
    }
    const { sinceMs, listener } = filter;
    const unseen = createUnseenWatch(trail, { sinceMs, listener, isPart: !statSync(path).isDirectory() });
    for await (const row of searchTrail(trail, filter, unseen.look)) take(row);
    return unseen.finish();
  } catch (fault) {
    if (!(fault instanceof JournalFault)) throw fault;
    throw new CommandFault(exitCodes.configuration, fault.message);
  }
}
