// Reads the files of a journal: line by line for the writer's start, in pieces of whole lines for commands. Memory is bounded for any
// content.

import { createHash } from 'node:crypto';
import { existsSync, readSync, realpathSync, statSync } from 'node:fs';
import { type FileHandle, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { bounds } from '../../bounds/bounds.js';
import { readClaim } from '../../domain/records/audit/ledger.js';
import {
  asDistanceMs,
  asTimeMs,
  isCount,
  parseLine,
  parseTime,
  readHead,
} from '../../domain/records/audit/record.js';
import { isText } from '../../domain/records/audit/stored.js';
import type { KeptCheckpoint } from '../../domain/records/trail/checkpoints.js';
import { JournalFault } from '../../ports/faults.js';
import { openRegularFile, readRegular, readRegularFile } from '../host/regular-file.js';
import { asChecked, type CheckedText } from './checked.js';
import {
  inflated,
  inflatedBack,
  inflateStart,
  keptBytesMax,
  lastLines,
  type Piece,
  type Vouched,
  vouchedTexts,
  type Wants,
} from './compressed.js';
import { readStateCopy } from './kept-end.js';
import {
  checkpointName,
  fileName,
  findKeptCheckpoints,
  findSegments,
  isSystemError,
  listKeptCheckpoints,
  listSegments,
  readIn,
  type Segment,
} from './segments.js';

const chunkBytes = 1 << 20;
/** Size of the first piece of a plain file: a small file needs no more. */
const firstChunkBytes = 1 << 16;

export interface RawLine {
  /** Without LF; valid only until the next line is read. A part of a line that is too long. */
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
  /** Stands for the first segments of its trail, in the directory `path`. Only their signed members are read. */
  readonly vouched?: Vouched;
}

export interface Trail {
  readonly files: readonly TrailFile[];
  readonly kept: readonly KeptCheckpoint[];
}

/** In their order, or single files as given. Reads the checkpoints first, `state`'s too, so that none is ahead. Throws a JournalFault. */
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

/** Figures of a journal, from its directory, its checkpoints and the first line of its oldest segment. */
export interface TrailSize {
  readonly segments: number;
  readonly bytes: number;
  readonly oldestSeq: number | undefined;
  readonly checkpoint: { readonly seq: number; readonly at: string; readonly key?: string } | undefined;
}

/** Does not block the event loop, and reads no segment beyond its first line. Rejects with a JournalFault. */
export async function measureTrail(directory: string): Promise<TrailSize> {
  let files: readonly TrailFile[];
  let kept: readonly string[];
  try {
    kept = await readKeptFiles(directory);
    files = (await findSegments(directory)).map((segment) => fileOf(directory, segment));
  } catch (error) {
    throw new JournalFault('unreadable', `${directory} cannot be read`, error);
  }
  const [oldest] = files;
  const checkpoints = kept.flatMap((text) => {
    const record = parseLine(text.trimEnd());
    const { seq, time, key } = record ?? {};
    if (!isCount(seq) || !isText(time) || asTimeMs(time) === undefined) return [];
    return [{ seq, at: time, ...(isText(key) && { key }) }];
  });
  return {
    segments: files.length,
    bytes: (await sizesOf(files)).reduce((sum, bytes) => sum + bytes, 0),
    oldestSeq: oldest === undefined ? undefined : await firstSeqOf(oldest),
    checkpoint: checkpoints.toSorted((one, other) => other.seq - one.seq)[0],
  };
}

async function readKeptFiles(directory: string): Promise<readonly string[]> {
  const texts: string[] = [];
  const kept = (await findKeptCheckpoints(directory)).slice(0, bounds.keptCheckpoints);
  for (const file of [checkpointName, ...kept]) {
    try {
      texts.push((await readRegularFile(join(directory, file), bounds.besideFileBytes)).toString('utf8'));
    } catch (error) {
      if (file !== checkpointName || !isSystemError(error, 'ENOENT')) throw error;
    }
  }
  return texts;
}

/** Bytes of the files as they lie there; 0: it is gone, or has another name since. */
export async function sizesOf(files: readonly TrailFile[]): Promise<number[]> {
  const sizes: number[] = [];
  for (const { path } of files) {
    const found = await stat(path).catch(() => stat(`${path}.gz`).catch(() => undefined));
    sizes.push(found?.size ?? 0);
  }
  return sizes;
}

const policyBytesMax = bounds.policyTextBytes;

/** The text of a policy with this hash (SHA-256, hex) from the journal; undefined: it is missing, or the text differs. */
export function readPolicyText(directory: string, version: string): string | undefined {
  if (!/^[0-9a-f]{16,128}$/.test(version)) return undefined;
  const text = readIn(join(directory, 'policies'), `${version}.yaml`);
  if (text === undefined || text.length > policyBytesMax) return undefined;
  // Records contain the hash and are signed; the file is not.
  return createHash('sha256').update(text).digest('hex') === version ? text : undefined;
}

/** As `readPolicyText`; each text is read once. */
export function readPolicyTexts(directory: string): (version: string) => string | undefined {
  const texts = new Map<string, string | undefined>();
  return (version) => {
    if (!texts.has(version)) texts.set(version, readPolicyText(directory, version));
    return texts.get(version);
  };
}

const policyEvents: ReadonlySet<string> = new Set(['start', 'reload', 'checkpoint']);

/** The lines of the records that name the policies in force. */
export function eachPolicyLine(piece: Piece, take: (line: string, seq: number) => void): void {
  eachLine(piece, (line) => {
    if (!policyEvents.has(readHead(line.toString('latin1', 0, 100))?.event ?? '')) return;
    const claim = readClaim(line);
    if (claim !== undefined) take(line.toString('utf8'), claim.seq);
  });
}

/** The file in pieces of whole lines. Throws the system's error, or the decoder's for a damaged gzip file. `wants`: for searches only. */
export function readPieces(file: TrailFile, wants?: Wants): AsyncGenerator<Piece> {
  if (file.vouched !== undefined) return cutPieces(vouchedTexts(file.vouched, wants));
  const isPassing = file.checked === undefined && wants !== undefined;
  const compressed = () => inflated(file.path, Infinity, isPassing ? wants : undefined);
  const text = file.chunks ?? (file.isCompressed ? compressed() : plain(file.path));
  return cutPieces(file.checked === undefined ? text : asChecked(file.path, text, file.checked));
}

/** As `readPieces`; undefined stands for the rest of a compressed file that is damaged. Throws a JournalFault. */
export async function* readToDamage(file: TrailFile, wants?: Wants): AsyncGenerator<Piece | undefined> {
  try {
    yield* readPieces(file, wants);
  } catch (error) {
    if (error instanceof JournalFault) throw error;
    if (!file.isCompressed || file.checked !== undefined)
      throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
    yield undefined;
  }
}

/** Pieces of whole lines, the last first, of about `bytesOf()` bytes; they stay valid. Undefined: a damaged end. Throws a JournalFault. */
export async function* readPiecesBack(
  file: TrailFile,
  bytesOf: () => number,
  wants?: Wants,
): AsyncGenerator<Piece | undefined> {
  const handle = file.isCompressed
    ? undefined
    : await openPlain(file.path).catch((error: unknown) => {
        throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
      });
  if (handle === undefined) {
    yield* inflatedBack(file.isCompressed ? file.path : `${file.path}.gz`, bytesOf, wants);
    return;
  }
  try {
    // Lines appended meanwhile are not read.
    for (let end = (await handle.stat()).size; end > 0; ) {
      const begin = Math.max(0, end - Math.max(bytesOf(), keptBytesMax));
      const bytes = Buffer.allocUnsafe(end - begin);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, begin);
      if (bytesRead < bytes.length) throw new Error('it has become shorter');
      const piece = lastLines(bytes, bytes.length, begin === 0);
      end -= piece.bytes.length;
      yield piece;
    }
  } catch (error) {
    if (error instanceof JournalFault) throw error;
    throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
  } finally {
    await handle.close();
  }
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
  // Most files are small: it grows with the first chunk.
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
function openPlain(path: string): Promise<FileHandle | undefined> {
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

/** The files from the last one on that begins at or before `from`, by its first line; undefined: all. */
export async function fromLast(
  files: readonly TrailFile[],
  from: number | undefined,
  beginOf: (line: Buffer) => number | undefined,
): Promise<readonly TrailFile[]> {
  if (from === undefined) return files;
  for (let at = files.length - 1; at > 0; at -= 1) {
    const file = files[at];
    if (file !== undefined && (beginOf(await firstLineOf(file)) ?? Infinity) <= from) return files.slice(at);
  }
  return files;
}

export async function firstSeqOf(file: TrailFile): Promise<number | undefined> {
  return readClaim(await firstLineOf(file))?.seq;
}

/** A line of the journal has at most 7 KiB; behind the head of a member, that size of a compressed file contains it as well. */
const headBytes = 24_576;

async function firstLineOf(file: TrailFile): Promise<Buffer> {
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

/** The files that may contain records of a time or later; undefined: all. Of those that are vouched for, the sketches say it. */
export async function filesSince(
  files: readonly TrailFile[],
  sinceMs: number | undefined,
): Promise<readonly TrailFile[]> {
  const others = files.filter(({ vouched }) => vouched === undefined);
  const since = await fromLast(others, sinceMs, (line) => {
    const began = readBegin(line);
    // If the clock was set back, files before this one may have later times.
    return began && began.timeMs + Math.max(0, -began.stepsMs);
  });
  return [...files.slice(0, files.length - others.length), ...since];
}

/** The largest assumed change of the clock, back and forth, within one file. */
export const clockDoubtMs = 3_600_000;

/**
 * The files that may contain records up to a time, with an hour of doubt for steps of the clock; undefined: all. Found by binary search. A
 * file of that hour is left out if the next one shows that it is later.
 */
export async function filesUntil(
  files: readonly TrailFile[],
  untilMs: number | undefined,
): Promise<readonly TrailFile[]> {
  if (untilMs === undefined) return files;
  const beginOf = async (file: TrailFile | undefined) =>
    file === undefined ? undefined : readBegin(await firstLineOf(file));
  const stepsAtEnd = (await beginOf(files.at(-1)))?.stepsMs ?? 0;
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const began = await beginOf(files[middle]);
    const isLater =
      began !== undefined && began.timeMs + Math.min(0, stepsAtEnd - began.stepsMs) - clockDoubtMs > untilMs;
    if (isLater) high = middle;
    else low = middle + 1;
  }
  const chosen = files.slice(0, low);
  let next = await beginOf(files[low]);
  for (let at = low - 1; at >= 0; at -= 1) {
    const began = await beginOf(files[at]);
    if (began !== undefined && began.timeMs < untilMs) break;
    if (next?.before === files[at]?.name && (next?.earliestMs ?? 0) >= untilMs) chosen.splice(at, 1);
    next = began;
  }
  return chosen;
}

interface Begin {
  /** By the wall clock. */
  readonly timeMs: number;
  readonly stepsMs: number;
  /** The file before, and the earliest time in it; undefined: unknown. */
  readonly before: unknown;
  readonly earliestMs: number | undefined;
}

function readBegin(line: Buffer): Begin | undefined {
  const text = line.toString('utf8');
  const timeMs = parseTime(readHead(text)?.time ?? '');
  if (timeMs === undefined) return undefined;
  const { steps_ms: stepsMs, segment: before, earliest } = parseLine(text) ?? {};
  return {
    timeMs,
    stepsMs: asDistanceMs(stepsMs) ?? 0,
    before,
    earliestMs: asTimeMs(earliest),
  };
}

export interface Recent {
  /** Oldest first. */
  readonly files: readonly TrailFile[];
  /** Sum of the steps of the wall clock recorded before the first of them. */
  readonly stepsMs: number;
  /** False: there would have been more than `filesMax`. */
  readonly isWhole: boolean;
}

/**
 * The last files, back to a time without the steps of the wall clock; at most `filesMax`. Throws a JournalFault for an unreadable
 * directory.
 */
export async function findRecent(directory: string, sinceMs: number, filesMax: number): Promise<Recent> {
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
