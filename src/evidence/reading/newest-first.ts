// Searches a journal from its end: the newest commands first, ordered by their admissions, in pages that continue before a seq. A row is
// the same as in a search of the whole journal, through any view: if a command ends in later records, these are searched for its end, so no
// row depends on where a page ended. Within a piece, lines are read forward, as the view requires.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import type { Clock } from '../../host/ports/machine.js';
import { asText } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import type { Wants } from '../../journal/files/compressed.js';
import { clockDoubtMs, filesUntil, readPiecesBack } from '../../journal/files/read-back.js';
import { firstSeqOf, type Trail, type TrailFile } from '../../journal/files/trail.js';
import { readHead } from '../../journal/records/record.js';
import type { Sketch } from '../../journal/records/sketch.js';
import { createRetirements, createSearch, type ExchangeRow } from '../trail/search.js';
import { createSketchTest } from '../trail/sketch-test.js';
import type { NewestAsked } from '../views/asked.js';
import type { TrailEnd } from '../views/trail.js';
import { createView } from '../views/view.js';
import { afterSeq, createDamageCount, filesFrom, seqOfLine } from './reading.js';
import { filesSince, readToDamage } from './search-trail.js';

type LookedThrough = NonNullable<TrailEnd['looked']>;

/** The first piece is small, since many searches find their page in it. */
const firstPieceBytes = 64 * 1024;
const pieceBytesMax = 1 << 20;
/** After this time the rows found so far are returned, so that the person sees them; the browser asks for more. */
const soonMs = 200;

/** A row, or an admission whose end is in none of the records that were read. */
export interface Entry {
  readonly seq: number;
  readonly row: ExchangeRow | undefined;
  readonly admission: Buffer | undefined;
}

/** `format`: a row as a line of the answer. Rejects with a JournalFault. */
export async function readNewest(
  trail: Trail,
  { filter, newest }: { readonly filter: TrailFilter; readonly newest: NewestAsked },
  users: readonly string[] | undefined,
  { bytesMax, timeMs }: { readonly bytesMax: number; readonly timeMs: number },
  clock: Pick<Clock, 'now'>,
  format: (row: ExchangeRow) => string,
) {
  const startedMs = clock.now();
  const elapsedMs = (): number => clock.now() - startedMs;
  const { view, show, search, looked, files } = await openLook(trail, filter, users);
  const damage = createDamageCount();
  const retirements = createRetirements();
  // Only where everything is visible: a sketch describes lines as they are stored, not as a limited view shows them.
  const wants = users === undefined ? createSketchTest(filter) : undefined;
  const entries: Entry[] = [];
  let isStopped = false;

  const by = wants && { wants, pass: (sketch: Sketch): void => looked.pass(sketch) };
  for await (const { bytes, newer } of piecesBack(files, newest.before, damage, by, filter.sinceMs)) {
    looked.take(bytes);
    const shown = view.take(bytes);
    retirements.take(shown);
    const rows = search.take(shown);
    for (const later of newer) rows.push(...search.takeEnds(later, show));
    const lowest = looked.fromSeq();
    for (const row of rows) entries.push({ seq: row.admittedSeq ?? lowest, row, admission: undefined });
    for (const admission of search.waiting())
      entries.push({ seq: seqOfLine(admission) ?? lowest, row: undefined, admission });
    // The next piece is older, so it cannot hold the ends of these commands.
    search.finish();
    const dueMs = entries.length > 0 ? Math.min(soonMs, timeMs) : timeMs;
    if (entries.length < newest.rows && elapsedMs() < dueMs) continue;
    isStopped = true;
    break;
  }

  entries.sort((one, other) => other.seq - one.seq);
  const wanted = entries.slice(0, newest.rows);
  const ends = await findEnds(trail, filter, show, wanted, () => elapsedMs() < timeMs * 2);
  const notes = [...damage.notes(), ...ends.notes];
  const lines: string[] = [];
  let bytes = 0;
  let time: string | undefined;
  let before = isStopped ? looked.fromSeq() : undefined;
  if (wanted.length < entries.length) before = wanted[wanted.length - 1]?.seq;
  for (const { seq, row } of wanted) {
    const found = row ?? ends.rows.get(seq);
    if (found === undefined) continue;
    const line = format(found);
    bytes += line.length;
    lines.push(line);
    if (seq === before || bytes >= bytesMax) time = asText(found.fields['time']);
    if (bytes < bytesMax) continue;
    before = seq;
    break;
  }
  // Without a line that has a seq there is no position to continue at.
  const isFurther = before !== undefined && before > 0 && before < (newest.before ?? Infinity);
  return {
    rows: lines,
    /** Where the next page goes on; undefined: this is the last one. */
    before: isFurther ? before : undefined,
    looked: looked.finish(isFurther ? before : undefined, time),
    notes,
    retired: retirements.since(filter.sinceMs),
  };
}

