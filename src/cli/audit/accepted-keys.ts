// The keys of a journal that a person has accepted: a file beside the configuration, read by `audit verify --config`. The daemon has
// the private key, so its own user could sign anything; that user must not be able to accept keys, too.
// The rule: the file counts only if neither it nor a directory on the way belongs to, or can be changed by, the user of the journal.

import { dirname, join } from 'node:path';
import { readIfThere, writeAtomically } from '../../adapters/host/files.js';
import { type Trusted, whyUnsafe } from '../../adapters/host/trusted-path.js';
import { parsePublicKey } from '../../domain/audit/signature.js';
import { formatTime } from '../../domain/audit/time.js';
import { exitCodes } from '../../gateway/outcome/exit-codes.js';
import { CommandFault } from '../output/command-fault.js';

/** The name of the file beside the configuration. */
const fileName = 'accepted-audit-keys';

/** What was accepted for a configuration. */
export interface Accepted {
  readonly path: string;
  /** Public keys in base64. */
  readonly keys: readonly string[];
  /** Why the file does not count; undefined: it does, or there is none. */
  readonly problem: string | undefined;
}

/** Who asks, and whose journal it is: effective uid, and the uid that owns the directory. */
export interface Asking {
  readonly userId: number;
  readonly ownerId: number;
}

/** Reads what was accepted. Never throws. */
export function readAccepted(config: string, asking: Asking): Accepted {
  const path = join(dirname(config), fileName);
  try {
    const text = readIfThere(path);
    if (text === undefined) return { path, keys: [], problem: undefined };
    const problem = whyUnsafe(path, false, trustedBy(asking))?.text;
    const words = text.split('\n').map((line) => line.split(' ')[0] ?? '');
    const keys = words.filter((word) => parsePublicKey(word) === word);
    return { path, keys: problem === undefined ? keys : [], problem };
  } catch (cause) {
    return { path, keys: [], problem: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** Who accepts, and what. */
export interface Acceptance extends Asking {
  readonly key: string;
  readonly journal: string | undefined;
  readonly wallMs: number;
}

/** Throws a CommandFault where this person may not accept keys, before anything else is done. */
export function demandMayAccept(config: string, asking: Asking): void {
  const { userId, ownerId } = asking;
  // Whoever is root can change the file anyway.
  if (userId === ownerId && userId !== 0) {
    const text = `the daemon runs as this user (uid ${userId}) and must not accept keys itself; run this as root`;
    throw new CommandFault(exitCodes.notPermitted, text);
  }
  const problem = whyUnsafe(dirname(config), false, trustedBy(asking))?.text;
  if (problem !== undefined) throw new CommandFault(exitCodes.configuration, problem);
}

/** Adds a key; returns the path of the file. Throws a CommandFault. */
export function acceptKey(config: string, acceptance: Acceptance): string {
  const { key, journal, wallMs, userId } = acceptance;
  const path = join(dirname(config), fileName);
  const { keys, problem } = readAccepted(config, acceptance);
  if (problem !== undefined) throw new CommandFault(exitCodes.configuration, problem);
  if (keys.includes(key)) return path;
  const line = `${key} accepted ${formatTime(wallMs)} by uid ${userId} for journal ${journal ?? '-'}\n`;
  try {
    writeAtomically(path, `${readIfThere(path) ?? ''}${line}`, 0o644);
    return path;
  } catch (cause) {
    throw new CommandFault(exitCodes.notPermitted, `${path} cannot be written; run this as root`, cause);
  }
}

/** Everybody but the daemon's user, unless that is root. */
function trustedBy({ userId, ownerId }: Asking): Trusted {
  const owners = [0, userId].filter((uid) => uid !== ownerId || uid === 0);
  return { owners, writers: [0], readers: [] };
}
