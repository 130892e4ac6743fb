// Rows as a table in the width of the terminal: values are cut, then columns are left out; without a terminal nothing is cut.

import type { Paint, Screen } from './screen.js';

export interface Column<Row> {
  readonly name: string;
  readonly text: (row: Row) => string;
  /** The smallest width; absent: always whole. */
  readonly cellsMin?: number;
  /** Left out if the terminal is too narrow, the highest number first. Absent: never. */
  readonly goes?: number;
  readonly isNumber?: boolean;
  readonly paint?: (row: Row) => Paint | undefined;
}

/** Rows that decide the widths; later ones are cut to them. */
const measuredRowsMax = 200;
/** Without a terminal nothing is cut; but one long value must not push all later columns away. */
const paddedCellsMax = 100;
const gap = '  ';

interface FittedColumn<Row> {
  readonly column: Column<Row>;
  cells: number;
}

/** Lines without LF; none without rows. Holds the first rows until the widths are chosen; `finish` returns those. */
export function createTable<Row>(
  columns: readonly Column<Row>[],
  screen: Pick<Screen, 'columns' | 'paint'>,
): {
  readonly add: (row: Row) => string[];
  readonly finish: () => string[];
  /** Names of columns that did not fit, once `finish` has been called. */
  readonly hidden: () => string[];
} {
  let waiting: Row[] | undefined = [];
  let fitted: readonly FittedColumn<Row>[] = [];

  return {
    add(row) {
      if (waiting === undefined) return [line(row)];
      waiting.push(row);
      return waiting.length < measuredRowsMax ? [] : release();
    },
    finish: release,
    hidden: () =>
      fitted.length === 0
        ? []
        : columns.filter((one) => !fitted.some(({ column }) => column === one)).map(({ name }) => name),
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
  // One cell at a time, from the widest column that can shrink.
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

// Characters that are two cells wide on terminals: East Asian scripts, full-width forms, emoji.
const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const mark = /\p{Mark}/u;
const ascii = /^[ -~]*$/;

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

export function cutTo(text: string, cells: number): string {
  // Combining marks have no width: without a limit of their own, thousands of them would be piled on one letter.
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