/** A search that begins at the end of the journal and shows what the asking person may see. */
export async function openLook(trail: Trail, filter: TrailFilter, users: readonly string[] | undefined) {
  const view = createView(users);
  return {
    view,
    show: (line: Buffer): Buffer => view.take(line),
    search: createSearch(filter),
    looked: createLooked(),
    files: await filesUntil(await filesSince(trail.files, filter.sinceMs), filter.untilMs),
  };
}

export function createLooked() {
  let fromSeq: number | undefined;
  let toSeq: number | undefined;
  let fromTime: string | undefined;
  let toTime: string | undefined;
  return {
    /** Pieces must come in order, the newest first. */
    take(bytes: Buffer): void {
      const first = firstRecord(bytes);
      const last = lastRecord(bytes);
      fromSeq = first?.seq ?? fromSeq;
      fromTime = first?.time ?? fromTime;
      toSeq ??= last?.seq;
      toTime ??= last?.time;
    },
    pass({ firstSeq, lines, minMs, maxMs }: Sketch): void {
      fromSeq = firstSeq;
      fromTime = formatTime(minMs);
      toSeq ??= firstSeq + lines - 1;
      toTime ??= formatTime(maxMs);
    },
    /** 0 if no line has a seq. */
    fromSeq: () => fromSeq ?? 0,
    /** `before`: where the next page continues. `time`: that of the command at which this page was cut. */
    finish: (before: number | undefined, time: string | undefined): LookedThrough | undefined =>
      fromSeq === undefined || toSeq === undefined
        ? undefined
        : { fromSeq: before ?? fromSeq, toSeq, fromTime: time ?? fromTime, toTime },
  };
}

function firstRecord(bytes: Buffer): ReturnType<typeof headAt> {
  for (let at = 0; at >= 0 && at < bytes.length; at = bytes.indexOf(LF, at) + 1 || -1) {
    const head = headAt(bytes, at);
    if (head !== undefined) return head;
  }
  return undefined;
}

function lastRecord(bytes: Buffer): ReturnType<typeof headAt> {
  for (let end = bytes.length; end > 0; ) {
    const at = end < 2 ? 0 : bytes.lastIndexOf(LF, end - 2) + 1;
    const head = headAt(bytes, at);
    if (head !== undefined) return head;
    end = at;
  }
  return undefined;
}

const LF = 0x0a;
const headBytes = 96;

function headAt(bytes: Buffer, at: number) {
  const seq = seqOfLine(bytes.subarray(at, at + headBytes));
  if (seq === undefined) return undefined;
  return { seq, time: readHead(bytes.toString('latin1', at, at + headBytes))?.time };
}

export interface PieceBack {
  readonly bytes: Buffer;
  /** The two pieces after it, the next one first: most commands end in them. */
  readonly newer: readonly Buffer[];
}

/**
 * Reads files from their end, or from just before a seq, in pieces of whole lines. An empty piece stands for a skipped part. The rest of a
 * file is not read if its records are all older than `sinceMs`.
 */
