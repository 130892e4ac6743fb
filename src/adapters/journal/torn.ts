// The ends of segments, and what vouches for them: cuts off what a crash tore, after it has gone to a file of its own, so
// that nothing that ever lay in a journal is thrown away unseen. It does not decide what is torn (recover.ts does) or what is on disk (the mark says).

import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { readLink } from '../../domain/audit/chain.js';
import { parseLine, readHead } from '../../domain/audit/line.js';
import type { TornTail } from '../../domain/audit/record.js';
import { isSignedBy, unsignedLine } from '../../domain/audit/signature.js';
import { JournalFault } from '../../gateway/outcome/journal-fault.js';
import type { Mark } from './messages.js';
import type { Tail, Vouched } from './recover.js';
import {
  checkpointName,
  isSameFile,
  listSegments,
  openIn,
  openSegment,
  readIn,
  removeSegment,
  segmentNumber,
  syncDirectory,
  writeWhole,
} from './segments.js';
import { readLines } from './trail.js';

const chunkBytes = 1 << 20;

/**
 * Copies the torn bytes of the tail beside their segments and cuts them off; segments without a record go altogether.
 * Undefined: nothing was torn. With several, the one with most bytes is told.
 */
export function putAside(directory: string, tail: Tail): TornTail | undefined {
  const torn: TornTail[] = [];
  for (const segment of tail.void) {
    const part = copyBehind(directory, segment.name, 0);
    if (part !== undefined) torn.push(part);
    removeSegment(directory, segment.name);
  }
  if (tail.segment !== undefined && tail.fileBytes > tail.bytes) {
    const part = copyBehind(directory, tail.segment.name, tail.bytes);
    if (part !== undefined) torn.push(part);
    const descriptor = openSegment(directory, tail.segment.name);
    try {
      ftruncateSync(descriptor, tail.bytes);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
  return torn.toSorted((one, other) => other.bytes - one.bytes)[0];
}

/**
 * Forgets what lies behind a mark: it was never promised to anybody, and is about to be written again. Does nothing when
 * the mark's file is not there any more: somebody removed or replaced it, maybe with all of the directory, so nobody knows whose
 * the segments behind it are, and what another daemon promised must not go. What is written again may then stand there twice, with
 * its numbers; that is told by `verify`, as is the segment that is missing. Throws a JournalFault `locked` when another process went on behind the mark: it
 * may have had the lock while ours was lost with its thread, and what it wrote is not ours to cut off.
 */
export function cutBehind(directory: string, mark: Mark): void {
  if (!isSameFile(join(directory, mark.segment), mark)) return;
  for (const segment of listSegments(directory)) {
    const from = segment.name === mark.segment ? mark.bytes : 0;
    if (segment.number < segmentNumber(mark.segment)) continue;
    if (segment.isCompressed || hasStart(directory, segment.name, from)) {
      throw new JournalFault('locked', 'another process went on with this journal');
    }
  }
  for (const segment of listSegments(directory)) {
    if (segment.number > segmentNumber(mark.segment) && !segment.isCompressed)
      removeSegment(directory, segment.name);
  }
  const descriptor = openSegment(directory, mark.segment);
  try {
    if (fstatSync(descriptor).size <= mark.bytes) return;
    ftruncateSync(descriptor, mark.bytes);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Who takes over a journal begins with a start record. */
function hasStart(directory: string, segment: string, from: number): boolean {
  const descriptor = openSegment(directory, segment);
  try {
    let isFound = false;
    readLines(descriptor, from, ({ bytes }) => {
      isFound = readHead(bytes.toString('latin1', 0, 128))?.event === 'start';
      return !isFound;
    });
    return isFound;
  } finally {
    closeSync(descriptor);
  }
}

/** Puts a checkpoint, given as its line without LF, beside the segments; undefined: there is none. Never throws. */
export function vouch(directory: string, line: string | undefined): void {
  if (line === undefined) return;
  try {
    writeWhole(directory, checkpointName, `${line}\n`);
  } catch {
    // The record itself is on disk; the copy beside it is made anew with the next one.
  }
}

/** The last checkpoint as it lies beside the segments; undefined: there is none, or it is not one. */
export function readVouched(
  directory: string,
): (Vouched & { readonly journal: string | undefined }) | undefined {
  const text = readIn(directory, checkpointName)?.trimEnd();
  if (text === undefined) return undefined;
  const link = readLink(Buffer.from(text));
  const record = parseLine(text);
  if (link === undefined || !link.isIntact || record === undefined) return undefined;
  const { key, journal } = record;
  const signed = unsignedLine(text);
  const isRight =
    typeof key === 'string' && signed !== undefined && isSignedBy(key, signed.text, signed.signature);
  if (key !== undefined && !isRight) return undefined;
  return { seq: link.seq, hash: link.hash, journal: typeof journal === 'string' ? journal : undefined };
}

/** Keeps the checkpoint, if there is one: the next one takes its place, and `verify` shall still see what was wrong with it. */
export function keepEvidence(directory: string): void {
  const text = readIn(directory, checkpointName);
  if (text === undefined) return;
  const seq = readLink(Buffer.from(text.trimEnd()))?.seq ?? 0;
  writeWhole(directory, `checkpoint-${seq}.json`, text);
}

function copyBehind(directory: string, segment: string, from: number): TornTail | undefined {
  const source = openSegment(directory, segment);
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    let read = readSync(source, chunk, 0, chunkBytes, from);
    if (read === 0) return undefined;
    const { file, target } = createTorn(directory, segment);
    const digest = createHash('sha256');
    let bytes = 0;
    try {
      while (read > 0) {
        digest.update(chunk.subarray(0, read));
        for (let at = 0; at < read; ) at += writeSync(target, chunk, at, read - at);
        bytes += read;
        read = readSync(source, chunk, 0, chunkBytes, from + bytes);
      }
      fsyncSync(target);
    } finally {
      closeSync(target);
    }
    syncDirectory(directory);
    return { file, bytes, sha256: digest.digest('hex') };
  } finally {
    closeSync(source);
  }
}

/** A new file beside the segment; the same segment may have been torn before. */
function createTorn(directory: string, segment: string): { file: string; target: number } {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  for (let count = 1; ; count += 1) {
    const file = count === 1 ? `${segment}.torn` : `${segment}.torn-${count}`;
    try {
      return { file, target: openIn(directory, file, flags) };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
}
