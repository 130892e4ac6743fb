// The files that the daemon reads besides its journal: configuration and secrets.

import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** How large a secret may be; a longer file is not what the setting meant. */
const secretBytesMax = 4096;

/** A text file, whole; throws what the system says. */
export function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Paths that a pattern names, sorted; `*` stands for any characters within the last part of the path. */
export function listFiles(pattern: string): string[] {
  const name = basename(pattern);
  if (!name.includes('*')) return [pattern];
  const pieces = name.split('*');
  const matches = (candidate: string): boolean => {
    const first = pieces[0] ?? '';
    const last = pieces.at(-1) ?? '';
    if (candidate.startsWith('.') && !first.startsWith('.')) return false;
    if (!candidate.startsWith(first) || candidate.length < first.length + last.length) return false;
    let at = first.length;
    for (const piece of pieces.slice(1, -1)) {
      const found = candidate.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return candidate.length - last.length >= at && candidate.endsWith(last);
  };
  const folder = dirname(pattern);
  return readdirSync(folder)
    .filter(matches)
    .toSorted()
    .map((entry) => join(folder, entry));
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
  if (bytes.length > secretBytesMax) throw new Error(`${path}: larger than ${secretBytesMax} bytes`);
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= 1;
  if (bytes[end - 1] === 0x0d && end < bytes.length) end -= 1;
  if (end === 0) throw new Error(`${path}: is empty`);
  return bytes.subarray(0, end);
}

/** Why a file cannot be read, in the system's words; undefined: it can. */
export function whyUnreadable(path: string): string | undefined {
  try {
    const file = openSync(path, 'r');
    // A directory can be opened, and nobody can read from it.
    const isDirectory = fstatSync(file).isDirectory();
    closeSync(file);
    return isDirectory ? 'it is a directory' : undefined;
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : '';
    if (code === 'ENOENT') return 'there is no such file';
    if (code === 'EACCES') return 'permission denied';
    return code === '' ? String(cause) : String(code);
  }
}

/** The uid that a file or a directory belongs to; undefined: it is not there, or cannot be looked at. */
export function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    return undefined;
  }
}

/**
 * The text of a file of mode 0600; made with `text()` when it is not there, whole or not at all, and on disk when this returns. Of
 * several that make it at once, one wins. Throws what the system says.
 */
export function readOrMakeFile(path: string, text: () => string): string {
  const known = readIfThere(path);
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
  syncFolder(dirname(path));
  return readFileSync(path, 'utf8');
}

/** A text file, whole; undefined: there is none. Throws what else the system says. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

/** A folder of mode 0700, with those above it, if it is not there. Throws what the system says. */
export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/**
 * Replaces a file, whole or not at all, also when the machine fails meanwhile; its directory is made when it is not there. On
 * disk when it returns. Throws what the system says.
 */
export function writeAtomically(path: string, text: string, mode = 0o600): void {
  const directory = dirname(path);
  makeFolder(directory);
  // Made afresh: a link that somebody put there would lead to another file.
  rmSync(`${path}.new`, { force: true });
  const file = openSync(`${path}.new`, 'wx', mode);
  try {
    fchmodSync(file, mode);
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  syncFolder(directory);
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
