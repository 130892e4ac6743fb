// `dovegate audit export --with-proof --socket`: an extract signed with the key of the journal, for people who may read only a
// part of it. A proof by the chain would need lines about other people. Form of the file: domain/views/extract.ts.

import { parseLine } from '../../domain/audit/record.js';
import type { TrailFilter } from '../../domain/trail/search.js';
import { formatExtract } from '../../domain/views/extract.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault, plain, plural } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { isAsked, openPage } from './ask-page.js';
import { journalsOf, type Places } from './audit-places.js';

/** Exit code 0. Rejects with a CommandFault if the signature is invalid: the output must not be used then. */
export async function auditExtract(screen: Screen, places: Places, filter: TrailFilter): Promise<number> {
  // It throws, because files are named as well.
  if (!isAsked(places)) await journalsOf(screen, places);
  const page = await openPage(screen, places);
  let count = 0;
  let key = '';
  for await (const { rows, signed } of page.extracts(filter)) {
    const lines = formatExtract(signed, rows);
    if (lines === undefined)
      throw new CommandFault(
        exitCodes.failed,
        'the signature of the extract is not right; do not use this output',
      );
    for (const line of lines) await screen.print(line);
    count += rows.length;
    key = String(parseLine(signed.head)?.['key']);
    if (screen.isGone) return exitCodes.ok;
  }
  await screen.flush();
  const what = `${plural(count, 'command')} in an extract signed by ${plain(key)}`;
  screen.complain(`dovegate: ${what}; it is no proof by the chain`);
  return exitCodes.ok;
}
