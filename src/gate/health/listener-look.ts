// Checks a team's socket from its members' side: it exists, has the configured mode, and every member can reach it through its
// directories.

import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { gidOf, gidsOf, ourselves, uidOf, userNameOf } from '../../host/machine/accounts.js';
import { isMissing, statOf } from '../../host/machine/files.js';
import type { Owner } from '../../host/machine/new-files.js';
import { socketUnitCommands } from '../../host/machine/process.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatListenerSocket, isSocket, type ListenerSettings } from '../../rules/config/settings.js';
import { folderCommand } from '../../rules/setup/unit.js';
import { bad, type Look, ok, warning } from './look.js';

interface Member {
  readonly name: string;
  /** -1: no particular user. */
  readonly uid: number;
  readonly gids: readonly number[];
}

/** If a directory service does not answer, each name takes seconds: only the first members are checked then. */
const membersMs = 3_000;

/** `isServing`: the daemon reports this listener; undefined: it was not asked. */
export function lookAtListener(
  listener: ListenerSettings,
  isServing: boolean | undefined,
  clock: Clock,
  daemonUid?: number,
): Look {
  const { socket } = listener;
  const name = `listener ${listener.name}`;
  const place = formatListenerSocket(socket);
  if (isSocket(socket, 'systemd') && isServing === false)
    return bad(
      name,
      `the daemon does not serve ${place}`,
      'reload it; if that finds no socket, enable its unit, and restart the service',
      socketUnitCommands(socket.name).join(' && '),
    );
  if (isServing === false)
    return bad(name, `the daemon does not serve ${place}`, 'reload it, or look at its log');
  if (isSocket(socket, 'tcp') && isServing === undefined)
    return warning(name, `${place}: no daemon answered that serves it`, 'the daemon makes it at its start');
  if (!isSocket(socket, 'unix')) return ok(name, isServing === true ? `served at ${place}` : place);
  const { path, mode } = socket;
  const found = statOf(path);
  const folder = dirname(path);
  if (found === undefined && isMissing(folder)) {
    const daemon = userNameOf(daemonUid ?? ourselves().uid) ?? String(daemonUid);
    const make = folderCommand(folder, daemon);
    const todo = `the daemon makes no folder for sockets: make it (${make}), then restart the daemon`;
    return bad(name, `${folder}, the folder of ${path}, is not there`, todo, make);
  }
  if (found === undefined)
    return isServing === true
      ? bad(name, `${path} is not there, or cannot be looked at`, 'somebody removed it: restart the daemon')
      : warning(name, `${path} is not there yet`, 'the daemon makes it at its start');
  if (!found.isSocket()) return bad(name, `${path} is no socket`, 'move it away, then restart the daemon');
  const octal = (bits: number): string => bits.toString(8).padStart(4, '0');
  if ((found.mode & 0o777) !== mode)
    return bad(
      name,
      `${path} has mode ${octal(found.mode & 0o7777)}, not ${octal(mode)}`,
      'restart the daemon',
    );
  const untilMs = clock.now() + membersMs;
  for (const member of membersOf(listener)) {
    const at = firstClosedFolder(path, member) ?? (may(member, found, 0o2) ? undefined : path);
    if (at !== undefined)
      return bad(
        name,
        `${member.name} cannot pass ${at}`,
        'give the directory the mode 0711, or put the socket elsewhere',
      );
    if (clock.now() > untilMs) break;
  }
  return ok(name, `${path} mode ${octal(mode)}${forWhom(listener)}`);
}

function forWhom({ peers, socket }: ListenerSettings): string {
  const all = [
    ...(peers?.users ?? []),
    ...(peers?.groups ?? []).map((group) => `group ${group}`),
    ...(isSocket(socket, 'unix') && socket.group !== undefined ? [`group ${socket.group}`] : []),
  ];
  return all.length === 0 ? '' : `, for ${all.join(', ')}`;
}

function* membersOf({ peers, socket }: ListenerSettings): Generator<Member> {
  for (const name of peers?.users ?? []) {
    const uid = uidOf(name);
    if (uid !== undefined && uid !== 0) yield { name: userNameOf(uid) ?? name, uid, gids: gidsOf(uid) };
  }
  const group = isSocket(socket, 'unix') ? socket.group : undefined;
  for (const name of [...(peers?.groups ?? []), ...(group === undefined ? [] : [group])]) {
    const gid = gidOf(name);
    if (gid !== undefined) yield { name: `group ${name}`, uid: -1, gids: [gid] };
  }
}

function may(
  { uid, gids }: Pick<Member, 'uid' | 'gids'>,
  file: Owner & { readonly mode: number },
  bit: number,
): boolean {
  const shift = file.uid === uid ? 6 : gids.includes(file.gid) ? 3 : 0;
  return ((file.mode >> shift) & bit) !== 0;
}

/** The first directory above a path that a user cannot pass; undefined: there is none. */
export function firstClosedFolder(
  path: string,
  member: { readonly uid: number; readonly gids: readonly number[] },
): string | undefined {
  const folders: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    folders.unshift(at);
    if (dirname(at) === at) break;
  }
  return folders.find((folder) => {
    const found = statSync(folder, { throwIfNoEntry: false });
    return found !== undefined && !may(member, found, 0o1);
  });
}
