// Bytes that are kept until the last one has arrived: a few in memory, more in a file without a name. The file is private and disappears
// with the process, however it ends. The total size of all files is limited, and that of one origin's. A file never takes the last room of
// its disk, which audit records may need.

import { constants } from 'node:fs';
import { type FileHandle, open, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { RoomFault } from '../ports/faults.js';
import type { HeldBytes } from '../ports/machine.js';
import { makeFolder } from './files.js';

/** Above this size bytes go to a file. */
const memoryMax = 1024 ** 2;
const firstBytes = 1024;

export interface BodyLimits {
  /** The folder of the files; made if it is missing. */
  readonly folder: string;
  /** Bytes in files: of all origins, and of one. */
  readonly storedBytesMax: number;
  readonly storedBytesPerPrincipalMax: number;
  /** Free space that stays on the file system. */
  readonly freeBytesMin: number;
  readonly isMemoryFull: boolean;
}

/** For all bodies of the process. `limits` is called for the origin each time. */
export function createBodyStore(limits: (origin: string) => BodyLimits): (origin: string) => HeldBytes {
  const stored = new Map<string, number>();
  let all = 0;
  /** Reserved bytes that are not written yet: the file system counts them as free. */
  let unwritten = 0;

  function count(origin: string, bytes: number): void {
    all += bytes;
    const own = (stored.get(origin) ?? 0) + bytes;
    if (own > 0) stored.set(origin, own);
    else stored.delete(origin);
  }

  /** Rejects with a RoomFault if there is no room for so many bytes more. */
  async function look(origin: string, bytes: number): Promise<void> {
    const { folder, storedBytesMax, storedBytesPerPrincipalMax, freeBytesMin } = limits(origin);
    const own = stored.get(origin) ?? 0;
    if (own + bytes > storedBytesPerPrincipalMax)
      throw new RoomFault(
        `requests of this account hold ${own} bytes, and may hold ${storedBytesPerPrincipalMax}`,
      );
    if (all + bytes > storedBytesMax)
      throw new RoomFault(`all requests hold ${all} bytes, and may hold ${storedBytesMax}`);
    // Counted before the await: later requests come after it.
    count(origin, bytes);
    unwritten += bytes;
    try {
      const { bsize, bavail } = await statfs(folder);
      if (bsize * bavail - unwritten < freeBytesMin)
        throw new RoomFault('the disk of "state" has no room for it beside the reserve of the audit records');
    } catch (fault) {
      unwritten -= bytes;
      count(origin, -bytes);
      throw fault;
    }
  }

  return (origin) => {
    let file: FileHandle | undefined;
    // In one piece: small chunks would cost more than their content.
    let memory = Buffer.alloc(0);
    let inMemory = 0;
    let length = 0;
    let counted = 0;

    /** Writes at the end of the file, which is made for the first bytes. */
    async function store(parts: readonly Buffer[], at: number): Promise<void> {
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      const { folder } = limits(origin);
      if (file === undefined) makeFolder(folder);
      await look(origin, bytes);
      counted += bytes;
      try {
        file ??= await openNameless(folder);
        let from = at;
        for (const part of parts) {
          await writeAll(file, part, from);
          from += part.length;
        }
      } catch (fault) {
        throw isFull(fault) ? new RoomFault('the disk of "state" is full') : fault;
      } finally {
        unwritten -= bytes;
      }
    }

    function keep(chunk: Buffer): void {
      if (inMemory + chunk.length > memory.length) {
        const larger = Buffer.allocUnsafeSlow(
          Math.max(firstBytes, 2 * memory.length, inMemory + chunk.length),
        );
        memory.copy(larger, 0, 0, inMemory);
        memory = larger;
      }
      chunk.copy(memory, inMemory);
      inMemory += chunk.length;
    }

    return {
      get length() {
        return length;
      },
      get memoryBytes() {
        return memory.length;
      },
      async expect(bytes) {
        const { folder, isMemoryFull } = limits(origin);
        if (bytes <= memoryMax && !isMemoryFull) return;
        makeFolder(folder);
        await look(origin, bytes);
        unwritten -= bytes;
        count(origin, -bytes);
      },
      async append(chunk) {
        if (file !== undefined) await store([chunk], length);
        else if (inMemory + chunk.length <= memoryMax && !limits(origin).isMemoryFull) keep(chunk);
        else {
          const before = memory.subarray(0, inMemory);
          memory = Buffer.alloc(0);
          inMemory = 0;
          await store([before, chunk], 0);
        }
        length += chunk.length;
      },
      async read(from, most) {
        const wanted = Math.min(most, length - from);
        if (wanted <= 0) throw new RangeError('read past the end of what is held');
        if (file === undefined) return memory.subarray(from, from + wanted);
        const bytes = Buffer.allocUnsafe(wanted);
        const { bytesRead } = await file.read(bytes, 0, wanted, from);
        if (bytesRead === 0) throw new RangeError('the file is shorter than what was written to it');
        return bytes.subarray(0, bytesRead);
      },
      close() {
        memory = Buffer.alloc(0);
        inMemory = 0;
        count(origin, -counted);
        counted = 0;
        // The written bytes are not needed any more.
        file?.close().catch(() => undefined);
        file = undefined;
      },
    };
  };
}

function isFull(fault: unknown): boolean {
  const code = fault instanceof Error ? Reflect.get(fault, 'code') : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

let made = 0;

/** Open for reading and writing, of mode 0600. */
async function openNameless(folder: string): Promise<FileHandle> {
  made += 1;
  const path = join(folder, `body-${process.pid}-${made}`);
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await unlink(path);
    return file;
  } catch (fault) {
    await file.close();
    throw fault;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}
