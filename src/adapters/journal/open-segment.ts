// The segment that is written to: takes text, and knows when it is on disk and still at its place. Owns one descriptor, and
// gives up the reserve when the disk is full.
// The rule: after a failure it is closed for good, and only a new segment is written to.

import { closeSync, fdatasyncSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { JournalFault } from '../../ports/faults.js';
import { isDiskFull, releaseReserve } from './keeper.js';
import { createSegment, type Held, holdFile, openSegment, segmentName } from './segments.js';

export interface OpenSegment {
  /** Makes a segment and goes on in it. */
  begin(number: number): void;
  /** Goes on in a segment that has so many bytes. */
  resume(number: number, bytes: number): void;
  write(bytes: Uint8Array): void;
  /** Everything written is on disk when this returns. Throws a JournalFault `removed` when the file is not what it was. */
  sync(): SyncedFile;
  /** Never throws. */
  close(): void;
  /** Gives up a piece of the reserve if the error says that the disk is full; false: it says something else, or nothing is left. */
  release(error: unknown): boolean;
  /** While it is full, what is written takes its room from the reserve, as if the disk were full. */
  setFull(isFull: boolean): void;
  readonly number: number;
  readonly name: string;
  readonly bytes: number;
  /** Whether a piece of the reserve was given up since this was last asked. */
  takeReserveUsed(): boolean;
}

/** A file, and how much of it is on disk. */
export interface SyncedFile {
  readonly segment: string;
  readonly device: number;
  readonly inode: number;
  readonly bytes: number;
}

const fullText =
  'audit.max_size is reached, nothing is older than audit.keep_min, and audit.reserve is used up';

interface OpenFile extends Held {
  readonly number: number;
  readonly name: string;
  bytes: number;
}

/** Nothing is open yet. `reserveBytes`: what the whole reserve has. */
export function createOpenSegment(directory: string, reserveBytes: number): OpenSegment {
  let file: OpenFile | undefined;
  let isReserveUsed = false;
  /** Bytes that the reserve gave up and that nothing was written to yet; undefined: there is room. */
  let roomBytes: number | undefined;

  const segment: OpenSegment = {
    begin(number) {
      const name = segmentName(number);
      file = { number, name, ...holdFile(createSegment(directory, name)), bytes: 0 };
    },
    resume(number, bytes) {
      const name = segmentName(number);
      file = { number, name, ...holdFile(openSegment(directory, name)), bytes };
    },
    write(bytes) {
      const target = now();
      takeRoom(bytes.length);
      for (let at = 0; at < bytes.length; ) {
        try {
          // A short write is no error yet: the next one says what is wrong.
          at += writeSync(target.descriptor, bytes, at, bytes.length - at);
        } catch (error) {
          if (!segment.release(error)) throw error;
        }
      }
      target.bytes += bytes.length;
    },
    sync() {
      const { descriptor, device, inode, bytes, name } = now();
      fdatasyncSync(descriptor);
      // A file that was removed or replaced takes bytes and syncs without a word: only its name tells.
      const found = statSync(join(directory, name), { throwIfNoEntry: false });
      if (found === undefined || found.ino !== inode || found.dev !== device) {
        throw new JournalFault('removed', `${name} was removed or replaced`);
      }
      if (found.size !== bytes) {
        throw new JournalFault('removed', `${name} has ${found.size} bytes where ${bytes} were written`);
      }
      return { segment: name, device, inode, bytes };
    },
    close() {
      if (file === undefined) return;
      const { descriptor } = file;
      file = undefined;
      try {
        closeSync(descriptor);
      } catch {
        // Everything that counts was synced before, and what failed before has been told.
      }
    },
    release(error) {
      if (!isDiskFull(error)) return false;
      return releasePiece() > 0;
    },
    setFull(isFull) {
      roomBytes = isFull ? (roomBytes ?? 0) : undefined;
    },
    takeReserveUsed() {
      const wasUsed = isReserveUsed;
      isReserveUsed = false;
      return wasUsed;
    },
    get number() {
      return now().number;
    },
    get name() {
      return now().name;
    },
    get bytes() {
      return now().bytes;
    },
  };
  return segment;

  function takeRoom(bytes: number): void {
    if (roomBytes === undefined) return;
    while (roomBytes < bytes) {
      const released = releasePiece();
      if (released === 0) throw new JournalFault('write-failed', fullText);
      roomBytes += released;
    }
    roomBytes -= bytes;
  }

  /** Bytes of the reserve that are free now; 0: nothing is left, or it cannot be given up. */
  function releasePiece(): number {
    try {
      const released = releaseReserve(directory, reserveBytes);
      isReserveUsed ||= released > 0;
      return released;
    } catch {
      return 0;
    }
  }

  function now(): OpenFile {
    if (file === undefined) throw new JournalFault('write-failed', 'no segment is open');
    return file;
  }
}
