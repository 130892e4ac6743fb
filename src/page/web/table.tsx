// A table whose rows are walked with j and k. On a phone a row has two lines, or is a card whose cells bear the column titles.

import type { ComponentChildren, TargetedKeyboardEvent } from 'preact';
import { Empty } from './kit.js';

export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => ComponentChildren;
  /**
   * `number`: to the right; `short`: in one line; `wide`: takes what is left; `rest`: the same of a table with a line for each row;
   * `action`: buttons, without a title on a phone.
   */
  readonly kind?: 'number' | 'short' | 'wide' | 'rest' | 'action';
  /** If any column has a line: where it stands on a phone. 0: hidden; 1 and 2: in this line; 3: in a line of its own. */
  readonly line?: 0 | 1 | 2 | 3;
  /** Takes what is left of its line on a phone, and is cut there. */
  readonly grows?: boolean;
  /** Shows its title on a phone, too, because the value alone says nothing. */
  readonly isNamed?: true;
}

interface TableProps<T> {
  /** What it shows, for people who do not see it. */
  readonly label: string;
  readonly rows: readonly T[];
  /** `false` is left out: the reader may not see that column. */
  readonly columns: readonly (Column<T> | false)[];
  readonly keyOf: (row: T) => string;
  /** Each row has one line; what does not fit is cut. */
  readonly isDense?: boolean;
  /** Instead of a table without rows: why there are none; absent: nothing. */
  readonly empty?: ComponentChildren;
  /** Rows that open nothing and know no key take no focus. */
  readonly onOpen?: (row: T) => void;
  /** Absent: every row opens. A row that does not open must not look as if it did. */
  readonly opens?: (row: T) => boolean;
  /** A key on a row that has the focus: true if it meant something. */
  readonly onKey?: (key: string, row: T) => boolean;
  readonly toneOf?: (row: T) => string | undefined;
}

export function Table<T>(shown: TableProps<T>) {
  const { label, rows, keyOf, empty, onKey, toneOf } = shown;
  const columns = shown.columns.filter((column) => column !== false);
  const openOf = (row: T) => (shown.opens?.(row) === false ? undefined : shown.onOpen);
  if (rows.length === 0) return empty ? <Empty>{empty}</Empty> : null;
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTableRowElement>, row: T): void => {
    // The key is meant for a button within the row.
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const open = openOf(row);
    const isOpened = event.key === 'Enter' && open !== undefined;
    if (isOpened) open(row);
    if (isOpened || onKey?.(event.key, row) === true) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  const isInLines = columns.some(({ line }) => line !== undefined);
  return (
    <div
      class={`table${isInLines ? ' lines' : ''}${shown.isDense === true ? ' dense' : ''}`}
      role="region"
      aria-label={label}
      tabIndex={0}
    >
      <table role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ title, kind = '' }) => (
              <th key={title} role="columnheader" scope="col" class={kind}>
                {kind === 'action' ? <span class="unseen">{title}</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr
              key={keyOf(row)}
              role="row"
              data-row
              tabIndex={openOf(row) === undefined && onKey === undefined ? undefined : -1}
              class={`${toneOf?.(row) ?? ''} ${openOf(row) === undefined ? '' : 'opens'}`}
              onKeyDown={(event) => onKeyDown(event, row)}
              onClick={(event) => isOfRow(event) && openOf(row)?.(row)}
            >
              {columns.map(({ title, kind, line = 2, grows, isNamed, cell }) => (
                <td
                  key={title}
                  role="cell"
                  class={
                    isInLines
                      ? `${kind ?? ''} line-${line}${grows === true ? ' grows' : ''}${isNamed === true ? ' named' : ''}`
                      : kind
                  }
                  data-title={kind === 'action' ? undefined : title}
                >
                  <div class="cell">{cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Whether a click is meant for the row: not for a link or button in it, and not at the end of a text selection. */
function isOfRow({ target }: MouseEvent): boolean {
  const isOwn = target instanceof Element && target.closest('a, button, input, label, summary') !== null;
  return !isOwn && (window.getSelection()?.toString() ?? '') === '';
}

/** Where the focus was last, on which screen. */
let last = { path: '', at: -1 };

export function walkRows(step: 1 | -1): void {
  // Rows of a closed summary take no focus.
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row][tabindex]')].filter((row) =>
    row.checkVisibility(),
  );
  const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
  const path = window.location.pathname;
  // A row that had the focus may be gone: its successor has its place.
  const gone = last.path === path ? last.at : 0;
  const to = Math.max(0, Math.min(rows.length - 1, at >= 0 ? at + step : gone));
  last = { path, at: to };
  rows[to]?.focus();
  rows[to]?.scrollIntoView({ block: 'nearest' });
}
