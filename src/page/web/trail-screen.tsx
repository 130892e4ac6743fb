// The trail: a search line, rows with the newest commands first, and what was looked through. The address is the search.

import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { isExchange, requestOf } from '../../evidence/story/row.js';
import type { AskTrail } from '../../evidence/views/asked.js';
import type { Histogram as Counted } from '../../evidence/views/trail.js';
import { notOk } from '../../gate/outcome/class.js';
import { countWords, plural } from '../../host/words/words.js';
import { valueText } from '../../journal/records/stored.js';
import { useAnswer, useTask } from './asked.js';
import { About, ExchangeScreen, Raw } from './exchange-screen.js';
import { AsCommand, Button, Empty, Fault, Name, Panel, Sentence, Sentences, saveFile } from './kit.js';
import { useDaemonMs } from './live.js';
import { entryName, go, Link } from './location.js';
import { pathOf, type ScreenProps } from './route.js';
import { type Session, useSession } from './session.js';
import { outcomeSign } from './signs.js';
import { Sums } from './sums-part.js';
import { Table } from './table.js';
import { Histogram } from './time-chart.js';
import { Columns, filterColumn, type TrailColumn, trailColumns } from './trail-columns.js';
import { collectFile, type Finding, fileNameOf, findMore, type SaveForm } from './trail-find.js';
import { Chips, type ChipsProps, Kinds, NotOk, Picks, Presets, type Wanted } from './trail-picks.js';
import {
  commandOf,
  completeQuery,
  formatQuery,
  type Parsed,
  type ParsedQuery,
  parseQuery,
  type QueryKey,
  type Terms,
  trailPath,
} from './trail-query.js';
import {
  columnsOf,
  columnsText,
  knownValues,
  lastColumnOf,
  lookedText,
  queryValue,
  retiredTexts,
  type ShownRow,
  wantedOf,
} from './trail-rows.js';

/** The search of an address that has none. */
const usualLine = 'since:24h';

function placeOf(line: string, columns: string | null, opened?: string): string {
  const query = new URLSearchParams({ q: line });
  if (columns !== null) query.set('columns', columns);
  if (opened !== undefined) query.set('open', opened);
  return `/trail?${query.toString()}`;
}

export function TrailScreen({ query }: ScreenProps) {
  const clock = useDaemonMs();
  if (clock === undefined) return <Empty>Waiting for the first news of the daemon …</Empty>;
  return <Search query={query} clock={clock} />;
}

/** A search with what it found, in this tab only. */
interface Kept {
  readonly round: number;
  readonly line: string;
  /** When it was asked, by the clock of the daemon. */
  readonly atMs: number;
  /** Relative times are resolved once for a search and its next pages. */
  readonly parsed: ParsedQuery;
  found?: Finding;
  counted?: Counted;
}

/** By the entry of the history. Somebody whose view was changed has another session. */
const keptOf = new WeakMap<Session, Map<string, Kept>>();
const keptMax = 10;
let rounds = 0;

/** A step back shows what was found then, without another search. */
function searchFor(session: Session, line: string, nowMs: number, isNew: boolean): Kept {
  const all = keptOf.get(session) ?? new Map<string, Kept>();
  keptOf.set(session, all);
  const entry = entryName();
  const known = all.get(entry);
  if (!isNew && known?.line === line) return known;
  rounds += 1;
  const kept: Kept = { round: rounds, line, atMs: nowMs, parsed: parseQuery(line, nowMs) };
  all.set(entry, kept);
  for (const oldest of all.keys()) if (all.size > keptMax) all.delete(oldest);
  return kept;
}

