// Signed lines about the journals seen so far. Each goes first to a file of the state, then to the store, below this verifier's name.

import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { type ObjectStore, StoreFault } from '../../host/ports/store.js';
import { parseSignKey } from '../../rules/keys/sign-key.js';
import { readAsked } from '../cli/fleet-places.js';
import { countFindings, type ReadCheckpoint, readCheckpoint, signCheckpoint } from '../fleet/checkpoint.js';
import type { Fleet } from '../fleet/fleet.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { FleetFinding, FleetStatus } from '../fleet/shapes.js';
import { formatName } from '../store/names.js';
import type { StateFolder } from './state-folder.js';

/** Signs a line, keeps it in the state, and stores it with unstored ones; failing to store is a warning. Rejects with a CommandFault. */
export async function sealCheckpoint(
  store: ObjectStore,
  folder: StateFolder,
  { name: verifier }: Pick<FleetSettings, 'name'>,
  fleet: Fleet,
  findings: readonly FleetFinding[],
  nowMs: number,
  warn: (text: string) => void,
): Promise<void> {
  const secretPem = folder.signKey();
  const seen = { heads: fleet.heads(), findings: countFindings(findings) };
  const before = newestLine(fleet, parseSignKey(secretPem).key, folder);
  folder.addCheckpoint(signCheckpoint(seen, before, secretPem, nowMs).line);
  await putCheckpoints(store, folder, verifier, fleet, warn);
}

/** Stores the lines that are not in the store yet; a failure is a warning. Rejects with a CommandFault. */
export async function putCheckpoints(
  store: ObjectStore,
  folder: StateFolder,
  verifier: string,
  fleet: Fleet,
  warn: (text: string) => void,
): Promise<void> {
  try {
    for (const line of folder.lastCheckpoints()) {
      const { seq = 0, hash = '' } = readCheckpoint(line) ?? {};
      if (seq <= fleet.log.own.seq) continue;
      const name = formatName({ kind: 'verifier', verifier, seq, hash });
      await store.put(name, Buffer.from(`${line}\n`), { ifAbsent: true });
    }
  } catch (fault) {
    if (!(fault instanceof StoreFault)) throw fault;
    warn(`the checkpoint is not in the store yet; the next one takes it along: ${fault.message}`);
  }
}

/** The line that the next one of this key follows. If the state was restored from a copy, the store has a newer one. */
export function newestLine(
  { log: { own: signed } }: Pick<Fleet, 'log'>,
  key: string,
  folder: StateFolder,
): { readonly seq: number; readonly hash: string } | undefined {
  const kept = folder.lastCheckpoint();
  const isAhead = signed.key === key && signed.next === undefined && signed.seq > (kept?.seq ?? 0);
  return isAhead ? signed : kept;
}

/** About the last signed line; undefined: there is none. */
export function describeCheckpoint(folder: StateFolder): FleetStatus['checkpoint'] {
  const last = folder.lastCheckpoint();
  return last && { seq: last.seq, at: last.time, root: last.root };
}

/** The last line of a file. Throws a CommandFault unless a known verifier signed it. */
export function readKeptLine(path: string, fleet: Pick<Fleet, 'log'>): ReadCheckpoint {
  const text = readAsked(path);
  const kept = readCheckpoint(text.trimEnd().split('\n').at(-1) ?? '');
  if (kept === undefined)
    throw new CommandFault(
      exitCodes.failed,
      `the last line of ${path} is no checkpoint of a fleet, or it was changed after it was signed`,
    );
  const why = fleet.log.whyNotKept(kept);
  if (why !== undefined)
    throw new CommandFault(exitCodes.failed, `the checkpoint in ${path} proves nothing: ${why}`);
  return kept;
}
