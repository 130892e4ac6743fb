// Rows of an audit journal for subcommands that review policies. It does not know what is done with them.

import type { ExchangeRow, TrailFilter } from '../audit/search.js';
import { JournalFault } from '../engine/journal-fault.js';
import { findTrail, searchTrail } from '../segments/trail.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { plain, stderr } from '../terminal/output.js';

/**
 * Gives every exchange of a directory of segments (or of one segment) to `take`. A number is the exit code: nothing could
 * be read there, and why was printed.
 */
export async function readRows(
  path: string,
  filter: TrailFilter,
  take: (row: ExchangeRow) => void,
): Promise<number | undefined> {
  try {
    const trail = findTrail([path]);
    if (trail.files.length === 0) {
      stderr(`${plain(path)} holds no segment of an audit journal (*.jsonl, *.jsonl.gz)`);
      return exitCodes.configuration;
    }
    for await (const row of searchTrail(trail, filter)) take(row);
    return undefined;
  } catch (fault) {
    if (!(fault instanceof JournalFault)) throw fault;
    stderr(plain(fault.message));
    return exitCodes.configuration;
  }
}
