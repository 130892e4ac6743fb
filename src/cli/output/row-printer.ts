// Rows as the real doveadm prints them, byte for byte: the formats, the names of columns, and long cells, which arrive in pieces. Only
// the table holds rows, a hundred at most; the other formats write each piece at once.

import { bounds } from '../../bounds/bounds.js';
import type { ReplyColumn, ReplyShape } from '../../domain/meaning/columns.js';
import { CommandFault } from './output.js';

export const allFormats = ['table', 'tab', 'json', 'flow', 'pager'] as const;

export type Format = (typeof allFormats)[number];

export type RowPrinter = ReturnType<typeof createRowPrinter>;

export interface PrintOptions {
  /** Undefined: the default of the real program for this command. */
  readonly format: Format | undefined;
  /** Columns of characters; default 80. */
  readonly width: number | undefined;
  /** Without the line of names (`-h`). */
  readonly hidesTitles: boolean;
  /** With the user's name as the first column. */
  readonly hasUsers: boolean;
}

/** A cell in a row of at most this size counts as short; servers send that much at once. */
const shortRowBytes = 8192;

const hidden = (key: string, title: string): ReplyColumn => ({
  key,
  title,
  isTitleHidden: true,
  isRightAligned: false,
  isExpanding: false,
  isNumber: false,
});

/** The shape of an unknown reply. */
const unknownShape: ReplyShape = { format: 'flow', template: undefined, columns: [hidden('value', 'value')] };
const userColumn = hidden('username', 'Username');

/** A printer before its first row; the line of names is printed at once. */
export function createRowPrinter(shape: ReplyShape | undefined, options: PrintOptions, sink: Sink) {
  const { columns: own, template } = shape ?? unknownShape;
  const columns = options.hasUsers ? [userColumn, ...own] : own;
  const first = options.hasUsers ? 1 : 0;
  const wanted = options.format ?? (shape ?? unknownShape).format;
  const format = ((): CellFormat => {
    switch (wanted) {
      case 'tab':
        return createTabFormat(columns, options.hidesTitles, sink);
      case 'flow':
        return createFlowFormat(columns, sink);
      case 'pager':
        return createPagerFormat(columns, sink);
      case 'json':
        return createJsonFormat(columns, sink);
      case 'table':
        return createTableFormat(columns, options.width, options.hidesTitles, sink);
      case 'formatted':
        return createTemplateFormat(columns, template ?? '', sink);
      default:
        return wanted satisfies never;
    }
  })();

  let user = Buffer.alloc(0);
  let column = first;
  let held: Buffer[] = [];
  let rowBytes = 0;
  let isOpen = false;

  function begin(isLong: boolean): void {
    if (first === 1 && column === first) {
      format.open(0, false);
      format.write(user);
      format.close(0);
    }
    format.open(column, isLong);
    for (const bytes of held) format.write(bytes);
    held = [];
  }

  return {
    cell(bytes: Buffer, endsCell: boolean): void {
      rowBytes += bytes.length + 1;
      if (isOpen) {
        format.write(bytes);
      } else {
        held.push(bytes);
        if (!endsCell && rowBytes >= shortRowBytes) {
          begin(true);
          isOpen = true;
        }
      }
      if (!endsCell) return;
      if (!isOpen) begin(false);
      isOpen = false;
      format.close(column);
      column += 1;
      if (column < columns.length) return;
      column = first;
      rowBytes = 0;
    },
    /** The user of the next rows, for formats with a column for it. */
    setUser(name: string): void {
      user = Buffer.from(name);
    },
    /** A reply broke off: its unfinished row is dropped. */
    end(): void {
      if (isOpen) format.close(column);
      format.end();
    },
  };
}

/** Takes a printed piece, which is not kept. */
export type Sink = (piece: Buffer | string) => void;

/** One format. Calls come as open, write..., close for each cell, in order, and end once. */
interface CellFormat {
  /** `isLong`: the cell came in several pieces. */
  open(column: number, isLong: boolean): void;
  write(bytes: Buffer): void;
  close(column: number): void;
  /** After the last cell, also if there was none. */
  end(): void;
}

/** `a TAB b LF`, below a line of names. Long values are not marked; the real program adds a TAB for each piece. */
function createTabFormat(columns: readonly ReplyColumn[], hidesTitles: boolean, sink: Sink): CellFormat {
  let isNamed = hidesTitles;
  const name = (): void => {
    if (!isNamed) sink(`${columns.map(({ title }) => title).join('\t')}\n`);
    isNamed = true;
  };
  return {
    open(column) {
      name();
      if (column > 0) sink('\t');
    },
    write: sink,
    close(column) {
      if (column === columns.length - 1) sink('\n');
    },
    end: name,
  };
}

