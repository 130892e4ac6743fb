// Beside the commands of a search: whose mail content they showed, how often, and to whom.

import type { OwnerShown, Whose } from '../../evidence/views/trail.js';
import { countWords, plural, timesWords } from '../../host/words/words.js';
import { AsCommand, Name, Time } from './kit.js';
import { Link } from './location.js';
import { pathOf } from './route.js';
import { type Column, Table } from './table.js';

const numberOf = (
  title: string,
  key: 'showed' | 'searched' | 'maybeShowed' | 'granted',
): Column<OwnerShown> => ({
  title,
  kind: 'number',
  cell: (owner) => countWords(owner[key]),
});

const columns: readonly Column<OwnerShown>[] = [
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
  numberOf('Showed', 'showed'),
  numberOf('Searched', 'searched'),
  numberOf('May have shown', 'maybeShowed'),
  numberOf('Under a grant', 'granted'),
  {
    title: 'To',
    kind: 'wide',
    cell: ({ requesters, isMoreRequesters }) => (
      <Name value={[...requesters, ...(isMoreRequesters ? ['and more'] : [])].join(', ')} max={120} />
    ),
  },
  { title: 'Last', kind: 'short', cell: ({ lastTime }) => <Time at={lastTime} isExact isDated /> },
];

interface WhosePartProps {
  readonly whose: Whose;
  readonly isOpen: boolean;
  /** The search in a terminal. */
  readonly command: string;
}

export function WhosePart({ whose: { owners, further }, isOpen, command }: WhosePartProps) {
  if (owners.length === 0) return null;
  return (
    <section class="panel" aria-label="Mail content shown">
      <div class="inside">
        <details open={isOpen}>
          <summary>Whose mail content was shown: {plural(owners.length, 'row')}</summary>
          <Table
            label="Whose mail content was shown"
            rows={owners}
            columns={columns}
            keyOf={({ what, user }) => JSON.stringify([what, user])}
            empty={null}
          />
          {further > 0 && <p class="hint">And mail of further users {timesWords(further)}.</p>}
          <AsCommand>{`${command} --by-owner`}</AsCommand>
        </details>
      </div>
    </section>
  );
}
