// One record of a mirrored journal, looked up from its end.

import { statSync } from 'node:fs';
import { readPiecesBack } from '../../journal/files/read-back.js';
import { eachLine, findTrail, firstSeqOf, type TrailFile } from '../../journal/files/trail.js';
import { type Link, readClaim, readLink } from '../../journal/records/ledger.js';
import { fromLast } from './search-trail.js';

/** What the mirror has of a record. `gone`: the mirror begins later; `absent`: the mirror should have it. */
export type Held = { readonly hash: string; readonly prev: string } | 'gone' | 'absent';

/** Segments are read from their end in pieces of this size: the wanted record is usually among the last lines. */
const pieceBytes = 1 << 18;

/** A record of a mirrored journal whose own hash is right. Rejects with a JournalFault. */
export async function findRecord(directory: string, seq: number): Promise<Held> {
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return 'absent';
  const { files } = findTrail([directory]);
  const [file] = await fromLast(files, seq, (line) => readClaim(line)?.seq);
  if (file === undefined) return 'absent';
  // No signature says where a mirror begins. `audit verify` looks for the reason.
  if (file === files[0] && ((await firstSeqOf(file)) ?? 0) > seq) return 'gone';
  return findIn(file, seq);
}

/** The last record of a mirrored journal, with its line. Rejects with a JournalFault. */
export async function lastRecord(directory: string): Promise<(Link & { readonly line: string }) | undefined> {
  for (const file of findTrail([directory]).files.toReversed()) {
    for await (const piece of readPiecesBack(
      file,
      () => pieceBytes,
      () => true,
    )) {
      if (piece === undefined) break;
      let last: (Link & { readonly line: string }) | undefined;
      eachLine(piece, (line) => {
        const link = readLink(line);
        if (link?.isIntact === true) last = { ...link, line: line.toString() };
      });
      if (last !== undefined) return last;
    }
  }
  return undefined;
}

async function findIn(file: TrailFile, seq: number): Promise<Held> {
  // A piece is skipped where its sketch says so. Sketches are not signed: a false one hides the record, which then counts as absent.
  const wants = (sketch: { readonly firstSeq: number; readonly lines: number }): boolean =>
    seq >= sketch.firstSeq && seq < sketch.firstSeq + sketch.lines;
  let firstSeq = Infinity;
  for await (const piece of readPiecesBack(file, () => pieceBytes, wants)) {
    if (piece === undefined) break;
    let found: Held | undefined;
    eachLine(piece, (line) => {
      const claim = readClaim(line);
      firstSeq = Math.min(firstSeq, claim?.seq ?? Infinity);
      if (claim?.seq !== seq) return;
      const link = readLink(line);
      if (link?.isIntact === true) found = { hash: link.hash, prev: link.prev };
    });
    if (found !== undefined) return found;
    if (firstSeq < seq) return 'absent';
  }
  return 'absent';
}
