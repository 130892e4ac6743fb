// A block of a journal in a store: verbatim lines, compressed. It fits its name only if `prev` and `hash` of all lines join, from FIRST to
// LAST: a version with true ends and an altered middle does not.

import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { createGunzip, gunzip, gzip } from 'node:zlib';
import { bounds } from '../../host/bounds/bounds.js';
import { systemCodeOf } from '../../host/ports/faults.js';
import { readClaim, readLink } from '../../journal/records/ledger.js';
import type { BlockName } from './names.js';

/** The bytes of an object for these lines. */
export const packBlock: (lines: Buffer) => Promise<Buffer> = promisify(gzip);
const inflate = promisify(gunzip);

/** The lines of an object. Undefined: its bytes are not compressed, are cut off, or hold more than a block may. */
export async function textOfBlock(bytes: Buffer): Promise<Buffer | undefined> {
  try {
    return await inflate(bytes, { maxOutputLength: bounds.storeTextBytes });
  } catch (cause) {
    const code = systemCodeOf(cause);
    if (code.startsWith('Z_') || code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw cause;
  }
}

/** SHA-256 of the lines in a block, in hex, without holding them all in memory. Rejects if the bytes are not gzip. */
export async function digestInBlock(bytes: Buffer): Promise<string> {
  const digest = createHash('sha256');
  for await (const piece of createGunzip().end(bytes)) digest.update(piece);
  return digest.digest('hex');
}

/** Each line, without its LF. */
export function* linesOf(text: Buffer): Generator<Buffer> {
  for (let start = 0; start < text.length; ) {
    const lf = text.indexOf(0x0a, start);
    const end = lf < 0 ? text.length : lf;
    yield text.subarray(start, end);
    start = end + 1;
  }
}

/** What the first line of a block says of its place; undefined: it is no record. */
export function firstClaim(text: Buffer) {
  return readClaim(text.subarray(0, text.indexOf(0x0a)));
}

/** The lines of a block up to one of its records, and the name of a block that has only these. */
export function upTo(name: BlockName, text: Buffer, seq: number) {
  let [start, end] = [0, 0];
  for (let at = name.first; at <= seq; at += 1) {
    start = end;
    end = text.indexOf(0x0a, start) + 1;
  }
  const hash = readClaim(text.subarray(start, end - 1))?.hash ?? '';
  return { name: { ...name, last: seq, hash }, text: text.subarray(0, end) };
}

/** Whether the lines are what the name stands for. */
export function fitsName(text: Buffer, { first, last, hash }: BlockName): boolean {
  let seq = first;
  let prev: string | undefined;
  for (const line of linesOf(text)) {
    const link = readLink(line);
    if (link?.isIntact !== true || link.seq !== seq || (prev !== undefined && link.prev !== prev))
      return false;
    prev = link.hash;
    seq += 1;
  }
  return seq === last + 1 && prev === hash && text.at(-1) === 0x0a;
}