function Search({ query, clock }: { readonly query: URLSearchParams; readonly clock: () => number }) {
  const session = useSession();
  const line = query.get('q') ?? usualLine;
  const [asked, setAsked] = useState(() => searchFor(session, line, clock(), false));
  if (asked.line !== line) setAsked(searchFor(session, line, clock(), false));
  const { parsed } = asked;
  const last = lastColumnOf('terms' in parsed ? parsed.filter : {});
  const columns = columnsOf(trailColumns, query.get('columns'), last);
  const [known, setKnown] = useState<Partial<Record<QueryKey, readonly string[]>>>({});
  // The same search again asks the daemon again: there may be new commands.
  const search = (next: string): void =>
    next.trim() === line
      ? setAsked(searchFor(session, line, clock(), true))
      : go(placeOf(next.trim(), query.get('columns')));
  const onWanted = ({ terms, not }: Wanted): void => search(formatQuery(terms, not));
  const opened = query.get('open') ?? undefined;
  return (
    <>
      <SearchLine
        key={line}
        line={line}
        known={known}
        onSearch={search}
        wanted={'terms' in parsed ? parsed : { terms: {} }}
        onWanted={onWanted}
      />
      {'problem' in parsed ? (
        <Fault text={parsed.problem} />
      ) : (
        <Results
          key={asked.round}
          kept={asked}
          parsed={parsed}
          onWanted={onWanted}
          columns={columns}
          onColumns={(next) => go(placeOf(line, columnsText(next, last), opened), true)}
          opened={opened}
          onOpened={(next) => {
            // A step back from what was opened leads to the same search, with what it found.
            go(placeOf(line, query.get('columns'), next), opened !== undefined);
            keptOf.get(session)?.set(entryName(), asked);
          }}
          onRows={(rows) => setKnown(knownValues(rows))}
        />
      )}
    </>
  );
}

interface SearchLineProps extends ChipsProps {
  readonly line: string;
  readonly known: Partial<Record<QueryKey, readonly string[]>>;
  readonly onSearch: (line: string) => void;
}

function SearchLine({ line, known, onSearch, wanted, onWanted }: SearchLineProps) {
  const [text, setText] = useState(line);
  const { me } = useSession();
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const offers = text === line ? [] : completeQuery(text, known);
  return (
    <form
      class="trail-search"
      onSubmit={(event) => {
        event.preventDefault();
        if (idForm.test(text.trim())) go(pathOf('/trail/:id', text.trim()));
        else onSearch(text);
      }}
    >
      <div class="search-line">
        <input
          aria-label="Search the trail"
          ref={input}
          type="search"
          value={text}
          spellcheck={false}
          autocapitalize="none"
          autocomplete="off"
          placeholder="for example: user:alice* command:expunge since:7d -outcome:ok; or the id of a command"
          aria-describedby={id}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <Button type="submit" kind="main">
          Search
        </Button>
      </div>
      <div class="chips search-more">
        <Presets wanted={wanted} onWanted={onWanted} />
        <Kinds wanted={wanted} onWanted={onWanted} isLimited={me.users !== undefined} />
        <NotOk wanted={wanted} onWanted={onWanted} />
        <span class="hint wide-only" id={id}>
          All must match. Quote blanks; a minus leaves out.
        </span>
      </div>
      <Chips wanted={wanted} onWanted={onWanted} />
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
    </form>
  );
}

/** The id of a command, as in logs, notices and answers over HTTP. */
const idForm = /^[0-9A-HJKMNP-TV-Z]{26}$/;

interface ResultsProps extends Pick<ChipsProps, 'onWanted'> {
  readonly kept: Kept;
  readonly parsed: Parsed;
  /** The row that is open beside the list, as {@link wantedOf} names it. */
  readonly opened: string | undefined;
  readonly onOpened: (wanted: string | undefined) => void;
  readonly columns: readonly TrailColumn[];
  readonly onColumns: (columns: readonly TrailColumn[]) => void;
  readonly onRows: (rows: readonly ShownRow[]) => void;
}

