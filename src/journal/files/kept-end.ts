// The second copy of a journal's last checkpoint, in `state`, where writers of the audit directory need not have access. A line
// counts only with a correct hash, and with a correct signature if it names a key.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { asCount, asText, isText, parseLine } from '../../host/values/values.js';
import { isSignedBy, readNext, unsignedLine } from '../records/ledger.js';
import { checkpointName, readIn, writeOwn } from './segments.js';

/** The file in `state` with the last checkpoint, a second line with further data for a start, and a third with the note of the ring. */
export const runEndName = 'audit-end.json';

/** The copy in `state` of the locks and holds in force. */
export const keptLocksName = 'locks.json';

export type KnownEnd = NonNullable<ReturnType<typeof readEndLine>>;

export type KeptEnd = NonNullable<ReturnType<typeof readKept>>;

/** The run had no ring. */
export const noRing = 'no ring';

/** The checkpoint in a line; undefined: it is not an unchanged checkpoint. */
export function readEndLine(text: string | undefined) {
  if (text === undefined) return undefined;
  const link = readNext(Buffer.from(text));
  const record = parseLine(text);
  if (link === undefined || record === undefined) return undefined;
  const { key, next_key: nextKey, journal, oldest_seq: oldestSeq, action, version, policies } = record;
  if (key !== undefined && !isRightlySigned(text, key)) return undefined;
  return {
    /** Without LF. */
    line: text,
    seq: link.seq,
    hash: link.hash,
    journal: asText(journal),
    oldestSeq: asCount(oldestSeq),
    /** Hash of the configuration that was in force, and of the list of its policies. */
    version: asText(version),
    policies: asText(policies),
    key: asText(key),
    nextKey: asText(nextKey),
    /** It ends an orderly stop. */
    isStop: record['event'] === 'checkpoint' && action === 'stop',
  };
}

export function isRightlySigned(text: string, key: unknown): boolean {
  const signed = unsignedLine(text);
  return isText(key) && signed !== undefined && isSignedBy(key, signed.text, signed.signature);
}

export function readKept(state: string) {
  const [line, more = '', ring] = readIn(state, runEndName)?.split('\n') ?? [];
  const end = readEndLine(line);
  const { directory, has_begun: hasBegun, reported_seq: reportedSeq, segment } = parseLine(more) ?? {};
  if (end === undefined || !isText(directory)) return undefined;
  return {
    ...end,
    directory,
    /** A run began after it: records may follow. */
    hasBegun: hasBegun === true,
    /** The first record that a start found and reported, although retention had left earlier ones; 0: none. */
    reportedSeq: asCount(reportedSeq) ?? 0,
    /** The expected text of `ring.json`, or `noRing`; undefined: not known. */
    ring: ring || undefined,
    segment: asCount(segment),
  };
}

/** The copy in `state` of the last checkpoint of the journal in a directory, for verification; undefined: none is readable. */
export function readStateCopy(
  state: string,
  directory: string,
): { readonly file: string; readonly text: string } | undefined {
  const kept = readKept(state);
  return kept?.directory === directory ? { file: join(state, runEndName), text: kept.line } : undefined;
}

/** Writes the copy in `state`; never throws: the next checkpoint writes it again. */
export function keepRunEnd(
  state: string,
  line: string,
  {
    directory,
    hasBegun,
    reportedSeq,
    ring = '',
    segment,
  }: Pick<KeptEnd, 'directory' | 'hasBegun' | 'reportedSeq' | 'ring' | 'segment'>,
): void {
  const more = JSON.stringify({ directory, has_begun: hasBegun, reported_seq: reportedSeq, segment });
  try {
    mkdirSync(state, { recursive: true, mode: 0o700 });
    writeOwn(state, runEndName, `${line}\n${more}\n${ring}\n`);
  } catch {
    // The copy beside the segments still exists.
  }
}

/** After records were cut off: a copy that names a later one is replaced by the checkpoint beside the segments. */
export function setBackRunEnd(state: string, directory: string, markSeq: number): void {
  const kept = readKept(state);
  const beside = readEndLine(readIn(directory, checkpointName)?.trimEnd());
  if (kept === undefined || kept.directory !== directory || kept.seq <= markSeq) return;
  if (beside !== undefined && beside.seq <= markSeq) keepRunEnd(state, beside.line, kept);
}
