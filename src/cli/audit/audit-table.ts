// Rows in columns that fit a terminal: widths come from the first rows, columns that matter least go when it is narrow, and
// text that does not fit ends in an ellipsis. It does not know what rows are; their text is harmless already.

import type { Paint, Screen } from '../output/screen.js';

/** One column, in its place from left to right. */
export interface Column<Row> {
  readonly name: string;
  readonly text: (row: Row) => string;
  /** Not narrower than this when something has to give; absent: always whole. */
  readonly cellsMin?: number;
  /** Goes when the terminal is too narrow; the highest number first. Absent: stays. */
  readonly goes?: number;
  readonly isNumber?: boolean;
  readonly paint?: (row: Row) => Paint | undefined;
}

/** Gives lines without LF; none at all when there is no row. */
export interface Table<Row> {
  /** Lines that are ready. */
  add(row: Row): string[];
  /** The lines that waited for the widths. */
  finish(): string[];
}

/** Rows that decide the widths; later ones are cut to them. */
const measuredRowsMax = 200;
/** Without a terminal nothing is cut; but one long value shall not push all columns behind it away. */
const paddedCellsMax = 60;
const gap = '  ';

/** The first rows wait for one another, so that their widths can be chosen; what comes later passes at once. */
export function createTable<Row>(columns: readonly Column<Row>[], screen: Screen): Table<Row> {
  let waiting: Row[] | undefined = [];
  let fitted: readonly FittedColumn<Row>[] = [];

  return {
    add(row) {
      if (waiting === undefined) return [line(row)];
      waiting.push(row);
      return waiting.length < measuredRowsMax ? [] : release();
    },
    finish: () => release(),
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
    const isCut = screen.columns !== undefined;
    const texts = fitted.map(({ column, cells }, at) => {
      const whole = column.text(row);
      const text = isCut ? cutTo(whole, cells) : whole;
      const isLast = at === fitted.length - 1;
      const padded = isLast && column.isNumber !== true ? text : pad(text, cells, column.isNumber);
      const paint = column.paint?.(row);
      return paint === undefined ? padded : screen.paint(paint, padded);
    });
    return texts.join(gap).trimEnd();
  }
}

interface FittedColumn<Row> {
  readonly column: Column<Row>;
  readonly cells: number;
}

function fit<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): readonly FittedColumn<Row>[] {
  const wanted = columns.map((column) => {
    const cells = Math.max(cellsOf(column.name), ...rows.map((row) => cellsOf(column.text(row))));
    return { column, cells: width === undefined ? Math.min(cells, paddedCellsMax) : cells };
  });
  if (width === undefined) return wanted;

  const least = ({ column, cells }: FittedColumn<Row>): number => Math.min(cells, column.cellsMin ?? cells);
  const total = (list: readonly FittedColumn<Row>[], of: (one: FittedColumn<Row>) => number): number =>
    list.reduce((sum, one) => sum + of(one), (list.length - 1) * gap.length);
  let kept = wanted;
  while (total(kept, least) > width) {
    const going = kept.reduce((most, { column }) => Math.max(most, column.goes ?? 0), 0);
    if (going === 0) break;
    kept = kept.filter(({ column }) => column.goes !== going);
  }
  const cells = kept.map((one) => one.cells);
  for (let excess = total(kept, (one) => one.cells) - width; excess > 0; excess -= 1) {
    let widest = -1;
    for (const [at, one] of kept.entries()) {
      const isWider = (cells[at] ?? 0) > (cells[widest] ?? 0);
      if (isWider && (cells[at] ?? 0) > least(one)) widest = at;
    }
    if (widest < 0) break;
    cells[widest] = (cells[widest] ?? 0) - 1;
  }
  return kept.map(({ column }, at) => ({ column, cells: cells[at] ?? 0 }));
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
