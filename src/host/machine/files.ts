// The files that the daemon reads besides its journal: configuration, secrets, state. And whether others can change such a file, or read a
// secret one: by owner and mode of the file and of every directory on the way, as in sshd's StrictModes. Symbolic links are followed one by
// one, and the directory of each link is checked too. A directory that others may write to is accepted only with the sticky bit (/tmp, a
// volume of Kubernetes): there only its owner and the owner of an entry can replace the entry, so both must be trusted. Access lists are
// seen only as far as the mode shows them.

import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  type Stats,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { bounds } from '../bounds/bounds.js';
import { localGroupName, localUserName, ourselves } from './accounts.js';
import { readAll, readLinked, readNamed, replaceWhole, syncDirectory } from './regular-file.js';

/** A whole text file; throws the system's error. */
export function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** An open descriptor of this process, as in `--config /dev/stdin` and `<(...)` of a shell: its pipe has a writer. */
const ownDescriptor = /^\/(dev\/(stdin|fd\/\d+)|proc\/self\/fd\/\d+)$/;

/** Throws the system's error, and an Error for a pipe (opening one can block forever) or a file without an end, such as a device. */
export function readUnpiped(path: string): string {
  const bytesMax = bounds.configurationFileBytes;
  if (ownDescriptor.test(path)) return readNamed(path, bytesMax).toString('utf8');
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (!fstatSync(file).isFIFO()) return readAll(file, path, bytesMax).toString('utf8');
  closeSync(file);
  throw new Error('it is a pipe');
}

/** Paths that match a pattern, sorted; `*` matches any characters within the last part of the path. */
export function listFiles(pattern: string): string[] {
  const name = basename(pattern);
  if (!name.includes('*')) return [pattern];
  const pieces = name.split('*').map((piece) => piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const matcher = new RegExp(`^${pieces.join('.*')}$`, 's');
  const isShown = (entry: string): boolean => !entry.startsWith('.') || name.startsWith('.');
  const folder = dirname(pattern);
  return readdirSync(folder)
    .filter((entry) => isShown(entry) && matcher.test(entry))
    .toSorted()
    .map((entry) => join(folder, entry));
}

const otherSockets: readonly string[] = ['admin.sock', 'page.sock', 'door.sock', 'ship.sock'];

/** The sockets of listeners in the folder of a gate that this process may open. */
export function ownSockets(folder: string): readonly string[] {
  const isOwn = (path: string): boolean =>
    !otherSockets.includes(basename(path)) && whyNoRight(path, 'write') === undefined;
  return whyNoRight(folder, 'read') === undefined ? listFiles(`${folder}/*.sock`).filter(isOwn) : [];
}

/** A secret from a file, without one newline at its end. Rejects with a sentence that names the path, never the content. */
export async function readSecretFile(path: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new Error(`${path}: ${code}`, { cause });
  }
  if (bytes.length > bounds.secretFileBytes)
    throw new Error(`${path}: larger than ${bounds.secretFileBytes} bytes`);
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= 1;
  if (bytes[end - 1] === 0x0d && end < bytes.length) end -= 1;
  if (end === 0) throw new Error(`${path}: is empty`);
  return bytes.subarray(0, end);
}

/** Rights of this process to a path. Connecting to a socket needs the right to write. */
const rights = { read: constants.R_OK, write: constants.W_OK, enter: constants.X_OK } as const;

/** Why this process lacks any of these rights: the system's code (`EACCES`, `ENOENT`). Undefined: it has all of them. */
export function whyNoRight(path: string, ...wanted: readonly (keyof typeof rights)[]): string | undefined {
  try {
    accessSync(
      path,
      wanted.reduce((mode, right) => mode | rights[right], 0),
    );
    return undefined;
  } catch (cause) {
    return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  }
}

