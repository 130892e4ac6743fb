// Slow work beside the writer: compresses segments that are closed, and fills the reserve. In a thread of its own, so that
// it stands before no record. It decides nothing: the writer says which segments, the journal says when.
// The reserve is a file that nobody reads; the writer gives it up piece by piece when the disk is full.
// The rule: a segment's plain file goes only when the compressed one is whole and on disk under its name.

import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { KeeperOrder, KeeperReport } from './messages.js';
import { readShelf } from './retention.js';
import { openIn, openSegment, removeSegment, reserveName, syncDirectory } from './segments.js';

/** What the keeper's thread does. */
export interface Keeper {
  carryOut(order: KeeperOrder): KeeperReport;
}

/** Bytes of a segment that become one gzip member; members one after the other are a gzip file as any. */
const memberBytes = 1 << 20;
/** How many pieces the whole reserve is. */
const pieces = 16;

/** Works in one directory. Its reports never throw. */
export function createKeeper(directory: string): Keeper {
  return {
    carryOut(order) {
      try {
        switch (order.do) {
          case 'look':
            return { kind: 'looked', shelf: readShelf(directory, order.above, order.mark) };
          case 'compress':
            return { kind: 'done', bytes: compress(directory, order.name) };
          case 'remove':
            for (const file of order.files) rmSync(join(directory, file), { force: true });
            syncDirectory(directory);
            return { kind: 'done', bytes: 0 };
          case 'fill-reserve':
            fillReserve(directory, order.bytes);
            return { kind: 'done', bytes: order.bytes };
          default:
            return order satisfies never;
        }
      } catch (error) {
        return { kind: 'failed', message: String(error) };
      }
    },
  };
}

/** Returns the bytes of the compressed file. */
function compress(directory: string, name: string): number {
  const path = join(directory, `${name}.gz`);
  const source = openSegment(directory, name);
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
    const target = openIn(directory, `${name}.gz.new`, flags);
    try {
      const chunk = Buffer.allocUnsafe(memberBytes);
      for (let at = 0; ; ) {
        const bytes = readSync(source, chunk, 0, memberBytes, at);
        if (bytes === 0) break;
        writeAll(target, gzipSync(chunk.subarray(0, bytes)));
        at += bytes;
        // In small portions: a record's sync may have to wait for what this one brings to the disk.
        fsyncSync(target);
      }
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
  renameSync(`${path}.new`, path);
  syncDirectory(directory);
  removeSegment(directory, name);
  return statSync(path).size;
}

/** Random bytes, because a file system that compresses would keep no room for zeros. */
function fillReserve(directory: string, bytes: number): void {
  const descriptor = openSync(join(directory, reserveName), 'a', 0o600);
  try {
    const { size } = fstatSync(descriptor);
    const missing = bytes - size;
    if (missing <= 0) {
      ftruncateSync(descriptor, bytes);
      return;
    }
    const { bsize, bavail } = statfsSync(directory);
    // Filled to the last block, it would take the room from the records that it is for.
    if (bsize * bavail < missing + bytes / 4) throw new Error('no room for the reserve');
    const chunk = randomFillSync(Buffer.allocUnsafe(Math.min(missing, memberBytes)));
    try {
      for (let left = missing; left > 0; left -= chunk.length) {
        writeAll(descriptor, chunk.subarray(0, Math.min(left, chunk.length)));
        fsyncSync(descriptor);
      }
    } catch (error) {
      ftruncateSync(descriptor, size);
      throw error;
    }
  } finally {
    closeSync(descriptor);
  }
  syncDirectory(directory);
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at);
}

/** Gives up a piece; returns its bytes. 0: there is nothing left to give. */
export function releaseReserve(directory: string, bytes: number): number {
  const path = join(directory, reserveName);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return 0;
  const left = Math.max(0, size - Math.ceil(bytes / pieces));
  truncateSync(path, left);
  return size - left;
}
