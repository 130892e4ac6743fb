// Screen "policies": each start and reload that changed the policies, what that permits and denies since then, who brought it, and what ran
// under it. Each look is recorded.

import { countWords, durationWords } from '../../host/words/words.js';
import type { PolicyHistory } from '../answers/api.js';
import { useAnswer, useTask } from './asked.js';
import { Choice, sinceOf, spanOf, spans } from './fields.js';
import { AsCommand, Button, Name, Panel, Pending, Sentences, Sign, saveFile, Time } from './kit.js';
import { useDaemonMs } from './live.js';
import { go, Link } from './location.js';
import { Looked } from './looked.js';
import type { ScreenProps } from './route.js';
import { useSession } from './session.js';
import { type Column, Table } from './table.js';
import { trailPath } from './trail-query.js';

type Period = PolicyHistory['periods'][number];

export function PoliciesScreen({ query }: ScreenProps) {
  const { api } = useSession();
  const clock = useDaemonMs();
  const days = spanOf(query.get('days'));
  const askedOf = () => sinceOf(days, clock?.());
  const { value, fault, isBusy } = useAnswer(clock && days, (signal) =>
    api.json<PolicyHistory>('POST /api/policies', { body: askedOf(), signal }),
  );
  const { said, say, run } = useTask();
  const save = (): void =>
    run(async (signal) => {
      say('Reading the journal …');
      const file = await api.blob('POST /api/policies', { body: { ...askedOf(), form: 'csv' }, signal });
      saveFile(file, 'dovegate-policies.csv');
      return 'Saved.';
    });
  return (
    <>
      <div class="heading">
        <h2>What was changed in the policies</h2>
        <Choice
          label="in"
          value={days}
          options={spans}
          onInput={(next) => go(`/policies?days=${next}`, true)}
        />
      </div>
      {value === undefined || isBusy ? (
        <Pending fault={fault}>Reading the journal …</Pending>
      ) : (
        <>
          <Looked looked={value.looked} />
          <Panel
            title="Changes"
            count={countWords(value.periods.length)}
            controls={
              <div class="saving">
                <Button onClick={() => window.print()}>Print</Button>
                <Button onClick={save}>Save as CSV</Button>
                <span role="status">{said}</span>
              </div>
            }
            isTable
          >
            <Table
              label="What was changed in the policies"
              rows={value.periods}
              columns={columns}
              keyOf={({ seq }) => String(seq)}
              onOpen={(period) => go(commandsOf(period))}
              empty="No start or reload in this time changed the policies."
            />
            <p class="faint inside">
              Each start and reload that changed the policies, the last one first, also if nobody used what it
              permits. What the policies before would have denied is judged again. A row opens the commands of
              its time.
            </p>
          </Panel>
        </>
      )}
      <AsCommand>{`dovegate audit policies${days === 'all' ? '' : ` --since ${days}d`}`}</AsCommand>
    </>
  );
}

function commandsOf({ time, until }: Period): string {
  return trailPath({ since: time, ...(until !== undefined && { until }) });
}

const tones = { '+': 'warn', '-': 'good', '~': 'quiet' } as const;

const columns: Column<Period>[] = [
  {
    title: 'when',
    kind: 'short',
    line: 1,
    cell: ({ time }) => <Time at={time} isExact isDated />,
  },
  {
    title: 'by',
    line: 1,
    grows: true,
    cell: ({ began, files }) => (
      <>
        <Name value={began} max={120} />
        <Sentences texts={files} kind="why faint" />
      </>
    ),
  },
  {
    title: 'changed',
    kind: 'wide',
    line: 3,
    cell: ({ changes, notes }) => (
      <>
        {changes.map(({ sign, words }) => (
          <p key={words}>
            <Sign tone={tones[sign]}>
              <Name value={words} max={400} />
            </Sign>
          </p>
        ))}
        <Sentences texts={notes} kind="faint" />
      </>
    ),
  },
  {
    title: 'in force',
    kind: 'short',
    line: 3,
    isNamed: true,
    cell: ({ time, until }) =>
      until === undefined ? (
        'since then'
      ) : (
        <>
          until <Time at={until} isExact isDated />
          <br />
          <span class="faint">for {durationWords(Date.parse(until) - Date.parse(time))}</span>
        </>
      ),
  },
  {
    title: 'commands',
    line: 3,
    cell: (period) => {
      const [all = '', ...others] = period.counts;
      return (
        <>
          <Link to={commandsOf(period)}>{all}</Link>
          {others.map((each) => (
            <p key={each} class="why">
              {period.denied > 0 && each === others[0] ? <Sign tone="warn">{each}</Sign> : each}
            </p>
          ))}
          <Sentences texts={period.newly} kind="why faint" />
        </>
      );
    },
  },
];
