// Numbers of the system's users and groups by name, and names by number. Asks the files first, then `getent`, which reads directories too.
// The rule: nothing that serves clients waits for a directory on the event loop; one that does not answer costs a name, never a session.

import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../../ports/machine.js';

/** How names become numbers; undefined: there is no such name. */
export interface NameNumbers {
  readonly uidOf: (name: string) => number | undefined;
  readonly gidOf: (name: string) => number | undefined;
}

type Database = 'passwd' | 'group';

/** Ids have 32 bits, and the last one means to chown "leave it as it is": a socket would silently stay root's. */
const idMax = 2 ** 32 - 2;

/** How long a program of the system may take to answer. */
const askTimeoutMs = 5_000;

/** The system's name of a uid; undefined: it has none. */
export function userNameOf(uid: number): string | undefined {
  return localUserName(uid) ?? nameIn(ask('getent', ['passwd', String(uid)]), uid);
}

/** The name of a uid by the system's own file alone. */
export function localUserName(uid: number): string | undefined {
  return nameIn(readLines('/etc/passwd'), uid);
}

/** The system's name of a gid by its own file alone. */
export function localGroupName(gid: number): string | undefined {
  return nameIn(readLines('/etc/group'), gid);
}

/** The name of a uid in lines as /etc/passwd has them; or of a gid, as /etc/group does. */
export function nameIn(lines: readonly string[], id: number): string | undefined {
  const name = lines.find((each) => each.split(':')[2] === String(id))?.split(':')[0];
  return name === '' ? undefined : name;
}

/** Why a socket cannot be reached, after the system said EACCES: whose it is, as far as that can be seen, and what to do. */
export function whyDenied(path: string): string {
  const owner = describeOwner(path);
  const whose = owner === undefined ? 'cannot be reached by this user' : `is for ${owner}`;
  return `permission denied: ${path} ${whose}; run as root`;
}

/** `"dovegate" only (mode 0600)`, or `"dovegate" and the group "mail" (mode 0660)`; undefined: the file cannot be looked at. */
function describeOwner(path: string): string | undefined {
  let found: { readonly uid: number; readonly gid: number; readonly mode: number };
  try {
    found = statSync(path);
  } catch {
    return undefined;
  }
  const { uid, gid, mode } = found;
  const user = `"${userNameOf(uid) ?? uid}"`;
  const group = nameIn(ask('getent', ['group', String(gid)]), gid) ?? gid;
  const whom = (mode & 0o020) === 0 ? `${user} only` : `${user} and the group "${group}"`;
  return `${whom} (mode ${(mode & 0o777).toString(8).padStart(4, '0')})`;
}

/** The uid of a user name, or of a number as text; undefined: there is none. */
export function uidOf(name: string): number | undefined {
  return numberOf('passwd', name);
}

/** The gid of a group name, or of a number as text; undefined: there is none. */
export function gidOf(name: string): number | undefined {
  return numberOf('group', name);
}

/** By the system, at each question; takes seconds where a directory does not answer. */
export const systemNumbers: NameNumbers = { uidOf, gidOf };

/** The numbers of these names, asked for beside everything else that runs. Never rejects. */
export async function lookUpNumbers(names: {
  readonly users: readonly string[];
  readonly groups: readonly string[];
}): Promise<NameNumbers> {
  const numbersOf = async (database: Database, all: readonly string[]): Promise<Map<string, number>> => {
    const found = new Map<string, number>();
    for (const name of new Set(all)) {
      const number = localNumber(database, name) ?? fromLines(await askLater(database, name), name);
      if (number !== undefined) found.set(name, number);
    }
    return found;
  };
  const [uids, gids] = await Promise.all([
    numbersOf('passwd', names.users),
    numbersOf('group', names.groups),
  ]);
  return { uidOf: (name) => uids.get(name), gidOf: (name) => gids.get(name) };
}

/** The lines of a database about a key, as `getent` prints them; none where it has none or does not answer. Never rejects. */
export function askLater(database: 'passwd' | 'group', key: string): Promise<readonly string[]> {
  return new Promise((resolve) => {
    execFile('getent', [database, '--', key], { timeout: askTimeoutMs }, (fault, stdout) =>
      resolve(fault === null ? stdout.split('\n') : []),
    );
  });
}

/** The groups that a user would have who logs in now, the own one too; empty where the system does not know the uid. */
export function gidsOf(uid: number): readonly number[] {
  const name = userNameOf(uid);
  if (name === undefined) return [];
  const words = ask('id', ['-G', name]).join(' ').split(' ');
  return words.filter((word) => /^\d+$/.test(word)).map(Number);
}

/** Who this process is; `gids`: all of its groups. */
export function ourselves(): {
  readonly isRoot: boolean;
  readonly uid: number;
  readonly gids: readonly number[];
} {
  const uid = process.geteuid?.() ?? -1;
  return { isRoot: uid === 0, uid, gids: [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])] };
}

function numberOf(database: Database, name: string): number | undefined {
  return localNumber(database, name) ?? fromLines(ask('getent', [database, '--', name]), name);
}

/** A number as it is; a name by the system's own file. */
function localNumber(database: Database, name: string): number | undefined {
  if (/^\d{1,10}$/.test(name)) return Number(name) <= idMax ? Number(name) : undefined;
  return fromLines(readLines(`/etc/${database}`), name);
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

function ask(program: string, args: readonly string[]): readonly string[] {
  try {
    const text = execFileSync(program, args, {
      encoding: 'utf8',
      timeout: askTimeoutMs,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.split('\n');
  } catch {
    return [];
  }
}

/** Names of uids. */
export interface AccountNames {
  /** The system's name; undefined: it has none, or the directory does not answer. Never rejects. */
  userName(uid: number): Promise<string | undefined>;
}

/** How a directory is asked: the lines about a uid, as /etc/passwd has them; empty where there is none or no answer. Never rejects. */
export type AskDirectory = (uid: number) => Promise<readonly string[]>;

const askSystem: AskDirectory = (uid) => askLater('passwd', String(uid));

/** How long an answer is remembered, and of how many uids. */
const rememberedMs = 60_000;
const rememberedMax = 1_000;

/** Remembers nothing yet. */
export function createAccountNames(clock: Clock, askDirectory: AskDirectory = askSystem): AccountNames {
  /** The answer may still be on its way: everybody who asks meanwhile waits for the same one. */
  const known = new Map<number, { readonly name: Promise<string | undefined>; readonly askedMs: number }>();
  return {
    userName(uid) {
      const nowMs = clock.now();
      const before = known.get(uid);
      if (before !== undefined && nowMs - before.askedMs < rememberedMs) return before.name;
      const local = localUserName(uid);
      const name =
        local === undefined ? askDirectory(uid).then((lines) => nameIn(lines, uid)) : Promise.resolve(local);
      known.delete(uid);
      if (known.size >= rememberedMax) forgetOldest();
      known.set(uid, { name, askedMs: nowMs });
      return name;
    },
  };

  function forgetOldest(): void {
    const [oldest] = known.keys();
    if (oldest !== undefined) known.delete(oldest);
  }
}
