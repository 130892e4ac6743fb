// Verifies records outside of a journal's directory: single segments, standard input, the file of a syslog receiver. A line is a
// copy only if an intact record with the same number and hash came before; anything else out of order is a fault.
//
//   <110>1 2026-11-20T08:22:34.123Z gate1 dovegate 812 admission [dovegate@32473 seq="17"] {"seq":17,"time":"...", ... }

import { type TrailFile } from '../../journal/files/trail.js';
import { readClaim, readLink } from '../../journal/records/ledger.js';
import { feedVerifier } from '../reading/search-trail.js';
import { createVerifier, type TrailOptions, type Verdict } from '../trail/verify.js';

export interface Received {
  readonly verdict: Verdict;
  readonly copies: number;
  readonly others: number;
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
  return { verdict: verifier.finish(), copies, others };

  /** Also remembers it. */
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

/** The first match: neither structured data nor a record contains it again, as quotes are escaped. Undefined: none. */
function recordIn(line: Buffer, isReceived: boolean): Buffer | undefined {
  const at = line.indexOf(recordStart);
  if (at < 0) return undefined;
  if (at === 0) return line;
  const isHead = isReceived || syslogHead.test(line.toString('latin1', 0, 8));
  return isHead ? line.subarray(at) : undefined;
}
