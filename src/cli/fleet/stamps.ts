// Time stamps of a verifier: one a day over its newest signed line, which names the end of each journal. Whoever has the keys of gates and
// verifier can write all of it anew, but for what was stamped before.

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { randomFraction, systemClock } from '../../adapters/host/clock.js';
import { type Stamper, stampFolderOf, startStamper } from '../../adapters/stamps/stamper.js';
import type { FleetSettings } from '../../domain/config/parse-fleet.js';
import { readLink } from '../../domain/records/audit/ledger.js';
import { parseTime } from '../../domain/records/audit/record.js';
import { readCheckpoint } from '../../domain/records/fleet/checkpoint.js';
import { StampFault } from '../../domain/records/stamps/fault.js';
import { exitCodes } from '../../ports/machine.js';
import { checkStamps, oddTimeIn } from '../audit/audit-stamps.js';
import { CommandFault } from '../output/output.js';
import { linesName, type StateFolder } from './state-folder.js';

/** Undefined: the settings name no authority. */
export function startStampsOf(
  { stamps, state }: Pick<FleetSettings, 'stamps' | 'state'>,
  folder: StateFolder,
  tell: (event: string, fields: Readonly<Record<string, unknown>>) => void,
): Stamper | undefined {
  if (stamps === undefined) return undefined;
  const authority = new URL(stamps.url).host;
  return startStamper({
    clock: systemClock,
    chance: randomFraction,
    settings: stamps,
    folder: stampFolderOf(state),
    newest() {
      const line = folder.lastCheckpoints(1).at(-1);
      const isSigned = line !== undefined && readCheckpoint(line) !== undefined;
      return isSigned
        ? Promise.resolve(Buffer.from(`${line}\n`))
        : Promise.reject(new StampFault('unsigned'));
    },
    onStamped: (day) => tell('stamps-taken', { authority, day }),
    onFault: ({ code, message }) => tell('stamps-away', { authority, code, text: message }),
  });
}

/** What is wrong with the stamps of a verifier's lines, in sentences. Throws a CommandFault. */
export async function checkLineStamps(
  folder: string,
  { stamps: settings, state }: Pick<FleetSettings, 'stamps' | 'state'>,
): Promise<readonly string[]> {
  if (settings === undefined)
    throw new CommandFault(
      exitCodes.usage,
      '--stamps needs `stamps` in the settings of the fleet, with `authority`',
    );
  const { stamps, faults } = checkStamps(folder, settings.authorityFile, (text) => {
    const line = readCheckpoint(text);
    return line && { seq: line.seq, hash: line.hash, timeMs: parseTime(line.time) ?? 0 };
  });
  const found = [...faults];
  const open = stamps.toSorted((one, other) => one.line.seq - other.line.seq);
  // Those whose next line comes.
  let before: typeof open = [];
  for await (const text of createInterface({ input: createReadStream(join(state, linesName)) })) {
    const link = readLink(Buffer.from(text));
    const seq = link?.seq ?? 0;
    if (before.length > 0) {
      const nextMs = parseTime(/"time":"([^"]+)"/.exec(text)?.[1] ?? '');
      found.push(...before.flatMap((each) => oddTimeIn(each, nextMs)));
      before = [];
    }
    while (open[0] !== undefined && open[0].line.seq <= seq) {
      const [each] = open.splice(0, 1);
      if (each === undefined) break;
      if (link?.isIntact === true && link.hash === each.line.hash) before.push(each);
      else found.push(missing(each.file, each.line.seq));
    }
  }
  found.push(...before.flatMap((each) => oddTimeIn(each, undefined)));
  found.push(...open.map(({ file, line }) => missing(file, line.seq)));
  return found.map(({ file, text }) => (file === '' ? text : `${join(folder, file)}: ${text}`));
}

function missing(file: string, seq: number): ReturnType<typeof oddTimeIn>[number] {
  const text = `line ${seq} of ${linesName} is not the one that was stamped: whoever has the key of the verifier wrote it anew; verify with --checkpoint and the stamped line says which journals`;
  return { kind: 'stamp', file, line: 0, seq, text };
}
