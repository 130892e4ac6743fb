// The system's own files about accounts: /etc/passwd, /etc/group, /etc/subuid and /etc/nsswitch.conf. Each is parsed again only when it has
// changed, which a `stat` of 2 us shows, so an accept can afford to ask. A missing file counts as empty.

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { bounds } from '../bounds/bounds.js';
import { parseSubUids, SubUidTable } from './sub-uids.js';

export type AccountFiles = ReturnType<typeof openAccountFiles>;

/** `folder`: for tests. */
export function openAccountFiles(folder = '/etc') {
  const users = parsedFile(`${folder}/passwd`, parseAccounts);
  const groups = parsedFile(`${folder}/group`, parseAccounts);
  const subUids = parsedFile(
    `${folder}/subuid`,
    (text, isWhole) => (isWhole ? new SubUidTable(parseSubUids(text)) : undefined),
    bounds.subUidBytes,
  );
  const sources = parsedFile(`${folder}/nsswitch.conf`, parseSources);
  return {
    userName: (uid: number): string | undefined => users().names.get(uid),
    groupName: (gid: number): string | undefined => groups().names.get(gid),
    uidOf: (name: string): number | undefined => users().ids.get(name),
    gidOf: (name: string): number | undefined => groups().ids.get(name),
    /** The owners of the ranges of subordinate uids that hold a uid, as they are written; undefined: the file cannot be read whole. */
    subUidOwners: (uid: number): readonly string[] | undefined => subUids()?.ownersOf(uid),
    /** The sources of a database in nsswitch.conf, such as `files` and `sss`; empty: there is no such line. */
    sourcesOf: (database: string): readonly string[] => sources().get(database) ?? [],
  };
}

export const accountFiles = openAccountFiles();

/** Of a name or an id with several lines, the first one counts, as for the C library. */
function parseAccounts(text: string) {
  const names = new Map<number, string>();
  const ids = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name = '', , number = ''] = line.split(':', 3);
    if (name === '' || !/^\d{1,10}$/.test(number)) continue;
    const id = Number(number);
    if (!names.has(id)) names.set(id, name);
    if (!ids.has(name)) ids.set(name, id);
  }
  return { names, ids };
}

function parseSources(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    const [, database, sources] = /^\s*(\w+)\s*:([^#]*)/.exec(line) ?? [];
    if (database === undefined || sources === undefined) continue;
    // Actions are in brackets: `[NOTFOUND=return]`.
    const words = sources.replaceAll(/\[[^\]]*\]/g, ' ').split(/\s+/);
    found.set(
      database,
      words.filter((word) => word !== ''),
    );
  }
  return found;
}

interface Version {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

function parsedFile<Value>(
  path: string,
  parse: (text: string, isWhole: boolean) => Value,
  bytesMax = Infinity,
): () => Value {
  let known: { readonly version: Version | 'absent' | 'unknown'; readonly value: Value } | undefined;
  return () => {
    // Before the file is read: a change in between is seen at the next call.
    const version = versionOf(path);
    if (known !== undefined && isSame(known.version, version)) return known.value;
    const isFile = typeof version === 'object' && version.isFile();
    const text = isFile ? readStart(path, Math.min(version.size, bytesMax)) : undefined;
    const isWhole = version === 'absent' || (isFile && text !== undefined && version.size <= bytesMax);
    known = { version, value: parse(text ?? '', isWhole) };
    return known.value;
  };
}

function versionOf(path: string): (Version & { readonly isFile: () => boolean }) | 'absent' | 'unknown' {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? 'absent';
  } catch {
    // Access is denied.
    return 'unknown';
  }
}

function isSame(one: Version | string, other: Version | string): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  const { ino, size, mtimeMs, ctimeMs } = one;
  return ino === other.ino && size === other.size && mtimeMs === other.mtimeMs && ctimeMs === other.ctimeMs;
}

function readStart(path: string, bytes: number): string | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const buffer = Buffer.alloc(bytes);
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, bytes, 0));
  } catch {
    // It is gone, or access is denied.
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
