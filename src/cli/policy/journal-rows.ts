// Rows of an audit journal for subcommands that review policies.

import { searchTrail } from '../../adapters/journal/search-trail.js';
import { findTrail } from '../../adapters/journal/trail.js';
import type { ExchangeRow, TrailFilter } from '../../domain/records/trail/search.js';
import { JournalFault } from '../../ports/faults.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';

/** Every exchange of a directory of segments, or of one segment. Throws a CommandFault. */
export async function* readRows(path: string, filter: TrailFilter = {}): AsyncGenerator<ExchangeRow> {
  try {
    const trail = findTrail([path]);
    if (trail.files.length === 0) {
      const text = `${path} holds no segment of an audit journal (*.jsonl, *.jsonl.gz)`;
      throw new CommandFault(exitCodes.configuration, text);
    }
    yield* searchTrail(trail, filter);
  } catch (fault) {
    if (!(fault instanceof JournalFault)) throw fault;
    throw new CommandFault(exitCodes.configuration, fault.message);
  }
}
