// Rows below one another in columns of characters, as doveadm does it: the widths come from the first hundred rows, long values of
// the last columns are the first to be cut short in width, and nothing is ever cut off.
// Defined by Dovecot in src/doveadm/doveadm-print-table.c.

import type { ReplyColumn } from '../../domain/commands/columns.js';
import type { CellFormat, Sink } from './cell-format.js';
import { CommandFault } from './command-fault.js';

const defaultWidth = 80;
const widthMin = 30;
const heldRowsMax = 100;

/** The real one gives up so for a long value with line ends: 75. */
const tempFail = 75;

/** The names are printed with the first row that goes out, or at the end. */
export function createTableFormat(
  columns: readonly ReplyColumn[],
  width: number | undefined,
  hidesTitles: boolean,
  sink: Sink,
): CellFormat {
  /** Cells of rows that wait for the widths; undefined once these are known. */
  let waiting: string[] | undefined = [];
  let widths: readonly number[] = [];
  let value: Buffer[] = [];
  let isLong = false;

  function print(text: string, column: number): void {
    const of = columns[column];
    const missing = Math.max(0, (widths[column] ?? 0) - lengthOf(text));
    const room = ' '.repeat(missing);
    sink(of?.isRightAligned === true ? room + text : text + room);
    sink(column === columns.length - 1 ? '\n' : ' ');
  }

  function settle(cells: readonly string[]): void {
    waiting = undefined;
    widths = widthsOf(columns, cells, Math.max(widthMin, width ?? defaultWidth));
    if (!hidesTitles && columns.some(({ isTitleHidden }) => !isTitleHidden)) {
      for (const [column, { title }] of columns.entries()) print(title, column);
    }
    for (const [at, cell] of cells.entries()) print(cell, at % columns.length);
  }

  return {
    open(_column, isLongCell) {
      value = [];
      isLong = isLongCell;
    },
    write(bytes) {
      if (isLong && bytes.includes(0x0a))
        throw new CommandFault(tempFail, "table formatter doesn't support multi-line values");
      value.push(bytes);
    },
    close(column) {
      const text = Buffer.concat(value).toString();
      if (waiting !== undefined && waiting.length < heldRowsMax * columns.length) {
        waiting.push(text);
        return;
      }
      if (waiting !== undefined) settle(waiting);
      print(text, column);
    },
    end() {
      if (waiting !== undefined && columns.length > 0) settle(waiting);
    },
  };
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** How wide each column is. What is too much is taken from the last columns first, half of what they can spare at a time. */
function widthsOf(columns: readonly ReplyColumn[], cells: readonly string[], room: number): number[] {
  const least = columns.map(({ title }) => title.length);
  const widths = [...least];
  for (const [at, cell] of cells.entries()) {
    const column = at % columns.length;
    const length = lengthOf(cell);
    least[column] = Math.min(least[column] ?? 0, length);
    widths[column] = Math.max(widths[column] ?? 0, length);
  }
  const total = widths.reduce((sum, one) => sum + one + 1, -1);
  if (total > room) shrink(widths, least, total - room);
  if (total < room) {
    const expanding = columns.findIndex(({ isExpanding }) => isExpanding);
    const at = expanding < 0 ? columns.length - 1 : expanding;
    widths[at] = (widths[at] ?? 0) + Math.floor((room - total) / 2);
  }
  return widths;
}

function shrink(widths: number[], least: readonly number[], excess: number): void {
  // The real one takes what a column gave off the column only, never off the excess, and makes a single round.
  for (let at = widths.length - 1; at >= 0; at -= 1) {
    const spare = (widths[at] ?? 0) - (least[at] ?? 0);
    if (spare >= excess) {
      widths[at] = (widths[at] ?? 0) - excess;
      return;
    }
    if (spare > 0) widths[at] = (widths[at] ?? 0) - (spare === 1 ? 1 : Math.floor(spare / 2));
  }
}
