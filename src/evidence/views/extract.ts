// Extracts: the rows that somebody was shown, signed by the key of the journal. A proof by the chain would need every line between two
// records, and so names of others. An extract proves that dovegate showed these records for this question, and nothing about the chain. The
// signed text names the view, the question and the range of records that were searched. It cannot be taken for a record of the journal,
// which begins with its seq.
//
//   # for people: proves nothing
//   @ {"extract":1,"by":"...","sha256":"...", ... }          what is signed: this text, without the mark
//   * {"time":"...", ... }                                   a row; `sha256` is over all of these texts, each with its LF
//   ! BASE64                                                 Ed25519 signature
//
// A long answer has several such parts, each with its own signature; nothing says how many there were.

import { createHash, type Hash } from 'node:crypto';
import * as z from 'zod';
import type { SignedExtract } from '../../gate/door/extract-head.js';
import { bounds } from '../../host/bounds/bounds.js';
import { fit } from '../../host/values/fit.js';
import { count, text } from '../../host/values/shape.js';
import { isText, parseLine } from '../../host/values/values.js';
import { isSignedBy } from '../../journal/records/ledger.js';
import { formatJsonRow } from '../trail/export.js';
import type { ExchangeRow } from '../trail/search.js';
import { createCountsInFile } from './only-counted.js';

export function createExtractDigest() {
  const hash = createHash('sha256');
  return {
    take: (row: ExchangeRow): void => void hash.update(`${formatJsonRow(row)}\n`),
    finish: () => hash.digest('hex'),
  };
}

/** The same digest for lines that are not rows of a search. */
export function digestOfLines(lines: readonly string[]): string {
  return createHash('sha256')
    .update(lines.map((line) => `${line}\n`).join(''))
    .digest('hex');
}

export const extractNotes: readonly string[] = [
  '# dovegate audit extract 1: rows that dovegate showed for this question, signed by the key of the journal.',
  '# It is no proof by the chain: that the rows stand in the journal, and that there are no others, is said by dovegate and its signature.',
  '# sha256 is over the lines with *, without these two characters; the signature (!) is over the line with @, without them and its end.',
  '# A row with a count is for so many refusals, or commands that were not sent, without rows: a flood limit only counted them.',
  '# It says who and when, and no more, so it is here wherever it may fit the question.',
  '# Check it with: dovegate audit check-proof FILE --key KEY; or with examples/check-extract.py of dovegate, python3 and openssl.',
  '# KEY is the public key, from another place than this file. Lines with # are not signed and prove nothing.',
];

const ownerNotes: readonly string[] = [
  '# dovegate audit extract 1: what the owner of a mailbox may see of who looked into it, signed by the key of the journal.',
  '# dovegate vouches for it. It is no proof by the chain, which would show names of staff and of other users.',
  ...extractNotes.slice(2, 3),
  ...extractNotes.slice(5),
];

/** The lines of a file, without their ends. Undefined: signature or digest are wrong, and the file must not be used. */
export function formatExtract(
  { head, signature }: SignedExtract,
  rows: readonly ExchangeRow[],
): string[] | undefined {
  return formatSigned({ head, signature }, rows.map(formatJsonRow), extractNotes);
}

/** The report of a mailbox as its owner sees it. `lines`: the verdict, then its rows. Undefined as with {@link formatExtract}. */
export function formatOwnerExtract(signed: SignedExtract, lines: readonly string[]): string[] | undefined {
  return formatSigned(signed, lines, ownerNotes);
}

function formatSigned(
  { head, signature }: SignedExtract,
  lines: readonly string[],
  notes: readonly string[],
): string[] | undefined {
  const { sha256, key } = parseLine(head) ?? {};
  if (sha256 !== digestOfLines(lines) || !isText(key) || !isSignedBy(key, head, signature)) return undefined;
  return [...notes, `@ ${head}`, ...lines.map((line) => `* ${line}`), `! ${signature}`];
}

/** Ed25519 in base64, in canonical form. */
const signatureForm = /^[A-Za-z0-9+/]{85}[AQgw]==$/;
const texts = z.array(text(bounds.longestLineBytes)).readonly();
const headShape = z.object({
  extract: z.literal(1),
  by: text(bounds.longestLineBytes),
  view: z.union([z.literal('all records'), texts]),
  shown: z.literal('owner').optional(),
  filter: texts,
  from_seq: count,
  to_seq: count,
  damaged: z.boolean(),
  rows: count,
  sha256: text(64),
  key: text(64),
});

