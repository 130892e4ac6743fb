// The directory of a journal: its segments in order, new files that survive a power cut, the lock file, and a reader of
// segments. Every descriptor is opened without following links, and a new name counts only after its directory is synced.
//
//   00000001.jsonl   00000002.jsonl.gz   00000003.jsonl.torn   00000003.jsonl.appended   checkpoint.json   shares.json   ring.json
//   policies/HASH.yaml   reserve   lock

import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { type FileHandle, opendir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import {
  openRegular,
  openRegularFile,
  readRegular,
  replaceWhole,
  syncDirectory,
} from '../../host/machine/regular-file.js';
import { JournalFault } from '../../host/ports/faults.js';
import { inflate } from './compressed.js';

/** The file whose kernel lock ensures a single writer. */
export const lockName = 'lock';
export const checkpointName = 'checkpoint.json';
/** The file whose space is released on a full disk. */
export const reserveName = 'reserve';
/** The bytes of each principal, as counted by `Shares`. */
export const sharesName = 'shares.json';

export interface Segment {
  readonly number: number;
  /** File name within the directory, as records name it: always without `.gz`. */
  readonly name: string;
  readonly isCompressed: boolean;
}

const pattern = /^(\d{8,15})\.jsonl(\.gz)?$/;

export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.jsonl`;
}

export function fileName({ name, isCompressed }: Segment): string {
  return isCompressed ? `${name}.gz` : name;
}

/** The segments of a directory in their order; a plain file hides the compressed one of the same number. */
export function listSegments(directory: string): Segment[] {
  return segmentsIn(readdirSync(directory));
}

/** As `listSegments`, of the files in a directory. */
export function segmentsIn(files: readonly string[]): Segment[] {
  const found = new Map<number, Segment>();
  for (const file of files) noteSegment(found, file);
  return inOrder(found);
}

/** The same without blocking: in pieces, however many files there are. */
export async function findSegments(directory: string): Promise<Segment[]> {
  const found = new Map<number, Segment>();
  for await (const { name } of await opendir(directory, { bufferSize: 256 })) noteSegment(found, name);
  return inOrder(found);
}

function noteSegment(found: Map<number, Segment>, file: string): void {
  const match = pattern.exec(file);
  if (match === null) return;
  const number = Number(match[1]);
  const segment = { number, name: segmentName(number), isCompressed: match[2] !== undefined };
  // A name with more leading zeros is foreign: the journal would look for that number under its own name.
  if (fileName(segment) === file && found.get(number)?.isCompressed !== false) found.set(number, segment);
}

function inOrder(found: ReadonlyMap<number, Segment>): Segment[] {
  return [...found.values()].toSorted((one, other) => one.number - other.number);
}

const keptPattern = /^checkpoint-(\d{1,15})\.json$/;

/** The record of a checkpoint that a start kept because the journal lacked it. */
export function seqOfKept(file: string): number {
  return Number(keptPattern.exec(file)?.[1]);
}

/** The files of such checkpoints, the first records first. */
export function listKeptCheckpoints(directory: string): string[] {
  return inOrderOfSeq(readdirSync(directory).filter((file) => keptPattern.test(file)));
}

export async function findKeptCheckpoints(directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of await opendir(directory, { bufferSize: 256 }))
    if (keptPattern.test(name)) found.push(name);
  return inOrderOfSeq(found);
}

function inOrderOfSeq(files: readonly string[]): string[] {
  return files.toSorted((one, other) => seqOfKept(one) - seqOfKept(other));
}

export function withFile<T>(descriptor: number, use: (descriptor: number) => T): T {
  try {
    return use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

export function isDiskFull(error: unknown): boolean {
  return isSystemError(error, 'ENOSPC') || isSystemError(error, 'EDQUOT');
}

/** Permission is missing; the disk may be intact. */
export function isDenied(error: unknown): boolean {
  return isSystemError(error, 'EACCES') || isSystemError(error, 'EPERM');
}

/** Mode 0700; 0750 with a group, which may read it. Throws a JournalFault, or the system's error, if it is not safe to use. */
export function makeDirectory(directory: string, groupId: number | undefined): void {
  const made = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (made !== undefined) {
    for (let at = directory; ; at = dirname(at)) {
      syncDirectory(dirname(at));
      if (at === made || at === dirname(at)) break;
    }
  }
  const found = statSync(directory);
  if (!found.isDirectory()) throw new JournalFault('unreadable', `${directory} is not a directory`);
  // If the mode of our own directory keeps us out, it cannot be opened before the mode is fixed.
  if ((found.mode & 0o500) !== 0o500) chmodSync(directory, 0o700);
  withFile(openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY), (descriptor) =>
    // Also proves that it is ours: only its owner may do this.
    share(directory, descriptor, groupId, groupId === undefined ? 0o700 : 0o750),
  );
}

/** As `makeDirectory`, inside the journal's own: a link there would change mode and group of its target. */
export function makeInner(directory: string, groupId: number | undefined): void {
  if (lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    throw new JournalFault('unreadable', `${directory} is a link, which the daemon never makes: remove it`);
  }
  makeDirectory(directory, groupId);
}

/** A file in a directory of the journal, opened with `flags`; readers of the directory may read it. */
export function openIn(directory: string, name: string, flags: number): number {
  const { mode, gid } = statSync(directory);
  const groupId = (mode & 0o040) === 0 ? undefined : gid;
  const path = join(directory, name);
  const descriptor = openRegular(path, flags, fileMode(groupId));
  try {
    share(path, descriptor, groupId, fileMode(groupId));
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** The files that a group of auditors may read; not the lock, the reserve and keys. */
const readable =
  /^(\d{8,15}\.jsonl(\.gz|\.torn(-\d+)?(\.new)?)?|\d{8,15}\.jsonl(\.gz)?\.appended(-\d+)?(\.new)?|checkpoint(-\d+)?\.json|key\.pub|[0-9a-f]{16,128}\.yaml)$/;

/** Gives existing files the present `audit.group` and mode. Leaves files of other users alone. Throws as `makeDirectory`. */
export function shareFiles(directory: string, groupId: number | undefined): void {
  const ourselves = process.geteuid?.();
  for (const name of readdirSync(directory)) {
    if (!readable.test(name)) continue;
    const path = join(directory, name);
    const found = lstatSync(path);
    if (!found.isFile() || (ourselves !== 0 && found.uid !== ourselves)) continue;
    const isRight = (found.mode & 0o7777) === fileMode(groupId) && (groupId ?? found.gid) === found.gid;
    if (isRight) continue;
    withFile(openRegular(path), (descriptor) => share(path, descriptor, groupId, fileMode(groupId)));
  }
}

function fileMode(groupId: number | undefined): number {
  return groupId === undefined ? 0o600 : 0o640;
}

/** Sets group and mode, independent of the umask and the group of new files. A refusal names the responsible setting. */
function share(path: string, descriptor: number, groupId: number | undefined, mode: number): void {
  const found = fstatSync(descriptor);
  try {
    if (groupId !== undefined && found.gid !== groupId) fchownSync(descriptor, -1, groupId);
    if ((found.mode & 0o7777) !== mode) fchmodSync(descriptor, mode);
  } catch (error) {
    if (groupId === undefined || !isSystemError(error, 'EPERM')) throw error;
    const text =
      `audit.group: ${path} cannot be given to group ${groupId} (EPERM): the daemon must own it and be a member of the group, ` +
      'and its unit must permit chown (SystemCallFilter=@chown)';
    throw new JournalFault('unreadable', text, error);
  }
}

/** A new, empty segment, open for appending; its name is on disk when this returns. */
export function createSegment(directory: string, name: string): number {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL;
  const descriptor = openIn(directory, name, flags);
  try {
    syncDirectory(directory);
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

export function openSegment(directory: string, name: string): number {
  return openOwn(join(directory, name), constants.O_RDWR | constants.O_APPEND);
}

/** The lock file, made if it is missing. The caller takes its kernel lock. */
export function openLock(directory: string): number {
  return openOwn(join(directory, lockName), constants.O_RDWR | constants.O_CREAT);
}

function openOwn(path: string, flags: number): number {
  try {
    return openRegular(path, flags);
  } catch (error) {
    if (!isSystemError(error, 'EFTYPE')) throw error;
    throw new JournalFault('unreadable', `${path} is not a plain file: remove it`, error);
  }
}

export function removeSegment(directory: string, file: string): void {
  unlinkSync(join(directory, file));
  syncDirectory(directory);
}

/** An empty file for writing; a previous file of that name is removed first, so that nothing is written to another user's file. */
export function openNew(directory: string, name: string): number {
  rmSync(join(directory, name), { force: true });
  return openIn(directory, name, newFile);
}

const newFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

/** A small file, written atomically, also after a power cut; a previous file of that name is replaced. */
export function writeWhole(directory: string, name: string, text: string | Uint8Array): void {
  replaceWhole(join(directory, name), text, () => openIn(directory, `${name}.new`, newFile));
}

/** As `writeWhole`, for ourselves alone: the directory's group may be one that the daemon is not in. */
export function writeOwn(directory: string, name: string, text: string): void {
  replaceWhole(join(directory, name), text, (path) => openRegular(path, newFile));
}

/** The text of a small file; undefined: it is unreadable, or too long. */
export function readIn(directory: string, name: string): string | undefined {
  try {
    return readRegular(join(directory, name), bounds.besideFileBytes).toString('utf8');
  } catch {
    return undefined;
  }
}

/** Whether a path still leads to the file that a descriptor is open on. */
export function isSameFile(path: string, file: { readonly device: number; readonly inode: number }): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.dev === file.device && found.ino === file.inode;
}

/** An open file, with the identity that its name must keep. */
export interface Held {
  readonly descriptor: number;
  readonly device: number;
  readonly inode: number;
}

export function holdFile(descriptor: number): Held {
  const found = fstatSync(descriptor);
  return { descriptor, device: found.dev, inode: found.ino };
}

/** Reads a segment of a journal that is being written, even after its removal. Bytes may be cut off again: compare seqs if that matters. */
export interface SegmentReader {
  readonly segment: Segment;
  /** Fewer bytes at its present end. Valid until the next call. Rejects with the system's error, or with the decoder's. */
  read(at: number, bytes: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** Undefined: the segment is gone. It may have been compressed since the directory was read. Rejects with the system's error. */
export async function openSegmentReader(
  directory: string,
  segment: Segment,
): Promise<SegmentReader | undefined> {
  const path = join(directory, fileName(segment));
  let file: FileHandle;
  try {
    file = await openRegularFile(path, bounds.plainSegmentBytes);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    return segment.isCompressed
      ? undefined
      : openSegmentReader(directory, { ...segment, isCompressed: true });
  }
  return segment.isCompressed ? inflating(segment, file) : plain(segment, file);
}

function plain(segment: Segment, file: FileHandle): SegmentReader {
  let buffer = Buffer.alloc(0);
  return {
    segment,
    async read(at, bytes) {
      if (buffer.length < bytes) buffer = Buffer.allocUnsafe(bytes);
      let filled = 0;
      while (filled < bytes) {
        const { bytesRead } = await file.read(buffer, filled, bytes - filled, at + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },
    close: () => file.close(),
  };
}

const inflateBytes = 1 << 18;

/** Forward only; a step back begins at the start again. */
function inflating(segment: Segment, file: FileHandle): SegmentReader {
  const begin = () => inflate(file, fileName(segment), Infinity, inflateBytes);
  let chunks = begin();
  let held = Buffer.alloc(0);
  let heldAt = 0;
  const restart = async (): Promise<void> => {
    await chunks.return(undefined);
    chunks = begin();
    held = Buffer.alloc(0);
    heldAt = 0;
  };
  return {
    segment,
    async read(at, bytes) {
      if (at < heldAt) await restart();
      while (heldAt + held.length < at + bytes) {
        const next = await chunks.next().catch(async (error: unknown) => {
          // The next call must find the damage too, not an end.
          await restart();
          throw error;
        });
        if (next.done === true) break;
        const passed = Math.min(at - heldAt, held.length);
        held = Buffer.concat([held.subarray(passed), next.value]);
        heldAt += passed;
      }
      return held.subarray(at - heldAt, at - heldAt + bytes);
    },
    async close() {
      await chunks.return(undefined);
      await file.close();
    },
  };
}
