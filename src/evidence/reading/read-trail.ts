// Answers one request about a journal, through the view of the person who asks, in bounded time and memory. A search that reaches its limit
// of rows, bytes or milliseconds returns a cursor, with which the next request continues. Everything in an answer is made from lines that
// the view shows, except notes about damaged files, which are the same for every view and every filter.

import { accessItemOf } from '../../gate/access/item.js';
import type { ExtractFacts } from '../../gate/door/extract-head.js';
import type { TrailFilter } from '../../gate/door/trail-filter.js';
import type { Clock } from '../../host/ports/machine.js';
import { parseLine, type StoredRecord } from '../../host/values/values.js';
import { countWords } from '../../host/words/words.js';
import type { Piece } from '../../journal/files/compressed.js';
import { readPolicyText } from '../../journal/files/kept-policies.js';
import { findTrail, type Trail, type TrailFile } from '../../journal/files/trail.js';
import { readHead } from '../../journal/records/record.js';
import { argumentCount, textIn } from '../../journal/records/stored.js';
import { accessSentences, tellAccess } from '../report/access.js';
import { contentOf } from '../story/content.js';
import { foldStory } from '../story/fold.js';
import { type GrantStory, grantSentences } from '../story/grant.js';
import { tellStory, whyWords } from '../story/words.js';
import { formatCsvRow, formatJsonRow } from '../trail/export.js';
import { createRetirements, createSearch, createSurvey, type ExchangeRow } from '../trail/search.js';
import type { Verdict } from '../trail/verify.js';
import { withoutTexts } from '../trail/verify.js';
import type { Asked, Cursor, FileForm, NewestAsked } from '../views/asked.js';
import { createExtractDigest } from '../views/extract.js';
import { openMax } from '../views/look.js';
import { createOnlyCounted, withCounts } from '../views/only-counted.js';
import type { TrailEnd, TrailLine } from '../views/trail.js';
import { createView, type View } from '../views/view.js';
import { countBack } from './count-back.js';
import { findExchange } from './find-exchange.js';
import { readNewest } from './newest-first.js';
import { readAccess } from './read-access.js';
import { afterSeq, createDamageCount, filesFrom, seqOfLine } from './reading.js';
import { filesSince, readToDamage, verifyTrail } from './search-trail.js';

export interface ReadTask {
  readonly directory: string;
  readonly asked: Asked;
  /** Patterns of the users whose records are shown; undefined: all records. */
  readonly users: readonly string[] | undefined;
  readonly ownKey: string;
  readonly limits: { readonly rowsMax: number; readonly bytesMax: number; readonly timeMs: number };
}

/** With what the page does not show: fields for the command line, and for the record of the look. */
export interface AnswerEnd extends TrailEnd {
  /** For requests: how many are not listed. */
  readonly leftOut?: number | undefined;
  readonly verdict?: Verdict | undefined;
  readonly readTo?: number | undefined;
}

export type AnswerLine = TrailLine | { readonly end: AnswerEnd };

/** `text`: lines of JSON, each with its LF. `rows`: their number without the last one; for a histogram (one line), that of its commands. */
export interface TrailAnswer {
  readonly text: string;
  readonly rows: number;
  readonly extract?: ExtractFacts;
}

/** Rejects with a JournalFault where the journal cannot be read. */
export async function readTrail(task: ReadTask, clock: Pick<Clock, 'now'>): Promise<TrailAnswer> {
  const trail = findTrail([task.directory]);
  const { asked } = task;
  switch (asked.look) {
    case 'me':
      return answer([], { rows: 0 });
    case 'verify':
      return answer([], { rows: 0, verdict: await verify(trail, task) });
    case 'show':
      return show(trail, asked.wanted, task);
    case 'requests':
      return requests(trail, task, asked.filter);
    case 'survey':
      return survey(trail, task, asked, clock);
    case 'search':
      if (asked.newest !== undefined)
        return newestFirst(trail, task, { ...asked, newest: asked.newest }, clock);
      return search(trail, task, asked, clock);
    case 'histogram': {
      const { users, limits } = task;
      const { histogram, rows } = await countBack(trail, asked, users, limits.timeMs, clock);
      return { text: `${JSON.stringify(histogram)}\n`, rows };
    }
    case 'export':
    case 'extract':
    case 'report':
      return search(trail, task, asked, clock);
    default:
      return asked satisfies never;
  }
}

