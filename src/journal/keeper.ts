// Slow work beside the writer: compresses segments that are closed, and fills the reserve. In a thread of its own, so that
// it stands before no record. It decides nothing: the writer says which segments, the journal says when.
// The reserve is a file that nobody reads; the writer gives it up piece by piece when the disk is full.
// The rule: a segment's plain file goes only when the compressed one is whole and on disk under its name.

import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  statfsSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { KeeperOrder, KeeperReport } from './messages.js';
import { openSegment, removeSegment, syncDirectory } from './segments.js';

export interface Keeper {
  carryOut(order: KeeperOrder): KeeperReport;
}

/** Bytes of a segment that become one gzip member; members one after the other are a gzip file as any. */
const memberBytes = 1 << 20;
const reserveName = 'reserve';
/** How many pieces the whole reserve is. */
const pieces = 16;

export function createKeeper(directory: string): Keeper {
  return {
    carryOut(order) {
      try {
        if (order.do === 'compress') compress(directory, order.name);
        else fillReserve(directory, order.bytes);
        return { kind: 'done' };
      } catch (error) {
        return { kind: 'failed', message: String(error) };
      }
    },
  };
}

function compress(directory: string, name: string): void {
  const path = join(directory, `${name}.gz`);
  const source = openSegment(directory, name);
  try {
    const target = openSync(`${path}.new`, 'w', 0o600);
    try {
      const chunk = Buffer.allocUnsafe(memberBytes);
      for (let at = 0; ; ) {
        const bytes = readSync(source, chunk, 0, memberBytes, at);
        if (bytes === 0) break;
        writeAll(target, gzipSync(chunk.subarray(0, bytes)));
        at += bytes;
      }
      fsyncSync(target);
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
  renameSync(`${path}.new`, path);
  syncDirectory(directory);
  removeSegment(directory, name);
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
      }
      fsyncSync(descriptor);
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

/** Gives up a piece; false: there is nothing left to give. */
export function releaseReserve(directory: string, bytes: number): boolean {
  const path = join(directory, reserveName);
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return false;
  truncateSync(path, Math.max(0, size - Math.ceil(bytes / pieces)));
  return true;
}

export function isReserveShort(directory: string, bytes: number): boolean {
  return (statSync(join(directory, reserveName), { throwIfNoEntry: false })?.size ?? 0) < bytes;
}
