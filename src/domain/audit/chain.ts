// The chain: every line holds the hash of the line before and its own. Makes a line of a body, and takes a line apart.
// It knows neither files nor keys, and reads of a line only what stands at its two fixed ends.
// The rule: `hash` is SHA-256 over the exact text of the line without `,"hash":"..."` and without its LF.
//
//   {"seq":17,"time":"...","event":"...", ... ,"prev":"<64 hex>","hash":"<64 hex>"}

import { hash } from 'node:crypto';

/** Format of the lines; a reader ignores keys that it does not know, a writer never continues a newer format. */
export const journalFormat = 1;

/** `prev` of a journal's very first record. */
export const genesisHash = '0'.repeat(64);

/** A line that is ready to be written. */
export interface SealedLine {
  /** With its LF. */
  readonly line: string;
  readonly hash: string;
}

/** Puts seq, prev and hash around a body of `encodeBody`. */
export function sealLine(seq: number, body: string, prev: string): SealedLine {
  const open = `{"seq":${seq},${body},"prev":"${prev}"`;
  const digest = hash('sha256', `${open}}`, 'hex');
  return { line: `${open},"hash":"${digest}"}\n`, hash: digest };
}

/** Bytes of a line besides its body, at most: seq, prev, hash and what stands around them. */
export const sealBytesMax = 192;

/**
 * The same for a body as bytes: puts the line into `into` at `at`, where there must be
 * room for the body and `sealBytesMax` more. Thousands of lines a second are made so, and no text of them.
 */
export function sealInto(
  into: Buffer,
  at: number,
  seq: number,
  body: Uint8Array,
  prev: string,
): { readonly end: number; readonly hash: string } {
  const bodyAt = at + into.write(`{"seq":${seq},`, at, 'latin1');
  into.set(body, bodyAt);
  const bodyEnd = bodyAt + body.length;
  const braceAt = bodyEnd + into.write(`,"prev":"${prev}"}`, bodyEnd, 'latin1') - 1;
  const digest = hash('sha256', into.subarray(at, braceAt + 1), 'hex');
  // Where the brace stood that was hashed, the line goes on.
  const end = braceAt + into.write(`,"hash":"${digest}"}\n`, braceAt, 'latin1');
  return { end, hash: digest };
}

/** A line's place in the chain. */
export interface Link {
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
}

/** `{"seq":` as two numbers that overlap by one byte: compared for every line of a journal. */
const headBytes = 7;
const headFirst = 0x7b227365;
const headSecond = 0x6571223a;
const prevText = ',"prev":"';
const hashText = ',"hash":"';
const closeText = '"}';
const hashPartBytes = hashText.length + 64 + closeText.length;
const prevPartBytes = prevText.length + 64 + 1;
const seqDigitsMax = 16;

/**
 * The place that a line (without LF) claims, and whether its own hash is right. Undefined: it has not the form of a
 * line of ours. For a moment one byte of `line` is another: nobody else may read the buffer meanwhile.
 */
export function readLink(line: Buffer): (Link & { readonly isIntact: boolean }) | undefined {
  const link = readClaim(line);
  if (link === undefined) return undefined;
  // What is hashed ends with a brace where the line goes on with `,"hash"`: put there instead of copying the line.
  const end = line.length - hashPartBytes;
  line[end] = 0x7d;
  const digest = hash('sha256', line.subarray(0, end + 1), 'hex');
  line[end] = 0x2c;
  return { seq: link.seq, prev: link.prev, hash: link.hash, isIntact: digest === link.hash };
}

/** As `readLink`, without judging the hash: for readers that only want to know where a line stands. */
export function readClaim(line: Buffer): Link | undefined {
  const tailAt = line.length - hashPartBytes - prevPartBytes;
  if (tailAt < headBytes + 1 || line.readUInt32BE(0) !== headFirst || line.readUInt32BE(3) !== headSecond) {
    return undefined;
  }
  const seq = readDigits(line, headBytes);
  if (seq === undefined) return undefined;
  const tail = line.toString('latin1', tailAt);
  const prevAt = prevText.length;
  const hashAt = prevPartBytes + hashText.length;
  if (
    !tail.startsWith(prevText) ||
    !tail.startsWith(`"${hashText}`, prevAt + 64) ||
    !tail.endsWith(closeText)
  ) {
    return undefined;
  }
  return { seq, prev: tail.slice(prevAt, prevAt + 64), hash: tail.slice(hashAt, hashAt + 64) };
}

function readDigits(line: Buffer, at: number): number | undefined {
  let value = 0;
  let end = at;
  for (; end < at + seqDigitsMax; end += 1) {
    const digit = (line[end] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return end > at && line[end] === 0x2c ? value : undefined;
}
