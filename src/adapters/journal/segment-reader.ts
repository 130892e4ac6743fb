// Reads one segment from any place of its text on, plain or compressed: for readers that follow a journal while it is
// written and go on where they stopped. It does not know what a line is.
// The rule: what is read may not be on disk yet, and may be cut off again; who must not see it looks at the seqs.

import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip, type Gunzip } from 'node:zlib';
import type { Segment } from './segments.js';

/** An open segment; whoever opened it closes it. What it is open on stays readable when the file goes. */
export interface SegmentReader {
  readonly segment: Segment;
  /**
   * So many bytes of its text from there on; fewer: that is where it ends now. Valid until the next call. Rejects with what
   * the system says, or, for a damaged compressed file, the decoder.
   */
  read(at: number, bytes: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** Undefined: the file is gone, or has its other form since the directory was read. Rejects with what the system says. */
export async function openSegmentReader(
  directory: string,
  segment: Segment,
): Promise<SegmentReader | undefined> {
  const path = join(directory, segment.isCompressed ? `${segment.name}.gz` : segment.name);
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  return segment.isCompressed ? inflating(segment, file) : plain(segment, file);
}

function plain(segment: Segment, file: FileHandle): SegmentReader {
  let buffer = Buffer.alloc(0);
  return {
    segment,
    async read(at, bytes) {
      if (buffer.length < bytes) buffer = Buffer.allocUnsafe(bytes);
      let filled = 0;
      while (filled < bytes) {
        const { bytesRead } = await file.read(buffer, filled, bytes - filled, at + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },
    close: () => file.close(),
  };
}

const inflateBytes = 1 << 18;
const inputBytes = 1 << 16;

/** Forward only, but for a step back, which begins at the start again. */
function inflating(segment: Segment, file: FileHandle): SegmentReader {
  let chunks = inflate(file);
  let held = Buffer.alloc(0);
  let heldAt = 0;
  const restart = async (): Promise<void> => {
    await chunks.return(undefined);
    chunks = inflate(file);
    held = Buffer.alloc(0);
    heldAt = 0;
  };
  return {
    segment,
    async read(at, bytes) {
      if (at < heldAt) await restart();
      while (heldAt + held.length < at + bytes) {
        const next = await chunks.next().catch(async (error: unknown) => {
          // What is damaged is so for whoever asks again, too, and does not just end there.
          await restart();
          throw error;
        });
        if (next.done === true) break;
        const passed = Math.min(at - heldAt, held.length);
        held = Buffer.concat([held.subarray(passed), next.value]);
        heldAt += passed;
      }
      return held.subarray(at - heldAt, at - heldAt + bytes);
    },
    async close() {
      await chunks.return(undefined);
      await file.close();
    },
  };
}

async function* inflate(file: FileHandle): AsyncGenerator<Buffer, undefined> {
  const gunzip = createGunzip({ chunkSize: inflateBytes });
  // Not a stream over the file: that would close it.
  feed(file, gunzip).catch((error: unknown) => gunzip.destroy(error instanceof Error ? error : undefined));
  try {
    yield* gunzip;
  } finally {
    gunzip.destroy();
  }
  return undefined;
}

async function feed(file: FileHandle, gunzip: Gunzip): Promise<void> {
  for (let at = 0; !gunzip.destroyed; ) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(inputBytes), 0, inputBytes, at);
    at += bytesRead;
    if (bytesRead === 0) {
      gunzip.end();
      return;
    }
    await new Promise<void>((resolve) => {
      gunzip.write(buffer.subarray(0, bytesRead), () => resolve());
    });
  }
}
