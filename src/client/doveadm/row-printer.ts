// Rows in the formats of doveadm. Long cells arrive in pieces, and leave so: only a table and a template hold what they print. Where the
// real printers disagree with themselves (with the size of a value, or with its pieces), this one has the form of small values;
// docs/client-shell.md lists each difference.

import { columnOf, type ReplyColumn, type ReplyShape } from '../../doveadm/meaning/columns.js';
import { CommandFault } from '../../host/output/output.js';

const tableBytesMax = 16 * 1024 ** 2;

export const allFormats = ['table', 'tab', 'json', 'flow', 'pager'] as const;

export type Format = (typeof allFormats)[number];

export type RowPrinter = ReturnType<typeof createRowPrinter>;

export interface PrintOptions {
  /** Undefined for the command's own format. */
  readonly format: Format | undefined;
  /** Without the line of names (`-h`). */
  readonly hidesTitles: boolean;
  readonly hasUsers: boolean;
}

export type Sink = (piece: Buffer | string) => void;

/** The calls are open, write..., close for each cell, in order, and end once. */
interface CellFormat {
  open(column: number): void;
  write(bytes: Buffer): void;
  close(column: number): void;
  /** Ends a row that lacks cells: the reply broke off. */
  endEarly(): void;
  /** After the last row, also if there was none. */
  end(): void;
}

export function createRowPrinter(shape: ReplyShape, options: PrintOptions, sink: Sink) {
  const columns = options.hasUsers ? [userColumn, ...shape.columns] : shape.columns;
  const first = options.hasUsers ? 1 : 0;
  const last = columns.length - 1;
  const format = formatOf(columns, last);
  let user = Buffer.alloc(0);
  let column = first;
  let isOpen = false;

  function formatOf(of: readonly ReplyColumn[], lastOf: number): CellFormat {
    const wanted = options.format ?? shape.format;
    switch (wanted) {
      case 'tab':
        return createTabFormat(of, lastOf, options.hidesTitles, sink);
      case 'flow':
        return createFlowFormat(of, lastOf, sink);
      case 'pager':
        return createPagerFormat(of, sink);
      case 'json':
        return createJsonFormat(of, lastOf, sink);
      case 'table':
        return createTableFormat(of, options.hidesTitles, sink);
      case 'formatted':
        return createTemplateFormat(of, lastOf, shape.template ?? '', sink);
      default:
        return wanted satisfies never;
    }
  }

  return {
    cell(bytes: Buffer, endsCell: boolean): void {
      if (!isOpen) {
        if (first === 1 && column === first) {
          format.open(0);
          format.write(user);
          format.close(0);
        }
        format.open(column);
      }
      format.write(bytes);
      isOpen = !endsCell;
      if (!endsCell) return;
      format.close(column);
      column = column >= last ? first : column + 1;
    },
    setUser(name: string): void {
      user = Buffer.from(name);
    },
    /** Call after each reply. Returns undefined if its rows are whole, else the number of cells in its last row and in a whole row. */
    endReply(): readonly [cells: number, of: number] | undefined {
      const of = last - first + 1;
      const cells = column - first + (isOpen ? 1 : 0);
      if (cells === 0) return undefined;
      if (isOpen) this.cell(Buffer.alloc(0), true);
      if (cells < of) format.endEarly();
      column = first;
      return [cells, of];
    },
    end(): void {
      this.endReply();
      format.end();
    },
  };
}

const userColumn = columnOf('username=Username!');

/** `a TAB b LF`, below a line of names. */
function createTabFormat(
  columns: readonly ReplyColumn[],
  last: number,
  hidesTitles: boolean,
  sink: Sink,
): CellFormat {
  if (!hidesTitles && columns.length > 0) sink(`${columns.map(({ title }) => title).join('\t')}\n`);
  return {
    open: (column) => column > 0 && sink('\t'),
    write: sink,
    close: (column) => column === last && sink('\n'),
    endEarly: () => sink('\n'),
    end: () => undefined,
  };
}

/** `name=a name=b LF`; hidden names are left out. */
function createFlowFormat(columns: readonly ReplyColumn[], last: number, sink: Sink): CellFormat {
  return {
    open(column) {
      const of = columns[column];
      if (of?.isTitleHidden === false) sink(`${of.title}=`);
    },
    write: sink,
    close: (column) => sink(column < last ? ' ' : '\n'),
    endEarly: () => sink('\n'),
    end: () => undefined,
  };
}

