// Columns of the trail: how each shows its value, and which of them are shown.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { valueText } from '../domain/records/audit/stored.js';
import { kindOf, remarkOf, requestOf } from '../domain/records/story/row.js';
import { Effect, Outcome, Words } from './badge.js';
import { Dialog } from './dialog.js';
import { Button, Duration, Name, Sentence, Time } from './kit.js';
import { Link } from './location.js';
import { pathOf } from './route.js';
import type { Column } from './table.js';
import type { QueryKey } from './trail-query.js';
import {
  allUsers,
  commandText,
  isOfCommand,
  queryValue,
  type ShownRow,
  type TrailColumn,
  textOf,
  trailColumns,
  usersText,
} from './trail-rows.js';
import { utcTime } from './wording.js';

export type OnPick = (row: ShownRow, key: QueryKey) => void;

/** A value that a click searches for; by keyboard `f` on its row has them all. */
function Value({
  row,
  by,
  onPick,
  children,
}: {
  readonly row: ShownRow;
  readonly by: QueryKey | undefined;
  readonly onPick: OnPick;
  readonly children: ComponentChildren;
}) {
  if (by === undefined || queryValue(row, by) === '') return <>{children}</>;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the row has the key f for it.
    // biome-ignore lint/a11y/noStaticElementInteractions: the row has the key f for it.
    <span
      class="pick"
      title="search by this value (key f)"
      onClick={(event) => {
        if (event.target instanceof HTMLButtonElement) return;
        event.stopPropagation();
        onPick(row, by);
      }}
    >
      {children}
    </span>
  );
}

export function columnOf(column: TrailColumn, onPick: OnPick): Column<ShownRow> {
  const { title, kind, key = '', query: by } = column;
  const pick = (row: ShownRow, children: ComponentChildren): ComponentChildren => (
    <Value row={row} by={by} onPick={onPick}>
      {children}
    </Value>
  );
  switch (kind) {
    case 'time':
      return {
        title,
        size: 'time',
        line: 1,
        cell: ({ fields }) => <Time at={valueText(fields['time'])} isExact />,
      };
    case 'utc':
      return {
        title,
        kind: 'short',
        size: 'time',
        cell: ({ fields }) => <span class="number">{utcTime(valueText(fields['time']))}</span>,
      };
    case 'outcome':
      return {
        title,
        size: 'said',
        line: 1,
        cell: (row) => {
          const remark = remarkOf(row);
          const outcome = queryValue(row, 'outcome');
          const request = requestOf(row.fields);
          const shown = <Outcome outcome={outcome} isPlain />;
          return (
            <>
              {outcome !== '' && kindOf(row.fields) === 'command' ? (
                pick(row, shown)
              ) : request === undefined ? (
                outcome !== '' && shown
              ) : (
                <Link to={pathOf('/access/:id', request)}>{shown}</Link>
              )}
              {remark !== '' && (
                <span class="faint would">
                  {' '}
                  <Name value={remark} max={60} />
                </span>
              )}
            </>
          );
        },
      };
    case 'effect':
      return {
        title,
        size: 'word',
        cell: (row) =>
          pick(row, <Effect effect={valueText(row.fields['effect'])} content={row.content} isPlain />),
      };
    case 'command':
      return {
        title,
        size: 'rest',
        line: 1,
        grows: true,
        cell: (row) =>
          isOfCommand(row) ? (
            pick(row, <Words value={commandText(row) || undefined} max={80} />)
          ) : (
            <Sentence text={commandText(row)} />
          ),
      };
    case 'user':
      return {
        title,
        size: 'name',
        grows: true,
        cell: (row) => {
          const text = usersText(row);
          return text === allUsers ? (
            <strong>{allUsers}</strong>
          ) : (
            pick(row, <Name value={text || undefined} max={40} />)
          );
        },
      };
    case 'duration':
      return {
        title,
        kind: 'number',
        // A phone has room for whole names instead.
        line: 0,
        cell: ({ fields }) => {
          const value = fields[key];
          // Of a grant it is how long it lives.
          return kindOf(fields) === 'command' && typeof value === 'number' ? <Duration ms={value} /> : '';
        },
      };
    case 'text':
      return {
        title,
        size: key === 'backend' ? 'word' : 'name',
        line: key === 'principal' ? 2 : 0,
        cell: (row) => pick(row, <Name value={textOf(row, key) || undefined} max={40} />),
      };
    default:
      return kind satisfies never;
  }
}

interface ColumnsProps {
  readonly columns: readonly TrailColumn[];
  readonly onColumns: (columns: readonly TrailColumn[]) => void;
}

export function Columns({ columns, onColumns }: ColumnsProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button kind="small" onClick={() => setOpen(true)}>
        Columns
      </Button>
      {isOpen && (
        <Dialog title="Columns of the table" isDrawer onClose={() => setOpen(false)}>
          <div class="columns">
            <fieldset>
              <legend class="unseen">Columns of the table</legend>
              {trailColumns.map((column) => {
                const isChosen = columns.includes(column);
                return (
                  <label key={column.id}>
                    <input
                      type="checkbox"
                      checked={isChosen}
                      onChange={() =>
                        onColumns(isChosen ? columns.filter((each) => each !== column) : [...columns, column])
                      }
                    />{' '}
                    {column.title}
                  </label>
                );
              })}
            </fieldset>
          </div>
          <div class="buttons">
            <Button onClick={() => setOpen(false)}>Close</Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
