// Looks up users and groups of the system: in the files first, then with `getent`, which reads directories too. It blocks until it has the
// answer, so a process that serves clients asks the name service instead (name-service.ts).

import { execFileSync } from 'node:child_process';
import { bounds } from '../bounds/bounds.js';
import { numberIn } from '../words/user-word.js';
import { accountFiles } from './account-files.js';

/** Converts names to numbers; undefined: there is no such name. */
export interface NameNumbers {
  readonly uidOf: (name: string) => number | undefined;
  readonly gidOf: (name: string) => number | undefined;
}

export function userNameOf(uid: number): string | undefined {
  return localUserName(uid) ?? nameIn(ask('getent', ['passwd', String(uid)]), uid);
}

export function localUserName(uid: number): string | undefined {
  return accountFiles.userName(uid);
}

export function localGroupName(gid: number): string | undefined {
  return accountFiles.groupName(gid);
}

/** The name of a uid in lines as /etc/passwd has them; or of a gid, as /etc/group does. */
export function nameIn(lines: readonly string[], id: number): string | undefined {
  const name = lines.find((each) => each.split(':')[2] === String(id))?.split(':')[0];
  return name === '' ? undefined : name;
}

/** The uid of a user name, or of a number as text; undefined: there is none. */
export function uidOf(name: string): number | undefined {
  return numberOf('passwd', name);
}

/** The gid of a group name, or of a number as text; undefined: there is none. */
export function gidOf(name: string): number | undefined {
  return numberOf('group', name);
}

/** Asks the system at each call; takes seconds if a directory does not answer. */
export const systemNumbers: NameNumbers = { uidOf, gidOf };

/** The groups that a user would get at a login now, its own one included; empty for a uid unknown to the system. */
export function gidsOf(uid: number): readonly number[] {
  const name = userNameOf(uid);
  if (name === undefined) return [];
  const words = ask('id', ['-G', name]).join(' ').split(' ');
  return words.filter((word) => /^\d+$/.test(word)).map(Number);
}

/**
 * Runs `use` as another user; undefined: this process may not do that. While `use` runs, which must be synchronous, all threads have these
 * rights: only for programs that do nothing else.
 */
export function withRightsOf<Result>(
  { uid, gids }: { readonly uid: number; readonly gids: readonly number[] },
  use: () => Result,
): Result | undefined {
  const own = { uid: process.geteuid?.(), gid: process.getegid?.(), groups: process.getgroups?.() ?? [] };
  const [gid] = gids;
  if (own.uid !== 0 || own.gid === undefined || gid === undefined) return undefined;
  try {
    // The Node 20 of Debian refuses every call (CVE-2024-22017): this call detects that before anything has changed.
    process.seteuid?.(own.uid);
  } catch {
    return undefined;
  }
  /** The steps that give the rights back, the last change first: without permission for a change there is none for its reversal. */
  const back: (() => void)[] = [];
  try {
    process.setgroups?.([...gids]);
    back.unshift(() => process.setgroups?.(own.groups));
    process.setegid?.(gid);
    back.unshift(() => process.setegid?.(own.gid ?? 0));
    process.seteuid?.(uid);
    back.unshift(() => process.seteuid?.(own.uid ?? 0));
    return use();
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EPERM') return undefined;
    throw cause;
  } finally {
    for (const restore of back) restore();
  }
}

/** The user of this process; `gids`: all of its groups. */
export function ourselves(): {
  readonly isRoot: boolean;
  readonly uid: number;
  readonly gids: readonly number[];
} {
  const uid = process.geteuid?.() ?? -1;
  return { isRoot: uid === 0, uid, gids: [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])] };
}

/** A number as it is; a name from the system's own file, else from its directory. */
function numberOf(database: 'passwd' | 'group', name: string): number | undefined {
  const number = numberIn(name);
  if (number !== undefined) return number.id;
  const local = database === 'passwd' ? accountFiles.uidOf(name) : accountFiles.gidOf(name);
  return local ?? fromLines(ask('getent', [database, '--', name]), name);
}

function fromLines(lines: readonly string[], name: string): number | undefined {
  for (const line of lines) {
    const [found, , id] = line.split(':');
    if (found === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return undefined;
}

export function ask(program: string, args: readonly string[]): readonly string[] {
  try {
    const text = execFileSync(program, args, {
      encoding: 'utf8',
      timeout: bounds.directoryAnswerMs,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.split('\n');
  } catch {
    return [];
  }
}