/** `name=a name=b LF`; hidden names are left out. */
function createFlowFormat(columns: readonly ReplyColumn[], sink: Sink): CellFormat {
  let isMidRow = false;
  return {
    open(column) {
      const of = columns[column];
      if (of?.isTitleHidden === false) sink(`${of.title}=`);
    },
    write: sink,
    close(column) {
      isMidRow = column < columns.length - 1;
      sink(isMidRow ? ' ' : '\n');
    },
    end() {
      if (isMidRow) sink('\n');
    },
  };
}

/** A line for each cell, a form feed between rows; a value in pieces is below its name. */
function createPagerFormat(columns: readonly ReplyColumn[], sink: Sink): CellFormat {
  let isFirst = true;
  let isLong = false;
  let isMidRow = false;
  return {
    open(column, isLongCell) {
      const of = columns[column];
      isLong = isLongCell;
      // The real program omits the form feed before a long value.
      if (!isLong) {
        if (column === 0 && !isFirst) sink('\f\n');
        isFirst = false;
      }
      if (of?.isTitleHidden === false) sink(isLong ? `${of.title}:\n` : `${of.title}: `);
    },
    write: sink,
    close(column) {
      isMidRow = column < columns.length - 1;
      if (!isLong) sink('\n');
    },
    end() {
      if (isMidRow) sink('\n');
    },
  };
}

/** A text for each row, in which `%{key}` stands for a cell. */
function createTemplateFormat(columns: readonly ReplyColumn[], template: string, sink: Sink): CellFormat {
  let cells = new Map<string, string>();
  let held: Buffer[] = [];
  let heldBytes = 0;
  return {
    open() {
      held = [];
    },
    write(bytes) {
      heldBytes = hold(heldBytes, bytes);
      held.push(bytes);
    },
    close(column) {
      cells.set(columns[column]?.key ?? '', Buffer.concat(held).toString());
      if (column < columns.length - 1) return;
      const row = cells;
      cells = new Map();
      heldBytes = 0;
      sink(template.replace(/%\{([^}]*)\}/g, (_all, key: string) => row.get(key) ?? ''));
    },
    end() {},
  };
}

const defaultWidth = 80;
const widthMin = 30;
const heldRowsMax = bounds.tableRows;
/** Memory limit for these rows, or for one row once the widths are known. */
const heldBytesMax = bounds.tableBytes;

/** The real program fails like this for a long value with line ends: 75. */
const tempFail = 75;

/** The total of held bytes. Throws a CommandFault if it is too large. */
function hold(heldBytes: number, bytes: Buffer): number {
  const after = heldBytes + bytes.length;
  if (after <= heldBytesMax) return after;
  throw new CommandFault(
    tempFail,
    `this format holds at most ${heldBytesMax} bytes at once; use --format tab or json`,
  );
}

/** The names are printed with the first printed row, or at the end. */
function createTableFormat(
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
  let heldBytes = 0;

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
      heldBytes = hold(heldBytes, bytes);
      value.push(bytes);
    },
    close(column) {
      const text = Buffer.concat(value).toString();
      if (waiting !== undefined && waiting.length < heldRowsMax * columns.length) {
        waiting.push(text);
        return;
      }
      if (waiting !== undefined) settle(waiting);
      heldBytes = 0;
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

/** The width of each column. The last columns shrink first, by half of what they can spare at a time. */
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
  // The real program subtracts the shrinking from the column only, never from the excess, and makes a single round.
  for (let at = widths.length - 1; at >= 0; at -= 1) {
    const spare = (widths[at] ?? 0) - (least[at] ?? 0);
    if (spare >= excess) {
      widths[at] = (widths[at] ?? 0) - excess;
      return;
    }
    if (spare > 0) widths[at] = (widths[at] ?? 0) - (spare === 1 ? 1 : Math.floor(spare / 2));
  }
}

/** As JSON.stringify, but with capitals in `\\u001F`, and for the line ends of Unicode too. */
function escape(text: string): string {
  return text.replace(/["\\\u0000-\u001f\u2028\u2029]/g, (found) => {
    const [, short = ''] = /^"(\\[^u])"$/.exec(JSON.stringify(found)) ?? [];
    return short || `\\u${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  });
}

/** The array begins with the first cell, or at the end; no line end follows it. */
function createJsonFormat(columns: readonly ReplyColumn[], sink: Sink): CellFormat {
  let opening = '[';
  let decoder = new TextDecoder();
  let isQuoted = true;
  return {
    open(column) {
      const { key, isNumber } = columns[column] ?? { key: '', isNumber: false };
      if (column === 0) {
        sink(`${opening}{`);
        opening = ',';
      } else {
        sink(',');
      }
      isQuoted = !isNumber;
      sink(`"${escape(key)}":${isQuoted ? '"' : ''}`);
      decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    },
    write(bytes) {
      sink(escape(decoder.decode(bytes, { stream: true })));
    },
    close(column) {
      sink(escape(decoder.decode()));
      sink(`${isQuoted ? '"' : ''}${column === columns.length - 1 ? '}' : ''}`);
    },
    end() {
      sink(opening === '[' ? '[]' : ']');
    },
  };
}
