// The trail: a search line, the same as fields, rows with the newest commands first, and what was looked through. The address is the search.

import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { TrailRow } from '../domain/page/trail.js';
import { AskFault } from './api.js';
import { Outcome } from './badge.js';
import { AsCommand, Button, Empty, Name, Sentence, Time } from './kit.js';
import { useDaemonMs } from './live.js';
import { go, Link } from './location.js';
import { pathOf } from './route.js';
import type { ScreenProps } from './screens.js';
import { useSession } from './session.js';
import { outcomeSign } from './signs.js';
import { type Column, Table } from './table.js';
import { TrailFields } from './trail-fields.js';
import { type Finding, findMore } from './trail-find.js';
import {
  commandOf,
  completeQuery,
  formatQuery,
  type ParsedQuery,
  parseQuery,
  type QueryKey,
  type Terms,
  trailPath,
} from './trail-query.js';
import {
  columnsOf,
  columnsText,
  commandText,
  knownValues,
  lookedText,
  outcomeOf,
  retiredTexts,
  type TrailColumn,
  trailColumns,
  valueText,
  wantedOf,
  wouldText,
} from './trail-rows.js';
import { TrailSave } from './trail-save.js';
import { plural } from './wording.js';

/** The place of a search with other columns. */
function placeOf(line: string, columns: string | null): string {
  const query = new URLSearchParams();
  if (line !== '') query.set('q', line);
  if (columns !== null) query.set('columns', columns);
  const text = query.toString();
  return text === '' ? '/trail' : `/trail?${text}`;
}

export function TrailScreen({ query }: ScreenProps) {
  const clock = useDaemonMs();
  if (clock === undefined) return <Empty>Waiting for the first news of the daemon …</Empty>;
  return <Search query={query} clock={clock} />;
}

interface SearchProps {
  readonly query: URLSearchParams;
  /** The daemon's. */
  readonly clock: () => number;
}

function Search({ query, clock }: SearchProps) {
  const line = query.get('q') ?? '';
  const columns = columnsOf(query.get('columns'));
  // Times that are counted from now are counted once for a search and its next pages.
  const [asked, setAsked] = useState({ line, parsed: parseQuery(line, clock()), round: 0 });
  const askFor = (next: string): void =>
    setAsked({ line: next, parsed: parseQuery(next, clock()), round: asked.round + 1 });
  if (asked.line !== line) askFor(line);
  const { parsed, round } = asked;
  const [known, setKnown] = useState<Partial<Record<QueryKey, readonly string[]>>>({});
  // The same once more is asked anew: commands came meanwhile.
  const search = (next: string): void =>
    next.trim() === line ? askFor(line) : go(placeOf(next.trim(), query.get('columns')));
  return (
    <>
      <SearchLine key={line} line={line} known={known} onSearch={search} />
      {'problem' in parsed ? (
        <p role="alert" class="said bad">
          <Name value={parsed.problem} max={1000} />
        </p>
      ) : (
        <Results
          key={round}
          parsed={parsed}
          columns={columns}
          onColumns={(next) => go(placeOf(line, columnsText(next)), true)}
          onRows={(rows) => setKnown(knownValues(rows))}
        />
      )}
    </>
  );
}

interface SearchLineProps {
  readonly line: string;
  readonly known: Partial<Record<QueryKey, readonly string[]>>;
  readonly onSearch: (line: string) => void;
}

function SearchLine({ line, known, onSearch }: SearchLineProps) {
  const [text, setText] = useState(line);
  const [isFields, setFields] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const offers = text === line ? [] : completeQuery(text, known);
  const parsed = parseQuery(text, Date.now());
  return (
    <form
      class="trail-search"
      onSubmit={(event) => {
        event.preventDefault();
        onSearch(text);
      }}
    >
      <div class="field">
        <label for={id}>Search the trail</label>
        <div class="search-line">
          <input
            id={id}
            ref={input}
            type="search"
            value={text}
            spellcheck={false}
            autocapitalize="none"
            autocomplete="off"
            placeholder="user:alice* command:expunge since:7d outcome:failed"
            aria-describedby={`${id}-hint`}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <Button type="submit" kind="main">
            Search
          </Button>
          <Button onClick={() => setFields(!isFields)}>{isFields ? 'Without fields' : 'Fields'}</Button>
        </div>
        <p class="hint" id={`${id}-hint`}>
          All that is given must match. A value with blanks stands in quotes.
        </p>
      </div>
      {offers.length > 0 && (
        <p class="offers" aria-label="What may stand there">
          {offers.map((offer) => (
            <button
              key={offer.line}
              type="button"
              class="button small"
              onClick={() => {
                setText(offer.line);
                input.current?.focus();
              }}
            >
              <Name value={offer.text} isCode />
            </button>
          ))}
        </p>
      )}
      {isFields && <TrailFields parsed={parsed} onLine={setText} />}
    </form>
  );
}

interface ResultsProps {
  readonly parsed: Extract<ParsedQuery, { readonly terms: Terms }>;
  readonly columns: readonly TrailColumn[];
  readonly onColumns: (columns: readonly TrailColumn[]) => void;
  readonly onRows: (rows: readonly TrailRow[]) => void;
}

type Finder = { readonly found: Finding | undefined; readonly isBusy: boolean; readonly fault?: string };

