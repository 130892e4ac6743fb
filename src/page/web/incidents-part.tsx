// A strip of the last hours under the charts, a line for each backend, one for dovegate and one for each silent gate, and the same as rows:
// what was down, stuck, drained, restarted, reloaded or killed, when, how long, by whom, and what it has cost. A row, or its mark in the
// strip, shows the time around it.

import { useState } from 'preact/hooks';
import { durationWords, plural } from '../../host/words/words.js';
import type { Incidents } from '../answers/history.js';
import { useAgain } from './asked.js';
import { Effect } from './badge.js';
import { Name, Names, Panel, Pending, Segments, Sentence, Sign, Time } from './kit.js';
import { useLive } from './live.js';
import { Link } from './location.js';
import { encoded, pathOf } from './route.js';
import { mayDo, useSession } from './session.js';
import type { Tone } from './signs.js';
import { type Column, Table } from './table.js';
import { visible } from './visible.js';

type Incident = Incidents['rows'][number];

const againMs = 10_000;
const hourMs = 3_600_000;
/** The least time shown on each side of an incident. */
const leastBesideMs = 300_000;
/** Of the width of the strip: a narrower mark cannot be seen. */
const leastWidth = 3;
const width = 1000;

const tones: Readonly<Record<Incident['kind'], Tone>> = {
  down: 'bad',
  stuck: 'bad',
  drained: 'warn',
  reserve: 'bad',
  blind: 'bad',
  silent: 'bad',
  restarted: 'quiet',
  reloaded: 'quiet',
  'not reloaded': 'warn',
  killed: 'quiet',
  locked: 'warn',
  held: 'warn',
};

/** An intended restart is no warning, nor is a drain, lock or hold that was lifted. */
function toneOf({ kind, isLost, isWider, until }: Incident): Tone {
  if (until !== undefined && /^(drained|locked|held)$/.test(kind)) return 'quiet';
  return (kind === 'restarted' && isLost === true) || isWider === true ? 'warn' : tones[kind];
}

const spans = [
  { value: '1', text: 'last hour' },
  { value: '6', text: '6 h' },
  { value: '24', text: '24 h' },
] as const;

export function IncidentsPart() {
  const { api } = useSession();
  const { value: incidents, fault } = useAgain(
    'incidents',
    () => againMs,
    (signal) => api.json<Incidents>('GET /api/incidents', { signal }),
  );
  const [hours, setHours] = useState<(typeof spans)[number]['value']>('24');
  const [seen, setSeen] = useState<string>();
  const until = incidents?.until ?? '';
  const from = new Date((Date.parse(until) || 0) - Number(hours) * hourMs).toISOString();
  const rows = (incidents?.rows ?? []).filter((row) => row.until === undefined || row.until >= from);
  const chosen = rows.find((row) => keyOf(row) === seen);
  const see = (row: Incident): void => setSeen(row === chosen ? undefined : keyOf(row));
  const choice = (
    <Segments
      label="Time of the incidents"
      value={chosen === undefined ? hours : undefined}
      options={spans}
      onChange={(next) => {
        setHours(next);
        setSeen(undefined);
      }}
    />
  );
  return (
    <div class="later incidents">
      <Panel title="Incidents" controls={choice} isTable>
        {incidents === undefined ? (
          <Pending fault={fault}>Reading the journal …</Pending>
        ) : (
          <>
            {rows.length > 0 && (
              <Strip
                rows={rows}
                {...(chosen === undefined ? { from, until } : around(chosen, until))}
                onSee={see}
              />
            )}
            <Table
              label={`Outages and what operators did, ${hoursWords(hours)}, what goes on first, then what began last`}
              rows={rows}
              columns={columnsOf(until)}
              keyOf={keyOf}
              onOpen={see}
              toneOf={(row) => (row === chosen ? 'here' : undefined)}
              empty={
                <>
                  In {hoursWords(hours)} no backend was down or drained, the journal took each record,
                  dovegate was neither restarted nor reloaded, nothing was locked or held, and no command was
                  killed. No other gate is known to be silent.
                </>
              }
            />
            {incidents.trouble !== undefined && (
              <p class="faint inside">
                Not all of it is known: <Sentence text={incidents.trouble} />.
              </p>
            )}
          </>
        )}
      </Panel>
    </div>
  );
}

function hoursWords(hours: string): string {
  return hours === '1' ? 'the last hour' : `the last ${hours} hours`;
}

/** Incidents of one kind and moment, such as two kills, differ in the commands that they hit. */
function keyOf({ kind, backend = '', host = '', lock = '', since = '', text, left = [] }: Incident): string {
  return `${kind} ${backend}${host}${lock} ${since} ${left[0]?.id ?? ''} ${since === '' ? text : ''}`;
}

/** The time of an incident, with half of it added on each side, but enough to see the others beside it. */
function around({ since, until }: Incident, now: string): { readonly from: string; readonly until: string } {
  const [beginMs, endMs] = [Date.parse(since ?? until ?? now), Date.parse(until ?? now)];
  const besideMs = Math.max(leastBesideMs, (endMs - beginMs) / 2);
  const [from, to] = [beginMs - besideMs, Math.min(endMs + besideMs, Date.parse(now))];
  return { from: new Date(from).toISOString(), until: new Date(to).toISOString() };
}