/** `name: a LF` for each cell, a form feed between rows. */
function createPagerFormat(columns: readonly ReplyColumn[], sink: Sink): CellFormat {
  let isFirst = true;
  return {
    open(column) {
      if (column === 0 && !isFirst) sink('\f\n');
      isFirst = false;
      const of = columns[column];
      if (of?.isTitleHidden === false) sink(`${of.title}: `);
    },
    write: sink,
    close: () => sink('\n'),
    endEarly: () => undefined,
    end: () => undefined,
  };
}

/** An array of objects, also where the reply broke off; no line end follows it. */
function createJsonFormat(columns: readonly ReplyColumn[], last: number, sink: Sink): CellFormat {
  let opening = '[';
  let decoder = new TextDecoder();
  const quote = (column: number): string => (columns[column]?.isNumber === true ? '' : '"');
  const escape = (text: string): string => JSON.stringify(text).slice(1, -1);
  return {
    open(column) {
      sink(`${column === 0 ? `${opening}{` : ','}${JSON.stringify(columns[column]?.key)}:${quote(column)}`);
      opening = ',';
      decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    },
    write: (bytes) => sink(escape(decoder.decode(bytes, { stream: true }))),
    close: (column) => sink(`${escape(decoder.decode())}${quote(column)}${column === last ? '}' : ''}`),
    endEarly: () => sink('}'),
    end: () => sink(opening === '[' ? '[]' : ']'),
  };
}

/** A text for each row, in which `%{key}` stands for a cell. */
function createTemplateFormat(
  columns: readonly ReplyColumn[],
  last: number,
  template: string,
  sink: Sink,
): CellFormat {
  const held = createHeld();
  let row: readonly string[] = [];
  return {
    open: () => undefined,
    write: (bytes) => held.write(bytes),
    close(column) {
      row = [...row, held.text()];
      if (column < last) return;
      const cells = row;
      row = [];
      held.release();
      sink(
        template.replace(
          /%\{([^}]*)\}/g,
          (_all, key: string) => cells[columns.findIndex((each) => each.key === key)] ?? '',
        ),
      );
    },
    endEarly() {
      sink(`${row.join(' ')}\n`);
      row = [];
      held.release();
    },
    end: () => undefined,
  };
}

/** The widths come from the first rows; a later value that is wider moves what follows it. An empty value is `-`. */
function createTableFormat(columns: readonly ReplyColumn[], hidesTitles: boolean, sink: Sink): CellFormat {
  const held = createHeld();
  let rows: string[][] = [[]];
  let widths: readonly number[] | undefined;

  function line(cells: readonly string[]): void {
    const padded = cells.map((text, at) => {
      const missing = ' '.repeat(Math.max(0, (widths?.[at] ?? 0) - lengthOf(text)));
      return columns[at]?.isRightAligned === true ? missing + text : text + missing;
    });
    sink(`${padded.join(' ').trimEnd()}\n`);
  }

  function print(): void {
    const titles = columns.map(({ title }) => title);
    if (widths === undefined) {
      widths = titles.map((title, at) =>
        Math.max(...[title, ...rows.map((row) => row[at] ?? '')].map(lengthOf)),
      );
      if (!hidesTitles && columns.some(({ isTitleHidden }) => !isTitleHidden)) line(titles);
    }
    for (const row of rows) if (row.length > 0) line(row);
    rows = [[]];
    held.release();
  }

  return {
    open: () => undefined,
    write: (bytes) => held.write(bytes),
    close(column) {
      rows.at(-1)?.push(held.text() || '-');
      if (column < columns.length - 1) return;
      if (widths !== undefined || rows.length >= 100) print();
      else rows.push([]);
    },
    endEarly: () => void rows.push([]),
    end: print,
  };
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** Cells that are held whole; throws a CommandFault if they are too large. */
function createHeld() {
  let pieces: Buffer[] = [];
  let heldBytes = 0;
  return {
    write(bytes: Buffer): void {
      heldBytes += bytes.length;
      if (heldBytes > tableBytesMax)
        throw new CommandFault(
          tempFail,
          `this format holds at most ${tableBytesMax} bytes at once; use --format tab or json`,
        );
      pieces.push(bytes);
    },
    text(): string {
      const text = Buffer.concat(pieces).toString();
      pieces = [];
      return text;
    },
    release(): void {
      heldBytes = 0;
    },
  };
}

const tempFail = 75;