function Results(props: ResultsProps) {
  const { kept, parsed, onWanted, columns, onColumns, opened, onOpened, onRows } = props;
  const { api, me } = useSession();
  const [found, setFound] = useState(kept.found);
  const { said: fault, run, stop, ...task } = useTask();
  const isBusy = task.isBusy || (found === undefined && fault === '');
  const more = (known: Finding | undefined): void =>
    run(async (signal) => {
      let last = known;
      const onChange = (next: Finding): void => {
        last = next;
        setFound(next);
      };
      try {
        kept.found = await findMore({ api, filter: parsed.filter, not: parsed.not, signal, onChange }, known);
        setFound(kept.found);
        onRows(kept.found.rows);
      } catch (error) {
        // Stopped after rows have come: keep them.
        if (!signal.aborted || last === undefined) throw error;
      }
      return '';
    }, 'Stopped before an answer came.');
  useEffect(() => {
    if (kept.found === undefined) more(undefined);
    else onRows(kept.found.rows);
  }, []);

  const [picked, setPicked] = useState<ShownRow>();
  const [onlyCounted, setOnlyCounted] = useState(kept.counted?.onlyCounted);
  const rows = found?.rows ?? [];
  const isThrough = !isBusy && found?.before === undefined;
  const onSpan = (fromMs: number, toMs: number): void => {
    const [since, until] = [fromMs, toMs].map((ms) => new Date(ms).toISOString().replace('.000Z', 'Z'));
    if (since !== undefined && until !== undefined)
      onWanted({ ...parsed, terms: { ...parsed.terms, since, until } });
  };
  return (
    <>
      {me.users !== undefined && (
        <p class="hint">
          You see the records of <Name value={me.users.join(' ')} /> only: commands that touch other users
          too, or all of them, are hidden.
        </p>
      )}
      {(rows.length > 0 || isBusy || isThrough) && (
        <TrailHistogram
          {...{ kept, parsed, isThrough, onSpan }}
          rows={rows.length}
          onCounted={setOnlyCounted}
        />
      )}
      <div class={opened === undefined ? undefined : 'beside'}>
        <Panel
          title={
            parsed.filter.outcome === notOk
              ? 'What did not go well'
              : (parsed.filter.kind ?? 'command') === 'command' && parsed.filter.by === undefined
                ? 'Commands'
                : 'What people did'
          }
          count={`${isThrough ? '' : 'the newest '}${onlyCounted === undefined ? countWords(rows.length) : `${plural(rows.length, 'row')}, and ${onlyCounted}`}`}
          controls={<Columns columns={columns} onColumns={onColumns} />}
          isTable
        >
          <Table
            label="Commands, the newest first"
            isDense
            rows={rows}
            columns={[...columns, filterColumn(setPicked)]}
            keyOf={(row) => String(row.admittedSeq ?? valueText(row.fields['id']))}
            toneOf={(row) => {
              const { tone } = outcomeSign(queryValue(row, 'outcome'));
              const isHere = opened !== undefined && wantedOf(row) === opened ? ' here' : '';
              return `${tone === 'bad' || tone === 'warn' ? `tone-${tone}` : ''}${isHere}`;
            }}
            onOpen={(row) => {
              const id = wantedOf(row);
              const request = requestOf(row.fields);
              if (id === undefined) return;
              if (window.matchMedia('(min-width: 1100px)').matches) onOpened(id);
              else if (isExchange(row.fields)) go(pathOf('/trail/:id', id));
              else if (request !== undefined) go(pathOf('/access/:id', request));
              else setPicked(row);
            }}
            onKey={(key, row) => {
              if (key === 'f') setPicked(row);
              return key === 'f';
            }}
            empty={isBusy || fault !== '' ? null : <NothingFound found={found} terms={parsed.terms} />}
          />
          <div class="trail-end">
            <p role="status">
              {isBusy ? 'Searching … ' : ''}
              {(found !== undefined || !isBusy) && fault === '' && (
                <Sentence
                  text={lookedText(found?.looked, isThrough, parsed.filter.sinceMs !== undefined)}
                  isExact
                />
              )}
              {found !== undefined &&
                found.leftOut > 0 &&
                ` ${plural(found.leftOut, 'command is', 'commands are')} left out of the rows and the bars; saved files have them.`}
            </p>
            <Fault text={fault} />
            {isBusy && <Button onClick={stop}>Stop</Button>}
            {!isBusy && fault !== '' && <Button onClick={() => more(found)}>Try again</Button>}
            {!isBusy && fault === '' && found?.before !== undefined && (
              <Button kind="main" onClick={() => more(found)}>
                Go on with older commands
              </Button>
            )}
          </div>
        </Panel>
        {opened !== undefined && <Opened wanted={opened} rows={rows} onOpened={onOpened} />}
      </div>
      <Notes found={found} />
      <TrailSave filter={parsed.filter} />
      <AsCommand>{commandOf(parsed)}</AsCommand>
      {picked !== undefined && (
        <Picks
          row={picked}
          wanted={parsed}
          onWanted={(next) => {
            setPicked(undefined);
            onWanted(next);
          }}
          onClose={() => setPicked(undefined)}
        />
      )}
    </>
  );
}