function columnsOf(now: string): Column<Incident>[] {
  return [
    {
      title: 'since',
      line: 1,
      cell: ({ since }) =>
        since === undefined ? <span class="faint">earlier</span> : <Time at={since} isExact />,
    },
    {
      title: 'until',
      line: 1,
      cell: ({ since, until }) =>
        until === undefined ? 'now' : until !== since && <Time at={until} isExact />,
    },
    {
      title: 'for',
      kind: 'number',
      line: 1,
      cell: ({ since, until = now }) =>
        since !== undefined && since !== until && durationWords(msBetween(since, until)),
    },
    { title: 'what', line: 1, grows: true, cell: (row) => <Sign tone={toneOf(row)}>{row.kind}</Sign> },
    { title: 'what happened', kind: 'wide', line: 3, cell: (row) => <What {...row} /> },
  ];
}

function What({ kind, backend: place, since, until, text, widens = [], left = [] }: Incident) {
  const session = useSession();
  const next = useLive(
    ({ now }) =>
      until === undefined &&
      now?.head.problems.find((each) => each.code === `backend-${kind}` && each.backend === place)?.try,
  );
  return (
    <>
      <Sentence text={text} />
      {next !== undefined && next !== false && <p class="why">Try: {visible(next)}</p>}
      {mayDo(session, 'audit') &&
        since !== undefined &&
        /^(down|stuck|drained|reserve|blind)$/.test(kind) && (
          <p>
            <Link to={notOkPath(place, since, until)}>What did not go well then</Link>
          </p>
        )}
      {widens.length > 0 && (
        <>
          <Names values={widens} />
          <p>
            <Link to="/policies?days=1">Who changed it, and whether it was used</Link>
          </p>
        </>
      )}
      {left.map(({ id, command = 'a command', effect, content, principal, backend }) => (
        <p key={id}>
          <Name
            value={[command, principal && `of ${principal}`, backend && `at ${backend}`]
              .filter(Boolean)
              .join(' ')}
            max={120}
          />{' '}
          <Effect effect={effect} content={content} />{' '}
          {mayDo(session, 'audit') ? (
            <Link to={pathOf('/trail/:id', id)}>
              <Name value={id} isCode />
            </Link>
          ) : (
            <Name value={id} isCode />
          )}
        </p>
      ))}
    </>
  );
}

/** Built here: the code that reads and writes the search line is not loaded with the first screen. Names of backends need no quotes. */
function notOkPath(backend: string | undefined, since: string, until: string | undefined): string {
  const of = backend === undefined ? '' : `backend:${backend} `;
  return `/trail?q=${encoded(`${of}outcome:not-ok since:${since}${until === undefined ? '' : ` until:${until}`}`)}`;
}

function msBetween(since: string, until: string): number {
  return Math.max(0, Date.parse(until) - Date.parse(since));
}

interface StripProps {
  readonly rows: readonly Incident[];
  /** RFC 3339, as `until`. */
  readonly from: string;
  readonly until: string;
  readonly onSee: (row: Incident) => void;
}

const laneOf = ({ host, backend = '' }: Incident): string => host ?? backend;

/** For the eye and the pointer. The rows below show the same, and can be used by keyboard. */
function Strip({ rows, from, until, onSee }: StripProps) {
  const begin = Date.parse(from);
  const wholeMs = Date.parse(until) - begin;
  const at = (time: string): number =>
    Math.min(width, Math.max(0, ((Date.parse(time) - begin) / wholeMs) * width));
  const within = rows.filter((row) => (row.since ?? '') <= until && (row.until ?? until) >= from);
  const lanes = [...new Set(rows.map(laneOf))].toSorted();
  return (
    <div class="strip" role="img" aria-label={`${plural(within.length, 'incident')}, listed below`}>
      {lanes.map((lane) => (
        <p key={lane}>
          <Name value={lane === '' ? 'dovegate' : lane} max={20} />
          <svg viewBox={`0 0 ${width} 12`} preserveAspectRatio="none" aria-hidden="true">
            <rect width={width} height="12" class="ground" />
            {within
              .filter((row) => laneOf(row) === lane)
              .map((row) => {
                const start = row.since === undefined ? 0 : at(row.since);
                const long = Math.max(leastWidth, at(row.until ?? until) - start);
                const x = Math.min(start, width - long);
                return (
                  <rect
                    key={keyOf(row)}
                    x={x}
                    width={long}
                    height="12"
                    class={`filled ${toneOf(row)}`}
                    onClick={() => onSee(row)}
                  />
                );
              })}
          </svg>
        </p>
      ))}
      <p class="faint">
        <span />
        <span class="ends">
          <Time at={from} isExact />
          <Time at={until} isExact />
        </span>
      </p>
    </div>
  );
}