/** Why a file is not readable, in the system's words; undefined: it is readable. */
export function whyUnreadable(path: string): string | undefined {
  try {
    // Otherwise a pipe without a writer would block forever, here and where it is read.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    // A directory can be opened, but not read.
    const found = fstatSync(file);
    closeSync(file);
    return found.isDirectory() ? 'it is a directory' : found.isFIFO() ? 'it is a pipe' : undefined;
  } catch (cause) {
    return whyFailed(cause);
  }
}

/** The file, or the first directory on the way, that this process may not use; undefined: none, or the file is missing. */
export function whatDenies(
  path: string,
): { readonly kind: 'file' | 'directory'; readonly path: string } | undefined {
  const whole = resolve(path);
  let at = '/';
  try {
    for (const name of split(whole)) {
      statSync(join(at, name));
      at = join(at, name);
    }
    closeSync(openSync(whole, constants.O_RDONLY | constants.O_NONBLOCK));
    return undefined;
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EACCES')) return undefined;
    return { kind: at === whole ? 'file' : 'directory', path: at };
  }
}

/** The system's error for a path that was not readable, as words after `PATH cannot be read: `. */
export function whyFailed(cause: unknown, what: 'file' | 'directory' = 'file'): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : '';
  if (code === 'ENOENT') return `there is no such ${what}`;
  if (code === 'ENOTDIR') return 'a part of its path is no directory';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EFTYPE') return 'it is a link, or no plain file';
  if (code === 'EISDIR') return 'it is a directory';
  if (code === 'EFBIG') return `it has no end, or more than ${bounds.configurationFileBytes / 2 ** 20} MiB`;
  if (code === '') return cause instanceof Error ? cause.message : String(cause);
  return String(code);
}

/** There is no such file or directory; false if that is not visible. */
export function isMissing(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    return false;
  }
}

/** Of a file or a directory. Undefined: it is missing, or not accessible. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Made with `text()` if missing: atomically, of mode 0600, on disk when this returns. Throws the system's error. */
export function readOrMakeFile(path: string, text: () => string): string {
  const known = readIfThere(path, bounds.secretFileBytes);
  if (known !== undefined) return known;
  const made = `${path}.${process.pid}.new`;
  rmSync(made, { force: true });
  const file = openSync(made, 'wx', 0o600);
  try {
    writeFileSync(file, text());
    fsyncSync(file);
    linkSync(made, path);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
  } finally {
    closeSync(file);
    unlinkSync(made);
  }
  syncDirectory(dirname(path));
  return readLinked(path, bounds.secretFileBytes).toString('utf8');
}

