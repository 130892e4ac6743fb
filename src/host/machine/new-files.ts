// Makes new files and folders during a setup: nothing is overwritten, no link is followed, and everything made can be undone. A file
// gets its name only when it is complete and on disk.

import {
  chownSync,
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
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** The owner of a file or a folder; only root can set another one. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Names the path and the system's error, never the content. */
export class NewFilesFault extends Error {
  override readonly name = 'NewFilesFault';
}

export class NewFiles {
  /** `kept`: the present path of a file that had this name before. */
  readonly #made: { readonly path: string; readonly isFolder: boolean; readonly kept?: string }[] = [];

  get made(): readonly string[] {
    return this.#made.filter(({ kept }) => kept === undefined).map(({ path }) => path);
  }

  /** `PATH is kept as PATH.old`, for each that was put aside. */
  get kept(): readonly string[] {
    return this.#made.flatMap(({ path, kept }) => (kept === undefined ? [] : [`${path} is kept as ${kept}`]));
  }

  /** Gives a file that is there a name of its own, so that another one can take its place. Throws a NewFilesFault. */
  putAside(folder: string, name: string): void {
    const path = join(folder, name);
    if (lookAt(path) === undefined) return;
    for (let count = 1; ; count += 1) {
      const kept = `${path}.old${count === 1 ? '' : count}`;
      if (lookAt(kept) !== undefined) continue;
      attempt(path, () => renameSync(path, kept));
      this.#made.push({ path, isFolder: false, kept });
      return;
    }
  }

  /** Makes a missing folder with those above it (0755, our own). Throws a NewFilesFault. */
  folder(path: string, mode: number, owner: Owner | undefined): void {
    const found = lookAt(path);
    if (found?.isSymbolicLink() === true)
      throw new NewFilesFault(`${path} is a symbolic link; name the directory that it leads to`);
    if (found !== undefined && !found.isDirectory()) throw new NewFilesFault(`${path} is no directory`);
    if (found !== undefined) return;
    const above = dirname(path);
    // Links on the way belong to the system, such as /var/run; `check` looks at each of them.
    if (above !== path && lookAt(above)?.isSymbolicLink() !== true) this.folder(above, 0o755, undefined);
    attempt(path, () => mkdirSync(path, { mode: 0o700 }));
    this.#made.push({ path, isFolder: true });
    attempt(path, () => {
      // Opened as the folder that was made: a writer above it could put a link, or another folder, in its place.
      const made = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      try {
        const now = fstatSync(made);
        if (now.uid !== process.geteuid?.() || (now.mode & 0o077) !== 0)
          throw new NewFilesFault(`${path} is not the folder that was just made`);
        if (owner !== undefined) fchownSync(made, owner.uid, owner.gid);
        fchmodSync(made, mode);
      } finally {
        closeSync(made);
      }
    });
  }

  /** Makes a file in an existing folder. Throws a NewFilesFault, also if the name is taken. */
  file(folder: string, name: string, text: string, mode: number, owner: Owner | undefined): void {
    const path = join(folder, name);
    const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = constants;
    attempt(path, () => {
      // Everything below uses this descriptor: replacing the folder meanwhile has no effect.
      const descriptor = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      const within = `/proc/self/fd/${descriptor}`;
      const unfinished = `${within}/.${name}.${process.pid}.new`;
      try {
        rmSync(unfinished, { force: true });
        const file = openSync(unfinished, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
        try {
          writeFileSync(file, text);
          if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
          fchmodSync(file, mode);
          fsyncSync(file);
          linkSync(unfinished, `${within}/${name}`);
          this.#made.push({ path, isFolder: false });
        } finally {
          closeSync(file);
          unlinkSync(unfinished);
        }
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    });
  }

  /** Removes what was made and renames what was put aside, the newest first; returns the paths that remain: not removable, or not empty. */
  undo(): readonly string[] {
    const left: string[] = [];
    for (const { path, isFolder, kept } of this.#made.toReversed()) {
      try {
        if (kept !== undefined) renameSync(kept, path);
        else if (isFolder) rmdirSync(path);
        else unlinkSync(path);
      } catch {
        left.push(path);
      }
    }
    this.#made.length = 0;
    return left.toReversed();
  }
}

function lookAt(path: string): ReturnType<typeof lstatSync> | undefined {
  return attempt(path, () => lstatSync(path, { throwIfNoEntry: false }));
}

const sentences: ReadonlyMap<string, string> = new Map([
  ['EEXIST', 'exists already, and is not overwritten'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'not permitted'],
  ['EROFS', 'the file system is read-only'],
  ['ENOSPC', 'no space is left on the disk'],
  ['EDQUOT', 'the quota of the disk is used up'],
  ['ENOTDIR', 'a part of the path is no directory'],
  ['ELOOP', 'a symbolic link is in the way'],
  ['ENAMETOOLONG', 'the name is too long'],
]);

function attempt<Result>(path: string, run: () => Result): Result {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof NewFilesFault) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new NewFilesFault(`${path}: ${sentences.get(code) ?? code}`, { cause });
  }
}

/** Gives a file that only root can change to another user. Throws a NewFilesFault. */
export function giveFile(path: string, { uid }: Owner): void {
  attempt(path, () => chownSync(path, uid, -1));
}

/** Whether the name is taken, also by a dangling link. Throws a NewFilesFault if that is not visible. */
export function isTaken(path: string): boolean {
  return lookAt(path) !== undefined;
}

/** Whether something is mounted at exactly this path, such as one file of a host in a container. */
export function isMountPoint(path: string): boolean {
  try {
    const place = realpathSync(path);
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    return mounts.some((line) => line.split(' ', 5)[4]?.replaceAll('\\040', ' ') === place);
  } catch {
    return false;
  }
}
