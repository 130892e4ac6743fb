// Whether somebody else can change a file that the daemon relies on, or read one that is secret: by owner and mode of the file and
// of every directory on the way, as sshd judges them (StrictModes).
// The rules: symbolic links are followed one by one, and the directory of each link is judged too. A directory that others may write to
// is accepted only with the sticky bit (/tmp, a volume of Kubernetes): there only its owner and the owner of an entry can replace the entry,
// so both must be trusted. Access lists are seen only as far as the mode shows them.

import { lstatSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { localGroupName, localUserName, ourselves } from './accounts.js';

/** Who may change and read our files. Root and root's group always may, so they stand in both lists. */
export interface Trusted {
  /** May own a file, and a directory on the way. */
  readonly owners: readonly number[];
  /** Groups that may write: only groups of one user belong here. */
  readonly writers: readonly number[];
  /** Groups that may read secrets. */
  readonly readers: readonly number[];
}

/** What is unsafe about a file, as a sentence with what to do. */
export interface Unsafe {
  readonly text: string;
  /** Only a foreign group can read it: doubtful, since a process can be in groups that no database tells of. */
  readonly isDoubtful: boolean;
}

const sticky = 0o1000;
const groupMayWrite = 0o020;
const othersMayWrite = 0o002;
const groupMayRead = 0o040;
const othersMayRead = 0o004;
/** As many as the kernel follows. */
const linksMax = 40;

/** The process that asks, with its own group for writing and all of its groups for reading; and other users of whom we know that they are the daemon. */
export function trustedByUs(
  others: readonly { readonly uid: number; readonly gids: readonly number[] }[] = [],
): Trusted {
  const all = [ourselves(), ...others];
  return {
    owners: [0, ...all.map(({ uid }) => uid), ...unmappedOwner()],
    writers: [0, ...all.flatMap(({ gids }) => gids.slice(0, 1))],
    readers: [0, ...all.flatMap(({ gids }) => gids)],
  };
}

/**
 * Why a file is not safe to rely on; undefined: it is, or it cannot be looked at, which whoever opens it notices. `isSecret`: others may
 * not read it either.
 */
export function whyUnsafe(path: string, isSecret: boolean, trusted: Trusted): Unsafe | undefined {
  try {
    return judgeWay(path, isSecret, trusted);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    return undefined;
  }
}

function judgeWay(path: string, isSecret: boolean, trusted: Trusted): Unsafe | undefined {
  // Not `resolve`: it takes `link/..` away, and the kernel does not.
  const names = split(path.startsWith('/') ? path : `${process.cwd()}/${path}`);
  let at = '/';
  let folder = statSync(at);
  let links = 0;
  const first = judgeFolder(at, folder, path, trusted);
  if (first !== undefined) return first;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      at = join(at, '..');
      folder = statSync(at);
      continue;
    }
    const next = join(at, name);
    const found = lstatSync(next);
    if (found.isSymbolicLink()) {
      const isReplaceable = (folder.mode & sticky) !== 0;
      if (isReplaceable && !trusted.owners.includes(found.uid)) return belongsTo(next, found, path);
      links += 1;
      if (links > linksMax) return undefined;
      const target = readlinkSync(next);
      // Links of /proc/PID/fd have a text that is no path: the open file itself is asked.
      if (next.startsWith('/proc/') && !target.startsWith('/'))
        return judgeFile(path, statSync(path), isSecret, trusted);
      names.unshift(...split(target));
      if (target.startsWith('/')) {
        at = '/';
        folder = statSync(at);
      }
      continue;
    }
    if (!found.isDirectory()) return judgeFile(next, found, isSecret, trusted);
    const why = judgeFolder(next, found, path, trusted);
    if (why !== undefined) return why;
    at = next;
    folder = found;
  }
  // A directory, which is no file: whoever opens it says so.
  return undefined;
}

function split(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function judgeFolder(folder: string, found: Stats, path: string, trusted: Trusted): Unsafe | undefined {
  if (!trusted.owners.includes(found.uid)) return belongsTo(folder, found, path);
  if ((found.mode & sticky) !== 0) return undefined;
  return mayBeWritten(folder, found, path, trusted);
}

function judgeFile(file: string, found: Stats, isSecret: boolean, trusted: Trusted): Unsafe | undefined {
  // /dev/null and terminals have no content that somebody could change.
  if (found.isCharacterDevice()) return undefined;
  if (!trusted.owners.includes(found.uid)) return belongsTo(file, found, file);
  const why = mayBeWritten(file, found, file, trusted);
  if (why !== undefined || !isSecret) return why;
  const mode = modeOf(found);
  if ((found.mode & othersMayRead) !== 0)
    return unsafe(`${file} can be read by every user (mode ${mode}); run: chmod o-r ${file}`);
  if ((found.mode & groupMayRead) === 0 || trusted.readers.includes(found.gid)) return undefined;
  const text = `${file} can be read by group ${groupName(found.gid)} (mode ${mode}); run: chmod g-r ${file}`;
  return { text, isDoubtful: true };
}

function mayBeWritten(at: string, found: Stats, path: string, { writers }: Trusted): Unsafe | undefined {
  const mode = modeOf(found);
  const what = describe(at, path);
  if ((found.mode & othersMayWrite) !== 0)
    return unsafe(`${what} can be changed by every user (mode ${mode}); run: chmod o-w ${at}`);
  if ((found.mode & groupMayWrite) === 0 || writers.includes(found.gid)) return undefined;
  return unsafe(
    `${what} can be changed by group ${groupName(found.gid)} (mode ${mode}); run: chmod g-w ${at}`,
  );
}

function belongsTo(at: string, { uid }: Stats, path: string): Unsafe {
  const owner = localUserName(uid) ?? `uid ${uid}`;
  return unsafe(`${describe(at, path)} belongs to ${owner}, who can change it; run: chown root ${at}`);
}

function describe(at: string, path: string): string {
  return at === path ? at : `${at}, on the way to ${path},`;
}

function unsafe(text: string): Unsafe {
  return { text, isDoubtful: false };
}

function modeOf({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}

function groupName(gid: number): string {
  return localGroupName(gid) ?? String(gid);
}

/**
 * In a user namespace that has not all users, as a container without root's rights has, everybody outside has this one number. Who that is
 * cannot be found out from inside, and root outside is one of them: files that are mounted from there would all be refused.
 */
function unmappedOwner(): readonly number[] {
  try {
    const map = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).map(Number);
    if (map.length === 3 && map[0] === 0 && map[2] === 2 ** 32 - 1) return [];
    return [Number(readFileSync('/proc/sys/kernel/overflowuid', 'utf8'))];
  } catch {
    return [];
  }
}
