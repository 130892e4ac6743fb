// Verifies records outside of a journal's directory: single segments, standard input, the file of a syslog receiver. A record can
// follow the head of a syslog line; records that a shipper sent twice are skipped if the caller wants it.
//
//   <110>1 2026-11-20T08:22:34.123Z gate1 dovegate 812 admission [dovegate@32473 seq="17"] {"seq":17,"time":"...", ... }
//
// A line is a copy only if an intact record with the same number and hash came before. Anything else out of order is a fault.

import type { Piece } from '../../adapters/journal/trail.js';
import type { KeptCheckpoint } from '../../domain/audit/checkpoints.js';
import { readClaim, readLink } from '../../domain/audit/ledger.js';
import { createVerifier, type Verdict } from '../../domain/audit/verify.js';
import { JournalFault } from '../../ports/journal-fault.js';

export interface LineSource {
  /** What faults call it. */
  readonly name: string;
  readonly isCompressed: boolean;
  readonly pieces: () => AsyncIterable<Piece>;
}

export interface ReceivedOptions {
  /** The file of a receiver: lines of other programs and copies are skipped, and files can be cut anywhere. */
  readonly isReceived: boolean;
  readonly trustedKeys: readonly string[];
  readonly kept: readonly KeptCheckpoint[];
  /** Earlier records are skipped and need not be there. */
  readonly fromSeq: number | undefined;
  readonly faultsMax: number;
}

export interface Received {
  readonly verdict: Verdict;
  /** Lines that were left out, because they had come before. */
  readonly copies: number;
  /** Lines without a record. */
  readonly others: number;
}

/** Follows all sources as one trail. Rejects with a JournalFault when one cannot be read. */
export async function verifyReceived(
  sources: readonly LineSource[],
  options: ReceivedOptions,
): Promise<Received> {
  const { isReceived, trustedKeys, kept, fromSeq, faultsMax } = options;
  const isPart = fromSeq !== undefined;
  const verifier = createVerifier({ trustedKeys, kept, isPart, isShipped: isReceived, faultsMax });
  const seen = createSeen();
  let copies = 0;
  let others = 0;
  let isBegun = false;

  for (const source of sources) {
    verifier.beginSegment(source.name);
    try {
      for await (const { bytes, endsInLine } of source.pieces()) {
        for (let at = 0; at < bytes.length; ) {
          const lf = bytes.indexOf(0x0a, at);
          const end = lf < 0 ? bytes.length : lf;
          take(bytes.subarray(at, end), lf >= 0 || endsInLine);
          at = end + 1;
        }
      }
    } catch (error) {
      if (!source.isCompressed) throw new JournalFault('unreadable', `${source.name} cannot be read`, error);
      verifier.breakOff('the compressed file is damaged: nothing behind this can be read');
    }
  }
  return { verdict: verifier.finish(), copies, others };

  function take(line: Buffer, isWhole: boolean): void {
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
      if (isReceived && seen.has(claim.seq, claim.hash) && readLink(bytes)?.isIntact === true) {
        copies += 1;
        verifier.skipLine();
        return;
      }
      if (isReceived) seen.note(claim.seq, claim.hash);
    }
    isBegun = true;
    verifier.takeLine(bytes, isWhole);
  }
}

const recordStart = Buffer.from('{"seq":');
const syslogHead = /^<\d{1,3}>1 /;

/**
 * The record of a line: the first place that looks like one, since neither structured data nor a record holds its start a
 * second time (their quotes are escaped). Undefined: there is none.
 */
function recordIn(line: Buffer, isReceived: boolean): Buffer | undefined {
  const at = line.indexOf(recordStart);
  if (at < 0) return undefined;
  if (at === 0) return line;
  const isHead = isReceived || syslogHead.test(line.toString('latin1', 0, 8));
  return isHead ? line.subarray(at) : undefined;
}

/** How far back copies are recognized: some minutes of the fastest journal, in 12 MiB. */
const seenMax = 1 << 19;
/** Half of a hash: another record with the same half is as hard to find as a break of the chain. */
const halfBytes = 16;

interface Seen {
  has(seq: number, hash: string): boolean;
  note(seq: number, hash: string): void;
}

function createSeen(): Seen {
  const halves = Buffer.alloc(seenMax * halfBytes);
  const seqs = new Float64Array(seenMax);
  return {
    has(seq, hash) {
      const slot = seq % seenMax;
      if (seqs[slot] !== seq) return false;
      const at = slot * halfBytes;
      return halves.toString('hex', at, at + halfBytes) === hash.slice(0, halfBytes * 2);
    },
    note(seq, hash) {
      const slot = seq % seenMax;
      seqs[slot] = seq;
      halves.write(hash, slot * halfBytes, halfBytes, 'hex');
    },
  };
}
