// A strip of the last 24 hours under the charts, a line for each backend and one for dovegate, and the same as rows: what was down, stuck,
// drained, restarted, reloaded or killed, when, how long, by whom, and what it has cost.

import { useEffect, useState } from 'preact/hooks';
import type { Incidents } from '../domain/admin/page/history.js';
import { plural } from '../domain/language/words/words.js';
import { sentenceOf } from './api.js';
import { Effect } from './badge.js';
import { Duration, Empty, Name, Panel, Pending, Sentence, Sign, Time } from './kit.js';
import { Link } from './location.js';
import { pathOf } from './route.js';
import { mayDo, useSession } from './session.js';
import type { Tone } from './signs.js';
import { type Column, Table } from './table.js';

type Incident = Incidents['rows'][number];

const againMs = 10_000;
const dayMs = 86_400_000;
/** Of the width of the strip: less is not seen. */
const leastWidth = 3;
const width = 1000;

const tones: Readonly<Record<Incident['kind'], Tone>> = {
  down: 'bad',
  stuck: 'bad',
  drained: 'warn',
  restarted: 'quiet',
  reloaded: 'quiet',
  'not reloaded': 'warn',
  killed: 'quiet',
};

/** A restart that somebody wanted is no warning. */
function toneOf({ kind, isLost }: Incident): Tone {
  return kind === 'restarted' && isLost === true ? 'warn' : tones[kind];
}

function useIncidents(): { readonly incidents?: Incidents; readonly fault?: string } {
  const { api } = useSession();
  const [known, setKnown] = useState<ReturnType<typeof useIncidents>>({});
  useEffect(() => {
    const leaving = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const { signal } = leaving;
      try {
        const incidents = await api.json<Incidents>('GET /api/incidents', { signal });
        setKnown({ incidents });
      } catch (error) {
        if (signal.aborted) return;
        const fault = sentenceOf(error);
        setKnown((before) => ({ ...before, fault }));
      }
      timer = setTimeout(() => void ask(), againMs);
    };
    void ask();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [api]);
  return known;
}

export function IncidentsPart() {
  const { incidents, fault } = useIncidents();
  return (
    <div class="later incidents">
      <Panel title="Incidents of 24 hours" isTable>
        {incidents === undefined ? (
          <Pending fault={fault}>Reading the journal …</Pending>
        ) : (
          <>
            {incidents.rows.length > 0 && <Strip incidents={incidents} />}
            <Table
              label="Outages and what operators did in the last 24 hours, newest first"
              rows={incidents.rows}
              columns={columnsOf(incidents.until)}
              keyOf={({ kind, backend, since, until, left = [] }) =>
                `${kind} ${backend ?? ''} ${since ?? ''} ${until ?? ''} ${left[0]?.id ?? ''}`
              }
              empty={
                <Empty>
                  In the last 24 hours no backend was down or drained, dovegate was neither restarted nor
                  reloaded, and no command was killed.
                </Empty>
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
        since !== undefined && since !== until && <Duration ms={msBetween(since, until)} />,
    },
    { title: 'what', line: 1, grows: true, cell: (row) => <Sign tone={toneOf(row)}>{row.kind}</Sign> },
    { title: 'what happened', kind: 'wide', line: 3, cell: (row) => <What {...row} /> },
  ];
}

function What({ text, left = [] }: Incident) {
  const session = useSession();
  return (
    <>
      <Sentence text={text} />
      {left.map(({ id, command = 'a command', effect, principal, backend }) => (
        <p key={id}>
          <Name
            value={`${command}${principal === undefined ? '' : ` of ${principal}`}${backend === undefined ? '' : ` at ${backend}`}`}
            max={120}
          />{' '}
          <Effect effect={effect} />{' '}
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

function msBetween(since: string, until: string): number {
  return Math.max(0, Date.parse(until) - Date.parse(since));
}

/** For the eye; the rows under it say the same. */
function Strip({ incidents: { rows, until: now } }: { readonly incidents: Incidents }) {
  const begin = Date.parse(now) - dayMs;
  const at = (time: string): number => Math.max(0, ((Date.parse(time) - begin) / dayMs) * width);
  const lanes = [...new Set(rows.map(({ backend = '' }) => backend))].toSorted();
  return (
    <div class="strip" role="img" aria-label={`24 hours: ${plural(rows.length, 'incident')}, listed below`}>
      {lanes.map((lane) => (
        <p key={lane}>
          <Name value={lane === '' ? 'dovegate' : lane} max={20} />
          <svg viewBox={`0 0 ${width} 12`} preserveAspectRatio="none" aria-hidden="true">
            <rect width={width} height="12" class="ground" />
            {rows
              .filter(({ backend = '' }) => backend === lane)
              .map((row, place) => {
                const { since, until = now } = row;
                const from = since === undefined ? 0 : at(since);
                const long = Math.max(leastWidth, at(until) - from);
                const x = Math.min(from, width - long);
                return <rect key={place} x={x} width={long} height="12" class={`filled ${toneOf(row)}`} />;
              })}
          </svg>
        </p>
      ))}
    </div>
  );
}
