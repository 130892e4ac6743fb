// `dovegate audit search` and `dovegate audit export`: exchanges, one row each, from journals that may be damaged.

import {
  eachLine,
  type Piece,
  searchTrail,
  surveyTrails,
  type Trail,
  type TrailFile,
} from '../../adapters/journal/trail.js';
import { printable } from '../../domain/audit/encode.js';
import { readClaim } from '../../domain/audit/ledger.js';
import { formatCsvHeader, formatCsvRow, formatJsonRow, formatValue } from '../../domain/trail/export.js';
import {
  createNameTest,
  createRetirements,
  type ExchangeRow,
  type Surveyed,
  type TrailFilter,
} from '../../domain/trail/search.js';
import type { RetiredRecords } from '../../domain/trail/verify.js';
import { exitCodes } from '../../ports/machine.js';
import { plural } from '../output/output.js';
import type { Paint, Screen } from '../output/screen.js';
import { type AskedPage, isAsked, openPage } from './ask-page.js';
import { type Places, trailsOf } from './audit-places.js';

/** For people, for programs, for spreadsheets. */
export type RowFormat = 'table' | 'json' | 'csv';

/** Always 0: that nothing was found is an answer too. Throws what readers throw. */
export async function auditSearch(
  screen: Screen,
  places: Places,
  filter: TrailFilter,
  format: RowFormat,
  look: 'search' | 'export' = 'search',
): Promise<number> {
  const journal = await openSource(screen, places);
  const table = createTable(exchangeColumns, screen);
  const linesOf: Readonly<Record<RowFormat, (row: ExchangeRow) => string[]>> = {
    table: table.add,
    json: (row) => [formatJsonRow(row)],
    // RFC 4180 ends its lines in CR LF.
    csv: (row) => [`${formatCsvRow(row)}\r`],
  };
  const isNamed = createNameTest(filter);
  let isFound = false;
  let isNameFound = false;
  if (format === 'csv') await screen.print(`${formatCsvHeader()}\r`);
  for (const part of journal.parts) {
    for await (const row of part.rows(filter, look)) {
      isFound = true;
      isNameFound ||= isNamed(row);
      for (const line of linesOf[format](row)) await screen.print(line);
      if (screen.isGone) return exitCodes.ok;
    }
    reportDamage(screen, part.notes());
    for (const each of part.retired()) screen.complain(`dovegate: not searched: ${describeRetired(each)}`);
  }
  for (const line of table.finish()) await screen.print(line);
  await screen.flush();
  if (isFound && isNameFound) return exitCodes.ok;
  // Commands for all users, or for a mask, are found under a misspelled name too.
  const surveyed = await journal.survey(filter);
  const text = isFound ? describeUnnamed(surveyed, filter) : describeNothing(surveyed, filter);
  if (text !== '') screen.complain(`dovegate: ${text}`);
  return exitCodes.ok;
}

/** One journal that is searched. */
interface Part {
  rows(filter: TrailFilter, look: 'search' | 'export'): AsyncGenerator<ExchangeRow>;
  /** After the rows: what is wrong with it, and what retention removed of the time that was searched. */
  notes(): readonly string[];
  retired(): readonly RetiredRecords[];
}

/** Files that are read, or a daemon that is asked. */
async function openSource(
  screen: Screen,
  places: Places,
): Promise<{ readonly parts: readonly Part[]; survey(filter: TrailFilter): Promise<Surveyed> }> {
  if (isAsked(places)) {
    const page = await openPage(screen, places);
    return { parts: [partOfPage(page)], survey: (filter) => page.survey(filter) };
  }
  const trails = await trailsOf(screen, places);
  return { parts: trails.map(partOfTrail), survey: (filter) => surveyTrails(trails, filter) };
}

