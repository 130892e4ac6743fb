// Extracts: what somebody was shown, signed by the key of the journal. A proof by the chain would hold every line between two records, and
// so names of others; an extract proves that dovegate showed these records for this question, and nothing by itself about the chain. The
// signed text names the view, the question and the range of records that were looked at, and cannot be taken for a record of the journal,
// which begins with its seq.
//
//   # for people: proves nothing
//   @ {"extract":1,"journal":"...","sha256":"...", ... }     what is signed: this text, without the mark
//   * {"time":"...", ... }                                   a row; `sha256` is over all of these texts, each with its LF
//   ! BASE64                                                 Ed25519 signature

import { createHash } from 'node:crypto';
import { isSignedBy } from '../audit/ledger.js';
import { parseLine } from '../audit/record.js';
import { formatJsonRow } from '../trail/export.js';
import type { ExchangeRow } from '../trail/search.js';
import type { SignedExtract } from './extract-head.js';

export function createExtractDigest(): { take(row: ExchangeRow): void; finish(): string } {
  const hash = createHash('sha256');
  return {
    take: (row) => void hash.update(`${formatJsonRow(row)}\n`),
    finish: () => hash.digest('hex'),
  };
}

export const extractNotes: readonly string[] = [
  '# dovegate audit extract 1: rows that dovegate showed for this question, signed by the key of the journal.',
  '# It is no proof by the chain: that the rows stand in the journal, and that there are no others, is said by dovegate and its signature.',
  '# sha256 is over the lines with *, without these two characters; the signature (!) is over the line with @, without them and its end.',
  '# Check it as docs/auditor-access.md says. Lines with # are not signed and prove nothing.',
];

/** The lines of a file, without their ends. Undefined: signature or digest are wrong, and the file must not be used. */
export function formatExtract(
  { head, signature }: SignedExtract,
  rows: readonly ExchangeRow[],
): string[] | undefined {
  const digest = createExtractDigest();
  for (const row of rows) digest.take(row);
  const { sha256, key } = parseLine(head) ?? {};
  if (sha256 !== digest.finish() || typeof key !== 'string' || !isSignedBy(key, head, signature))
    return undefined;
  return [...extractNotes, `@ ${head}`, ...rows.map((row) => `* ${formatJsonRow(row)}`), `! ${signature}`];
}
