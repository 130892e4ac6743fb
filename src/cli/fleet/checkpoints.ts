// Lines that say what was there, signed: each goes to a file of the state first, and then to the stream, where the gates' administrator
// cannot take it back.

import { readText } from '../../adapters/host/files.js';
import { NatsFault, type NatsLink } from '../../adapters/nats/link.js';
import { parseSignKey } from '../../domain/audit/ledger.js';
import { checkpointSubject } from '../../domain/fleet/block.js';
import { type ExpectedHead, type Fleet, readCheckpoint, signCheckpoint } from '../../domain/fleet/fleet.js';
import type { FleetFinding, FleetStatus } from '../../domain/fleet/shapes.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import type { StateFolder } from './state-folder.js';

/** Of the file, for what must be compared or sent. */
const recentMax = 64;

/**
 * Signs what was read, keeps the line, and sends the stream what it has not: this line, and earlier ones that did not get there. That it
 * cannot be sent is a warning. Rejects with a CommandFault.
 */
export async function sealCheckpoint(
  link: NatsLink,
  folder: StateFolder,
  stream: string,
  fleet: Fleet,
  findings: readonly FleetFinding[],
  nowMs: number,
  warn: (text: string) => void,
): Promise<void> {
  const secretPem = folder.signKey();
  try {
    const last = await link.lastOf(stream, checkpointSubject);
    const sent = last === undefined ? undefined : readCheckpoint(last.bytes);
    const before = newestOf(sent, parseSignKey(secretPem).key, folder);
    const seen = { heads: fleet.heads(), findings: findings.length };
    folder.addCheckpoint(signCheckpoint(seen, before, secretPem, nowMs).line);
    let expected = last?.streamSeq ?? 0;
    for (const line of folder.lastCheckpoints(recentMax)) {
      if ((readCheckpoint(line)?.seq ?? 0) <= (sent?.seq ?? 0)) continue;
      ({ streamSeq: expected } = await link.publish(
        checkpointSubject,
        [],
        Buffer.from(`${line}\n`),
        expected,
      ));
    }
  } catch (fault) {
    if (!(fault instanceof NatsFault)) throw fault;
    warn(`the checkpoint is not in the stream yet; the next one takes it along: ${fault.message}`);
  }
}

/** The line that the next one goes on behind: a state that was put back from a copy has an older one than the stream. */
function newestOf(sent: Read, key: string, folder: StateFolder): Read {
  const kept = lastOf(folder);
  return sent?.key === key && sent.seq > (kept?.seq ?? 0) ? sent : kept;
}

/** Compares the file with what the stream has of it; what is new to find is noted by the fleet. */
export function compareCheckpoints(folder: StateFolder, fleet: Fleet): readonly FleetFinding[] {
  return fleet.takeLog(folder.lastCheckpoints(recentMax));
}

/** The public key of checkpoints, in base64. */
export function checkpointKeyOf(folder: StateFolder): string {
  return parseSignKey(folder.signKey()).key;
}

/** Of the line that was signed last; undefined: there is none. */
export function describeCheckpoint(folder: StateFolder): FleetStatus['checkpoint'] {
  const last = lastOf(folder);
  return last && { seq: last.seq, at: last.time, root: last.root };
}

type Read = ReturnType<typeof readCheckpoint>;

function lastOf(folder: StateFolder): Read {
  const line = folder.lastCheckpoints(1).at(-1);
  return line === undefined ? undefined : readCheckpoint(line);
}

/** What the last line of a file says that was there. Throws a CommandFault where it is not one that this key signed. */
export function readKeptHeads(path: string, key: string): readonly ExpectedHead[] {
  let text: string;
  try {
    text = readText(path);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, cause);
  }
  const kept = readCheckpoint(text.trimEnd().split('\n').at(-1) ?? '');
  if (kept === undefined)
    throw new CommandFault(
      exitCodes.failed,
      `the last line of ${path} is no checkpoint of a fleet, or it was changed after it was signed`,
    );
  if (kept.key !== key)
    throw new CommandFault(
      exitCodes.failed,
      `the checkpoint in ${path} is signed by ${kept.key}, and the key here is ${key}; name its key as checkpoint_key`,
    );
  return kept.heads;
}
