// Reads the files of a journal: line by line for the writer's start, in pieces of whole lines for commands. Memory is bounded for any
// content.

import { existsSync, readSync, realpathSync, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { openRegularFile, readRegular } from '../../host/machine/regular-file.js';
import { JournalFault } from '../../host/ports/faults.js';
import { parseLine } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import type { KeptCheckpoint } from '../records/checkpoints.js';
import { readClaim } from '../records/ledger.js';
import { asDistanceMs, asTimeMs, readHead } from '../records/record.js';
import { asChecked, type CheckedText } from './checked.js';
import { inflated, inflateStart, keptBytesMax, type Piece, type Wants } from './compressed.js';
import { readStateCopy } from './kept-end.js';
import { checkpointName, fileName, listKeptCheckpoints, listSegments, type Segment } from './segments.js';

const chunkBytes = 1 << 20;
/** Size of the first piece of a plain file: a small file needs no more. */
const firstChunkBytes = 1 << 16;

export interface RawLine {
  /** Without LF; valid only until the next line is read. Only a part of a line that is too long. */
  readonly bytes: Buffer;
  /** The position after its LF in the file. */
  readonly end: number;
  /** False: the file ended before the LF, or the line is too long to be held whole. */
  readonly isWhole: boolean;
}

/** Calls `take` for each line, until it returns false, the file ends, or it has the largest size. Returns the end position. */
export function readLines(descriptor: number, from: number, take: (line: RawLine) => boolean): number {
  const buffer = Buffer.allocUnsafe(chunkBytes + keptBytesMax);
  /** Bytes of an unfinished line at the start of the buffer; whether it had more of them. */
  let kept = 0;
  let isCut = false;
  let end = from;
  for (;;) {
    const read = readSync(descriptor, buffer, kept, chunkBytes, end);
    if (read === 0 || end > bounds.plainSegmentBytes) break;
    const text = buffer.subarray(0, kept + read);
    let start = 0;
    for (let lf = text.indexOf(0x0a, kept); lf >= 0; lf = text.indexOf(0x0a, start)) {
      const isWhole = !isCut && lf - start <= keptBytesMax;
      const lineEnd = end - kept + lf + 1;
      if (!take({ bytes: text.subarray(start, lf), end: lineEnd, isWhole })) return lineEnd;
      isCut = false;
      start = lf + 1;
    }
    end += read;
    isCut ||= text.length - start > keptBytesMax;
    kept = text.copy(buffer, 0, start, Math.min(text.length, start + keptBytesMax));
  }
  if (kept > 0) take({ bytes: buffer.subarray(0, kept), end, isWhole: false });
  return end;
}

export interface TrailFile {
  readonly path: string;
  /** As records name it: without `.gz`. */
  readonly name: string;
  readonly isCompressed: boolean;
  /** Used instead of the file at `path`. */
  readonly chunks?: AsyncIterable<Buffer>;
  /** The part that a check has read: only that is read again, and its end throws a JournalFault if the text differs. */
  readonly checked?: CheckedText;
}

export interface Trail {
  readonly files: readonly TrailFile[];
  readonly kept: readonly KeptCheckpoint[];
}

/** The files of journals, or single files as given. Checkpoints are read first, so that none is ahead. Throws a JournalFault. */
export function findTrail(paths: readonly string[], state?: string): Trail {
  const files: TrailFile[] = [];
  const kept: KeptCheckpoint[] = [];
  for (const path of paths) {
    try {
      if (statSync(path).isDirectory()) {
        const beside = existsSync(join(path, checkpointName)) ? [checkpointName] : [];
        for (const file of [...beside, ...listKeptCheckpoints(path).slice(0, bounds.keptCheckpoints)]) {
          kept.push({ file, text: readRegular(join(path, file), bounds.besideFileBytes).toString('utf8') });
        }
        const copy = state === undefined ? undefined : readStateCopy(state, path);
        if (copy !== undefined) kept.push(copy);
        for (const segment of listSegments(path)) files.push(fileOf(path, segment));
      } else {
        const isCompressed = path.endsWith('.gz');
        // A link that a person names may lead elsewhere; one within a directory of a journal may not.
        files.push({ path: realpathSync(path), name: basename(path, '.gz'), isCompressed });
      }
    } catch (error) {
      throw new JournalFault('unreadable', `${path} cannot be read`, error);
    }
  }
  return { files, kept };
}

export function fileOf(directory: string, segment: Segment): TrailFile {
  const { name, isCompressed } = segment;
  return { path: join(directory, fileName(segment)), name, isCompressed };
}

/** The file in pieces of whole lines. Throws the system's error, or the decoder's for a damaged gzip file. `wants`: for searches only. */
export function readPieces(file: TrailFile, wants?: Wants): AsyncGenerator<Piece> {
  const isPassing = file.checked === undefined && wants !== undefined;
  const compressed = () => inflated(file.path, Infinity, isPassing ? wants : undefined);
  const text = file.chunks ?? (file.isCompressed ? compressed() : plain(file.path));
  return cutPieces(file.checked === undefined ? text : asChecked(file.path, text, file.checked));
}

/** Calls `take` with each line of a piece, without its LF. */
export function eachLine({ bytes, endsInLine }: Piece, take: (line: Buffer, isWhole: boolean) => void): void {
  for (let at = 0; at < bytes.length; ) {
    const lf = bytes.indexOf(0x0a, at);
    const end = lf < 0 ? bytes.length : lf;
    take(bytes.subarray(at, end), lf >= 0 || endsInLine);
    at = end + 1;
  }
}

/** Cuts chunks into pieces of whole lines; each chunk is copied before the next one is requested. */
export async function* cutPieces(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Piece> {
  // Most files are small: the buffer grows with the first chunk.
  let buffer = Buffer.alloc(0);
  let filled = 0;
  for await (const chunk of chunks) {
    if (filled + chunk.length > buffer.length) {
      const larger = Buffer.allocUnsafe((filled + chunk.length) * 2);
      buffer.copy(larger, 0, 0, filled);
      buffer = larger;
    }
    filled += chunk.copy(buffer, filled);
    const end = buffer.lastIndexOf(0x0a, filled - 1) + 1;
    if (end > 0) {
      yield { bytes: buffer.subarray(0, end), endsInLine: true };
      buffer.copyWithin(0, end, filled);
      filled -= end;
    } else if (filled > chunkBytes) {
      yield { bytes: buffer.subarray(0, filled), endsInLine: false };
      filled = 0;
    }
  }
  if (filled > 0) yield { bytes: buffer.subarray(0, filled), endsInLine: false };
}

/** Undefined: a running daemon has compressed it since the directory was read. */
export function openPlain(path: string): Promise<FileHandle | undefined> {
  return openRegularFile(path, bounds.plainSegmentBytes).catch((error: unknown) => {
    if (existsSync(path) || !existsSync(`${path}.gz`)) throw error;
    return undefined;
  });
}

async function* plain(path: string): AsyncGenerator<Buffer> {
  const file = await openPlain(path);
  if (file === undefined) {
    yield* inflated(`${path}.gz`);
    return;
  }
  try {
    let chunk = Buffer.allocUnsafe(firstChunkBytes);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
      if (chunk.length < chunkBytes) chunk = Buffer.allocUnsafe(chunkBytes);
    }
  } finally {
    await file.close();
  }
}

export async function firstSeqOf(file: TrailFile): Promise<number | undefined> {
  return readClaim(await firstLineOf(file))?.seq;
}

/** A line of the journal has at most 7 KiB; so many bytes of a compressed file contain it after the head of a member. */
const headBytes = 24_576;

export async function firstLineOf(file: TrailFile): Promise<Buffer> {
  try {
    const head = await readStart(file);
    return head.subarray(0, Math.max(head.indexOf(0x0a), 0));
  } catch {
    // Damage is reported by the real reading; here the begin is only unknown.
    return Buffer.alloc(0);
  }
}

/** The beginning of a file, only as much as contains the first line, because a journal has many files. */
async function readStart({ path, isCompressed }: TrailFile): Promise<Buffer> {
  const plainFile = isCompressed ? undefined : await openPlain(path);
  const handle = plainFile ?? (await openRegularFile(isCompressed ? path : `${path}.gz`));
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(headBytes), 0, headBytes, 0);
    const bytes = buffer.subarray(0, bytesRead);
    return plainFile === undefined ? inflateStart(bytes) : bytes;
  } finally {
    await handle.close();
  }
}

