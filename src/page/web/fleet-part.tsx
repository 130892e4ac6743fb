// The part of the screen "proof" about all gates: whether anything is missing or was changed, a row for each, what was found.

import type { FleetGate, FleetSeen, FleetShown } from '../../evidence/views/fleet.js';
import { countWords, plural } from '../../host/words/words.js';
import { gateState, judgeFleet, lagOf } from './fleet.js';
import { Ago, Name, Panel, Sentences, Sign } from './kit.js';
import { type Column, Table } from './table.js';

const countOf = (value: number | undefined) => (value === undefined ? '–' : countWords(value));

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
  {
    title: 'last record',
    kind: 'short',
    cell: ({ lastSeen }) =>
      lastSeen === undefined ? (
        <span class="faint">none came</span>
      ) : (
        <>
          <Ago at={lastSeen} /> ago
        </>
      ),
  },
  { title: 'newest', kind: 'number', line: 0, cell: ({ seq }) => countOf(seq) },
  { title: 'not signed yet', kind: 'number', line: 0, cell: (row) => countOf(lagOf(row)) },
  { title: 'release', line: 0, cell: (row) => <Name value={row.program} max={20} /> },
  {
    title: 'differs from most',
    kind: 'wide',
    line: 3,
    cell: ({ differs }) =>
      differs.length === 0 ? (
        <span class="faint">nothing</span>
      ) : (
        <Sign tone="warn">
          <Name value={differs.join(', ')} max={400} />
        </Sign>
      ),
  },
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
            columns={columns}
            empty="No gate is listed, and none has sent a record into the store."
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
