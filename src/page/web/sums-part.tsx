// Above the rows of a search: why commands and requests for access did not go well, with equal ones in one row; whose mail content was
// shown, how often, and to whom; and how many mails were destroyed.

import { isOfTrouble } from '../../evidence/story/row.js';
import type { CauseShown, Histogram, OwnerShown } from '../../evidence/views/trail.js';
import { countWords, plural, timesWords } from '../../host/words/words.js';
import { Outcome } from './badge.js';
import { AsCommand, Name, Sentence, Time } from './kit.js';
import { Link } from './location.js';
import { pathOf } from './route.js';
import { type Column, Table } from './table.js';
import { commandOf, type Parsed, type Terms, trailPath } from './trail-query.js';
import { destroyedWords } from './trail-rows.js';

interface SumProps<T> {
  /** Label of the region; the table has `title` as its label. */
  readonly label: string;
  readonly title: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  readonly isOpen: boolean;
  /** A sentence about what has no row; false: there is nothing more. */
  readonly further: string | false;
  /** The command that shows the same in a terminal. */
  readonly command: string;
}

function Sum<T>({ label, title, rows, columns, keyOf, isOpen, further, command }: SumProps<T>) {
  if (rows.length === 0) return null;
  return (
    <section class="panel" aria-label={label}>
      <div class="inside">
        <details open={isOpen}>
          <summary>
            {title}: {plural(rows.length, 'row')}
          </summary>
          <Table label={title} rows={rows} columns={columns} keyOf={keyOf} />
          {further !== false && <p class="hint">{further}</p>}
          <AsCommand>{command}</AsCommand>
        </details>
      </div>
    </section>
  );
}

const requestersOf = ({ requesters, isMoreRequesters }: CauseShown | OwnerShown) => (
  <Name value={[...requesters, ...(isMoreRequesters ? ['and more'] : [])].join(', ')} max={120} />
);
const last: Column<CauseShown | OwnerShown> = {
  title: 'Last',
  kind: 'short',
  cell: ({ lastTime }) => <Time at={lastTime} isExact isDated />,
};

const causeColumns = (terms: Terms): readonly Column<CauseShown>[] => [
  { title: 'Times', kind: 'number', line: 1, cell: ({ count }) => countWords(count) },
  {
    title: 'Outcome',
    line: 1,
    cell: ({ outcome, command }) => (
      <Link to={trailPath({ ...terms, outcome, ...(command !== '' && { command }) })}>
        <Outcome outcome={outcome} isPlain />
      </Link>
    ),
  },
  { title: 'Command', line: 1, cell: ({ command }) => <Name value={command || undefined} isCode /> },
  { title: 'Why', kind: 'wide', line: 2, cell: ({ why }) => <Sentence text={why} /> },
  { title: 'Requester', cell: requestersOf },
  { title: 'First', kind: 'short', cell: ({ firstTime }) => <Time at={firstTime} isExact isDated /> },
  last,
];

const ownerColumns: readonly Column<OwnerShown>[] = [
  {
    title: 'Mail user',
    cell: ({ what, user }) =>
      user === undefined ? (
        <strong>
          <Name value={what} />
        </strong>
      ) : (
        <Link to={pathOf('/mailbox/:user', user)}>
          <Name value={what} />
        </Link>
      ),
  },
  { title: 'Showed', kind: 'number', cell: ({ showed }) => countWords(showed) },
  { title: 'Searched', kind: 'number', cell: ({ searched }) => countWords(searched) },
  { title: 'May have shown', kind: 'number', cell: ({ maybeShowed }) => countWords(maybeShowed) },
  { title: 'Under a grant', kind: 'number', cell: ({ granted }) => countWords(granted) },
  { title: 'To', kind: 'wide', cell: requestersOf },
  last,
];

interface SumsProps {
  readonly counted: Histogram;
  readonly parsed: Parsed;
}

export function Sums({ counted: { causes, whose, destroyed }, parsed: { terms, filter, not } }: SumsProps) {
  const command = commandOf({ terms, filter, not });
  const gone = filter.effect === 'destroy' ? destroyedWords(destroyed) : '';
  return (
    <>
      {gone !== '' && <p>{gone}</p>}
      <Sum
        label="What did not go well, by cause"
        title="What did not go well, by cause"
        rows={causes.causes}
        columns={causeColumns(terms)}
        keyOf={(row) => JSON.stringify([row.outcome, row.command, row.why, row.firstTime])}
        isOpen={isOfTrouble(filter.outcome)}
        further={causes.further > 0 && `And ${countWords(causes.further)} more of further causes.`}
        command={`${command} --by-cause`}
      />
      <Sum
        label="Mail content shown"
        title="Whose mail content was shown"
        rows={whose.owners}
        columns={ownerColumns}
        keyOf={({ what, user }) => JSON.stringify([what, user])}
        isOpen={filter.effect === 'content'}
        further={whose.further > 0 && `And mail of further users ${timesWords(whose.further)}.`}
        command={`${command} --by-owner`}
      />
    </>
  );
}