interface OpenedProps {
  readonly wanted: string;
  readonly rows: readonly ShownRow[];
  readonly onOpened: (wanted: string | undefined) => void;
}

/** Beside the list: one command with its story, or what was recorded of something else. */
function Opened({ wanted, rows, onOpened }: OpenedProps) {
  const at = rows.findIndex((row) => wantedOf(row) === wanted);
  const row = rows[at];
  const isOther = row !== undefined && !isExchange(row.fields);
  const neighborOf = (step: 1 | -1): string | undefined => {
    const next = at < 0 ? undefined : rows[at + step];
    return next && wantedOf(next);
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof Element && event.target.matches('input, textarea, select');
      if (event.defaultPrevented || isTyping || document.querySelector('dialog[open]') !== null) return;
      const to = event.key === '[' ? neighborOf(-1) : neighborOf(1);
      if (event.key === 'Escape') onOpened(undefined);
      else if ((event.key === '[' || event.key === ']') && to !== undefined) onOpened(to);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });
  const toNeighbor = (step: 1 | -1, text: string, key: string) => {
    const to = neighborOf(step);
    return (
      <Button kind="small" isOff={to === undefined} title={`key: ${key}`} onClick={() => onOpened(to)}>
        {text}
      </Button>
    );
  };
  return (
    <aside class="opened" aria-label={isOther ? 'Record' : 'Exchange'}>
      <div class="row">
        {toNeighbor(-1, 'The row above', '[')}
        {toNeighbor(1, 'The row below', ']')}
        <Link to={pathOf('/trail/:id', wanted)} class="button small">
          Alone
        </Link>
        <Button kind="small" title="key: Escape" onClick={() => onOpened(undefined)}>
          Close
        </Button>
      </div>
      {isOther ? (
        <>
          <About row={row} />
          <details>
            <summary>The record as it is stored</summary>
            <Raw record={row.fields} />
          </details>
        </>
      ) : (
        <ExchangeScreen key={wanted} params={[wanted]} query={noQuery} />
      )}
    </aside>
  );
}

const noQuery = new URLSearchParams();

function NothingFound({ found, terms }: { readonly found: Finding | undefined; readonly terms: Terms }) {
  const { user } = terms;
  if (found?.before !== undefined)
    return <>Nothing among these records yet. Older ones have not been looked through.</>;
  return (
    <>
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
    </>
  );
}

function Notes({ found }: { readonly found: Finding | undefined }) {
  const notes = found?.notes ?? [];
  return (
    <>
      <Sentences texts={retiredTexts(found?.retired ?? [])} kind="hint" />
      {notes.length > 0 && (
        <div class="said bad">
          <p>{plural(notes.length, 'place', 'places')} of the journal could not be read as it should be:</p>
          <Sentences texts={notes.slice(0, 10)} />
          <p>
            <Link to="/proof">The screen "Proof"</Link> says what can be trusted.
          </p>
        </div>
      )}
    </>
  );
}

// The histogram reads all that the search covers, so it is asked for after the rows.
interface TrailHistogramProps {
  readonly kept: Kept;
  readonly parsed: Parsed;
  /** How many are in the table. */
  readonly rows: number;
  readonly isThrough: boolean;
  readonly onSpan: (fromMs: number, toMs: number) => void;
  /** Called with what has no rows, in words. */
  readonly onCounted: (words: string | undefined) => void;
}

