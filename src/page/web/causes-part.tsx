// Above the rows of a search: why commands and requests for access did not go well, alike ones in one row.

import type { CauseShown, Causes } from '../../evidence/views/trail.js';
import { countWords, plural } from '../../host/words/words.js';
import { Outcome } from './badge.js';
import { AsCommand, Name, Sentence, Time } from './kit.js';
import { Link } from './location.js';
import { type Column, Table } from './table.js';
import { type Terms, trailPath } from './trail-query.js';

const columnsFor = (terms: Terms): readonly Column<CauseShown>[] => [
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
  {
    title: 'Requester',
    cell: ({ requesters, isMoreRequesters }) => (
      <Name value={[...requesters, ...(isMoreRequesters ? ['and more'] : [])].join(', ')} max={120} />
    ),
  },
  { title: 'First', kind: 'short', cell: ({ firstTime }) => <Time at={firstTime} isExact isDated /> },
  { title: 'Last', kind: 'short', cell: ({ lastTime }) => <Time at={lastTime} isExact isDated /> },
];

interface CausesPartProps {
  readonly causes: Causes;
  readonly isOpen: boolean;
  readonly terms: Terms;
  /** The search in a terminal. */
  readonly command: string;
}

export function CausesPart({ causes: { causes, further }, isOpen, terms, command }: CausesPartProps) {
  if (causes.length === 0) return null;
  return (
    <section class="panel" aria-label="What did not go well, by cause">
      <div class="inside">
        <details open={isOpen}>
          <summary>What did not go well, by cause: {plural(causes.length, 'row')}</summary>
          <Table
            label="What did not go well, by cause"
            rows={causes}
            columns={columnsFor(terms)}
            keyOf={(row) => JSON.stringify([row.outcome, row.command, row.why, row.firstTime])}
            empty={null}
          />
          {further > 0 && <p class="hint">And {countWords(further)} more of further causes.</p>}
          <AsCommand>{`${command} --by-cause`}</AsCommand>
        </details>
      </div>
    </section>
  );
}
