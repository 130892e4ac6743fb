// Makes files and folders that were not there before, for a person who sets something up: nothing is overwritten, no link is followed, and
// whatever was made can be taken away again. A file has its name only when it is whole and on disk.

import {
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
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** Whom a file or a folder is given to; only root can give one away. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Names the path, and what the system says; never the content. */
export class NewFilesFault extends Error {
  override readonly name = 'NewFilesFault';
}

export class NewFiles {
  readonly #made: { readonly path: string; readonly isFolder: boolean }[] = [];

  /** The paths that were made, oldest first. */
  get made(): readonly string[] {
    return this.#made.map(({ path }) => path);
  }

  /** Makes a folder with those above it (0755, our own) where it is not there. Throws a NewFilesFault. */
  folder(path: string, mode: number, owner: Owner | undefined): void {
    const found = lookAt(path);
    if (found?.isSymbolicLink() === true)
      throw new NewFilesFault(`${path} is a symbolic link; name the directory that it leads to`);
    if (found !== undefined && !found.isDirectory()) throw new NewFilesFault(`${path} is no directory`);
    if (found !== undefined) return;
    const above = dirname(path);
    // A link on the way is the system's own business, as /var/run is; `check` looks at each of them.
    if (above !== path && lookAt(above)?.isSymbolicLink() !== true) this.folder(above, 0o755, undefined);
    attempt(path, () => mkdirSync(path, { mode: 0o700 }));
    this.#made.push({ path, isFolder: true });
    attempt(path, () => {
      // Of the folder that was made: whoever may write above it could put a link, or another folder, in its place.
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

  /** Makes a file in a folder that is there. Throws a NewFilesFault, also where something has that name. */
  file(folder: string, name: string, text: string, mode: number, owner: Owner | undefined): void {
    const path = join(folder, name);
    const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY } = constants;
    attempt(path, () => {
      // Everything below goes through this descriptor: whoever replaces the folder meanwhile gets nothing.
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

  /** Takes away what was made, the newest first; returns what is left, because it could not be removed or is no longer empty. */
  undo(): readonly string[] {
    const left: string[] = [];
    for (const { path, isFolder } of this.#made.toReversed()) {
      try {
        if (isFolder) rmdirSync(path);
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

/** Whether anything has this name, also a link that leads nowhere. Throws a NewFilesFault where that cannot be seen. */
export function isTaken(path: string): boolean {
  return lookAt(path) !== undefined;
}

/** Whose a file is, and its permission bits; undefined: it is not there, or cannot be looked at. */
export function modeOf(
  path: string,
): (Owner & { readonly mode: number; readonly isSocket: boolean }) | undefined {
  try {
    const found = statSync(path);
    return { uid: found.uid, gid: found.gid, mode: found.mode & 0o7777, isSocket: found.isSocket() };
  } catch {
    return undefined;
  }
}
