// Reads the files of a journal: line by line for the writer's start, in pieces of whole lines for commands. Memory is bounded
// whatever lies there.

import { createReadStream, existsSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { readClaim } from '../../domain/audit/ledger.js';
import { parseLine, parseTime, readHead } from '../../domain/audit/record.js';
import {
  createSearch,
  createSurvey,
  type ExchangeRow,
  type Surveyed,
  type TrailFilter,
} from '../../domain/trail/search.js';
import {
  createVerifier,
  type KeptCheckpoint,
  type TrailOptions,
  type Verdict,
  type Verifier,
} from '../../domain/trail/verify.js';
import { JournalFault } from '../../ports/faults.js';
import { fileName, listSegments } from './segments.js';

const chunkBytes = 1 << 20;
/** No line of ours is longer than 7 KiB; what is longer is damage, and only its start is kept. */
const keptBytesMax = 65_536;

/** One line of a plain segment. */
export interface RawLine {
  /** Without LF; valid only until the next line is read. Of a line that is too long, a part. */
  readonly bytes: Buffer;
  /** Where in the file the byte after its LF is. */
  readonly end: number;
  /** False: the file ended before the LF, or the line is too long to be held whole. */
  readonly isWhole: boolean;
}

/** Calls `take` for every line from `from` on, until it returns false or the file ends. Returns the bytes of the file. */
export function readLines(descriptor: number, from: number, take: (line: RawLine) => boolean): number {
  const buffer = Buffer.allocUnsafe(chunkBytes + keptBytesMax);
  /** Bytes of an unfinished line at the start of the buffer; whether it had more of them. */
  let kept = 0;
  let isCut = false;
  let end = from;
  for (;;) {
    const read = readSync(descriptor, buffer, kept, chunkBytes, end);
    if (read === 0) break;
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

/** One file of a trail. */
export interface TrailFile {
  readonly path: string;
  /** As records name it: without `.gz`. */
  readonly name: string;
  readonly isCompressed: boolean;
  /** Instead of what lies at `path`. */
  readonly chunks?: AsyncIterable<Buffer>;
}

/** What there is to read of a journal. */
export interface Trail {
  readonly files: readonly TrailFile[];
  /** The checkpoints beside the segments. */
  readonly kept: readonly KeptCheckpoint[];
}

/**
 * What is to be read: all segments of a directory in their order, or single files as they were given. Checkpoints are read
 * here, before any segment, so that one that is written meanwhile is never ahead of what is read. Throws a JournalFault.
 */
export function findTrail(paths: readonly string[]): Trail {
  const files: TrailFile[] = [];
  const kept: KeptCheckpoint[] = [];
  for (const path of paths) {
    try {
      if (statSync(path).isDirectory()) {
        for (const file of readdirSync(path).filter((name) => /^checkpoint(-\d+)?\.json$/.test(name))) {
          kept.push({ file, text: readFileSync(join(path, file), 'utf8') });
        }
        for (const segment of listSegments(path)) {
          const { name, isCompressed } = segment;
          files.push({ path: join(path, fileName(segment)), name, isCompressed });
        }
      } else {
        const isCompressed = path.endsWith('.gz');
        files.push({ path, name: basename(path, '.gz'), isCompressed });
      }
    } catch (error) {
      throw new JournalFault('unreadable', `${path} cannot be read`, error);
    }
  }
  return { files, kept };
}

/** A piece of a file. */
export interface Piece {
  /** Valid only until the next piece is asked for. */
  readonly bytes: Buffer;
  /** False: the last line has no LF, because the file ends or because it is too long to be a line of ours. */
  readonly endsInLine: boolean;
}

/** The file in pieces of whole lines. Throws what the system says, or what the decoder says of a damaged gzip file. */
export function readPieces(file: TrailFile): AsyncGenerator<Piece> {
  return cutPieces(file.chunks ?? (file.isCompressed ? inflated(file.path) : plain(file.path)));
}

/** As `readPieces`; undefined stands for the rest of a compressed file that is damaged. Throws a JournalFault. */
export async function* readToDamage(file: TrailFile): AsyncGenerator<Piece | undefined> {
  try {
    yield* readPieces(file);
  } catch (error) {
    if (!file.isCompressed) throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
    yield undefined;
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

/** What comes in chunks, in pieces of whole lines; each chunk is copied before the next one is asked for. */
export async function* cutPieces(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  let buffer = Buffer.allocUnsafe(chunkBytes * 2);
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

async function* plain(path: string): AsyncGenerator<Buffer> {
  // A daemon that runs compresses what it has closed: since the directory was read it may have another name.
  const file = await open(path, 'r').catch((error: unknown) => {
    if (!existsSync(`${path}.gz`)) throw error;
  });
  if (file === undefined) {
    yield* inflated(`${path}.gz`);
    return;
  }
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, null);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function* inflated(path: string): AsyncGenerator<Buffer> {
  const source = createReadStream(path);
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  source.on('error', (error) => gunzip.destroy(error));
  yield* source.pipe(gunzip);
}

/** Follows the whole trail, or from the segment on that holds `fromSeq`. Rejects with a JournalFault when a file cannot be read at all. */
export async function verifyTrail(
  trail: Trail,
  request: Omit<TrailOptions, 'kept' | 'isPart'> & { readonly fromSeq: number | undefined },
): Promise<Verdict> {
  const { fromSeq, ...how } = request;
  const files = await fromLast(trail.files, fromSeq, (line) => readClaim(line)?.seq);
  const isPart = files.length < trail.files.length;
  const verifier = createVerifier({ ...how, kept: trail.kept, isPart });
  await feedVerifier(files, verifier);
  return verifier.finish();
}

/** Gives all lines of the files to `take`, which passes them on to the verifier. Throws a JournalFault. */
export async function feedVerifier(
  files: readonly TrailFile[],
  verifier: Verifier,
  take: Verifier['takeLine'] = (line, isWhole) => verifier.takeLine(line, isWhole),
): Promise<void> {
  for (const file of files) {
    verifier.beginSegment(file.name);
    for await (const piece of readToDamage(file)) {
      if (piece !== undefined) eachLine(piece, take);
      else verifier.breakOff('the compressed file is damaged: nothing after this can be read');
    }
  }
}

/** The files from the last one on that begins at or before `from`, as its first line says; undefined: all. */
async function fromLast(
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

/** Seq of the first record of a file; undefined: its first line does not tell. */
export async function firstSeqOf(file: TrailFile): Promise<number | undefined> {
  return readClaim(await firstLineOf(file))?.seq;
}

async function firstLineOf(file: TrailFile): Promise<Buffer> {
  try {
    for await (const { bytes } of readPieces(file)) {
      return Buffer.from(bytes.subarray(0, Math.max(bytes.indexOf(0x0a), 0)));
    }
  } catch {
    // Damage is told when the file is read for good; here it only cannot say where it begins.
  }
  return Buffer.alloc(0);
}

/**
 * The exchanges that match, each when its completion comes; those without one at the end. Damage is stepped over.
 * `look` sees every piece before it is searched, and undefined where a compressed file cannot be read further.
 */
export async function* searchTrail(
  trail: Trail,
  filter: TrailFilter,
  look?: (file: TrailFile, piece: Piece | undefined) => void,
): AsyncGenerator<ExchangeRow> {
  const search = createSearch(filter);
  for (const file of await filesSince(trail.files, filter.sinceMs)) {
    for await (const piece of readToDamage(file)) {
      look?.(file, piece);
      if (piece !== undefined) yield* search.take(piece.bytes);
    }
  }
  yield* search.finish();
}

/** The files that may hold records of a time or later; undefined: all. */
export function filesSince(
  files: readonly TrailFile[],
  sinceMs: number | undefined,
): Promise<readonly TrailFile[]> {
  return fromLast(files, sinceMs, (line) => {
    const began = readBegin(line);
    // Where the clock was set back, records of files before this one may have later times.
    return began && began.timeMs + Math.max(0, -began.stepsMs);
  });
}

/** When a file begins, by the wall clock, and how far that had been set until then; undefined: its first line does not tell. */
function readBegin(line: Buffer): { readonly timeMs: number; readonly stepsMs: number } | undefined {
  const text = line.toString('utf8');
  const timeMs = parseTime(readHead(text)?.time ?? '');
  const stepsMs = parseLine(text)?.['steps_ms'];
  return timeMs === undefined ? undefined : { timeMs, stepsMs: typeof stepsMs === 'number' ? stepsMs : 0 };
}

/** What there is in the trails, and users like the one that is asked for; what cannot be read is left out. */
export async function surveyTrails(trails: readonly Trail[], filter: TrailFilter): Promise<Surveyed> {
  const survey = createSurvey(filter);
  for (const file of trails.flatMap(({ files }) => files)) {
    try {
      for await (const { bytes } of readPieces(file)) survey.take(bytes);
    } catch {
      // The search before has told it.
    }
  }
  return survey.finish();
}

/** The newest segments of a journal, back to a time. */
export interface Recent {
  /** Oldest first. */
  readonly files: readonly TrailFile[];
  /** Sum of the steps of the wall clock that were recorded before the first of them. */
  readonly stepsMs: number;
  /** False: there would have been more than `filesMax`. */
  readonly isWhole: boolean;
}

/**
 * The segments that hold what was recorded since a time, which is counted without the steps of the wall clock; at most
 * `filesMax` of them. Throws a JournalFault when the directory cannot be read.
 */
export async function findRecent(directory: string, sinceMs: number, filesMax: number): Promise<Recent> {
  const { files } = findTrail([directory]);
  const chosen: TrailFile[] = [];
  let stepsMs = 0;
  for (const file of files.toReversed()) {
    if (chosen.length >= filesMax) return { files: chosen, stepsMs, isWhole: false };
    chosen.unshift(file);
    const began = readBegin(await firstLineOf(file));
    // A segment that does not tell is read, and so is the one before it.
    if (began === undefined) continue;
    ({ stepsMs } = began);
    if (began.timeMs - stepsMs <= sinceMs) break;
  }
  return { files: chosen, stepsMs, isWhole: true };
}
