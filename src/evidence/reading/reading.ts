// What every reading of a trail needs: where a record stands by its seq, and which lines are no records.

import { plural } from '../../host/words/words.js';
import { type Piece } from '../../journal/files/compressed.js';
import { firstSeqOf, type TrailFile } from '../../journal/files/trail.js';

/** Offset of the first line after a record in a piece; the length of the piece if there is none. */
export function afterSeq(bytes: Buffer, seq: number): number {
  for (let at = 0; at < bytes.length; ) {
    if ((seqOfLine(bytes.subarray(at, at + 32)) ?? 0) > seq) return at;
    const lf = bytes.indexOf(0x0a, at);
    if (lf < 0) return bytes.length;
    at = lf + 1;
  }
  return bytes.length;
}

export function seqOfLine(line: Buffer): number | undefined {
  const seq = /^\{"seq":(\d{1,16}),/.exec(line.toString('latin1', 0, 32))?.[1];
  return seq === undefined ? undefined : Number(seq);
}

/** The files from the one that holds a record on, by binary search. If a file's first seq is unknown, earlier files are included, too. */
export async function filesFrom(files: readonly TrailFile[], seq: number): Promise<readonly TrailFile[]> {
  let low = 0;
  let high = files.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const file = files[middle];
    const first = file === undefined ? undefined : await firstSeqOf(file);
    if (first !== undefined && first <= seq) low = middle;
    else high = middle - 1;
  }
  return files.slice(low);
}

/** Lines that are no records, and files that cannot be read to their end. */
export function createDamageCount() {
  const byFile = new Map<string, number>();
  return {
    look({ path }: TrailFile, piece: Piece | undefined): void {
      if (piece === undefined) {
        byFile.set(path, Infinity);
        return;
      }
      const { bytes, endsInLine } = piece;
      for (let at = 0; at < bytes.length; ) {
        const lf = bytes.indexOf(0x0a, at);
        const end = lf < 0 ? bytes.length : lf;
        const isWhole = lf >= 0 || endsInLine;
        if (isWhole && !isRecord(bytes, at, end)) byFile.set(path, (byFile.get(path) ?? 0) + 1);
        at = end + 1;
      }
    },
    notes: (): readonly string[] =>
      [...byFile].map(([path, lines]) =>
        lines === Infinity
          ? `${path} is damaged: its end could not be read`
          : `${path}: ${plural(lines, 'line is not a record', 'lines are not records')}`,
      ),
  };
}

/** `{"se` and `eq":` of the key that every record begins with, as numbers. */
const seqStart = 0x7b227365;
const seqEnd = 0x6571223a;

/** Checks only that a line begins with its seq and ends like an object: it runs for every line. */
export function isRecord(bytes: Buffer, at: number, end: number): boolean {
  if (end - at < 9 || bytes.readUInt32BE(at) !== seqStart || bytes.readUInt32BE(at + 3) !== seqEnd)
    return false;
  const digit = bytes[at + 7] ?? 0;
  return digit >= 0x30 && digit <= 0x39 && bytes[end - 1] === 0x7d;
}
