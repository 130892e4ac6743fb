// Finds where a journal stopped: the last whole record, what a crash tore behind it, which exchanges it left open.
// It reads and never writes: the writer does what follows from it. Memory is bounded by one chunk and the open exchanges.
// The rule: only what lies behind the last whole record is torn. Damage before it is not ours to tidy away: it stays
// where it is, for `verify` to find.

import { closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { genesisHash, journalFormat, readClaim, readLink } from '../../domain/audit/chain.js';
import { noteExchange, type OpenExchanges } from '../../domain/audit/ledger.js';
import { parseLine, readHead } from '../../domain/audit/line.js';
import { parseTime } from '../../domain/audit/time.js';
import { JournalFault } from '../../gateway/outcome/journal-fault.js';
import { listSegments, openSegment, type Segment } from './segments.js';
import { readLines } from './trail.js';

/** Where a journal stopped. */
export interface Tail {
  /** The segment with the last whole record; undefined: there is none. */
  readonly segment: Segment | undefined;
  /** Its bytes up to there, and all that it has: the rest is torn. */
  readonly bytes: number;
  readonly fileBytes: number;
  /** Younger segments without one whole record: empty, or all torn. */
  readonly void: readonly Segment[];
  /** The number that a new segment gets. */
  readonly nextNumber: number;
  /** Of the last record; 0 and the genesis hash for an empty journal. */
  readonly seq: number;
  readonly hash: string;
  /** Milliseconds since 1970 of the last record; undefined: there is none. */
  readonly timeMs: number | undefined;
  /** The journal's id; undefined: none of the records that were read tells. */
  readonly journal: string | undefined;
  /** The public key that signs from the last checkpoint on; undefined: it is not signed. */
  readonly key: string | undefined;
  /** Sum of the steps of the wall clock. */
  readonly stepsMs: number;
  /** The oldest record that retention left, as the last checkpoint tells. */
  readonly oldestSeq: number;
  /** `cut`: the checkpoint beside the segments names a later record. `rewritten`: that record is another one here. */
  readonly damage: 'cut' | 'rewritten' | undefined;
  readonly open: OpenExchanges;
}

/** A record that was certainly on disk, by what lies beside the segments. */
export interface Vouched {
  readonly seq: number;
  readonly hash: string;
}

/** A hole (bytes that never reached the disk read as NUL) is torn only this near to the end: what is unsynced at most. */
const unsyncedBytesMax = 4 << 20;

/** Throws a JournalFault: `newer-format`, or `unreadable`. */
export function findTail(directory: string, vouched?: Vouched): Tail {
  const segments = listSegments(directory);
  const nextNumber = (segments.at(-1)?.number ?? 0) + 1;
  const empty: Segment[] = [];
  for (const segment of segments.toReversed()) {
    const start = { ...nothing, vouched };
    const end = segment.isCompressed
      ? readCompressedEnd(directory, segment, start)
      : readEnd(directory, segment, start);
    if (end.bytes === 0) {
      if (!segment.isCompressed) empty.push(segment);
      continue;
    }
    const open = readOpen(directory, segments, segment, end);
    const damage = end.damage ?? (vouched !== undefined && vouched.seq > end.seq ? 'cut' : undefined);
    return { ...end, damage, segment, void: empty, nextNumber, open };
  }
  const damage = vouched === undefined ? undefined : 'cut';
  return { ...nothing, damage, segment: undefined, void: empty, nextNumber, open: new Map() };
}

type End = Omit<Tail, 'segment' | 'void' | 'nextNumber' | 'open'> & {
  /** The oldest record that recovery must read, as the segment's first record tells. */
  readonly openSeq: number | undefined;
  readonly vouched: Vouched | undefined;
};

const nothing: End = {
  bytes: 0,
  fileBytes: 0,
  seq: 0,
  hash: genesisHash,
  timeMs: undefined,
  journal: undefined,
  key: undefined,
  stepsMs: 0,
  oldestSeq: 1,
  damage: undefined,
  openSeq: undefined,
  vouched: undefined,
};

function readEnd(directory: string, segment: Segment, start: End): End {
  const descriptor = openSegment(directory, segment.name);
  try {
    let end = start;
    let beforeHole: End | undefined;
    const fileBytes = readLines(descriptor, 0, (line) => {
      const next = line.isWhole ? follow(end, line.bytes, line.end) : undefined;
      if (next !== undefined) end = next;
      else if (line.bytes.includes(0)) beforeHole ??= end;
      return true;
    });
    if (beforeHole !== undefined && fileBytes - beforeHole.bytes <= unsyncedBytesMax) end = beforeHole;
    return { ...end, fileBytes };
  } finally {
    closeSync(descriptor);
  }
}

/** The tail is compressed only when the plain segments behind it are gone. */
function readCompressedEnd(directory: string, segment: Segment, start: End): End {
  let text: Buffer;
  try {
    text = gunzipSync(readFileSync(join(directory, `${segment.name}.gz`)), { maxOutputLength: 2 ** 31 });
  } catch (error) {
    throw new JournalFault('unreadable', `${segment.name}.gz cannot be read`, error);
  }
  let end = start;
  for (let at = 0; at < text.length; ) {
    const lf = text.indexOf(0x0a, at);
    if (lf < 0) break;
    end = follow(end, text.subarray(at, lf), lf + 1) ?? end;
    at = lf + 1;
  }
  return { ...end, fileBytes: end.bytes };
}

/** What a whole record makes of what is known; undefined: these bytes are not one. */
function follow(end: End, bytes: Buffer, endsAt: number): End | undefined {
  const link = readLink(bytes);
  if (link === undefined || !link.isIntact) return undefined;
  const text = bytes.toString('latin1');
  const head = readHead(text);
  if (head === undefined) return undefined;
  // A record that was put at the end once more must not make numbers come twice.
  const seq = Math.max(end.seq, link.seq);
  const isOther = link.seq === end.vouched?.seq && link.hash !== end.vouched.hash;
  const damage = isOther ? 'rewritten' : end.damage;
  const next = { ...end, bytes: endsAt, seq, hash: link.hash, timeMs: parseTime(head.time), damage };
  if (end.bytes > 0 && head.event !== 'start' && head.event !== 'checkpoint' && head.event !== 'clock')
    return next;
  const record = parseLine(text);
  const format = number(record?.['format']);
  if (format !== undefined && format > journalFormat) {
    throw new JournalFault(
      'newer-format',
      `the journal has format ${format}; this program writes ${journalFormat}`,
    );
  }
  const journal = record?.['journal'];
  const { key, next_key: nextKey } = record ?? {};
  // A start record names its key before the key has signed anything.
  const signing = head.event === 'checkpoint' ? (nextKey ?? key) : end.key;
  return {
    ...next,
    key: typeof signing === 'string' ? signing : undefined,
    journal: typeof journal === 'string' ? journal : end.journal,
    stepsMs: number(record?.['steps_ms']) ?? end.stepsMs + (number(record?.['step_ms']) ?? 0),
    oldestSeq: number(record?.['oldest_seq']) ?? end.oldestSeq,
    openSeq: end.bytes === 0 ? number(record?.['open_seq']) : end.openSeq,
  };
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Reads admissions and completions from where the tail's first record says that they matter. */
function readOpen(directory: string, segments: readonly Segment[], tail: Segment, end: End): OpenExchanges {
  const open: OpenExchanges = new Map();
  const plain = segments.filter((one) => !one.isCompressed && one.number <= tail.number);
  let first = plain.length - 1;
  while (first > 0 && end.openSeq !== undefined && firstSeq(directory, plain[first]) > end.openSeq)
    first -= 1;
  for (const segment of plain.slice(Math.max(first, 0))) {
    const descriptor = openSegment(directory, segment.name);
    try {
      readLines(descriptor, 0, (line) => {
        if (segment.number === tail.number && line.at >= end.bytes) return false;
        const claim = line.isWhole ? readClaim(line.bytes) : undefined;
        if (claim !== undefined) noteExchange(open, claim.seq, line.bytes.toString('latin1'));
        return true;
      });
    } finally {
      closeSync(descriptor);
    }
  }
  return open;
}

function firstSeq(directory: string, segment: Segment | undefined): number {
  if (segment === undefined) return 0;
  const descriptor = openSegment(directory, segment.name);
  try {
    let seq = Number.POSITIVE_INFINITY;
    readLines(descriptor, 0, (line) => {
      seq = (line.isWhole ? readClaim(line.bytes)?.seq : undefined) ?? seq;
      return false;
    });
    return seq;
  } finally {
    closeSync(descriptor);
  }
}