export async function* piecesBack(
  files: readonly TrailFile[],
  before: number | undefined,
  damage: Pick<ReturnType<typeof createDamageCount>, 'look'>,
  by?: { readonly wants: Wants; readonly pass: (sketch: Sketch) => void },
  sinceMs = -Infinity,
): AsyncGenerator<PieceBack> {
  let newer: readonly Buffer[] = [];
  let pieceBytes = before === undefined ? firstPieceBytes : pieceBytesMax;
  let isSkipping = before !== undefined;
  const isWanted = (sketch: Sketch): boolean => {
    if (isSkipping || by?.wants(sketch) !== false) return true;
    by.pass(sketch);
    return false;
  };
  for (const file of (await filesBefore(files, before)).toReversed()) {
    for await (const piece of readPiecesBack(file, () => pieceBytes, isWanted)) {
      if (piece === undefined) {
        damage.look(file, undefined);
        continue;
      }
      let { bytes, endsInLine } = piece;
      if (isSkipping && before !== undefined) {
        const end = afterSeq(bytes, before - 1);
        newer = [bytes.subarray(end), ...newer].slice(0, 2);
        // Lines without a seq may be on either side of `before`.
        if (firstRecord(bytes.subarray(0, end)) === undefined) continue;
        if (end < bytes.length) endsInLine = true;
        bytes = bytes.subarray(0, end);
        isSkipping = false;
        pieceBytes = firstPieceBytes;
      }
      damage.look(file, { bytes, endsInLine });
      yield { bytes, newer };
      // An empty piece is a gap, and no row may be made across a gap.
      newer = bytes.length === 0 ? [] : [bytes, ...newer].slice(0, 2);
      pieceBytes = Math.min(pieceBytes * 2, pieceBytesMax);
      // A file may go back for days: the open one does until it is full.
      const first = firstRecord(bytes)?.time;
      if (first !== undefined && (parseTime(first) ?? Infinity) + clockDoubtMs < sinceMs) break;
    }
  }
}

/** The files that may hold records before a seq; also those whose first seq is unknown. */
async function filesBefore(
  files: readonly TrailFile[],
  before: number | undefined,
): Promise<readonly TrailFile[]> {
  if (before === undefined) return files;
  let count = files.length - (await filesFrom(files, before)).length + 1;
  for (; count < files.length; count += 1) {
    const file = files[count];
    if (file !== undefined && ((await firstSeqOf(file)) ?? 0) >= before) break;
  }
  return files.slice(0, count);
}

/** Searches later records for the ends of commands that are still open. `mayGoOn` returns false when time is up. */
export async function findEnds(
  trail: Trail,
  filter: TrailFilter,
  show: (line: Buffer) => Buffer,
  entries: readonly Entry[],
  mayGoOn: () => boolean,
): Promise<{ readonly rows: ReadonlyMap<number, ExchangeRow>; readonly notes: readonly string[] }> {
  const rows = new Map<number, ExchangeRow>();
  const notes: string[] = [];
  const open = entries.filter(({ admission }) => admission !== undefined).toReversed();
  const [oldest] = open;
  if (oldest === undefined) return { rows, notes };
  const search = createSearch(filter);
  const keep = (found: readonly ExchangeRow[]): void => {
    for (const row of found) rows.set(row.admittedSeq ?? oldest.seq, row);
  };
  search.take(Buffer.concat(open.flatMap(({ admission }) => [admission ?? empty, lineEnd])));
  let isThrough = true;
  reading: for (const file of await filesFrom(trail.files, oldest.seq)) {
    for await (const piece of readToDamage(file, ({ firstSeq, lines }) => firstSeq + lines > oldest.seq)) {
      if (piece !== undefined) keep(search.takeEnds(piece.bytes, show));
      if (search.waiting().length === 0) break reading;
      isThrough = mayGoOn();
      if (!isThrough) break reading;
    }
  }
  const left = search.finish();
  if (isThrough) keep(left);
  else if (left.length === 1) notes.push('1 command is left out: it would take too long to find its end');
  else if (left.length > 1)
    notes.push(`${left.length} commands are left out: it would take too long to find their ends`);
  return { rows, notes };
}

const empty = Buffer.alloc(0);
const lineEnd = Buffer.from('\n');
