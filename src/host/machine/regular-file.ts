// Opens files in directories that other users may be able to write to. Only a regular file is opened, never a link's target, and never in a
// way that can block: a FIFO would stop the caller until another program opens its other end.

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as z from 'zod';
import { bounds } from '../bounds/bounds.js';
import { fit } from '../values/fit.js';
import { parseLine } from '../values/values.js';

const safely = constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Its `code` is `EFTYPE`: a link, a FIFO, a device, a socket or a directory. */
function irregular(path: string, cause?: unknown): Error {
  return Object.assign(new Error(`${path} is not a plain file`, { cause }), { code: 'EFTYPE' });
}

/** Its `code` is `EFBIG`. */
export function tooLarge(path: string, bytesMax: number): Error {
  return Object.assign(new Error(`${path} is longer than ${bytesMax} bytes`), { code: 'EFBIG' });
}

function described(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  // ENXIO: a socket, or a FIFO without a reader. EISDIR: opened for writing.
  return code === 'ELOOP' || code === 'ENXIO' || code === 'EISDIR' ? irregular(path, error) : error;
}

/** A descriptor of a regular file. Throws the system's error, or an `EFTYPE` error. */
export function openRegular(path: string, flags: number = constants.O_RDONLY, mode = 0o600): number {
  let descriptor: number;
  try {
    descriptor = openSync(path, flags | safely, mode);
  } catch (error) {
    throw described(path, error);
  }
  if (fstatSync(descriptor).isFile()) return descriptor;
  closeSync(descriptor);
  throw irregular(path);
}

/** As `openRegular`, for reading; rejects with an `EFBIG` error if the file is longer than `bytesMax`. */
export async function openRegularFile(path: string, bytesMax = Infinity): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | safely);
  } catch (error) {
    throw described(path, error);
  }
  const found = await file.stat();
  if (found.isFile() && found.size <= bytesMax) return file;
  await file.close();
  throw found.isFile() ? tooLarge(path, bytesMax) : irregular(path);
}

/** The whole file. Throws as `openRegular`, or an `EFBIG` error if it is longer than `bytesMax`. */
export function readRegular(path: string, bytesMax: number): Buffer {
  return readAll(openRegular(path), path, bytesMax);
}

/** As `readRegular`, where other work must not wait for the disk; what is appended meanwhile is not read. */
export async function readRegularFile(path: string, bytesMax: number): Promise<Buffer> {
  const file = await openRegularFile(path, bytesMax);
  try {
    const bytes = Buffer.allocUnsafe(Math.min((await file.stat()).size, bytesMax));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

/** What a person names, which may be a link or a pipe, up to `bytesMax`. Throws as `readRegular`. */
export function readNamed(path: string, bytesMax: number): Buffer {
  return readAll(openSync(path, constants.O_RDONLY), path, bytesMax);
}

/** As `readRegular`, but links are followed. */
export function readLinked(path: string, bytesMax: number): Buffer {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fstatSync(descriptor).isFile()) return readAll(descriptor, path, bytesMax);
  closeSync(descriptor);
  throw irregular(path);
}

/** Replaces the whole file, atomically; on disk when it returns, also after a power cut. `openNew` makes an empty file where none is. */
export function replaceWhole(
  path: string,
  content: string | Uint8Array,
  openNew: (path: string) => number,
): void {
  // Removed first: a link there would lead to another file.
  rmSync(`${path}.new`, { force: true });
  const file = openNew(`${path}.new`);
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  syncDirectory(dirname(path));
}

/** What was made, renamed or removed in it is on disk when this returns. */
export function syncDirectory(directory: string): void {
  const opened = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}

/** The text of a file that a program of ours keeps for its next start; undefined: there is none. Rejects as `readRegularFile`. */
export async function readOwnFile(path: string): Promise<string | undefined> {
  try {
    return (await readRegularFile(path, bounds.besideFileBytes)).toString('utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** As `readOwnFile`, for JSON of this shape. Also rejects with an Error that says what does not fit. */
export async function readOwnJson<T>(path: string, shape: z.ZodType<T>): Promise<T | undefined> {
  const text = await readOwnFile(path);
  if (text === undefined) return undefined;
  const found = fit(shape, parseLine(text));
  if (typeof found === 'string') throw new Error(`${path}: ${found}`);
  return found;
}

/** As `replaceWhole`, where other work must not wait for the disk; its directory is made. One call at a time. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(`${path}.new`, { force: true });
  const file = await open(`${path}.new`, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(dirname(path));
}

/** As `syncDirectory`, where other work must not wait for the disk. */
export async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Reads to the end, and closes the descriptor. Throws an `EFBIG` error. */
export function readAll(descriptor: number, path: string, bytesMax: number): Buffer {
  try {
    const { size } = fstatSync(descriptor);
    if (size > bytesMax) throw tooLarge(path, bytesMax);
    const chunks: Buffer[] = [];
    let length = 0;
    for (;;) {
      // One byte more than its size: it may grow, and files of the kernel have the size 0.
      const chunk = Buffer.allocUnsafe(Math.max(4096, size + 1 - length));
      const read = readSync(descriptor, chunk, 0, chunk.length, null);
      // Usually one chunk, which is not copied.
      if (read === 0) return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length);
      length += read;
      if (length > bytesMax) throw tooLarge(path, bytesMax);
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    closeSync(descriptor);
  }
}