/** Undefined: there is none. Throws any other error, and for a file that is too long or not a regular one. */
export function readIfThere(path: string, bytesMax = Infinity): string | undefined {
  try {
    return readLinked(path, bytesMax).toString('utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

/** Makes a folder of mode 0700, and those above it, if it is missing. Throws the system's error. */
export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Atomic, and on disk when it returns; makes the directory. `owner`: only root can set it. Throws the system's error. */
export function writeAtomically(
  path: string,
  text: string,
  mode = 0o600,
  owner?: { readonly uid: number; readonly gid: number },
): void {
  makeFolder(dirname(path));
  replaceWhole(path, text, (made) => {
    const file = openSync(made, 'wx', mode);
    if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
    fchmodSync(file, mode);
    return file;
  });
}

/** A problem with the place of a file that is to be mapped as memory. */
export interface PoorMemory {
  readonly text: string;
  /** The file can still be mapped. */
  readonly isUsable: boolean;
}

/** The types of tmpfs and ramfs, and of the writable layer of a container, as Linux numbers them. */
const memoryTypes: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);
const overlayType = 0x794c7630;

/** The problem of a file of this size at `path`, made by the user `who` and mapped as memory; undefined: none is known. */
export function whyPoorMemory(
  path: string,
  bytes: number,
  who: { readonly uid: number; readonly gids: readonly number[] },
): PoorMemory | undefined {
  const folder = dirname(path);
  const unusable = (text: string): PoorMemory => ({ text, isUsable: false });
  try {
    const found = statSync(folder);
    if (!found.isDirectory()) return unusable(`${folder} is not a directory`);
    if (!mayMakeFiles(folder, found, who)) {
      const name = localUserName(who.uid) ?? `uid ${who.uid}`;
      return unusable(`${name} may not make files in ${folder} (mode ${modeOf(found)})`);
    }
    if ((found.mode & othersMayWrite) !== 0 && (found.mode & sticky) === 0)
      return unusable(`every user may replace files in ${folder} (mode ${modeOf(found)})`);
    const { type, bsize, bavail, blocks } = statfsSync(folder);
    const own = statSync(path, { throwIfNoEntry: false });
    // Without any blocks it is a file system in memory that has no limit.
    if (own?.size !== bytes && blocks > 0 && bsize * bavail < bytes)
      return unusable(`it needs ${bytes} bytes, and ${folder} has ${bsize * bavail} left`);
    if (memoryTypes.has(type >>> 0)) return undefined;
    const text =
      type === overlayType
        ? `${folder} belongs to the container and may go with it, and records with it`
        : `${folder} is on a disk, so the daemon may stand still while that is slow`;
    return { text: `${text}; use a file system in memory (tmpfs)`, isUsable: true };
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : '';
    if (code === 'ENOENT') return unusable(`there is no directory ${folder}`);
    if (code === 'EACCES') return unusable(`${folder} cannot be looked at: permission denied`);
    if (code === '') throw cause;
    return unusable(`${folder}: ${String(code)}`);
  }
}

export function mayMakeFiles(
  folder: string,
  { uid, gid, mode }: Stats,
  who: { uid: number; gids: readonly number[] },
) {
  if (who.uid === ourselves().uid) return whyNoRight(folder, 'write', 'enter') === undefined;
  const needed = uid === who.uid ? 0o300 : who.gids.includes(gid) ? 0o030 : 0o003;
  return who.uid === 0 || (mode & needed) === needed;
}

/** Who may change and read our files. Root and root's group always may, so they are in both lists. */
export interface Trusted {
  /** May own a file, and a directory on the way. */
  readonly owners: readonly number[];
  /** Groups that may write: only groups with a single user belong here. */
  readonly writers: readonly number[];
  readonly readers: readonly number[];
}

/** Why a file is unsafe, as a sentence with what to do. */
export interface Unsafe {
  readonly text: string;
  /** Only a foreign group can read it: doubtful, because a process can be in groups that no database lists. */
  readonly isDoubtful: boolean;
}

const sticky = 0o1000;
const groupMayWrite = 0o020;
const othersMayWrite = 0o002;
const groupMayRead = 0o040;
const othersMayRead = 0o004;
const linksMax = 40;

/** This process, with its own group for writing and all of its groups for reading; and other users known to be the daemon. */
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

/** Undefined: it is safe, or not accessible, which opening it will show. `isSecret`: others may not read it either. */
export function whyUnsafe(path: string, isSecret: boolean, trusted: Trusted): Unsafe | undefined {
  try {
    return judgeWay(path, isSecret, trusted);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    return undefined;
  }
}

function judgeWay(path: string, isSecret: boolean, trusted: Trusted): Unsafe | undefined {
  // Not `resolve`: it removes `link/..`, and the kernel does not.
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
      // The text of links in /proc/PID/fd is not a path: the open file itself is checked.
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
  // A directory instead of a file: opening it will show that.
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
  // /dev/null and terminals have no content to change.
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

/** In a user namespace all users outside share this one number, root among them: else all files mounted from there were refused. */
function unmappedOwner(): readonly number[] {
  try {
    const map = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).map(Number);
    if (map.length === 3 && map[0] === 0 && map[2] === 2 ** 32 - 1) return [];
    return [Number(readFileSync('/proc/sys/kernel/overflowuid', 'utf8'))];
  } catch {
    return [];
  }
}