function partOfTrail(trail: Trail): Part {
  const damage = createDamageWatch();
  const retirements = createRetirements();
  let sinceMs: number | undefined;
  return {
    rows(filter) {
      ({ sinceMs } = filter);
      return searchTrail(trail, filter, (file, piece) => {
        damage.look(file, piece);
        if (piece !== undefined) retirements.take(piece.bytes);
      });
    },
    notes: () => damage.notes(),
    retired: () => retirements.since(sinceMs),
  };
}

function partOfPage(page: AskedPage): Part {
  const notes = new Set<string>();
  const retired: RetiredRecords[] = [];
  return {
    rows: (filter, look) =>
      page.rows(look, filter, (end) => {
        for (const note of end.notes ?? []) notes.add(printable(note));
        retired.push(...(end.retired ?? []));
      }),
    notes: () => [...notes],
    retired: () => retired,
  };
}

/** What retention removed; `firstTime`: of the first record that is left, for records of releases that did not say until when. */
export function describeRetired({ by, until, segments }: RetiredRecords, firstTime = '?'): string {
  const cause = by === undefined ? '' : by === 'size' ? ' by size (audit.max_size)' : ' by age (audit.keep)';
  return printable(
    `records before ${until ?? firstTime} were retired${cause}, ${plural(segments, 'segment')}`,
  );
}

/** Empty: no user has a similar name. */
function describeUnnamed({ names }: Surveyed, { user = '' }: TrailFilter): string {
  const found = 'the commands found are for all users, or for a mask or a list';
  return names.length === 0 ? '' : `no record names "${printable(user)}": ${found}${describeMeant(names)}`;
}

function describeMeant(names: readonly string[]): string {
  return names.length === 0 ? '' : `; did you mean ${names.map((name) => printable(name)).join(' or ')}?`;
}

/** How much was searched: an empty answer may mean a wrong name, or the wrong journal. */
function describeNothing(
  { records, all, firstTime, lastTime, names }: Surveyed,
  filter: TrailFilter,
): string {
  const { user, sinceMs, untilMs } = filter;
  const whose = user === undefined ? '' : ` for "${printable(user)}"`;
  const isTimed = sinceMs !== undefined || untilMs !== undefined;
  const range = `from ${formatMoment(firstTime)} to ${formatMoment(lastTime)} UTC`;
  const among = isTimed
    ? `${plural(records, 'record')} in this time (of ${all} ${range})`
    : `${plural(all, 'record')} ${range}`;
  return all === 0
    ? 'the journal holds no records'
    : `no command${whose} was found among ${among}${describeMeant(names)}`;
}

/** Prints on stderr what is wrong with a journal that was read all the same. */
export function reportDamage(screen: Screen, notes: readonly string[]): void {
  if (notes.length === 0) return;
  for (const note of notes) screen.complain(`dovegate: ${note}`);
  screen.complain('dovegate: this journal is damaged; `dovegate audit verify` shows what can be trusted');
}

const exchangeColumns: readonly Column<ExchangeRow>[] = [
  { name: 'SEQ', isNumber: true, text: ({ admittedSeq }) => String(admittedSeq ?? '?') },
  { name: 'TIME (UTC)', text: ({ fields }) => formatMoment(fields['time']), goes: 1 },
  { name: 'PRINCIPAL', text: cell('principal'), cellsMin: 10 },
  { name: 'USER', text: cell('user'), cellsMin: 14 },
  { name: 'COMMAND', text: commandOf, cellsMin: 14 },
  { name: 'OUTCOME', text: outcomeOf, cellsMin: 7, paint: ({ fields }) => paintOfOutcome(fields['outcome']) },
  { name: 'BACKEND', text: cell('backend'), cellsMin: 5, goes: 3 },
  { name: 'MS', isNumber: true, text: durationOf, goes: 2 },
  { name: 'ID', text: cell('id'), goes: 4 },
];

function cell(key: string): (row: ExchangeRow) => string {
  return ({ fields }) => printable(formatValue(fields[key]));
}

/** `2026-11-20 08:22:34`: the time of a record, to the second. */
export function formatMoment(time: unknown): string {
  return printable(formatValue(time).slice(0, 19).replace('T', ' '));
}