function answer(lines: readonly string[], end: AnswerEnd): TrailAnswer {
  const last: AnswerLine = { end };
  return { text: `${[...lines, JSON.stringify(last)].join('\n')}\n`, rows: lines.length };
}

const faultsMax = 20;

async function verify(trail: Trail, { users, ownKey }: ReadTask): Promise<Verdict> {
  const how = { trustedKeys: [], ownKey, faultsMax, fromSeq: undefined };
  const verdict = await verifyTrail(trail, how);
  return users === undefined ? verdict : { ...withoutTexts(verdict), open: [] };
}

/** Bytes searched after the end of a command for the records around it. */
const nearBytes = 64 << 20;

async function show(trail: Trail, wanted: string, { users, directory }: ReadTask): Promise<TrailAnswer> {
  const damage = createDamageCount();
  const isWhole = users === undefined;
  const { id, all, grant, use, around } = await findExchange(trail, wanted, createView(users), {
    look: (file, piece) => damage.look(file, piece),
    nearBytes,
    isWhole,
  });
  const lines = all.map((found) => JSON.stringify({ found } satisfies AnswerLine));
  const { before, after, checkpoint } = around;
  const records = all.map(({ record }) => record);
  const story = id === undefined ? undefined : foldStory(records, id, use);
  const { admission } = story?.records ?? {};
  // Not in a limited view: policies name other users, too.
  const version = isWhole ? textIn(admission, 'version') || undefined : undefined;
  const content = admission && contentOf(admission);
  return answer(lines, {
    rows: lines.length,
    id,
    story: story && tellStory(story, content),
    grant: grant && tellGrant(grant),
    use,
    content,
    notes: damage.notes(),
    around: isWhole ? { before: before && neighborOf(before), after: after && neighborOf(after) } : undefined,
    checkpoint,
    policy: version === undefined ? undefined : { version, text: readPolicyText(directory, version) },
  });
}

function tellGrant(grant: GrantStory): AnswerEnd['grant'] {
  const { entry, used } = grant;
  if (entry === undefined) return { sentences: grantSentences(grant) };
  const { approvals, requested } = entry;
  const { matches, command, args } = requested;
  const view = { approvals, matches, content: contentOf({ command, args }) !== undefined || undefined };
  const item = accessItemOf(entry, {
    ...view,
    rule: undefined,
    isMine: false,
    seesPlace: true,
    may: [],
    locked: [],
  });
  return { item: { ...item, used, why: grant.end?.why || undefined }, sentences: grantSentences(grant) };
}

/** The newest requests, as many as fit in an answer. */
async function requests(
  trail: Trail,
  { users, limits }: ReadTask,
  filter: TrailFilter,
): Promise<TrailAnswer> {
  const damage = createDamageCount();
  const isLimited = users !== undefined;
  const ledger = await readAccess(trail, filter, createView(users), (file, piece) =>
    damage.look(file, piece),
  );
  const { items, leftOut: unheld } = ledger.finish();
  const lines: string[] = [];
  let bytes = 0;
  for (const story of items.toReversed()) {
    if (bytes >= limits.bytesMax) break;
    const line = JSON.stringify({ access: tellAccess(story, isLimited) } satisfies AnswerLine);
    bytes += line.length;
    lines.push(line);
  }
  const unlisted = unheld + items.length - lines.length;
  const sentences = accessSentences(items, unlisted, isLimited);
  return answer(lines.toReversed(), {
    rows: lines.length,
    sentences,
    leftOut: unlisted,
    notes: damage.notes(),
  });
}

function neighborOf({ id, seq, time, command, user }: StoredRecord): StoredRecord {
  return { id, seq, time, command, user };
}

type Search = Extract<Asked, { readonly filter: unknown }>;

