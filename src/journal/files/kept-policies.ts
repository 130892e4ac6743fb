// The texts of policies that a journal keeps, and the records that name them.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { readClaim } from '../records/ledger.js';
import { readHead } from '../records/record.js';
import type { Piece } from './compressed.js';
import { readIn } from './segments.js';
import { eachLine } from './trail.js';

const policyBytesMax = 1024 ** 2;

/** The text of a policy with this hash (SHA-256, hex) from the journal; undefined: it is missing, or the text differs. */
export function readPolicyText(directory: string, version: string): string | undefined {
  if (!/^[0-9a-f]{16,128}$/.test(version)) return undefined;
  const text = readIn(join(directory, 'policies'), `${version}.yaml`);
  if (text === undefined || text.length > policyBytesMax) return undefined;
  // Records contain the hash and are signed; the file is not.
  return createHash('sha256').update(text).digest('hex') === version ? text : undefined;
}

/** As `readPolicyText`; each text is read once. */
export function readPolicyTexts(directory: string): (version: string) => string | undefined {
  const texts = new Map<string, string | undefined>();
  return (version) => {
    if (!texts.has(version)) texts.set(version, readPolicyText(directory, version));
    return texts.get(version);
  };
}

const policyEvents: ReadonlySet<string> = new Set(['start', 'reload', 'checkpoint']);

/** The lines of the records that name the policies in force. */
export function eachPolicyLine(piece: Piece, take: (line: string, seq: number) => void): void {
  eachLine(piece, (line) => {
    if (!policyEvents.has(readHead(line.toString('latin1', 0, 100))?.event ?? '')) return;
    const claim = readClaim(line);
    if (claim !== undefined) take(line.toString('utf8'), claim.seq);
  });
}
