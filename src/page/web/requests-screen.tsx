// Screen "requests", for auditors: who asked for access on request, who gave it, what it was used for, and how it ended. What was given
// without an approval and waits for its review stands on top. Of users that they see, as the journal has it; each look is recorded.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { type AccessTold, decisionsOf } from '../../evidence/story/row.js';
import type { TrailEnd, TrailLine } from '../../evidence/views/trail.js';
import { countWords } from '../../host/words/words.js';
import { hasWords } from './access.js';
import { AskFault } from './api.js';
import { useAnswer } from './asked.js';
import { Words } from './badge.js';
import { Choice, sinceOf, spanOf, spans } from './fields.js';
import { AsCommand, Empty, Field, Name, Panel, Pending, Sentence, Sign, Time } from './kit.js';
import { useDaemonMs } from './live.js';
import { go, Link } from './location.js';
import { requestPath } from './requests.js';
import type { ScreenProps } from './route.js';
import { useSession } from './session.js';
import { type Column, Table } from './table.js';
import { shellQuoted } from './trail-query.js';

interface Read {
  readonly items: readonly AccessTold[];
  readonly end: TrailEnd;
}

export function RequestsScreen({ query }: ScreenProps) {
  const { api } = useSession();
  const clock = useDaemonMs();
  const days = spanOf(query.get('days'));
  const wanted = query.get('with') ?? '';
  const by = query.get('by') ?? '';
  const [name, setName] = useState(by);
  const to = (next: Readonly<Record<string, string>>): void =>
    go(`/requests?${new URLSearchParams({ days, with: wanted, by, ...next }).toString()}`, true);
  const { value, fault, isBusy } = useAnswer<Read>(clock && `${days} ${by}`, async (signal) => {
    const filter = {
      ...sinceOf(days, clock?.()),
      ...(by !== '' && { by }),
    };
    const items: AccessTold[] = [];
    for await (const line of api.lines<TrailLine>('POST /api/trail/requests', { body: { filter }, signal })) {
      if ('access' in line) items.push(line.access);
      else if ('end' in line) return { items: items.toReversed(), end: line.end };
    }
    throw new AskFault(0, 'The answer ended too early.');
  });
  const all = value?.items ?? [];
  const shown = all.filter(({ said, ...item }) =>
    hasWords(wanted, JSON.stringify([item, Object.values(said)])),
  );
  const unreviewed = all.filter(isUnreviewed);
  return (
    <>
      <div class="heading">
        <h2>Requests</h2>
        <Choice
          label="asked for or alive in"
          value={days}
          options={spans}
          onInput={(next) => to({ days: next })}
        />
        <form
          onSubmit={(event) => {
            event.preventDefault();
            to({ by: name.trim() });
          }}
        >
          <Field label="decided by" value={name} onInput={setName} />
        </form>
      </div>
      {value === undefined || isBusy ? (
        <Pending fault={fault}>Reading the journal …</Pending>
      ) : (
        <>
          {[...(value.end.sentences ?? []), ...(value.end.notes ?? [])].map((text) => (
            <p key={text}>
              <Sentence text={text} />.
            </p>
          ))}
          {unreviewed.length > 0 && (
            <Listed
              title="Without an approval (break-glass), to be reviewed"
              by={by}
              items={unreviewed}
              of={unreviewed}
            />
          )}
          <Listed
            title="All"
            by={by}
            items={shown}
            of={all}
            controls={
              <input
                type="text"
                aria-label="Show rows with"
                placeholder="show rows with …"
                value={wanted}
                spellcheck={false}
                onInput={(event) => to({ with: event.currentTarget.value })}
              />
            }
          />
        </>
      )}
      <AsCommand>{`dovegate audit access${days === 'all' ? '' : ` --since ${days}d`}${by === '' ? '' : ` --by ${shellQuoted(by)}`}`}</AsCommand>
    </>
  );
}

function isUnreviewed({ approvals, granted, reviewed_by: reviewed }: AccessTold): boolean {
  return approvals === 0 && granted !== undefined && reviewed === undefined;
}

interface ListedProps {
  readonly title: string;
  /** Whose decisions are asked for; '': those of all. */
  readonly by: string;
  readonly items: readonly AccessTold[];
  readonly of: readonly AccessTold[];
  readonly controls?: ComponentChildren;
}

function Listed({ title, by, items, of, controls }: ListedProps) {
  return (
    <Panel
      title={title}
      count={`${items.length < of.length ? `${countWords(items.length)} of ` : ''}${countWords(of.length)}`}
      controls={controls}
      isTable
    >
      <Table
        label={title}
        rows={items}
        columns={columnsOf(by)}
        keyOf={({ id }) => id}
        toneOf={(item) => (isUnreviewed(item) ? 'tone-warn' : '')}
        onOpen={({ id }) => go(requestPath(id))}
        empty={
          <Empty>
            {of.length === 0 ? 'Nobody had or asked for access in this time.' : 'No row has that.'}
          </Empty>
        }
      />
    </Panel>
  );
}

const columnsOf = (by: string): Column<AccessTold>[] => [
  {
    title: 'asked',
    kind: 'short',
    line: 1,
    cell: ({ asked }) =>
      asked === undefined ? 'before the kept records' : <Time at={asked} isExact isDated />,
  },
  {
    title: 'decided',
    kind: 'short',
    line: 1,
    cell: (item) =>
      decisionsOf(item, by || undefined).map(({ what, time }, at) => (
        <div key={at}>
          {what} <Time at={time} isExact isDated />
        </div>
      )),
  },
  {
    title: 'who',
    kind: 'short',
    line: 1,
    cell: ({ id, to }) => (
      <Link to={requestPath(id)}>
        <Name value={to} />
      </Link>
    ),
  },
  {
    title: 'what',
    line: 2,
    grows: true,
    cell: ({ command, users = [], reason = '' }) => (
      <>
        <Words value={command} max={120} /> of <Name value={users.join(', ')} max={80} />
        {reason !== '' && (
          <p class="why faint">
            <Name value={reason} max={120} />
          </p>
        )}
      </>
    ),
  },
  {
    title: 'approved',
    line: 3,
    grows: true,
    cell: (item) =>
      isUnreviewed(item) ? <Sign tone="warn">{item.said.by}</Sign> : <Name value={item.said.by} max={120} />,
  },
  { title: 'used', line: 3, cell: ({ said }) => <Name value={said.used} max={120} /> },
  {
    title: 'state',
    kind: 'wide',
    line: 3,
    cell: ({ end, granted, until, said }) =>
      end === undefined && granted !== undefined && until !== undefined ? (
        <>
          until <Time at={until} isExact isDated />
        </>
      ) : (
        <Name value={said.end} max={200} />
      ),
  },
];
