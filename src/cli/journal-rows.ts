// Rows of an audit journal for subcommands that review policies.

import { findTrail, searchTrail } from '../adapters/journal/trail.js';
import type { ExchangeRow, TrailFilter } from '../domain/trail/search.js';
import { JournalFault } from '../ports/faults.js';
import { exitCodes } from '../ports/machine.js';
import { plain, stderr } from './output/output.js';

/** Gives every exchange of a directory of segments (or of one segment) to `take`. A number: the exit code, with the reason printed. */
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