function TrailHistogram({ kept, parsed, rows, isThrough, onSpan, onCounted }: TrailHistogramProps) {
  const { filter, not = [] } = parsed;
  const { api } = useSession();
  const [before] = useState(kept.counted);
  const body = not.length === 0 ? { filter } : { filter, not };
  // Without any row, commands may have been counted only.
  const isDue = before === undefined && (rows > 0 || isThrough);
  const { value = before, fault } = useAnswer(isDue ? JSON.stringify(body) : undefined, async (signal) => {
    kept.counted = await api.json<Counted>('POST /api/trail/histogram', { body, signal });
    onCounted(kept.counted.onlyCounted);
    return kept.counted;
  });
  if (fault !== undefined) return <Sentences texts={[fault]} kind="hint" />;
  if (value === undefined) return <Empty>Counting …</Empty>;
  const counted = value.counted !== undefined && <Sentences texts={[value.counted]} kind="hint" />;
  if (value.buckets.length === 0) return <>{counted}</>;
  const sum = value.buckets.reduce(
    (all, { ok, denied, failed, unknown }) => all + ok + denied + failed + unknown,
    0,
  );
  const from = value.looked?.fromTime;
  const older = from === undefined ? 'older commands' : `commands before {${from}}`;
  // New commands came meanwhile, or time ran out.
  const atLeast = !value.isWhole || rows > sum ? Math.max(rows, sum) : undefined;
  return (
    <>
      <section class="panel" aria-label="Commands over time">
        <div class="inside">
          <Histogram
            label="Commands found"
            bars={value.buckets}
            step={value.step}
            untilMs={filter.untilMs ?? kept.atMs}
            atLeast={atLeast}
            onSpan={onSpan}
          />
          {counted}
          {!value.isWhole && <Sentences texts={[`Time ran out: ${older} are not counted.`]} kind="hint" />}
        </div>
      </section>
      <Sums counted={value} parsed={parsed} />
    </>
  );
}

const forms: readonly { readonly form: SaveForm; readonly text: string; readonly type: string }[] = [
  { form: 'csv', text: 'Save as CSV', type: 'text/csv' },
  { form: 'json', text: 'Save as JSON lines', type: 'application/x-ndjson' },
  { form: 'extract', text: 'Save with proof', type: 'text/plain' },
];

export function TrailSave({ filter }: { readonly filter: AskTrail['filter'] }) {
  const { api, me } = useSession();
  const { said, say, isBusy, run, stop } = useTask();
  const save = ({ form, type }: (typeof forms)[number]): void =>
    run(async (signal) => {
      say('Reading the journal …');
      const onRows = (rows: number): void => say(`${plural(rows, 'command', 'commands')} so far …`);
      const saved = await collectFile({ api, filter, signal, onRows }, form);
      saveFile(
        new Blob([...saved.texts], { type: `${type};charset=utf-8` }),
        fileNameOf(me.host, form, Date.now()),
      );
      const more = saved.isWhole ? '' : ' There are more: the command line gives all of them.';
      const damage = saved.notes.length > 0 ? ' The journal is damaged, so some may be missing.' : '';
      const counted = saved.counted && `, and ${saved.counted}: rows with a count say when and of whom`;
      return `${plural(saved.rows, 'row')} saved${counted}.${more}${damage}`;
    }, 'Stopped; nothing was saved.');
  return (
    <section class="trail-save" aria-label="Save what is found">
      <div class="row">
        {forms.map((each) => (
          <Button key={each.form} isOff={isBusy} onClick={() => save(each)}>
            {each.text}
          </Button>
        ))}
        {isBusy && <Button onClick={stop}>Stop</Button>}
        <span role="status">{said}</span>
      </div>
      <p class="hint">
        All commands that the search finds, the oldest first. "With proof" is an extract that the key of the
        journal signs: it proves that dovegate showed these rows for this question. A proof by the chain,
        which needs the lines between, is made from the files: dovegate audit export --with-proof.
      </p>
      <p class="hint">
        It is checked with <code>dovegate audit check-proof FILE --key KEY</code>; KEY is a copy of the public
        key of the journal (key.pub) that came another way than the file.
      </p>
    </section>
  );
}
