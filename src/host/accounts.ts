// Numbers of the system's users and groups by name. Asks the files first, then `getent`, which knows directories too.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

type Database = 'passwd' | 'group';

/** Ids have 32 bits, and the last one means to chown "leave it as it is": a socket would silently stay root's. */
const idMax = 2 ** 32 - 2;

/** How long a name is remembered, and of how many uids. */
const rememberedMs = 60_000;
const rememberedMax = 1_000;
const names = new Map<number, { readonly name: string | undefined; readonly readMs: number }>();

/**
 * The system's name of a uid, by its own file; undefined: it has none there. Remembered for a minute, because it is asked
 * for at every accept.
 */
export function userNameOf(uid: number, nowMs: number): string | undefined {
  const known = names.get(uid);
  if (known !== undefined && nowMs - known.readMs < rememberedMs) return known.name;
  const line = readLines('/etc/passwd').find((each) => each.split(':')[2] === String(uid));
  const name = line?.split(':')[0];
  if (names.size >= rememberedMax) names.clear();
  names.set(uid, { name, readMs: nowMs });
  return name;
}

/** The uid of a user name, or of a number as text; undefined: there is none. */
export function uidOf(name: string): number | undefined {
  return numberOf('passwd', name);
}

/** The gid of a group name, or of a number as text; undefined: there is none. */
export function gidOf(name: string): number | undefined {
  return numberOf('group', name);
}

function numberOf(database: Database, name: string): number | undefined {
  if (/^\d{1,10}$/.test(name)) return Number(name) <= idMax ? Number(name) : undefined;
  return fromLines(readLines(`/etc/${database}`), name) ?? fromLines(ask(database, name), name);
}

function fromLines(lines: readonly string[], name: string): number | undefined {
  for (const line of lines) {
    const [found, , id] = line.split(':');
    if (found === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return undefined;
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function ask(database: Database, name: string): readonly string[] {
  try {
    const text = execFileSync('getent', [database, '--', name], {
      encoding: 'utf8',
      timeout: 5_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.split('\n');
  } catch {
    return [];
  }
}
