// Bytes that are kept until their last one is there: few of them in memory, more of them in a file without a name.
// The rule: the file is readable for nobody else, and gone when the process is, however it ends.

import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { bounds } from '../../bounds/bounds.js';
import type { HeldBytes } from '../../ports/machine.js';
import { makeFolder } from './files.js';

/** Where these bytes go once there are more. */
const memoryMax = bounds.httpBodyMemory;
/** What a small body takes. */
const firstBytes = 1024;

/** None yet. `isMemoryFull`: whether they should go to a file now. The file is made in `folder`, which is made if need be. */
export function holdBytes(folder: string, isMemoryFull: () => boolean): HeldBytes {
  let file: FileHandle | undefined;
  // In one piece: small chunks would cost more than what is in them.
  let memory = Buffer.alloc(0);
  let inMemory = 0;
  let length = 0;

  async function spill(): Promise<FileHandle> {
    const made = await openNameless(folder);
    file = made;
    await writeAll(made, memory.subarray(0, inMemory), 0);
    memory = Buffer.alloc(0);
    inMemory = 0;
    return made;
  }

  function keep(chunk: Buffer): void {
    if (inMemory + chunk.length > memory.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(firstBytes, 2 * memory.length, inMemory + chunk.length));
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
    async append(chunk) {
      if (file === undefined && (inMemory + chunk.length > memoryMax || isMemoryFull())) await spill();
      if (file === undefined) keep(chunk);
      else await writeAll(file, chunk, length);
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
      // What was written is not needed any more.
      file?.close().catch(() => undefined);
      file = undefined;
    },
  };
}

let made = 0;

/** Open for reading and writing, of mode 0600. */
async function openNameless(folder: string): Promise<FileHandle> {
  makeFolder(folder);
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
