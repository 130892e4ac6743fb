// The part of the screen "proof" about all gates: whether anything is missing or was changed, a row for each, what was found.

import type { FleetGate, FleetSeen, FleetShown } from '../../evidence/views/fleet.js';
import { countWords, plural } from '../../host/words/words.js';
import { gateState, judgeFleet, lagOf } from './fleet.js';
import { Ago, Empty, Name, Panel, Sentences, Sign } from './kit.js';
import { type Column, Table } from './table.js';

const columns: readonly Column<FleetGate>[] = [
  {
    title: 'gate',
    line: 1,
    grows: true,
    cell: (row) => (
      <strong>
        <Name value={row.host} max={40} />
      </strong>
    ),
  },
  {
    title: 'state',
    line: 1,
    cell: (row) => {
      const { tone, word } = gateState(row);
      return <Sign tone={tone}>{word}</Sign>;
    },
  },
  {
    title: 'findings',
    kind: 'number',
    line: 0,
    cell: (row) => (row.findings === 0 ? <span class="faint">none</span> : countWords(row.findings)),
  },
  { title: 'last record', kind: 'short', cell: (row) => <LastSeen at={row.lastSeen} /> },
  { title: 'newest', kind: 'number', line: 0, cell: (row) => <Count value={row.seq} /> },
  { title: 'not signed yet', kind: 'number', line: 0, cell: (row) => <Count value={lagOf(row)} /> },
  { title: 'release', line: 0, cell: (row) => <Name value={row.program} max={20} /> },
  { title: 'differs from most', kind: 'wide', line: 3, cell: (row) => <Differs words={row.differs} /> },
];

export function FleetPart({ fleet }: { readonly fleet: FleetShown }) {
  const { tone, title, sentences } = judgeFleet(fleet);
  const { seen } = fleet;
  return (
    <>
      <section class={`verdict ${tone}`} aria-label="All gates">
        <h2>
          <Sign tone={tone}>{title}</Sign>
        </h2>
        <Sentences texts={sentences} />
      </section>
      {seen !== undefined && (
        <Panel title="Fleet" count={plural(seen.gates.length, 'gate', 'gates')} isTable>
          <Table
            label="Gates"
            rows={seen.gates}
            keyOf={(row) => row.host}
            columns={[...columns]}
            empty={<Empty>No gate is listed, and none has sent a record into the store.</Empty>}
          />
        </Panel>
      )}
      {seen !== undefined && seen.findings.length > 0 && <FleetFindings seen={seen} />}
    </>
  );
}

function FleetFindings({ seen: { findings, findingCount } }: { readonly seen: FleetSeen }) {
  return (
    <Panel title="What was found at the gates">
      <ul class="findings">
        {findings.map(({ kind, host, seq, text }, at) => (
          <li key={at}>
            <Sign tone="bad">
              <strong>
                <Name value={host} max={40} />
                {seq !== undefined && <>, record {countWords(seq)}</>} (<Name value={kind} />
                ).{' '}
              </strong>
              <Name value={text} max={1000} />
            </Sign>
          </li>
        ))}
      </ul>
      {findingCount > findings.length && (
        <p class="faint">
          {plural(findingCount - findings.length, 'more is', 'more are')} not shown; the command below has
          them.
        </p>
      )}
    </Panel>
  );
}

function LastSeen({ at }: { readonly at: string | undefined }) {
  if (at === undefined) return <span class="faint">none came</span>;
  return (
    <>
      <Ago at={at} /> ago
    </>
  );
}

function Count({ value }: { readonly value: number | undefined }) {
  return value === undefined ? <span class="faint">–</span> : <>{countWords(value)}</>;
}

function Differs({ words }: { readonly words: readonly string[] }) {
  if (words.length === 0) return <span class="faint">nothing</span>;
  return (
    <Sign tone="warn">
      {words.map((word, at) => (
        <span key={word}>
          {at > 0 && ', '}
          <Name value={word} />
        </span>
      ))}
    </Sign>
  );
}
