// The segment that is being written: takes text, checks that it is on disk and still in its place, and releases the reserve when
// the disk is full. After a failure it is closed for good, and only a new segment is written to.

import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { openRegular } from '../../host/machine/regular-file.js';
import { JournalFault } from '../../host/ports/faults.js';
import type { Mark } from './handover.js';
import {
  createSegment,
  type Held,
  holdFile,
  isDiskFull,
  isSameFile,
  openSegment,
  reserveName,
  segmentName,
  withFile,
} from './segments.js';

const pieces = 16;
const fullText =
  'audit.max_size is reached, nothing is older than audit.keep_min, and audit.reserve is used up';

interface OpenFile extends Held {
  readonly number: number;
  readonly name: string;
  bytes: number;
}

export class OpenSegment {
  readonly #directory: string;
  readonly #reserveBytes: number;
  #file: OpenFile | undefined;
  isReserveUsed = false;
  /** Bytes released by the reserve and not used yet; undefined: the disk is not full. */
  #roomBytes: number | undefined;

  /** Starts without an open file. `reserveBytes`: the size of the whole reserve. */
  constructor(directory: string, reserveBytes: number) {
    this.#directory = directory;
    this.#reserveBytes = reserveBytes;
  }

  /** Continues a segment of that size; without a size: makes it. */
  open(number: number, bytes: number): void {
    const name = segmentName(number);
    const descriptor = (bytes > 0 ? openSegment : createSegment)(this.#directory, name);
    this.#file = { number, name, ...holdFile(descriptor), bytes };
  }

  get number(): number | undefined {
    return this.#file?.number;
  }

  /** Throws a JournalFault where none is open. */
  get file(): Readonly<OpenFile> {
    if (this.#file === undefined) throw new JournalFault('write-failed', 'no segment is open');
    return this.#file;
  }

  write(bytes: Uint8Array): void {
    const { descriptor } = this.file;
    this.#takeRoom(bytes.length);
    for (let at = 0; at < bytes.length; ) {
      try {
        // A short write is not an error; the next write reports the cause.
        at += writeSync(descriptor, bytes, at, bytes.length - at);
      } catch (error) {
        if (!this.release(error)) throw error;
      }
    }
    if (this.#file !== undefined) this.#file.bytes += bytes.length;
  }

  /** Everything written is on disk when this returns. `isLook`: throws a JournalFault `removed` if the file was replaced or removed. */
  sync(isLook: boolean): Pick<Mark, 'segment' | 'device' | 'inode' | 'bytes'> {
    const { descriptor, device, inode, bytes, name, number } = this.file;
    fdatasyncSync(descriptor);
    const synced = { segment: number, device, inode, bytes };
    if (!isLook) return synced;
    // A removed or replaced file still accepts writes and syncs: only its name shows the change.
    const found = statSync(join(this.#directory, name), { throwIfNoEntry: false });
    if (found?.ino !== inode || found.dev !== device)
      throw new JournalFault('removed', `${name} was removed or replaced`);
    if (found.size !== bytes)
      throw new JournalFault('removed', `${name} has ${found.size} bytes where ${bytes} were written`);
    return synced;
  }

  /** Never throws. */
  close(): void {
    const file = this.#file;
    this.#file = undefined;
    try {
      if (file !== undefined) closeSync(file.descriptor);
    } catch {
      // Everything that counts was synced before, and earlier failures were reported.
    }
  }

  /** After a failure. A file that was moved away is cut at the mark: its last records are written again elsewhere. Never throws. */
  leave(mark: Mark): void {
    const file = this.#file;
    try {
      const isMarked = file !== undefined && file.device === mark.device && file.inode === mark.inode;
      if (
        isMarked &&
        !isSameFile(join(this.#directory, file.name), mark) &&
        fstatSync(file.descriptor).size === file.bytes
      ) {
        ftruncateSync(file.descriptor, mark.bytes);
        fsyncSync(file.descriptor);
      }
    } catch {
      // Then its end exists twice, and `verify` reports it.
    }
    this.close();
  }

  /** Releases a piece of the reserve if the error is a full disk; false: another error, or nothing is left. */
  release(error: unknown): boolean {
    return isDiskFull(error) && this.#releasePiece() > 0;
  }

  /** While the journal is full, writes use the reserve, as if the disk were full. */
  setFull(isFull: boolean): void {
    this.#roomBytes = isFull ? (this.#roomBytes ?? 0) : undefined;
  }

  /** Whether a piece of the reserve was released since the last call. */
  takeReserveUsed(): boolean {
    const wasUsed = this.isReserveUsed;
    this.isReserveUsed = false;
    return wasUsed;
  }

  #takeRoom(bytes: number): void {
    if (this.#roomBytes === undefined) return;
    while (this.#roomBytes < bytes) {
      const released = this.#releasePiece();
      if (released === 0) throw new JournalFault('write-failed', fullText);
      this.#roomBytes += released;
    }
    this.#roomBytes -= bytes;
  }

  /** The free bytes of the reserve; 0: nothing is left, or it cannot be released. */
  #releasePiece(): number {
    const path = join(this.#directory, reserveName);
    try {
      return withFile(openRegular(path, constants.O_WRONLY), (descriptor) => {
        const { size } = fstatSync(descriptor);
        const left = Math.max(0, size - Math.ceil(this.#reserveBytes / pieces));
        if (left < size) ftruncateSync(descriptor, left);
        this.isReserveUsed ||= left < size;
        return size - left;
      });
    } catch {
      return 0;
    }
  }
}