/** What the first line of a file says of its begin, by the wall clock. */
export function readBegin(line: Buffer) {
  const text = line.toString('utf8');
  const timeMs = parseTime(readHead(text)?.time ?? '');
  if (timeMs === undefined) return undefined;
  const { steps_ms: stepsMs, segment: before, earliest } = parseLine(text) ?? {};
  return {
    timeMs,
    stepsMs: asDistanceMs(stepsMs) ?? 0,
    /** The file before, and the earliest time in it; undefined: unknown. */
    before,
    earliestMs: asTimeMs(earliest),
  };
}

/**
 * The last files, the oldest first, back to a time without the steps of the wall clock; at most `filesMax`: `isWhole` false if there would
 * have been more. `stepsMs`: sum of the steps recorded before the first of them. Throws a JournalFault for an unreadable directory.
 */
export async function findRecent(directory: string, sinceMs: number, filesMax: number) {
  const { files } = findTrail([directory]);
  const chosen: TrailFile[] = [];
  let stepsMs = 0;
  for (const file of files.toReversed()) {
    if (chosen.length >= filesMax) return { files: chosen, stepsMs, isWhole: false };
    chosen.unshift(file);
    const began = readBegin(await firstLineOf(file));
    // A segment without a readable time is read, and so is the one before it.
    if (began === undefined) continue;
    ({ stepsMs } = began);
    if (began.timeMs - stepsMs <= sinceMs) break;
  }
  return { files: chosen, stepsMs, isWhole: true };
}