function commandOf({ fields }: ExchangeRow): string {
  return printable([fields['command'], fields['args']].map(formatValue).join(' ').trim());
}

function outcomeOf({ fields, completedSeq }: ExchangeRow): string {
  const outcome = completedSeq === undefined ? 'open' : printable(formatValue(fields['outcome']));
  const { would, mode } = fields;
  if (mode === 'shadow') return `${outcome} (the shadow would ${would === 'deny' ? 'deny' : 'allow'})`;
  return would === 'deny' ? `${outcome} (would deny)` : outcome;
}

function durationOf({ fields }: ExchangeRow): string {
  const duration = fields['duration_ms'];
  return typeof duration === 'number' ? String(Math.round(duration)) : '';
}

/** Green, red or yellow, by the closed list of outcomes. */
export function paintOfOutcome(outcome: unknown): Paint {
  if (outcome === 'ok') return 'good';
  return outcome === 'denied' || outcome === 'unparsable' ? 'bad' : 'doubtful';
}

/** One column, in its place from left to right. */
export interface Column<Row> {
  readonly name: string;
  readonly text: (row: Row) => string;
  /** Not narrower than this when something has to give; absent: always whole. */
  readonly cellsMin?: number;
  /** Left out when the terminal is too narrow, the highest number first. Absent: never. */
  readonly goes?: number;
  readonly isNumber?: boolean;
  readonly paint?: (row: Row) => Paint | undefined;
}

/** Rows that decide the widths; later ones are cut to them. */
const measuredRowsMax = 200;
/** Without a terminal nothing is cut; but one long value must not push all later columns away. */
const paddedCellsMax = 60;
const gap = '  ';

interface FittedColumn<Row> {
  readonly column: Column<Row>;
  cells: number;
}

/**
 * Gives lines without LF, and none at all when there is no row. The first rows are held until their widths are chosen; `finish` gives
 * the lines that are still held.
 */
export function createTable<Row>(
  columns: readonly Column<Row>[],
  screen: Screen,
): { readonly add: (row: Row) => string[]; readonly finish: () => string[] } {
  let waiting: Row[] | undefined = [];
  let fitted: readonly FittedColumn<Row>[] = [];

  return {
    add(row) {
      if (waiting === undefined) return [line(row)];
      waiting.push(row);
      return waiting.length < measuredRowsMax ? [] : release();
    },
    finish: release,
  };

  function release(): string[] {
    const rows = waiting ?? [];
    waiting = undefined;
    if (rows.length === 0) return [];
    fitted = fit(columns, rows, screen.columns);
    const names = fitted.map(({ column, cells }) => pad(column.name, cells, column.isNumber));
    return [screen.paint('title', names.join(gap).trimEnd()), ...rows.map(line)];
  }

  function line(row: Row): string {
    const texts = fitted.map(({ column, cells }, at) => {
      const whole = column.text(row);
      const text = screen.columns === undefined ? whole : cutTo(whole, cells);
      const isLast = at === fitted.length - 1;
      const padded = isLast && column.isNumber !== true ? text : pad(text, cells, column.isNumber);
      const paint = column.paint?.(row);
      return paint === undefined ? padded : screen.paint(paint, padded);
    });
    return texts.join(gap).trimEnd();
  }
}

