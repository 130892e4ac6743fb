// Reads the messages of a stream from the files of a nats-server that does not run: what this replica holds, whoever would be asked. The
// form (server/filestore.go): length, seq, time, the length of the subject, the subject, [the length of the headers, the headers], the
// message, a checksum of 8 bytes; little-endian; the highest bit of the length says that there are headers.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface StoredMessage {
  readonly seq: number;
  readonly subject: string;
  readonly header: string;
  readonly bytes: Buffer;
}

const headerBit = 0x8000_0000;
const checksumBytes = 8;
/** Erased messages and tombstones have a bit of their seq set. */
const seqBits = (1n << 62n) - 1n;

export function readStore(storeFolder: string, stream: string): readonly StoredMessage[] {
  const found = readdirSync(storeFolder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes(`/streams/${stream}/msgs/`) && path.endsWith('.blk'))
    .map((path) => ({ path, number: Number(/(\d+)\.blk$/.exec(path)?.[1]) }))
    .toSorted((one, other) => one.number - other.number);
  return found.flatMap(({ path }) => [...messagesOf(readFileSync(join(storeFolder, path)))]);
}

function* messagesOf(block: Buffer): Generator<StoredMessage> {
  for (let at = 0; at + 22 + checksumBytes <= block.length; ) {
    const word = block.readUInt32LE(at);
    const end = at + (word % headerBit);
    if (end > block.length || end <= at) return;
    const seq = block.readBigUInt64LE(at + 4);
    const subjectEnd = at + 22 + block.readUInt16LE(at + 20);
    const hasHeader = word >= headerBit;
    const headerAt = hasHeader ? subjectEnd + 4 : subjectEnd;
    const headerEnd = hasHeader ? headerAt + block.readUInt32LE(subjectEnd) : headerAt;
    if (seq <= seqBits)
      yield {
        seq: Number(seq),
        subject: block.toString('latin1', at + 22, subjectEnd),
        header: block.toString('latin1', headerAt, headerEnd),
        bytes: block.subarray(headerEnd, end - checksumBytes),
      };
    at = end;
  }
}
