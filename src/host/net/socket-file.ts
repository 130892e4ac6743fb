// The file of a UNIX socket: made, changed and removed through descriptors. The socket is not reachable before it has its mode and owner,
// and a live socket of another process is never replaced. A writer of the directory, or of one above it, cannot make us change, replace or
// remove anything else with a link or another directory. So the directory is held open (O_PATH), and names are looked up in it through
// /proc/self/fd. The socket is bound in a private directory below it, gets mode and owner there, and is then linked to its place in one
// step. (A umask around `listen` would apply to the whole process, while the journal's thread creates files.)

import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname } from 'node:path';

export interface SocketAccess {
  /** Permission bits, such as 0o660. */
  readonly mode: number;
  /** Numeric owner and group; undefined: the daemon's own. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** A socket at its place. It holds two descriptors until `remove`. */
export interface SocketFile {
  /** No client gets in that neither access permits. Throws the system's error, also if the socket is gone. */
  change(access: SocketAccess): void;
  /** Takes the socket from its place if it is still there. A second call does nothing. */
  remove(): void;
}

/** The place is taken; the message is the end of a sentence. */
export class PlaceTaken extends Error {}

/** O_PATH of Linux on x86, ARM and RISC-V, which Node does not name: a descriptor of the file itself, whatever its mode. */
const oPath = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW } = constants;

const byDescriptor = (descriptor: number): string => `/proc/self/fd/${descriptor}`;

/** `bind` gets a short path. Rejects with PlaceTaken or the system's error; no file remains then, but `bind` may have run. */
export async function makeSocketFile(
  path: string,
  access: SocketAccess,
  bind: (path: string) => Promise<unknown>,
): Promise<SocketFile> {
  const folder = openSync(dirname(path), oPath | O_DIRECTORY);
  let socket: number | undefined;
  try {
    const place = `${byDescriptor(folder)}/${basename(path)}`;
    const stale = await findStale(place);
    const hidden = openHidden(folder);
    try {
      // When the server closes, Node removes the path that it bound. By then the number of the directory's descriptor may be another
      // directory's, so the name must not exist there.
      const bound = `${byDescriptor(hidden.descriptor)}/${hidden.name}`;
      try {
        await bind(bound);
        socket = openSync(bound, oPath | O_NOFOLLOW);
        const { mode, uid, gid } = access;
        chmodSync(byDescriptor(socket), mode);
        if (uid !== undefined || gid !== undefined) {
          const own = fstatSync(socket);
          chownSync(byDescriptor(socket), uid ?? own.uid, gid ?? own.gid);
        }
        if (stale !== undefined) takeAway(place, stale, `${byDescriptor(hidden.descriptor)}/stale`);
        // EEXIST if another process was faster; rename(2) would overwrite its socket.
        linkSync(bound, place);
      } finally {
        if (lstatSync(bound, { throwIfNoEntry: false }) !== undefined) unlinkSync(bound);
      }
    } finally {
      hidden.remove();
    }
    return socketFile(folder, place, socket);
  } catch (fault) {
    if (socket !== undefined) closeSync(socket);
    closeSync(folder);
    throw withPath(fault, byDescriptor(folder), dirname(path));
  }
}

function socketFile(folder: number, place: string, socket: number): SocketFile {
  const isInPlace = (): boolean => isSame(lookAt(place), fstatSync(socket, { bigint: true }));
  let isOpen = true;
  return {
    change({ mode, uid, gid }) {
      if (!isOpen || !isInPlace()) throw new Error('is no longer the socket that was made there');
      const now = fstatSync(socket);
      const it = byDescriptor(socket);
      chmodSync(it, now.mode & mode & 0o777);
      chownSync(it, uid ?? process.geteuid?.() ?? now.uid, gid ?? process.getegid?.() ?? now.gid);
      chmodSync(it, mode);
    },
    remove() {
      // The numbers of closed descriptors may belong to other files by now.
      if (!isOpen) return;
      isOpen = false;
      try {
        // Another process with write access to the directory may replace the socket in between; such a process could remove that file
        // itself.
        if (isInPlace()) unlinkSync(place);
      } finally {
        closeSync(socket);
        closeSync(folder);
      }
    },
  };
}

/** The socket at `place` on which no process listens any more; undefined: there is no file. Rejects with PlaceTaken for everything else. */
async function findStale(place: string): Promise<BigIntStats | undefined> {
  const found = lookAt(place);
  if (found === undefined) return undefined;
  if (!found.isSocket()) throw new PlaceTaken('is there already and is not a socket; remove it first');
  const code = await new Promise<unknown>((resolve) => {
    const probe = connect({ path: place });
    probe.once('connect', () => {
      probe.destroy();
      resolve('connected');
    });
    probe.once('error', (cause) => resolve('code' in cause ? cause.code : ''));
  });
  if (code === 'ENOENT') return undefined;
  // ECONNREFUSED: no process listens. Other errors (EACCES, or EAGAIN for a full backlog) may come from a live process.
  if (code !== 'ECONNREFUSED') throw new PlaceTaken('another process listens there; stop it first');
  return found;
}

/** Moves `stale` away from its place. If another process has made its own socket there meanwhile, that one is put back. */
function takeAway(place: string, stale: BigIntStats, aside: string): void {
  renameSync(place, aside);
  if (isSame(lookAt(aside), stale)) return unlinkSync(aside);
  renameSync(aside, place);
  throw new PlaceTaken('another process listens there; stop it first');
}

function openHidden(folder: number): { readonly name: string; readonly descriptor: number; remove(): void } {
  const path = mkdtempSync(`${byDescriptor(folder)}/.dg-`);
  const descriptor = openSync(path, oPath | O_DIRECTORY | O_NOFOLLOW);
  const { uid, mode } = fstatSync(descriptor);
  if (uid !== process.geteuid?.() || (mode & 0o077) !== 0) {
    closeSync(descriptor);
    throw new Error('the directory for making it was replaced by another one');
  }
  return {
    name: basename(path).slice(1),
    descriptor,
    remove() {
      closeSync(descriptor);
      try {
        rmdirSync(path);
      } catch {
        // A process with write access to the directory has moved it; it is empty and private.
      }
    },
  };
}

function lookAt(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

function isSame(one: BigIntStats | undefined, other: BigIntStats): boolean {
  return one?.ino === other.ino && one.dev === other.dev;
}

/** Messages of the system name the path of the call. */
function withPath(fault: unknown, from: string, to: string): unknown {
  if (fault instanceof Error) fault.message = fault.message.replaceAll(from, to);
  return fault;
}