async function newestFirst(
  trail: Trail,
  { users, limits }: ReadTask,
  asked: Search & { readonly newest: NewestAsked },
  clock: Pick<Clock, 'now'>,
): Promise<TrailAnswer> {
  const page = await readNewest(trail, asked, users, limits, clock, (row) =>
    JSON.stringify({
      row,
      content: contentOf(row.fields),
      why: whyWords(row) || undefined,
    } satisfies AnswerLine),
  );
  const { rows, ...end } = page;
  return answer(rows, { rows: rows.length, ...end });
}

function formatRow(row: ExchangeRow, as: FileForm | undefined): string {
  const line: AnswerLine =
    as === undefined ? { row } : { line: as === 'csv' ? formatCsvRow(row) : formatJsonRow(row) };
  return JSON.stringify(line);
}

function leftOut(count: number): string {
  return `${countWords(count)} commands without an end are left out: there are too many`;
}

async function search(
  trail: Trail,
  task: ReadTask,
  { filter, cursor, as }: Search,
  clock: Pick<Clock, 'now'>,
): Promise<TrailAnswer> {
  const { rowsMax, bytesMax, timeMs } = task.limits;
  const view = createView(task.users);
  const found = createSearch({ ...filter, isWithCounts: task.asked.look === 'report' });
  const retirements = createRetirements();
  const counted = createOnlyCounted(filter);
  const digest = task.asked.look === 'extract' ? createExtractDigest() : undefined;
  const isHandedOn = task.asked.look === 'extract' || task.asked.look === 'export';
  const lines: string[] = [];
  let bytes = 0;
  const add = (rows: readonly ExchangeRow[]): void => {
    for (const row of rows) {
      const line = formatRow(row, as);
      bytes += line.length;
      lines.push(line);
      digest?.take(row);
    }
  };
  const isFull = (): boolean => lines.length >= rowsMax || bytes >= bytesMax;
  if (cursor !== undefined) await restore(trail.files, cursor, view, (line) => found.take(line));
  const files =
    cursor === undefined
      ? await filesSince(trail.files, filter.sinceMs)
      : await filesFrom(trail.files, cursor.after + 1);
  const reading = createReading(files, cursor?.after, view, clock);
  for await (const shown of reading.pieces()) {
    retirements.take(shown);
    const counts = counted.take(shown);
    const rows = found.take(shown);
    // Only exports and extracts have counts as rows; a search reports their sum.
    if (!isHandedOn || counts.length === 0) add(rows);
    else for await (const row of withCounts(rows, counts)) add([row]);
    if (isFull() || reading.elapsedMs() >= timeMs) {
      reading.stop();
      break;
    }
  }
  const notes = [...reading.notes()];
  const retired = retirements.since(filter.sinceMs);
  const next = reading.next();
  const readTo = reading.lastSeq();
  if (next === undefined) {
    const rest = found.finish();
    // At most as many as a cursor carries, and within the byte limit of an answer.
    let shown = 0;
    for (const row of rest.slice(0, openMax)) {
      if (bytes >= bytesMax) break;
      add([row]);
      shown += 1;
    }
    if (shown < rest.length) notes.push(leftOut(rest.length - shown));
    return finish({ notes, retired, readTo });
  }
  const open = found.waiting().flatMap((line) => seqOfLine(line) ?? []);
  if (open.length > openMax) {
    notes.push(leftOut(open.length - openMax));
    open.splice(0, open.length - openMax);
  }
  return finish({ notes, retired, readTo, cursor: { after: next, open } });

  function finish(end: Omit<AnswerEnd, 'rows'>): TrailAnswer {
    const answered = answer(lines, { rows: lines.length, counted: counted.finish(), ...end });
    if (digest === undefined) return answered;
    const isDamaged = notes.length > 0;
    const facts = { fromSeq: reading.firstSeq(), toSeq: readTo, isDamaged, sha256: digest.finish() };
    return { ...answered, extract: facts };
  }
}

async function survey(
  trail: Trail,
  task: ReadTask,
  { filter, cursor }: Search,
  clock: Pick<Clock, 'now'>,
): Promise<TrailAnswer> {
  const view = createView(task.users);
  const surveying = createSurvey(filter);
  const files = cursor === undefined ? trail.files : await filesFrom(trail.files, cursor.after + 1);
  const reading = createReading(files, cursor?.after, view, clock);
  for await (const shown of reading.pieces()) {
    surveying.take(shown);
    if (reading.elapsedMs() >= task.limits.timeMs) {
      reading.stop();
      break;
    }
  }
  const next = reading.next();
  return answer([], {
    rows: 0,
    surveyed: surveying.finish(),
    cursor: next === undefined ? undefined : { after: next, open: [] },
  });
}

