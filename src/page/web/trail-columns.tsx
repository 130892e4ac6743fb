// Columns of the trail: how each shows its value, and which of them are shown.

import { useState } from 'preact/hooks';
import { allUsers, isExchange, remarkOf, requestOf } from '../../evidence/story/row.js';
import { durationWords } from '../../host/words/words.js';
import { valueText } from '../../journal/records/stored.js';
import { Effect, Outcome, Words } from './badge.js';
import { Dialog } from './dialog.js';
import { Button, Name, Sentence, Time } from './kit.js';
import { Link } from './location.js';
import { pathOf } from './route.js';
import { Icon } from './shapes.js';
import type { Column } from './table.js';
import { commandText, isOfCommand, queryValue, type ShownRow, textOf, usersText } from './trail-rows.js';
import { utcTime } from './wording.js';

/** A button in each row; on the keyboard `f` does the same. */
export function filterColumn(onPick: (row: ShownRow) => void): Column<ShownRow> {
  return {
    title: 'search by its values',
    kind: 'action',
    line: 1,
    cell: (row) => (
      <Button
        kind="small"
        label="search by the values of this row"
        title="key: f"
        onClick={() => onPick(row)}
      >
        <Icon name="filter" />
      </Button>
    ),
  };
}

export interface TrailColumn extends Column<ShownRow> {
  /** The name in the address; for a column of texts, the record's key. */
  readonly id: string;
}

const textColumn = (id: string, title: string, more: Partial<TrailColumn> = {}): TrailColumn => ({
  id,
  title,
  line: 0,
  cell: (row) => <Name value={textOf(row, id) || undefined} max={40} />,
  ...more,
});

export const trailColumns: readonly TrailColumn[] = [
  {
    id: 'time',
    title: 'Time',
    line: 1,
    cell: ({ fields }) => <Time at={valueText(fields['time'])} isExact />,
  },
  {
    id: 'utc',
    title: 'Time (UTC)',
    kind: 'short',
    cell: ({ fields }) => <span class="number">{utcTime(valueText(fields['time']))}</span>,
  },
  textColumn('principal', 'Requester', { line: 2 }),
  {
    id: 'user',
    title: 'User',
    grows: true,
    cell: (row) => {
      const text = usersText(row);
      return text === allUsers ? <strong>{text}</strong> : <Name value={text || undefined} max={40} />;
    },
  },
  {
    id: 'command',
    title: 'Command',
    kind: 'rest',
    line: 1,
    grows: true,
    cell: (row) =>
      isOfCommand(row) ? (
        <Words value={commandText(row) || undefined} max={80} />
      ) : (
        <Sentence text={commandText(row)} />
      ),
  },
  {
    id: 'effect',
    title: 'Effect',
    cell: ({ fields, content }) => <Effect effect={valueText(fields['effect'])} content={content} isPlain />,
  },
  { id: 'outcome', title: 'Outcome', kind: 'wide', line: 1, cell: (row) => <Ended row={row} /> },
  textColumn('backend', 'Backend'),
  {
    id: 'ms',
    title: 'Took',
    kind: 'number',
    // A phone has room for whole names instead.
    line: 0,
    cell: ({ fields }) => {
      const ms = fields['duration_ms'];
      // In a record of a grant, it is how long the grant lives.
      return isExchange(fields) && typeof ms === 'number' && durationWords(ms);
    },
  },
  // Dovecot was asked where a rule limits it, and for requests.
  textColumn('matches', 'Mails matched', { kind: 'number', line: 2 }),
  textColumn('listener', 'Listener'),
  textColumn('peer', 'Peer'),
  textColumn('reason', 'Reason', { kind: 'wide' }),
  textColumn('policy', 'Policy'),
  textColumn('rule', 'Rule'),
  textColumn('text', 'Why', { kind: 'wide' }),
  textColumn('status', 'Status line'),
  textColumn('error', 'Error code'),
  textColumn('users', 'All users'),
  textColumn('session', 'Session'),
  textColumn('id', 'Id'),
];

function Ended({ row }: { readonly row: ShownRow }) {
  const remark = remarkOf(row);
  const outcome = queryValue(row, 'outcome');
  const request = requestOf(row.fields);
  const shown = <Outcome outcome={outcome} isPlain />;
  return (
    <>
      {request !== undefined ? (
        <Link to={pathOf('/access/:id', request)}>{shown}</Link>
      ) : (
        outcome !== '' && shown
      )}
      {remark !== '' && (
        <span class="faint would">
          {' '}
          <Name value={remark} max={60} />
        </span>
      )}
    </>
  );
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
