// Foreign data that a start finds in the directory (torn ends, appended lines, segments, entries that are not regular files) is
// put aside in `NAME.torn` or `NAME.appended`, and the `start` record reports it. Until that record is on disk the name ends in
// `.new`, so if a start is killed, the next one reports it.

import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { openRegular, syncDirectory } from '../../host/machine/regular-file.js';
import type { TornTail } from '../records/keys.js';
import { fileName, openIn, openSegment, type Segment, withFile } from './segments.js';

type Kind = 'torn' | 'appended';

const chunkBytes = 1 << 20;
const asidePattern = /^(\d{8,15}\.jsonl)(?:\.gz)?\.(?:torn|appended)(?:-\d+)?(?:\.new)?$/;
const unreported = /^(.+)\.(torn|appended)(?:-\d+)?\.new$/;
/** Names that the journal itself uses in its directory, and in `policies`. */
const ownName =
  /^(\d{8,15}\.jsonl(\.gz)?|checkpoint(-\d{1,15})?\.json|key\.pub|hmac\.key|shares\.json|ring\.json|reserve|policies|[0-9a-f]{16,128}\.yaml|unused\.json)(\.new)?$/;

/** A free name for a file that is put aside. Undefined: there are too many. */
function freeName(directory: string, name: string, kind: Kind): string | undefined {
  const taken = new Set(readdirSync(directory));
  for (let count = 1; count <= 16; count += 1) {
    const file = count === 1 ? `${name}.${kind}` : `${name}.${kind}-${count}`;
    if (!taken.has(file) && !taken.has(`${file}.new`)) return file;
  }
  return undefined;
}

/** The files that were put aside for some segments, by their names. */
export function listAside(directory: string, segments: readonly string[]): readonly string[] {
  const names = new Set(segments);
  return readdirSync(directory).filter((file) => names.has(asidePattern.exec(file)?.[1] ?? ''));
}

/** Joins them to one report: the first, with the total of bytes. */
export function joinAside(parts: readonly (TornTail | undefined)[]): TornTail | undefined {
  const [first, ...others] = parts.filter((part) => part !== undefined);
  return first && { ...first, bytes: others.reduce((sum, { bytes }) => sum + bytes, first.bytes) };
}

/** Moves a segment's end to a file. Undefined: nothing follows the position. Bytes beyond the limit are dropped; the hash covers them. */
export function putEndAside(directory: string, name: string, from: number, kind: Kind): TornTail | undefined {
  return withFile(openSegment(directory, name), (source) => {
    const { size } = fstatSync(source);
    if (size <= from) return undefined;
    const file = freeName(directory, name, kind);
    const sha256 =
      file === undefined ? hashOf(source, from) : copyEnd(source, from, directory, `${file}.new`);
    syncDirectory(directory);
    ftruncateSync(source, from);
    fsyncSync(source);
    return { file: file ?? '', bytes: size - from, sha256 };
  });
}

/** Returns the hash of all bytes of the source from there on. On a full disk no partial copy remains. */
function copyEnd(source: number, from: number, directory: string, name: string): string {
  const target = openIn(directory, name, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  let room = 64 * 1024 ** 2;
  try {
    const sha256 = hashOf(source, from, (bytes) => {
      if (room > 0) writeFileSync(target, bytes.subarray(0, room));
      room -= bytes.length;
    });
    fsyncSync(target);
    return sha256;
  } catch (error) {
    rmSync(join(directory, name), { force: true });
    throw error;
  } finally {
    closeSync(target);
  }
}

function hashOf(source: number, from: number, take: (bytes: Buffer) => void = () => undefined): string {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const digest = createHash('sha256');
  for (let at = from; ; ) {
    const read = readSync(source, chunk, 0, chunkBytes, at);
    if (read === 0) return digest.digest('hex');
    digest.update(chunk.subarray(0, read));
    take(chunk.subarray(0, read));
    at += read;
  }
}

/** Renaming needs no further space. */
export function putSegmentAside(directory: string, segment: Segment): TornTail {
  const name = fileName(segment);
  const path = join(directory, name);
  const found = withFile(openSegment(directory, name), (source) => ({
    bytes: fstatSync(source).size,
    sha256: hashOf(source, 0),
  }));
  const file = freeName(directory, name, 'appended');
  // Fails if the name is taken; rename(2) would replace that file.
  if (file !== undefined) linkSync(path, join(directory, `${file}.new`));
  unlinkSync(path);
  // Gives it the mode of our own files, if the file is ours.
  if (file !== undefined && statSync(join(directory, `${file}.new`)).uid === process.geteuid?.())
    closeSync(openIn(directory, `${file}.new`, constants.O_RDONLY));
  return { file: file ?? '', ...found };
}

/** Puts aside what is no regular file (a FIFO would block a start), and cuts what is too long for a segment. Undefined: there was none. */
export function putForeignAside(directory: string, segmentMax: number): TornTail | undefined {
  const found: (TornTail | undefined)[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const { name } = entry;
    const own = ownName.exec(name);
    // An operator may keep `hmac.key` elsewhere; the target of a link is checked when it is read.
    const isRight = name === 'policies' ? entry.isDirectory() : entry.isFile();
    if (own === null || (name === 'hmac.key' && entry.isSymbolicLink())) continue;
    if (!isRight) found.push(moveForeign(directory, name));
    else if (own[0] === name && /\.jsonl(\.gz)?$/.test(name))
      found.push(cutLong(directory, name, segmentMax));
  }
  if (found.length > 0) syncDirectory(directory);
  return joinAside(found);
}

function moveForeign(directory: string, name: string): TornTail {
  const file = freeName(directory, name, 'appended');
  const path = join(directory, name);
  if (file === undefined) rmSync(path, { recursive: true, force: true });
  else renameSync(path, join(directory, `${file}.new`));
  return { file: file ?? '', bytes: 0, sha256: createHash('sha256').digest('hex') };
}

function cutLong(directory: string, name: string, segmentMax: number): TornTail | undefined {
  const { size } = lstatSync(join(directory, name));
  if (size <= segmentMax) return undefined;
  // A compressed file that is cut could not be inflated.
  if (name.endsWith('.gz')) return { ...moveForeign(directory, name), bytes: size };
  withFile(openSegment(directory, name), (descriptor) => {
    ftruncateSync(descriptor, segmentMax);
    fsyncSync(descriptor);
  });
  return { file: '', bytes: size - segmentMax, sha256: createHash('sha256').digest('hex') };
}

/** Files put aside by starts that were killed before their report. */
export function findUnreported(directory: string, kind: Kind): TornTail | undefined {
  const files = readdirSync(directory).filter((file) => unreported.exec(file)?.[2] === kind);
  return joinAside(files.toSorted().map((file) => measure(directory, file)));
}

function measure(directory: string, file: string): TornTail {
  const path = join(directory, file);
  const name = file.slice(0, -'.new'.length);
  const { size } = lstatSync(path);
  if (!lstatSync(path).isFile() || size > bounds.plainSegmentBytes)
    return { file: name, bytes: 0, sha256: createHash('sha256').digest('hex') };
  return withFile(openRegular(path), (source) => ({ file: name, bytes: size, sha256: hashOf(source, 0) }));
}

/** Call when the start record that reports them is on disk. A file that cannot be renamed is reported again by the next start. */
export function nameReported(directory: string): void {
  const files = readdirSync(directory).filter((file) => unreported.test(file));
  for (const file of files) {
    try {
      renameSync(join(directory, file), join(directory, file.slice(0, -'.new'.length)));
    } catch {
      // The name was taken meanwhile.
    }
  }
  if (files.length > 0) syncDirectory(directory);
}
