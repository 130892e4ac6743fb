// Verifies records outside of a journal's directory: single segments, standard input, the file of a syslog receiver. A line is a
// copy only if an intact record with the same number and hash came before; anything else out of order is a fault.
//
//   <110>1 2026-11-20T08:22:34.123Z gate1 dovegate 812 admission [dovegate@32473 seq="17"] {"seq":17,"time":"...", ... }

import { basename } from 'node:path';
import { parseTime } from '../../host/words/instants.js';
import { type TrailFile } from '../../journal/files/trail.js';
import { readClaim, readLink } from '../../journal/records/ledger.js';
import { readHead } from '../../journal/records/record.js';
import { findRecord, lastRecord } from '../reading/held-record.js';
import { feedVerifier } from '../reading/search-trail.js';
import { createVerifier, type TrailOptions, type Verdict, withFault } from '../trail/verify.js';
import type { MirroredHost } from './fleet-places.js';

export interface Received {
  readonly verdict: Verdict;
  readonly copies: number;
  readonly others: number;
  /** Of a fleet: what its store has of this journal. */
  readonly stored?: { readonly host: string; readonly lastSeq: number } | undefined;
}

const recordStart = Buffer.from('{"seq":');
const syslogHead = /^<\d{1,3}>1 /;
/** How far back copies are recognized: some minutes of the fastest journal, in 12 MiB. */
const seenMax = 1 << 19;
/** Half of a hash: another record with the same half is as hard to find as a break of the chain. */
const halfBytes = 16;

/** `isShipped`: skips other lines, copies, and records before `fromSeq`; files may be cut anywhere. Rejects with a JournalFault. */
export async function verifyReceived(
  files: readonly TrailFile[],
  fromSeq: number | undefined,
  options: Omit<TrailOptions, 'isPart'>,
  hosts?: readonly MirroredHost[],
): Promise<Received> {
  const isReceived = options.isShipped === true;
  const verifier = createVerifier({ ...options, isPart: fromSeq !== undefined });
  const seqs = new Float64Array(seenMax);
  const halves = Buffer.alloc(seenMax * halfBytes);
  let copies = 0;
  let others = 0;
  let isBegun = false;

  await feedVerifier(files, verifier, (line, isWhole) => {
    const record = recordIn(line, isReceived);
    if (record === undefined && isReceived) {
      others += 1;
      verifier.skipLine();
      return;
    }
    const bytes = record ?? line;
    const claim = readClaim(bytes);
    if (claim !== undefined) {
      if (!isBegun && fromSeq !== undefined && claim.seq < fromSeq) {
        verifier.skipLine();
        return;
      }
      if (isReceived && wasSeen(claim.seq, claim.hash) && readLink(bytes)?.isIntact === true) {
        copies += 1;
        verifier.skipLine();
        return;
      }
    }
    isBegun = true;
    verifier.takeLine(bytes, isWhole);
  });
  const received = { verdict: verifier.finish(), copies, others };
  return hosts === undefined ? received : compareWithStore(received, hosts, hashOf);

  /** The beginning of a record's hash; undefined: it is too far back, or not here. */
  function hashOf(seq: number): string | undefined {
    const at = (seq % seenMax) * halfBytes;
    return seqs[seq % seenMax] === seq ? halves.toString('hex', at, at + halfBytes) : undefined;
  }

  /** Whether the record came before; also remembers it. */
  function wasSeen(seq: number, hash: string): boolean {
    const slot = seq % seenMax;
    const at = slot * halfBytes;
    const half = hash.slice(0, halfBytes * 2);
    if (seqs[slot] === seq && halves.toString('hex', at, at + halfBytes) === half) return true;
    seqs[slot] = seq;
    halves.write(half, at, 'hex');
    return false;
  }
}

/** Compares what was sent live with the mirror of a fleet's store. Both are one chain, so one equal record proves all records before it. */
async function compareWithStore(
  received: Received,
  hosts: readonly MirroredHost[],
  hashOf: (seq: number) => string | undefined,
): Promise<Received> {
  const { verdict } = received;
  const { journal, lastSeq = 0, lastTime, keys, signedSeq = 0 } = verdict;
  const found = (kind: 'missing' | 'changed', seq: number | undefined, text: string): Received => ({
    ...received,
    verdict: withFault(verdict, { file: '', line: 0, seq, kind, text }, true),
  });
  const of = hosts.flatMap(({ host, key, paths }) =>
    paths.filter((path) => basename(path) === journal).map((path) => ({ host, key, path })),
  )[0];
  const end = of && (await lastRecord(of.path));
  if (of === undefined || end === undefined)
    return found('missing', undefined, `the store has nothing of journal ${journal ?? 'without a name'}`);
  const { host, key, path } = of;
  const stored = { host, lastSeq: end.seq };
  if (key !== undefined && keys.length > 0 && !keys.includes(key))
    return found('changed', undefined, `no key that is listed for ${host} signed it`);
  const seq = Math.min(lastSeq, end.seq);
  const held = seq === end.seq ? end : await findRecord(path, seq);
  const live = hashOf(seq);
  if (typeof held !== 'string' && live !== undefined && !held.hash.startsWith(live))
    return found(
      'changed',
      seq,
      `the store has another record ${seq} of ${host}: one of the two was written anew`,
    );
  const behindMs = (parseTime(lastTime) ?? 0) - (parseTime(readHead(end.line)?.time ?? '') ?? 0);
  if (lastSeq > end.seq && behindMs > onTheWayMs)
    return found(
      'missing',
      end.seq + 1,
      `the store lacks records ${end.seq + 1} to ${lastSeq} of ${host}, which were received (signed up to ${signedSeq})`,
    );
  return { ...received, stored };
}

/** The store must have records that are older than this, and its verifier must have read them. */
const onTheWayMs = 900_000;

/** The first match: neither structured data nor a record contains it again, as quotes are escaped. Undefined: none. */
function recordIn(line: Buffer, isReceived: boolean): Buffer | undefined {
  const at = line.indexOf(recordStart);
  if (at < 0) return undefined;
  if (at === 0) return line;
  const isHead = isReceived || syslogHead.test(line.toString('latin1', 0, 8));
  return isHead ? line.subarray(at) : undefined;
}
