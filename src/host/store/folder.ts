// A store in a folder: of this machine, of NFS, or one that rsync carries. An object is written under a name with a leading dot, synced,
// and linked to its own name, so a reader never sees a part of one, and an existing object is never replaced. Readers skip names with a
// leading dot. A list reads one directory after the other, and leaves out those before its beginning: the end of a year is cheap.

import { constants } from 'node:fs';
import { link, mkdir, open, readdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { syncFolder } from '../machine/regular-file.js';
import { messageOf, systemCodeOf } from '../ports/faults.js';
import { type ListOptions, type ObjectStore, StoreFault, type StoreFaultCode } from '../ports/store.js';

const unfinished = '.new-';
const pageNames = 1000;

const codes: Readonly<Record<string, StoreFaultCode>> = {
  ENOENT: 'gone',
  ENOTDIR: 'gone',
  EACCES: 'refused',
  EPERM: 'refused',
  EROFS: 'refused',
  ENAMETOOLONG: 'refused',
  ELOOP: 'bad-answer',
  EISDIR: 'bad-answer',
  ENXIO: 'bad-answer',
};

/** `root` must exist and stay the same: without its mount, the path leads to a disk of this machine. Folders below it are created. */
export function openFolder(root: string, below: string): ObjectStore {
  const base = join(root, below);
  /** Device and inode of `root`, when something was listed or put. */
  let identity: string | undefined;
  /** The directory of the last object: made, and without files of a killed process. */
  let ready: { readonly folder: string; readonly done: Promise<void> } | undefined;
  let made = 0;

  return {
    place: base,
    list: (prefix, options) => pagesOf(walk(prefix, options), options?.signal),
    async *versions(prefix, options) {
      for await (const names of pagesOf(walk(prefix, options), options?.signal))
        yield names.map((name) => ({ name, version: '', isMarker: false }));
    },
    async read(name, { bytesMax, signal }) {
      signal?.throwIfAborted();
      return orFault(name, async () => {
        const file = await open(
          pathOf(name),
          constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
        );
        try {
          const found = await file.stat();
          if (!found.isFile()) throw new StoreFault('bad-answer', `${name} is no plain file`);
          if (found.size > bytesMax) throw new StoreFault('too-large', `${name} has ${found.size} bytes`);
          // It cannot grow past the bound: what is appended meanwhile is not read.
          const bytes = Buffer.alloc(found.size);
          let filled = 0;
          for (;;) {
            const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled);
            filled += bytesRead;
            if (bytesRead === 0 || filled === bytes.length) break;
          }
          return { bytes: bytes.subarray(0, filled), storedMs: Math.floor(found.mtimeMs) };
        } finally {
          await file.close();
        }
      });
    },
    async put(name, bytes, { signal }) {
      signal?.throwIfAborted();
      const path = pathOf(name);
      const folder = dirname(path);
      return orFault(name, async () => {
        // An open folder cannot be unmounted. If this user may not list it, opening fails, and the comparison alone must do.
        const held = await open(root, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
        try {
          await compareRoot();
          const answer = await putIn(folder, path, bytes);
          await compareRoot();
          return answer;
        } finally {
          await held?.close();
        }
      });
    },
    describe: () => Promise.resolve({ kind: 'folder', versions: 'off', lock: { mode: 'off' } }),
    close: () => undefined,
  };

  async function orFault<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof StoreFault) throw cause;
      const code = systemCodeOf(cause);
      const isGone = await stat(root).then(
        () => false,
        (fault: unknown) => systemCodeOf(fault) === 'ENOENT',
      );
      if (isGone) throw new StoreFault('away', `${root} is not there (ENOENT)`);
      throw new StoreFault(codes[code] ?? 'away', `${join(base, name)}: ${code || messageOf(cause)}`, cause);
    }
  }

  async function compareRoot(): Promise<void> {
    const known = identity;
    identity = await identify();
    if (known === undefined || known === identity) return;
    // It was made in the earlier folder, not below this path.
    ready = undefined;
    throw new StoreFault(
      'away',
      `${root} is another folder than before: was something mounted or unmounted?`,
    );
  }

  async function identify(): Promise<string> {
    const { dev, ino } = await stat(root, { bigint: true });
    return `${dev} ${ino}`;
  }

  async function putIn(folder: string, path: string, bytes: Uint8Array): Promise<'stored' | 'there'> {
    if (ready?.folder !== folder) ready = { folder, done: prepare(folder) };
    await ready.done.catch((cause: unknown) => {
      ready = undefined;
      throw cause;
    });
    made += 1;
    const part = join(folder, `${unfinished}${process.pid}-${made}`);
    const file = await open(part, 'wx', 0o640);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } catch (cause) {
      await unlink(part).catch(() => undefined);
      throw cause;
    } finally {
      await file.close();
    }
    let answer: 'stored' | 'there' = 'stored';
    try {
      await link(part, path);
    } catch (cause) {
      if (systemCodeOf(cause) !== 'EEXIST') throw cause;
      answer = 'there';
    } finally {
      await unlink(part).catch(() => undefined);
    }
    await syncFolder(folder);
    return answer;
  }

  /** No part of a name leads out of the store, or to a file that is being written. */
  function pathOf(name: string): string {
    if (name.includes('\0') || name.split('/').some((part) => part === '' || part.startsWith('.')))
      throw new StoreFault('refused', `${JSON.stringify(name.slice(0, 200))} is no name of an object`);
    return join(base, name);
  }

  /** Makes the folder and those above it, on disk; removes what a killed process left in it. */
  async function prepare(folder: string): Promise<void> {
    // One after the other: `recursive` says ENOENT where a file system is read-only, and would make `root`.
    let at = root;
    for (const part of relative(root, folder).split('/')) {
      const above = at;
      at = join(above, part);
      try {
        await mkdir(at, 0o750);
        await syncFolder(above);
      } catch (cause) {
        // It may be there already, in a folder that this user cannot write.
        await stat(at).catch(() => {
          throw cause;
        });
      }
    }
    // One process writes to a directory. Another one would lose a file before its link, and put it again.
    for (const entry of await readdir(folder)) {
      if (entry.startsWith(unfinished)) await unlink(join(folder, entry)).catch(() => undefined);
    }
  }

  async function* walk(
    prefix: string,
    { after = '', isLevel = false, signal }: ListOptions = {},
  ): AsyncGenerator<string> {
    signal?.throwIfAborted();
    const folder = prefix === '' ? base : pathOf(prefix.slice(0, -1));
    const entries = await orFault(prefix, async () => {
      identity ??= await identify();
      try {
        return await readdir(folder, { withFileTypes: true });
      } catch (cause) {
        if (systemCodeOf(cause) !== 'ENOENT') throw cause;
        await stat(root);
        return [];
      }
    });
    const names = entries
      .filter(({ name }) => !name.startsWith('.'))
      .map((entry) => `${prefix}${entry.name}${entry.isDirectory() ? '/' : ''}`);
    for (const name of names.toSorted(byBytes)) {
      const isFolder = name.endsWith('/');
      // The names below a directory that is passed are all passed, unless `after` is one of them.
      if (name <= after && !(isFolder && !isLevel && after.startsWith(name))) continue;
      if (isFolder && !isLevel) yield* walk(name, { after, ...(signal && { signal }) });
      else yield name;
    }
  }
}

async function* pagesOf(
  names: AsyncGenerator<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly string[]> {
  let page: string[] = [];
  for await (const name of names) {
    page.push(name);
    if (page.length < pageNames) continue;
    yield page;
    signal?.throwIfAborted();
    page = [];
  }
  if (page.length > 0) yield page;
}

/** The order of a store, by bytes. Our names are ASCII, so it is that of characters. */
function byBytes(one: string, other: string): number {
  return one < other ? -1 : one === other ? 0 : 1;
}
