// Whether a daemon could open its journal now. A package asks before it restarts one that runs: the new one would turn all clients away.

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

/** As a sentence with what to do; undefined: no known obstacle. `told`: by the daemon that runs, if one does. */
export async function whyNoStart(
  { audit: { directory } }: { readonly audit: Pick<Settings['audit'], 'directory'> },
  told: Told | undefined,
  clock: Clock,
): Promise<string | undefined> {
  const journal = told !== undefined && 'status' in told ? valuesOf(told.status['journal']) : {};
  const fault = valuesOf(journal['fault']);
  // Only a restart helps against a writer that is gone.
  if (journal['state'] === 'failed' && fault['code'] !== 'writer-died')
    return `the daemon cannot write its journal: ${textOf(fault['text'])}; repair or free the disk: ${dfOf(directory)}`;
  let folder = directory;
  while (isMissing(folder)) folder = dirname(folder);
  if (whyNoRight(folder, 'write') === 'EROFS') return `the file system of ${folder} is read-only`;
  const look = async (): Promise<string | undefined> => {
    const { bavail, bsize, blocks } = await statfs(folder);
    const free = bavail * bsize + reserveOf(directory);
    // Without any blocks it is a file system in memory that has no limit.
    if (blocks === 0 || free >= startBytes) return undefined;
    return `${bytesWords(free)} are free for the journal in ${directory}, and the records of a start want ${bytesWords(startBytes)}; free the disk: ${dfOf(folder)}`;
  };
  return within(statMs, clock, look(), () => `the file system of ${folder} does not answer`);
}

/** A start on a full disk takes its room from there. */
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