/** Size of a piece; a reading can stop between two pieces. */
const stepBytes = 64 * 1024;

/** Reads files from the record after a seq on, in pieces as a view shows them. */
function createReading(
  files: readonly TrailFile[],
  after: number | undefined,
  view: View,
  clock: Pick<Clock, 'now'>,
) {
  const damage = createDamageCount();
  let isSkipping = after !== undefined;
  let firstSeq: number | undefined;
  let lastSeq = after ?? 0;
  let startedMs: number | undefined;
  let isStopped = false;

  return {
    async *pieces(): AsyncGenerator<Buffer> {
      for (const file of files) {
        for await (const piece of readToDamage(file)) {
          if (piece === undefined) damage.look(file, undefined);
          else yield* steps(file, piece);
        }
      }
    },
    /** Since the first record that was not known yet. */
    elapsedMs: (): number => (startedMs === undefined ? 0 : clock.now() - startedMs),
    stop(): void {
      isStopped = true;
    },
    notes: (): readonly string[] => damage.notes(),
    /** `lastSeq() + 1` if no record was read. */
    firstSeq: (): number => firstSeq ?? lastSeq + 1,
    lastSeq: (): number => lastSeq,
    /** The last record that was read, if the reading was stopped. Undefined: it reached the end, or made no progress. */
    next(): number | undefined {
      return isStopped && lastSeq > (after ?? 0) ? lastSeq : undefined;
    },
  };

  function* steps(file: TrailFile, { bytes, endsInLine }: Piece): Generator<Buffer> {
    let at = isSkipping ? afterSeq(bytes, after ?? 0) : 0;
    if (at >= bytes.length) return;
    isSkipping = false;
    startedMs ??= clock.now();
    while (at < bytes.length) {
      const lf = bytes.indexOf(0x0a, Math.min(at + stepBytes, bytes.length - 1));
      const end = lf < 0 ? bytes.length : lf + 1;
      const step = bytes.subarray(at, end);
      damage.look(file, { bytes: step, endsInLine: endsInLine || end < bytes.length });
      firstSeq ??= seqOfLine(step);
      const lastAt = step.lastIndexOf(0x0a, step.length - 2) + 1;
      lastSeq = Math.max(lastSeq, seqOfLine(step.subarray(lastAt)) ?? 0);
      yield view.take(step);
      at = end;
    }
  }
}

/** The time and the event of a record are within its first bytes. */
const headBytes = 96;

/** Passes the admissions that were open at the end of the previous request to the view and the search, the oldest first. */
async function restore(
  files: readonly TrailFile[],
  { after, open }: Cursor,
  view: View,
  take: (shown: Buffer) => void,
): Promise<void> {
  const wanted = new Set(open.filter((seq) => seq <= after));
  /** Argument records of the last admission that are still to come. */
  let left = 0;
  while (wanted.size > 0) {
    const oldest = Math.min(...wanted);
    const [file] = await filesFrom(files, oldest);
    if (file === undefined) return;
    for await (const piece of readToDamage(file)) {
      if (piece === undefined) break;
      const { bytes } = piece;
      for (let at = 0; at < bytes.length && wanted.size + left > 0; ) {
        const lf = bytes.indexOf(0x0a, at);
        const end = lf < 0 ? bytes.length : lf + 1;
        const line = bytes.subarray(at, end);
        const seq = seqOfLine(line);
        if (seq !== undefined && wanted.delete(seq)) {
          left = argumentCount(parseLine(line.toString('utf8')) ?? {});
          take(view.take(line));
        } else if (left > 0 && readHead(line.toString('latin1', 0, headBytes))?.event === 'arguments') {
          left -= 1;
          take(view.take(line));
        }
        at = end;
      }
      if (wanted.size + left === 0) return;
    }
    // Retention may have removed it since.
    wanted.delete(oldest);
  }
}
