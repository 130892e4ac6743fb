// What a search says of a journal that is damaged: it looks at every piece that is searched, without hashing anything, so it
// costs next to nothing and finds only what no longer has the form of a trail.
// The rule: it never says that a journal is whole. That is for verify.

import type { Piece, TrailFile } from '../../adapters/journal/trail.js';
import { readClaim } from '../../domain/audit/chain.js';
import { printable } from '../../domain/audit/export.js';

/** Looks on while a trail is read; one watch for one trail. */
export interface DamageWatch {
  /** Undefined: the file cannot be read further. */
  look(file: TrailFile, piece: Piece | undefined): void;
  /** At the end; one sentence each, harmless for a terminal. */
  notes(): string[];
}

/** The start of a record, `{"se`, as a number. */
const recordStart = 0x7b227365;
/** More are counted and not told. */
const notesMax = 10;

interface Seen {
  readonly path: string;
  lines: number;
  wrong: number;
  firstWrong: number;
  firstSeq: number | undefined;
  lastSeq: number | undefined;
}

/** Its memory does not grow with the trail. */
export function createDamageWatch(): DamageWatch {
  const notes: string[] = [];
  let seen: Seen | undefined;
  let lastSeq: number | undefined;

  return {
    look(file, piece) {
      if (seen?.path !== file.path) close(file.path);
      if (seen === undefined) return;
      if (piece === undefined) notes.push(`${file.path} is damaged: its end could not be read`);
      else count(seen, piece);
    },
    notes() {
      close(undefined);
      const shown = notes.slice(0, notesMax).map(printable);
      return notes.length > notesMax ? [...shown, `and ${notes.length - notesMax} more`] : shown;
    },
  };

  /** The file before is over. */
  function close(next: string | undefined): void {
    if (seen !== undefined) {
      const { path, lines, wrong, firstWrong, firstSeq, lastSeq: last } = seen;
      const what = wrong === 1 ? 'line is no record' : 'lines are no records';
      if (wrong > 0) notes.push(`${path}: ${wrong} ${what}, the first at line ${firstWrong}`);
      if (firstSeq !== undefined && last !== undefined) {
        if (lastSeq !== undefined && firstSeq !== lastSeq + 1)
          notes.push(`${path}: begins with seq ${firstSeq}, but ${lastSeq + 1} comes next`);
        if (wrong === 0 && lines !== last - firstSeq + 1)
          notes.push(`${path}: has ${lines} records, but their numbers go from ${firstSeq} to ${last}`);
        lastSeq = last;
      }
    }
    seen =
      next === undefined
        ? undefined
        : { path: next, lines: 0, wrong: 0, firstWrong: 0, firstSeq: undefined, lastSeq: undefined };
  }
}

function count(seen: Seen, { bytes, endsInLine }: Piece): void {
  let last: Buffer | undefined;
  for (let at = 0; at < bytes.length; ) {
    const lf = bytes.indexOf(0x0a, at);
    const end = lf < 0 ? bytes.length : lf;
    // What stands behind the last LF is a record that is being written, or was when the power went.
    if (lf < 0 && !endsInLine && bytes.length - at < recordBytesMax) break;
    seen.lines += 1;
    if (end - at > 8 && bytes.readUInt32BE(at) === recordStart && bytes[end - 1] === 0x7d) {
      if (seen.firstSeq === undefined) seen.firstSeq = readClaim(bytes.subarray(at, end))?.seq;
      last = bytes.subarray(at, end);
    } else {
      if (seen.wrong === 0) seen.firstWrong = seen.lines;
      seen.wrong += 1;
    }
    at = end + 1;
  }
  if (last !== undefined) seen.lastSeq = readClaim(last)?.seq;
}

/** No record is longer. */
const recordBytesMax = 7168;