function Results({ parsed, columns, onColumns, onRows }: ResultsProps) {
  const { api, me } = useSession();
  const [{ found, isBusy, fault }, setState] = useState<Finder>({ found: undefined, isBusy: true });
  const running = useRef<AbortController | undefined>(undefined);
  const more = (known: Finding | undefined): void => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setState({ found: known, isBusy: true });
    const onChange = (next: Finding): void => setState({ found: next, isBusy: true });
    let last = known;
    const keep = (next: Finding): void => {
      last = next;
      onChange(next);
    };
    findMore({ api, filter: parsed.filter, signal: own.signal, onChange: keep }, known).then(
      (next) => {
        if (own.signal.aborted) return;
        setState({ found: next, isBusy: false });
        onRows(next.rows);
      },
      (error: unknown) => {
        if (running.current !== own) return;
        if (own.signal.aborted && last !== undefined) setState({ found: last, isBusy: false });
        else if (own.signal.aborted)
          setState({ found: last, isBusy: false, fault: 'Stopped before an answer came.' });
        else
          setState({
            found: last,
            isBusy: false,
            fault: error instanceof AskFault ? error.message : String(error),
          });
      },
    );
  };
  useEffect(() => {
    more(undefined);
    return () => {
      const own = running.current;
      running.current = undefined;
      own?.abort();
    };
  }, []);

  return (
    <>
      {me.users !== undefined && (
        <p class="hint">
          You see the records of <Name value={me.users.join(' ')} /> only: commands that touch other users
          too, or all of them, are hidden.
        </p>
      )}
      <Columns columns={columns} onColumns={onColumns} />
      <Table
        label="Commands, the newest first"
        rows={found?.rows ?? []}
        columns={columns.map(columnOf)}
        keyOf={(row) => String(row.admittedSeq ?? valueText(row.fields['id']))}
        toneOf={(row) => {
          const { tone } = outcomeSign(outcomeOf(row));
          return tone === 'bad' || tone === 'warn' ? `tone-${tone}` : undefined;
        }}
        onOpen={(row) => {
          const wanted = wantedOf(row);
          if (wanted !== undefined) go(pathOf('/trail/:id', wanted));
        }}
        empty={isBusy || fault !== undefined ? null : <NothingFound found={found} terms={parsed.terms} />}
      />
      <div class="trail-end">
        <p role="status">
          {isBusy ? 'Searching … ' : ''}
          {(found !== undefined || !isBusy) && fault === undefined && (
            <Sentence text={lookedText(found?.looked, !isBusy && found?.before === undefined)} />
          )}
        </p>
        {fault !== undefined && (
          <p role="alert" class="said bad">
            <Sentence text={fault} />
          </p>
        )}
        {isBusy && <Button onClick={() => running.current?.abort()}>Stop</Button>}
        {!isBusy && fault !== undefined && <Button onClick={() => more(found)}>Try again</Button>}
        {!isBusy && fault === undefined && found?.before !== undefined && (
          <Button kind="main" onClick={() => more(found)}>
            Go on with older commands
          </Button>
        )}
      </div>
      <Notes found={found} />
      <TrailSave filter={parsed.filter} />
      <AsCommand>{commandOf(parsed.terms)}</AsCommand>
    </>
  );
}

function columnOf(column: TrailColumn): Column<TrailRow> {
  const { title, kind, key = '' } = column;
  switch (kind) {
    case 'time':
      return { title, cell: ({ fields }) => <Time at={valueText(fields['time'])} isExact /> };
    case 'outcome':
      return {
        title,
        cell: (row) => {
          const would = wouldText(row);
          const outcome = outcomeOf(row);
          return (
            <>
              <Outcome outcome={outcome} />
              {would !== '' && <span class="faint"> ({would})</span>}
            </>
          );
        },
      };
    case 'command':
      return {
        title,
        kind: 'wide',
        cell: (row) => <Name value={commandText(row) || undefined} max={80} isCode />,
      };
    case 'number':
      return {
        title,
        kind: 'number',
        cell: ({ fields }) => {
          const value = fields[key];
          return typeof value === 'number' ? Math.round(value) : '';
        },
      };
    case 'text':
      return {
        title,
        cell: ({ fields }) => <Name value={valueText(fields[key]) || undefined} max={40} />,
      };
    default:
      return kind satisfies never;
  }
}

function Columns({ columns, onColumns }: Pick<ResultsProps, 'columns' | 'onColumns'>) {
  return (
    <details class="columns">
      <summary>Columns</summary>
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
    </details>
  );
}

function NothingFound({ found, terms }: { readonly found: Finding | undefined; readonly terms: Terms }) {
  const { user } = terms;
  if (found?.before !== undefined)
    return <Empty>Nothing among these records yet. Older ones have not been looked through.</Empty>;
  return (
    <Empty>
      No command matches. {user === undefined ? 'Try fewer words, or a longer time (since:30d). ' : ''}
      {user !== undefined && !user.includes('@') && (
        <>
          Users mostly have a domain: try <Name value={formatQuery({ user: `${user}@*` })} max={100} isCode />
          .{' '}
        </>
      )}
      {found !== undefined && found.meant.length > 0 && (
        <>
          Did you mean{' '}
          {found.meant.map((name) => (
            <Link key={name} to={trailPath({ ...terms, user: name })}>
              <Name value={name} />
            </Link>
          ))}
          ?
        </>
      )}
    </Empty>
  );
}

function Notes({ found }: { readonly found: Finding | undefined }) {
  const retired = retiredTexts(found?.retired ?? []);
  const notes = found?.notes ?? [];
  return (
    <>
      {retired.map((text) => (
        <p class="hint" key={text}>
          <Sentence text={text} />
        </p>
      ))}
      {notes.length > 0 && (
        <div class="said bad">
          <p>{plural(notes.length, 'place', 'places')} of the journal could not be read as it should be:</p>
          {notes.slice(0, 10).map((note) => (
            <p key={note}>
              <Name value={note} max={300} />
            </p>
          ))}
          <p>
            <Link to="/proof">The screen "Proof"</Link> says what can be trusted.
          </p>
        </div>
      )}
    </>
  );
}
