// Verifies, searches and surveys the files of a journal: for commands and for the page. The daemon's writer does not load this.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { JournalFault } from '../../host/ports/faults.js';
import { type CheckedText, createTextDigest } from '../../journal/files/checked.js';
import type { Piece, Wants } from '../../journal/files/compressed.js';
import {
  eachLine,
  firstLineOf,
  firstSeqOf,
  readBegin,
  readPieces,
  type Trail,
  type TrailFile,
} from '../../journal/files/trail.js';
import { readClaim } from '../../journal/records/ledger.js';
import type { Sketch } from '../../journal/records/sketch.js';
import { createSearch, createSurvey, type ExchangeRow } from '../trail/search.js';
import { createSketchTest } from '../trail/sketch-test.js';
import { createVerifier, type TrailOptions, type Verdict, type Verifier } from '../trail/verify.js';
import type { Surveyed } from '../views/trail.js';
import { createView, type View } from '../views/view.js';

/** Verifies from the segment with `fromSeq` on. `hear` gets every verified piece. Rejects with a JournalFault for an unreadable file. */
export async function verifyTrail(
  trail: Trail,
  request: Omit<TrailOptions, 'kept' | 'isPart'> & { readonly fromSeq: number | undefined },
  hear?: (file: TrailFile, piece: Piece | undefined) => void,
): Promise<Verdict> {
  const { fromSeq, ...how } = request;
  const files = await fromLast(trail.files, fromSeq, (line) => readClaim(line)?.seq);
  const [first] = files;
  const firstSeq = fromSeq === undefined || first === undefined ? undefined : await firstSeqOf(first);
  // Records before the requested position need not exist.
  const isAfter = fromSeq !== undefined && firstSeq !== undefined && firstSeq > 1 && firstSeq <= fromSeq;
  const isPart = files.length < trail.files.length || isAfter;
  const verifier = createVerifier({ ...how, kept: trail.kept, isPart });
  await feedVerifier(files, verifier, undefined, hear);
  return verifier.finish();
}

/** Passes all lines of the files to `take`, for the verifier. Throws a JournalFault. */
export async function feedVerifier(
  files: readonly TrailFile[],
  verifier: Verifier,
  take: Verifier['takeLine'] = (line, isWhole) => verifier.takeLine(line, isWhole),
  hear?: (file: TrailFile, piece: Piece | undefined) => void,
): Promise<void> {
  for (const file of files) {
    verifier.beginSegment(file.name);
    for await (const piece of readToDamage(file)) {
      if (piece !== undefined) {
        eachLine(piece, take);
      } else verifier.breakOff('the compressed file is damaged: nothing after this can be read');
      hear?.(file, piece);
    }
  }
}

/** Verifies the whole trail, and returns it for a second reading, which gives the verified text or an error. Rejects as `verifyTrail`. */
export async function checkTrail(
  trail: Trail,
  request: Omit<TrailOptions, 'kept' | 'isPart'>,
  hear?: (file: TrailFile, piece: Piece | undefined) => void,
): Promise<{ readonly verdict: Verdict; readonly trail: Trail }> {
  const checked = new Map<TrailFile, CheckedText | undefined>();
  let text = createTextDigest();
  let current: TrailFile | undefined;
  const verdict = await verifyTrail(trail, { ...request, fromSeq: undefined }, (file, piece) => {
    if (file !== current) text = createTextDigest();
    current = file;
    if (piece !== undefined) text.take(piece.bytes);
    // Not checked again: the readable part of a damaged file may differ each time, and with one nothing counts as complete or proven.
    checked.set(file, piece === undefined ? undefined : text);
    hear?.(file, piece);
  });
  const files = trail.files.map((file) => {
    const found = checked.has(file) ? checked.get(file) : createTextDigest();
    return found === undefined ? file : { ...file, checked: found };
  });
  return { verdict, trail: { ...trail, files } };
}

/**
 * Yields commands in the order of their completions, open ones last. Skips damage. `look` gets each piece first; undefined: an unreadable
 * rest. With `passed`, parts that cannot match by their sketch are not read, and `passed` is called for them. `view` must be a new one:
 * every part is read then, and `look` also gets what it shows.
 */
export async function* searchTrail(
  trail: Trail,
  filter: TrailFilter,
  look?: (file: TrailFile, piece: Piece | undefined, shown: Buffer) => void,
  passed?: (file: TrailFile, sketch: Sketch) => void,
  view?: Pick<View, 'take'>,
): AsyncGenerator<ExchangeRow> {
  const search = createSearch(filter);
  const mayHold = createSketchTest(filter, true);
  for (const file of await filesSince(trail.files, filter.sinceMs)) {
    // A command that was found may have its completion in any later part.
    const wants = (sketch: Sketch): boolean => {
      const isWanted = search.waiting().length > 0 || mayHold(sketch);
      if (!isWanted) passed?.(file, sketch);
      return isWanted;
    };
    const isPassing = view === undefined && passed !== undefined;
    for await (const piece of readToDamage(file, isPassing ? wants : undefined)) {
      const bytes = piece?.bytes ?? nothing;
      const shown = view?.take(bytes) ?? bytes;
      look?.(file, piece, shown);
      yield* search.take(shown);
    }
  }
  yield* search.finish();
}

const nothing = Buffer.alloc(0);

/** An overview of the trails, with user names similar to the requested one. Unreadable parts are left out. `users`: of a limited view. */
export async function surveyTrails(
  trails: Iterable<Trail>,
  filter: TrailFilter,
  users?: readonly string[],
): Promise<Surveyed> {
  const survey = createSurvey(filter);
  const wants = (sketch: Sketch): boolean => !survey.takeSketch(sketch);
  for (const { files } of trails) {
    const view = createView(users);
    for (const file of files) {
      try {
        for await (const { bytes } of readPieces(file, users === undefined ? wants : undefined))
          survey.take(view.take(bytes));
      } catch {
        // The search has reported it before.
      }
    }
  }
  return survey.finish();
}

/** As `readPieces`; undefined stands for the rest of a compressed file that is damaged. Throws a JournalFault. */
export async function* readToDamage(file: TrailFile, wants?: Wants): AsyncGenerator<Piece | undefined> {
  try {
    yield* readPieces(file, wants);
  } catch (error) {
    if (error instanceof JournalFault) throw error;
    if (!file.isCompressed || file.checked !== undefined)
      throw new JournalFault('unreadable', `${file.path} cannot be read`, error);
    yield undefined;
  }
}

/** The files that may contain records of a time or later; undefined: all. */
export function filesSince(
  files: readonly TrailFile[],
  sinceMs: number | undefined,
): Promise<readonly TrailFile[]> {
  // The previous file may end in the same millisecond.
  return fromLast(files, sinceMs && sinceMs - 1, (line) => {
    const began = readBegin(line);
    // If the clock was set back, files before this one may have later times.
    return began && began.timeMs + Math.max(0, -began.stepsMs);
  });
}

/** The files from the last one whose first line is at or before `from`. Undefined: all files. */
export async function fromLast(
  files: readonly TrailFile[],
  from: number | undefined,
  beginOf: (line: Buffer) => number | undefined,
): Promise<readonly TrailFile[]> {
  if (from === undefined) return files;
  for (let at = files.length - 1; at > 0; at -= 1) {
    const file = files[at];
    if (file !== undefined && (beginOf(await firstLineOf(file)) ?? Infinity) <= from) return files.slice(at);
  }
  return files;
}
