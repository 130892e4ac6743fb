// One journal of which several directories have parts, as a host that moved from one cell to another has it: each record once. Where parts
// overlap, the one that goes further is read. Nothing here is trusted: `audit verify` checks the whole.

import { readClaim } from '../../domain/records/audit/ledger.js';
import { eachLine, firstSeqOf, readPieces, readPiecesBack, type Trail, type TrailFile } from './trail.js';

interface Span {
  readonly file: TrailFile;
  readonly first: number;
  readonly last: number;
}

/** All of one journal. Rejects with a JournalFault. */
export async function joinTrails(trails: readonly Trail[]): Promise<Trail> {
  const [only] = trails;
  if (only !== undefined && trails.length === 1) return only;
  const spans: Span[] = [];
  for (const { files } of trails) spans.push(...(await spansOf(files)));
  spans.sort((one, other) => one.first - other.first || other.last - one.last);
  const files: TrailFile[] = [];
  let end = 0;
  for (const { file, first, last } of spans) {
    if (last <= end) continue;
    files.push(first > end ? file : after(file, end));
    end = last;
  }
  return { files, kept: trails.flatMap(({ kept }) => kept) };
}

async function spansOf(files: readonly TrailFile[]): Promise<readonly Span[]> {
  const spans: Span[] = [];
  for (const [at, file] of files.entries()) {
    const next = files[at + 1];
    const first = (await firstSeqOf(file)) ?? (spans.at(-1)?.last ?? 0) + 1;
    const nextFirst = next && (await firstSeqOf(next));
    spans.push({ file, first, last: nextFirst === undefined ? await lastSeqOf(file) : nextFirst - 1 });
  }
  return spans;
}

const tailBytes = 1 << 16;

/** Of a file without whole lines: no limit, so that it is read. */
async function lastSeqOf(file: TrailFile): Promise<number> {
  for await (const piece of readPiecesBack(file, () => tailBytes)) {
    let last: number | undefined;
    if (piece !== undefined)
      eachLine(piece, (line, isWhole) => {
        last = (isWhole ? readClaim(line)?.seq : undefined) ?? last;
      });
    if (last !== undefined) return last;
  }
  return Infinity;
}

/** The lines behind a record; it can be read again. */
function after(file: TrailFile, seq: number): TrailFile {
  return { ...file, chunks: { [Symbol.asyncIterator]: () => linesAfter(file, seq) } };
}

async function* linesAfter(file: TrailFile, seq: number): AsyncGenerator<Buffer> {
  let isPast = false;
  for await (const piece of readPieces(file)) {
    const { bytes } = piece;
    let at = 0;
    if (!isPast)
      eachLine(piece, (line) => {
        if (isPast) return;
        isPast = (readClaim(line)?.seq ?? 0) > seq;
        if (!isPast) at += line.length + 1;
      });
    if (isPast) yield bytes.subarray(at);
  }
}
