// Appends records to a file of this machine, unchanged, for an agent that sends it on. The file itself shows how far it is: the last whole
// line names its record, so a kill loses or doubles nothing. A torn end is cut off. The file may be renamed or truncated at any time: the
// next record goes to the file of that name.
//
// Foreign content is never changed: a file that ends in another line than a record is refused.

import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { bounds } from '../../host/bounds/bounds.js';
import { messageOf } from '../../host/ports/faults.js';
import { readClaim } from '../../journal/records/ledger.js';
import type { Carrier, CarrierParts, Line } from './carrier.js';
import { beginning, type Follower, type Position } from './follow.js';
import { ReceiverFault } from './receiver.js';

export interface FileOptions extends Pick<CarrierParts, 'position' | 'restarted' | 'untilSeq'> {
  readonly path: string;
}

const flags = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Mode of a file that is made here; the umask of the service would close it to agents. */
const mode = 0o640;
const lineStart = Buffer.from('{"seq":');

export function createFileCarrier({ path, position, restarted, untilSeq }: FileOptions): Carrier {
  let safe = position;
  return {
    get sentSeq() {
      return safe.seq;
    },
    get safe(): Position {
      return safe;
    },
    doubt(text): void {
      safe = beginning;
      restarted(text);
    },
    async open(follower: Follower, _hurry, { proven }): Promise<Line> {
      let file = await orFault(openFile(path));
      try {
        await place(file, follower);
      } catch (fault) {
        await file.close();
        throw fault;
      }
      proven();
      return {
        async send({ text, position: after }) {
          if (await orFault(isReplaced(path, file))) {
            await file.close();
            file = await orFault(openFile(path));
            const before = follower.position;
            if (await isUsed(file)) await place(file, follower);
            // The follower was moved, which decides whether the batch comes again.
            if (follower.position !== before) return;
          }
          await orFault(append(file, text));
          safe = after;
        },
        close() {
          void file.close().catch(() => undefined);
        },
      };
    },
  };

  /** Moves the follower to the end of the file's last record. For an empty file it continues where the last one ended. */
  async function place(file: FileHandle, follower: Follower): Promise<void> {
    const last = await orFault(lastLine(file, path));
    if (last === undefined || (last.seq === safe.seq && last.hash === safe.hash)) return follower.seek(safe);
    const other = `${path} ends in record ${last.seq}, which is not of this journal`;
    if (last.seq > untilSeq()) {
      restarted(other);
      return follower.seek(safe);
    }
    const found = await follower.goBehind(last.seq, last.hash);
    if (found === 'same' || found === 'gone') {
      safe = follower.position;
      return undefined;
    }
    restarted(other);
    return follower.seek(safe);
  }
}

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, flags);
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error;
    file = await open(path, flags | constants.O_CREAT | constants.O_EXCL, mode);
    await file.chmod(mode);
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new ReceiverFault('file-failed', `${path} is not a plain file`);
}

async function isReplaced(path: string, file: FileHandle): Promise<boolean> {
  const own = await file.stat();
  const found = await stat(path).catch(() => undefined);
  return found === undefined || found.ino !== own.ino || found.dev !== own.dev;
}

async function isUsed(file: FileHandle): Promise<boolean> {
  return (await file.stat()).size > 0;
}

/** The record of the last line; an end without LF, which a kill or a full disk left, is cut off. Undefined: the file is empty. */
async function lastLine(
  file: FileHandle,
  path: string,
): Promise<{ readonly seq: number; readonly hash: string } | undefined> {
  const { size } = await file.stat();
  // The last whole line, and an incomplete line after it.
  const from = Math.max(0, size - 2 * bounds.recordBytes);
  const bytes = Buffer.alloc(size - from);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
  const read = bytes.subarray(0, bytesRead);
  const end = read.lastIndexOf(0x0a) + 1;
  const torn = read.subarray(end);
  const head = torn.subarray(0, lineStart.length);
  const isTorn = head.equals(lineStart.subarray(0, head.length));
  const foreign = new ReceiverFault(
    'file-failed',
    `${path} holds other lines than records; name another file`,
  );
  if (!isTorn || (end === 0 && from > 0)) throw foreign;
  const line = read.subarray(read.lastIndexOf(0x0a, Math.max(0, end - 2)) + 1, Math.max(0, end - 1));
  const claim = end === 0 ? undefined : readClaim(line);
  if (end > 0 && claim === undefined) throw foreign;
  if (torn.length > 0) await file.truncate(from + end);
  return claim;
}

/** Appends all of it, on disk, or nothing of it. */
async function append(file: FileHandle, text: Buffer): Promise<void> {
  const { size } = await file.stat();
  try {
    for (let at = 0; at < text.length; ) at += (await file.write(text, at)).bytesWritten;
    await file.datasync();
  } catch (error) {
    await file.truncate(size).catch(() => undefined);
    throw error;
  }
}

/** The system's errors are the file's here, and not the journal's. */
async function orFault<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work;
  } catch (cause) {
    throw cause instanceof ReceiverFault ? cause : new ReceiverFault('file-failed', messageOf(cause), cause);
  }
}
