// Rows as the real doveadm prints them, byte for byte: the format, the names of columns, and long cells, which arrive in pieces. Only
// the table holds rows, a hundred at most; the other formats write each piece at once.

import type { ReplyShape } from '../../domain/commands/columns.js';
import {
  type CellFormat,
  createFlowFormat,
  createJsonFormat,
  createPagerFormat,
  createTabFormat,
  createTableFormat,
  createTemplateFormat,
  type Sink,
} from './row-formats.js';

export const allFormats = ['table', 'tab', 'json', 'flow', 'pager'] as const;

export type Format = (typeof allFormats)[number];

export interface RowPrinter {
  cell(bytes: Buffer, endsCell: boolean): void;
  /** The user of the next rows, for formats with a column for it. */
  setUser(user: string): void;
  /** A reply broke off: its unfinished row is dropped. */
  end(): void;
}

export interface PrintOptions {
  /** Undefined: the one that the real program uses for this command. */
  readonly format: Format | undefined;
  /** Columns of characters; default 80. */
  readonly width: number | undefined;
  /** Without the line of names (`-h`). */
  readonly hidesTitles: boolean;
  /** With the user's name as the first column. */
  readonly hasUsers: boolean;
}

/** A row is held so long for a cell of it to count as short; what servers send at once. */
const shortRowBytes = 8192;

/** The name of a column without a known name. */
const unknownShape: ReplyShape = {
  format: 'flow',
  template: undefined,
  columns: [
    {
      key: 'value',
      title: 'value',
      isTitleHidden: true,
      isRightAligned: false,
      isExpanding: false,
      isNumber: false,
    },
  ],
};

const userColumn = {
  key: 'username',
  title: 'Username',
  isTitleHidden: true,
  isRightAligned: false,
  isExpanding: false,
  isNumber: false,
} as const;

/** A printer that stands before the first row; the line of names is printed at once. */
export function createRowPrinter(
  shape: ReplyShape | undefined,
  options: PrintOptions,
  sink: Sink,
): RowPrinter {
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
    cell(bytes, endsCell) {
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
    setUser(name) {
      user = Buffer.from(name);
    },
    end() {
      if (isOpen) format.close(column);
      format.end();
    },
  };
}