export type ExtractVerdict = ReturnType<ReturnType<typeof createExtractChecker>['finish']>;

/** `trusted`: public keys in base64. Without any, all parts must be signed by one key, whichever it is; that proves nothing by itself. */
export function createExtractChecker(trusted: readonly string[]) {
  let part:
    | { readonly text: string; readonly head: z.output<typeof headShape>; readonly hash: Hash }
    | undefined;
  let inPart = 0;
  let asked: Pick<z.output<typeof headShape>, 'by' | 'view' | 'shown' | 'filter'> | undefined;
  let isDamaged = false;
  let fault: { readonly line: number; readonly text: string } | undefined;
  let fromSeq: number | undefined;
  let toSeq: number | undefined;
  let [number, parts, rows, gaps] = [0, 0, 0, 0];
  const keys = new Set<string>();
  const counts = createCountsInFile();

  return {
    /** The next line of the file, without LF. `isWhole`: it ends in LF. The caller may reuse `line` afterwards. */
    take(line: Buffer, isWhole: boolean): void {
      number += 1;
      if (fault !== undefined) return;
      const why = isWhole ? whyNot(line) : 'the line has no end, or is longer than any row';
      if (why !== undefined) fault = { line: number, text: why };
    },
    finish() {
      if (fault === undefined && (part !== undefined || parts === 0))
        fault = { line: number, text: 'the signature at the end of the file is missing' };
      return {
        /** Undefined: every line is right. */
        fault,
        parts,
        rows,
        /** The same in all parts. Undefined if there is no part. */
        asked,
        /** The records that were searched; undefined if there is no part. */
        fromSeq,
        toSeq,
        /** Gaps between the ranges of records that the parts searched. */
        gaps,
        /** Some lines of the journal could not be read. */
        isDamaged,
        /** Counts among the rows. */
        counted: counts.finish(),
        keys: [...keys],
      };
    },
  };

  function whyNot(line: Buffer): string | undefined {
    const body = line.subarray(2);
    switch (line.toString('latin1', 0, 2)) {
      case '# ':
        return undefined;
      case '@ ':
        return part === undefined ? begin(body.toString()) : 'the part before it has no signature';
      case '* ':
        if (part === undefined) return 'no part was begun for this row';
        part.hash.update(body).update('\n');
        counts.take(body);
        inPart += 1;
        return undefined;
      case '! ':
        return part === undefined
          ? 'no part was begun for this signature'
          : end(part, body.toString('latin1'));
      default:
        return 'this is not a line of an extract';
    }
  }

  function begin(said: string): string | undefined {
    const head = fit(headShape, parseLine(said));
    if (typeof head === 'string') return `this is not the head of an extract: ${head}`;
    const { by, view, shown, filter } = head;
    if (asked !== undefined && JSON.stringify(asked) !== JSON.stringify({ by, view, shown, filter }))
      return 'this part answers another question than the part before it';
    asked = { by, view, shown, filter };
    part = { text: said, head, hash: createHash('sha256') };
    inPart = 0;
    return undefined;
  }

  function end({ text: said, head, hash }: NonNullable<typeof part>, signature: string): string | undefined {
    const { key } = head;
    if (trusted.length > 0 ? !trusted.includes(key) : keys.size > 0 && !keys.has(key))
      return 'this part is signed by another key';
    if (!signatureForm.test(signature) || !isSignedBy(key, said, signature))
      return 'the signature is not right';
    if (head.sha256 !== hash.digest('hex') || head.rows !== inPart)
      return 'the rows of this part are not those that were signed';
    if (toSeq !== undefined && head.from_seq > toSeq + 1) gaps += 1;
    fromSeq = Math.min(fromSeq ?? head.from_seq, head.from_seq);
    toSeq = Math.max(toSeq ?? head.to_seq, head.to_seq);
    isDamaged ||= head.damaged;
    keys.add(key);
    parts += 1;
    rows += inPart;
    part = undefined;
    return undefined;
  }
}
