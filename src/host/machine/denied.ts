// Why the system denies a file to this process, for people who run a command.

import { dirname } from 'node:path';
import { ask, gidsOf, nameIn, ourselves, userNameOf } from './accounts.js';
import { statOf } from './files.js';
import { packaged } from './packaged.js';

/** Connect to a socket, read a directory or a file, or reach what is in a directory. */
type WantedRight = 'connect' | 'read' | 'enter';

const groupBit: Readonly<Record<WantedRight, number>> = { connect: 0o020, read: 0o040, enter: 0o010 };

/** For EACCES. Names a group for a socket only, and none whose members read all records or secrets: people would join it for a part. */
export function whyDenied(path: string, right: WantedRight = 'connect'): string {
  const owner = findOwner(path, right);
  if (owner === undefined) {
    const above = dirname(path);
    // The contents of a closed folder cannot be examined; the folder can.
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

/** Whether a group reads the whole journal, or the configuration with its secrets. Root's group does where no other does. */
function isForAllRecords({ gid, name }: { readonly gid: number; readonly name: string }): boolean {
  return (
    gid === 0 ||
    name === packaged.user ||
    [packaged.pageUser, packaged.shipUser, packaged.journalGroup].some((each) => each === name) ||
    gid === statOf(packaged.journal)?.gid
  );
}

/** Whether a socket was refused because of its mode, however deep in its causes the fault says so. */
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
  const found = statOf(path);
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
