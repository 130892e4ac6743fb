// Looks up users and groups of the system: in the files first, then with `getent`, which reads directories too. It blocks until it has the
// answer, so a process that serves clients asks the name service instead (name-service.ts).

import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { bounds } from '../../bounds/bounds.js';
import { numberIn } from '../../domain/people/identity/user-word.js';
import { accountFiles } from './account-files.js';
import { packaged } from './packaged.js';

/** Converts names to numbers; undefined: there is no such name. */
export interface NameNumbers {
  readonly uidOf: (name: string) => number | undefined;
  readonly gidOf: (name: string) => number | undefined;
}

const askTimeoutMs = bounds.directoryAnswerMs;

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
function nameIn(lines: readonly string[], id: number): string | undefined {
  const name = lines.find((each) => each.split(':')[2] === String(id))?.split(':')[0];
  return name === '' ? undefined : name;
}

/** Connect to a socket, read a directory or a file, or reach what is in a directory. */
type WantedRight = 'connect' | 'read' | 'enter';

const groupBit: Readonly<Record<WantedRight, number>> = { connect: 0o020, read: 0o040, enter: 0o010 };

/** For EACCES. Names a group for a socket only, and none whose members read all records or secrets: who shall see a part would join it. */
export function whyDenied(path: string, right: WantedRight = 'connect'): string {
  const owner = findOwner(path, right);
  if (owner === undefined) {
    const above = dirname(path);
    // What is below a closed folder cannot be looked at; the folder can.
    return above === path ? `permission denied: ${path}` : whyDenied(above, 'enter');
  }
  const { user, group, mode, isMember } = owner;
  if (group === undefined)
    return `permission denied: ${path} is for "${user}" only (mode ${mode}); run it as root (sudo)`;
  if (isMember) return `permission denied: ${path} is open to this user since the last login: log in again`;
  if (right !== 'connect' || isForAllRecords(group))
    return `permission denied: ${path} is for "${user}" and few others (mode ${mode}); ask for a role on the page, or for a socket of your own`;
  const todo = `ask to be added to the group "${group.name}" (usermod --append --groups ${group.name} NAME), and log in again`;
  return `permission denied: ${path} is for "${user}" and the group "${group.name}" (mode ${mode}); ${todo}`;
}

/** Whose members read the whole journal, or the configuration with its secrets. Root's group reads them where no other does. */
function isForAllRecords({ gid, name }: { readonly gid: number; readonly name: string }): boolean {
  return (
    gid === 0 ||
    name === packaged.user ||
    [packaged.pageUser, packaged.shipUser, packaged.journalGroup].some((each) => each === name) ||
    gid === placeOf(packaged.journal)?.gid
  );
}

/** Whether a socket was refused because of its mode, however deep that stands. */
export function isAccessDenied(fault: unknown): boolean {
  if (!(fault instanceof Error)) return false;
  return ('code' in fault && fault.code === 'EACCES') || isAccessDenied(fault.cause);
}

/** `group`: the one that has the right; undefined: none has it. Undefined result: the file is not accessible. */
function findOwner(
  path: string,
  right: WantedRight,
):
  | {
      readonly user: string;
      readonly group: { readonly gid: number; readonly name: string } | undefined;
      readonly mode: string;
      /** By the system's database, which counts from the next login on. */
      readonly isMember: boolean;
    }
  | undefined {
  const found = placeOf(path);
  if (found === undefined) return undefined;
  const { uid, gid, mode } = found;
  const isForGroup = (mode & groupBit[right]) !== 0;
  const own = ourselves();
  return {
    user: userNameOf(uid) ?? String(uid),
    group: isForGroup
      ? { gid, name: nameIn(ask('getent', ['group', String(gid)]), gid) ?? String(gid) }
      : undefined,
    mode: (mode & 0o777).toString(8).padStart(4, '0'),
    isMember: isForGroup && !own.gids.includes(gid) && gidsOf(own.uid).includes(gid),
  };
}

function placeOf(path: string) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
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
 * Undefined: this process may not do that. While `use` runs, which must be synchronous, all threads have these rights: only for programs
 * that do nothing else.
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
