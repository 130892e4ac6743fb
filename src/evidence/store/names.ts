// The names of objects in the store of a fleet, below its prefix. A name fixes the content of its object: one name has one right content.
//
//   HOST/JOURNAL/SHARD/FIRST-LAST-HASH.jsonl.gz     a block of verbatim lines; HASH is that of the last line
//   HOST/JOURNAL/SHARD/FIRST-LAST-HASH.2.jsonl.gz   the same block again: other bytes were under its name, and could not be overwritten
//   HOST/JOURNAL/SHARD/SEQ-HASH.forked              an empty mark: this gate has that record, and stopped
//   _verifiers/NAME/SEQ-HASH.jsonl                  a line of a verifier's checkpoints.jsonl
//
// SHARD is FIRST (or SEQ) / 100,000, so that a folder stays small. Names in a store may be made by others: one that does not match exactly
// is not ours, and never becomes a path.

import { hostWordForm as word } from '../../rules/config/fleet-names.js';

export const recordsOfShard = 100_000;

export interface BlockName {
  readonly kind: 'block';
  readonly host: string;
  readonly journal: string;
  readonly first: number;
  readonly last: number;
  readonly hash: string;
  readonly isCopy: boolean;
}

export interface ForkedName {
  readonly kind: 'forked';
  readonly host: string;
  readonly journal: string;
  readonly seq: number;
  readonly hash: string;
}

export interface VerifierName {
  readonly kind: 'verifier';
  readonly verifier: string;
  readonly seq: number;
  readonly hash: string;
}

export type ObjectName = BlockName | ForkedName | VerifierName;

const pattern = new RegExp(
  `^(?:(?<host>${word})/(?<journal>[0-9a-f]{32})/(?<shard>\\d{11})/(?<first>\\d{16})-(?:(?<last>\\d{16})-(?<hash>[0-9a-f]{64})(?<copy>\\.2)?\\.jsonl\\.gz|(?<fork>[0-9a-f]{64})\\.forked)` +
    `|_verifiers/(?<verifier>${word})/(?<seq>\\d{16})-(?<line>[0-9a-f]{64})\\.jsonl)$`,
);

export const verifiersFolder = '_verifiers/';

export function journalFolder(host: string, journal: string): string {
  return `${host}/${journal}/`;
}

const digits = (count: number, width = 16): string => String(count).padStart(width, '0');

/** Sorts after all names of earlier shards, and before those of the shard of this record. */
export function shardFolder(host: string, journal: string, seq: number): string {
  return `${journalFolder(host, journal)}${digits(Math.floor(seq / recordsOfShard), 11)}/`;
}

export function formatName(name: ObjectName): string {
  if (name.kind === 'verifier')
    return `${verifiersFolder}${name.verifier}/${digits(name.seq)}-${name.hash}.jsonl`;
  const { host, journal } = name;
  if (name.kind === 'forked')
    return `${shardFolder(host, journal, name.seq)}${digits(name.seq)}-${name.hash}.forked`;
  const { first, last, hash, isCopy } = name;
  return `${shardFolder(host, journal, first)}${digits(first)}-${digits(last)}-${hash}${isCopy ? '.2' : ''}.jsonl.gz`;
}

export function isBlockName(name: ObjectName | undefined): name is BlockName {
  return name?.kind === 'block';
}

export function isForkedName(name: ObjectName | undefined): name is ForkedName {
  return name?.kind === 'forked';
}

export function isVerifierName(name: ObjectName | undefined): name is VerifierName {
  return name?.kind === 'verifier';
}

export function parseBlockName(text: string): BlockName | undefined {
  const name = parseName(text);
  return isBlockName(name) ? name : undefined;
}

/** Undefined: no name that `formatName` makes. */
export function parseName(text: string): ObjectName | undefined {
  const found = pattern.exec(text)?.groups;
  if (found === undefined) return undefined;
  const {
    host = '',
    journal = '',
    first = '',
    last,
    hash = '',
    copy,
    fork,
    verifier,
    seq = '',
    line,
  } = found;
  const name: ObjectName =
    verifier !== undefined
      ? { kind: 'verifier', verifier, seq: Number(seq), hash: line ?? '' }
      : fork !== undefined
        ? { kind: 'forked', host, journal, seq: Number(first), hash: fork }
        : {
            kind: 'block',
            host,
            journal,
            first: Number(first),
            last: Number(last),
            hash,
            isCopy: copy !== undefined,
          };
  // Refuses another shard, inexact numbers, and a last record before the first.
  if (name.kind === 'block' && (name.first > name.last || name.first === 0)) return undefined;
  return formatName(name) === text ? name : undefined;
}
