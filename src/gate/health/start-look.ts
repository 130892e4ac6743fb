// Whether a daemon could open its journal now. A package asks before it restarts a running one: the new one would turn all clients away.

import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isMissing, whyNoRight } from '../../host/machine/files.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatWords } from '../../host/words/text.js';
import { bytesWords } from '../../host/words/words.js';
import { reserveName } from '../../journal/files/segments.js';
import type { Settings } from '../../rules/config/settings.js';
import { type Told, textOf, valuesOf } from './daemon-look.js';
import { within } from './look.js';

/** The records of a stop and of a start, with room to spare. */
const startBytes = 128 * 1024;
const statMs = 3_000;

/** Why it could not, as a sentence with what to do; undefined: no known obstacle. `told`: the answer of a running daemon. */
export async function whyNoStart(
  { audit: { directory } }: { readonly audit: Pick<Settings['audit'], 'directory'> },
  told: Told | undefined,
  clock: Clock,
): Promise<string | undefined> {
  const journal = told !== undefined && 'status' in told ? valuesOf(told.status['journal']) : {};
  const fault = valuesOf(journal['fault']);
  // A writer that died is no obstacle: only a restart helps against it.
  if (journal['state'] === 'failed' && fault['code'] !== 'writer-died')
    return `the daemon cannot write its journal: ${textOf(fault['text'])}; repair or free the disk: ${dfOf(directory)}`;
  let folder = directory;
  while (isMissing(folder)) folder = dirname(folder);
  if (whyNoRight(folder, 'write') === 'EROFS') return `the file system of ${folder} is read-only`;
  const look = async (): Promise<string | undefined> => {
    const { bavail, bsize, blocks } = await statfs(folder);
    const free = bavail * bsize + reserveOf(directory);
    // Zero blocks: a file system in memory without a limit.
    if (blocks === 0 || free >= startBytes) return undefined;
    return `${bytesWords(free)} are free for the journal in ${directory}, and the records of a start want ${bytesWords(startBytes)}; free the disk: ${dfOf(folder)}`;
  };
  return within(statMs, clock, look(), () => `the file system of ${folder} does not answer`);
}

/** Bytes of the journal's reserve: a start on a full disk uses them. */
function reserveOf(directory: string): number {
  try {
    return statSync(join(directory, reserveName)).size;
  } catch {
    return 0;
  }
}

export function dfOf(directory: string): string {
  return formatWords(['df', '-h', directory]);
}