function fit<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): readonly FittedColumn<Row>[] {
  let kept: readonly FittedColumn<Row>[] = columns.map((column) => {
    const cells = Math.max(cellsOf(column.name), ...rows.map((row) => cellsOf(column.text(row))));
    return { column, cells: width === undefined ? Math.min(cells, paddedCellsMax) : cells };
  });
  if (width === undefined) return kept;

  const least = ({ column, cells }: FittedColumn<Row>): number => Math.min(cells, column.cellsMin ?? cells);
  const excess = (of: (one: FittedColumn<Row>) => number): number =>
    kept.reduce((sum, one) => sum + of(one), (kept.length - 1) * gap.length) - width;
  while (excess(least) > 0) {
    const going = Math.max(0, ...kept.map(({ column }) => column.goes ?? 0));
    if (going === 0) break;
    kept = kept.filter(({ column }) => column.goes !== going);
  }
  // One cell at a time, from the widest column that can spare one.
  for (let left = excess(({ cells }) => cells); left > 0; left -= 1) {
    const [widest] = kept
      .filter((one) => one.cells > least(one))
      .toSorted((one, other) => other.cells - one.cells);
    if (widest === undefined) break;
    widest.cells -= 1;
  }
  return kept;
}

function pad(text: string, cells: number, isNumber: boolean | undefined): string {
  const blanks = ' '.repeat(Math.max(cells - cellsOf(text), 0));
  return isNumber === true ? blanks + text : text + blanks;
}

// Characters that terminals show two cells wide: East Asian scripts, full-width forms, pictures.
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const mark = /\p{Mark}/u;
const ascii = /^[ -~]*$/;

/** Width of a text on a terminal. */
export function cellsOf(text: string): number {
  if (ascii.test(text)) return text.length;
  let cells = 0;
  for (const character of text) cells += cellsOfOne(character);
  return cells;
}

function cellsOfOne(character: string): number {
  if (wide.test(character)) return 2;
  return mark.test(character) ? 0 : 1;
}

/** The text, or its start and an ellipsis. */
export function cutTo(text: string, cells: number): string {
  // Marks take no room: without a limit of their own, thousands of them would be piled on one letter.
  if (cellsOf(text) <= cells && text.length <= cells * 4) return text;
  let start = '';
  let used = 0;
  for (const character of text) {
    used += cellsOfOne(character);
    if (used > cells - 1 || start.length >= cells * 4) break;
    start += character;
  }
  return `${start}…`;
}

/** The start of a record, `{"se`, as a number. */
const recordStart = 0x7b227365;
/** No record is longer. */
const recordBytesMax = 7168;
/** More are counted and not printed. */
const notesMax = 10;

/** Looks on while a trail is read; one watch for one trail, whose memory does not grow with it. */
export function createDamageWatch(): {
  /** `piece` undefined: the file cannot be read further. */
  readonly look: (file: TrailFile, piece: Piece | undefined) => void;
  /** At the end; one sentence each, harmless for a terminal. */
  readonly notes: () => string[];
} {
  const notes: string[] = [];
  let path: string | undefined;
  let lines = 0;
  let wrong = 0;
  let firstWrong = 0;
  let firstSeq: number | undefined;
  let lastSeq: number | undefined;
  let seqBefore: number | undefined;

  return {
    look(file, piece) {
      if (path !== file.path) close();
      ({ path } = file);
      if (piece === undefined) notes.push(`${path} is damaged: its end could not be read`);
      else count(piece);
    },
    notes() {
      close();
      const shown = notes.slice(0, notesMax).map(printable);
      return notes.length > notesMax ? [...shown, `and ${notes.length - notesMax} more`] : shown;
    },
  };

  function count(piece: Piece): void {
    let last: Buffer | undefined;
    eachLine(piece, (line, isWhole) => {
      // After the last LF there may be a record that is being written, or was when the power went.
      if (!isWhole && line.length < recordBytesMax) return;
      lines += 1;
      if (line.length > 8 && line.readUInt32BE(0) === recordStart && line[line.length - 1] === 0x7d) {
        firstSeq ??= readClaim(line)?.seq;
        last = line;
      } else {
        wrong += 1;
        if (wrong === 1) firstWrong = lines;
      }
    });
    if (last !== undefined) lastSeq = readClaim(last)?.seq;
  }

  /** A file is over. */
  function close(): void {
    const what = wrong === 1 ? 'line is not a record' : 'lines are not records';
    if (wrong > 0) notes.push(`${path}: ${wrong} ${what}, the first at line ${firstWrong}`);
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
