// Keys of the journal: `dovegate audit keygen` makes one, `dovegate audit hmac` shows the digest of a secret in records, and a
// file beside the configuration lists accepted keys (`audit verify --accept-key`). The daemon's user has the private key and
// could sign anything, so the file counts only if that user can change neither it nor a directory above it.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readIfThere, type Trusted, whyUnsafe, writeAtomically } from '../../host/machine/files.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatTime } from '../../host/words/instants.js';
import { createRedactor } from '../../journal/records/redact.js';
import { makeSignKey, parsePublicKey } from '../../rules/keys/sign-key.js';
import { type Journals, journalsOf, type Places, readSmallFile } from './audit-places.js';

/** The private key goes to the file (0600), else to stdout; the public one to stdout, else to stderr. Throws a CommandFault. */
export async function auditKeygen(screen: Screen, file: string | undefined): Promise<number> {
  const { secretPem, publicPem, key } = makeSignKey();
  if (file === undefined) {
    await screen.print(secretPem.trimEnd());
    screen.complain(publicPem.trimEnd());
  } else {
    writeSecret(file, secretPem);
    await screen.print(publicPem.trimEnd());
  }
  await screen.flush();
  screen.complain(`public key, as records name it: ${key}`);
  return exitCodes.ok;
}

function writeSecret(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o600, flush: true });
  } catch (error) {
    throw new CommandFault(exitCodes.configuration, `${file} cannot be created`, error);
  }
}

/** The HMAC of a value (`-`: of stdin, without one LF at its end), as in records. Throws a CommandFault. */
export async function auditHmac(
  screen: Screen,
  value: string,
  places: Places,
  keyFile: string | undefined,
): Promise<number> {
  const path = keyFile ?? keyFileOf(await journalsOf(screen, places));
  const key = readSmallFile(path);
  const secret = value === '-' ? readFileSync(0, 'utf8').replace(/\r?\n$/, '') : value;
  try {
    await screen.print(createRedactor(key).redact(secret).hmac);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandFault(exitCodes.configuration, `${path}: ${error.message}`);
  }
  await screen.flush();
  return exitCodes.ok;
}

function keyFileOf({ paths: [directory = ''], hmacKeyFile }: Journals): string {
  return hmacKeyFile ?? join(directory, 'hmac.key');
}

const fileName = 'accepted-audit-keys';

export interface Accepted {
  readonly path: string;
  readonly keys: readonly string[];
  /** Why the file does not count; undefined: it counts, or does not exist. */
  readonly problem: string | undefined;
}

/** The effective uid of this process, and the owner of the journal's directory. */
export interface Asking {
  readonly userId: number;
  readonly ownerId: number;
}

/** Reads the accepted keys. Never throws. */
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

/** Throws a CommandFault if this user must not accept keys. */
export function demandMayAccept(config: string, asking: Asking): void {
  const { userId, ownerId } = asking;
  // root can change the file anyway.
  if (userId === ownerId && userId !== 0) {
    const text = `the daemon runs as this user (uid ${userId}) and must not accept keys itself; run this as root`;
    throw new CommandFault(exitCodes.notPermitted, text);
  }
  const problem = whyUnsafe(dirname(config), false, trustedBy(asking))?.text;
  if (problem !== undefined) throw new CommandFault(exitCodes.configuration, problem);
}

/** Adds a key; returns the path of the file. Throws a CommandFault. */
export function acceptKey(
  config: string,
  accepting: Asking & { readonly key: string; readonly journal: string | undefined; readonly wallMs: number },
): string {
  const { key, journal, wallMs, userId } = accepting;
  const path = join(dirname(config), fileName);
  const { keys, problem } = readAccepted(config, accepting);
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

/** The file must belong to root, or to this user, unless that is the daemon's. */
function trustedBy({ userId, ownerId }: Asking): Trusted {
  const owners = [0, userId].filter((uid) => uid !== ownerId || uid === 0);
  return { owners, writers: [0], readers: [] };
}
