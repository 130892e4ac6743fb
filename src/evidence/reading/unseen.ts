// Reports what is missing from a journal that was read: damaged lines, lost records, records that retention removed, and refusals that a
// flood limit only counted. Suggest, replay and Learn show it beside their conclusions.

import { printable } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import type { Piece } from '../../journal/files/compressed.js';
import { eachLine, type Trail, type TrailFile } from '../../journal/files/trail.js';
import { readClaim } from '../../journal/records/ledger.js';
import type { Sketch } from '../../journal/records/sketch.js';
import { createRetirements, createStartDamages } from '../trail/search.js';
import { createOnlyCounted } from '../views/only-counted.js';
import type { RetiredRecords } from '../views/trail.js';
import { isRecord } from './reading.js';

export type Unseen = ReturnType<ReturnType<typeof createUnseenWatch>['finish']>;

/** Watches one journal as it is read, from `sinceMs` on. `listener`: only its refusals count. `isPart`: earlier segments are elsewhere. */
export function createUnseenWatch(
  { files }: Trail,
  {
    sinceMs,
    listener,
    isPart,
  }: {
    readonly sinceMs?: number | undefined;
    readonly listener?: string | undefined;
    readonly isPart: boolean;
  },
) {
  const damage = createDamageWatch();
  const retirements = createRetirements();
  const starts = createStartDamages(sinceMs);
  const counted = createOnlyCounted({ sinceMs, listener, outcome: 'denied' });
  let begun: number | undefined;
  return {
    look: (file: TrailFile, piece: Piece | undefined): void => {
      if (file === files[0] && piece !== undefined && begun === undefined && !isPart)
        eachLine(piece, (line) => (begun ??= readClaim(line)?.seq));
      damage.look(file, piece);
      if (piece === undefined) return;
      retirements.take(piece.bytes);
      starts.take(piece.bytes);
      counted.take(piece.bytes);
    },
    finish() {
      // Counts of a person with several names have no listener, so they are included.
      const { refused = 0, unsure = 0 } = counted.finish() ?? {};
      const left = refused + unsure;
      const isCutOff = (begun ?? 1) > 1 && retirements.since(undefined).length === 0;
      return {
        /** Records that should be there: a sentence each, harmless for a terminal. */
        holes: [
          ...(isCutOff
            ? [`its first record is ${begun}, and it does not say that earlier ones were retired`]
            : []),
          ...damage.notes(),
          ...starts.damages.map(printable),
        ],
        /** Not a fault of the journal. */
        notes: [
          ...retirements.since(sinceMs).map(describeRetired),
          ...(left === 0 ? [] : [`${plural(left, 'refused command')} of a flood, which were only counted`]),
        ],
      };
    },
  };
}

export function describeRetired({ by, until, segments }: RetiredRecords): string {
  const cause = by === undefined ? '' : by === 'size' ? ' by size (audit.max_size)' : ' by age (audit.keep)';
  return printable(`records before ${until ?? '?'} were retired${cause}, ${plural(segments, 'segment')}`);
}

/** No record is longer. */
const recordBytesMax = 7168;
/** More are counted and not printed. */
const notesMax = 10;

/** Watches one trail while it is read, in constant memory. */
export function createDamageWatch() {
  const notes: string[] = [];
  let path: string | undefined;
  let lines = 0;
  let wrong = 0;
  let firstWrong = 0;
  let firstSeq: number | undefined;
  let lastSeq: number | undefined;
  let seqBefore: number | undefined;

  return {
    /** `piece` undefined: the rest of the file is unreadable. */
    look: (file: TrailFile, piece: Piece | undefined): void => {
      enter(file);
      if (piece === undefined) notes.push(`${path} is damaged: its end could not be read`);
      else count(piece);
    },
    /** A part of the file that is not read. */
    pass: (file: TrailFile, { firstSeq: first, lines: passed }: Sketch): void => {
      enter(file);
      firstSeq ??= first;
      lines += passed;
      lastSeq = first + passed - 1;
    },
    /** Call at the end; one sentence each, harmless for a terminal. */
    notes(): string[] {
      close();
      const shown = notes.slice(0, notesMax).map(printable);
      return notes.length > notesMax ? [...shown, `and ${notes.length - notesMax} more`] : shown;
    },
  };

  function enter(file: TrailFile): void {
    if (path !== file.path) close();
    ({ path } = file);
  }

  function count(piece: Piece): void {
    let last: Buffer | undefined;
    eachLine(piece, (line, isWhole) => {
      // After the last LF there may be an unfinished record, from a running daemon or a power cut.
      if (!isWhole && line.length < recordBytesMax) return;
      lines += 1;
      if (isRecord(line, 0, line.length)) {
        firstSeq ??= readClaim(line)?.seq;
        last = line;
      } else {
        wrong += 1;
        if (wrong === 1) firstWrong = lines;
      }
    });
    if (last !== undefined) lastSeq = readClaim(last)?.seq;
  }

  function close(): void {
    if (wrong > 0)
      notes.push(
        `${path}: ${plural(wrong, 'line is not a record', 'lines are not records')}, the first at line ${firstWrong}`,
      );
    if (firstSeq !== undefined && lastSeq !== undefined) {
      if (seqBefore !== undefined && firstSeq !== seqBefore + 1)
        notes.push(`${path}: begins with seq ${firstSeq}, but ${seqBefore + 1} comes next`);
      if (wrong === 0 && lines !== lastSeq - firstSeq + 1)
        notes.push(`${path}: has ${lines} records, but their numbers go from ${firstSeq} to ${lastSeq}`);
      seqBefore = lastSeq;
    }
    lines = 0;
    wrong = 0;
    firstSeq = undefined;
    lastSeq = undefined;
  }
}
