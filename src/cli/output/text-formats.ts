// The formats of doveadm that need nothing but the cell at hand: tab, flow, pager, and lines by a template.
// Defined by Dovecot in src/doveadm/doveadm-print-*.c.

import type { ReplyColumn } from '../../domain/commands/columns.js';
import type { CellFormat, Sink } from './cell-format.js';

/** `a TAB b LF`, below a line of names. Long values are not marked, as they are by the real one with a TAB for each piece. */
export function createTabFormat(
  columns: readonly ReplyColumn[],
  hidesTitles: boolean,
  sink: Sink,
): CellFormat {
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
export function createFlowFormat(columns: readonly ReplyColumn[], sink: Sink): CellFormat {
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

/** A line for each cell, a form feed between rows; what came in pieces stands below its name. */
export function createPagerFormat(columns: readonly ReplyColumn[], sink: Sink): CellFormat {
  let isFirst = true;
  let isLong = false;
  let isMidRow = false;
  return {
    open(column, isLongCell) {
      const of = columns[column];
      isLong = isLongCell;
      // The real one forgets the form feed in front of a long value.
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

/** A text for each row in which `%{key}` stands for a cell. */
export function createTemplateFormat(
  columns: readonly ReplyColumn[],
  template: string,
  sink: Sink,
): CellFormat {
  let cells = new Map<string, string>();
  let held: Buffer[] = [];
  return {
    open() {
      held = [];
    },
    write(bytes) {
      held.push(bytes);
    },
    close(column) {
      cells.set(columns[column]?.key ?? '', Buffer.concat(held).toString());
      if (column < columns.length - 1) return;
      const row = cells;
      cells = new Map();
      sink(template.replace(/%\{([^}]*)\}/g, (_all, key: string) => row.get(key) ?? ''));
    },
    end() {},
  };
}
