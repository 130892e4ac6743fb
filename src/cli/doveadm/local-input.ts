// The text that goes with a command: from stdin or from a file here, with line ends as the real doveadm sends them. It does not know
// which command takes text.

import { createReadStream } from 'node:fs';
import { CommandFault } from '../output/command-fault.js';

const CR = 0x0d;
const LF = 0x0a;
const crLf = Buffer.from('\r\n');
/** More than one user needs the text more than once. */
const keptBytesMax = 256 * 1024 * 1024;
const cannotRead = 75;

/** Opens what is to be sent: a file's path, or stdin. `onBytes` is told how far it is. */
export function openInput(file: string | undefined, onBytes: (count: number) => void): AsyncIterable<Buffer> {
  return withCrLf(file, onBytes);
}

/** The whole of it, for who needs it again. */
export async function readInput(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    all.push(piece);
    length += piece.length;
    if (length > keptBytesMax)
      throw new CommandFault(cannotRead, `for several users the input may have ${keptBytesMax} bytes`);
  }
  return Buffer.concat(all);
}

/** Line ends become CR LF, as every real client sends them. */
async function* withCrLf(file: string | undefined, onBytes: (count: number) => void): AsyncGenerator<Buffer> {
  let last = 0;
  try {
    // Not before it is read: an error that comes earlier has no one to hear it.
    const source: AsyncIterable<Buffer> = file === undefined ? process.stdin : createReadStream(file);
    for await (const chunk of source) {
      const parts: Buffer[] = [];
      let from = 0;
      for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
        const before = at === 0 ? last : chunk[at - 1];
        if (before === CR) continue;
        parts.push(chunk.subarray(from, at), crLf);
        from = at + 1;
      }
      parts.push(chunk.subarray(from));
      last = chunk[chunk.length - 1] ?? last;
      onBytes(chunk.length);
      yield parts.length === 1 ? chunk : Buffer.concat(parts);
    }
  } catch (cause) {
    throw new CommandFault(cannotRead, `${file ?? 'stdin'}: cannot be read`, cause);
  }
}
