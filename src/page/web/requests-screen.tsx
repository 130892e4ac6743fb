// Screen "requests": who asked for access on request, who gave it, what it was used for, and how it ended. An approver sees waiting and
// live requests of others, from the daemon; an auditor sees all of a time, from the journal, for the mail users in their view. Each look at
// the journal is recorded.

import { type ComponentChildren, Fragment } from 'preact';
import { useState } from 'preact/hooks';
import { type AccessTold, decisionsOf, givenWords } from '../../evidence/story/row.js';
import type { AccessItem } from '../../gate/access/access-item.js';
import { countWords, plural } from '../../host/words/words.js';
import { hasWords } from './access.js';
import { useApprovals } from './approvals.js';
import { useAnswer } from './asked.js';
import { Effect, Words } from './badge.js';
import { Choice, sinceOf, spanOf, spans } from './fields.js';
import { AsCommand, Field, Name, Panel, Pending, Sentence, Sentences, Sign, Time } from './kit.js';
import { useDaemonMs } from './live.js';
import { go, Link } from './location.js';
import { approvedWords, becameSentence, stateSentence, usedSentence, waitsForReview } from './request.js';
import { requestPath } from './requests.js';
import type { ScreenProps } from './route.js';
import { mayDo, useSession } from './session.js';
import { type Column, Table } from './table.js';
import { askTrail } from './trail-find.js';
import { shellQuoted } from './trail-query.js';
import { visible } from './visible.js';

export function RequestsScreen({ query }: ScreenProps) {
  const session = useSession();
  const isAuditor = mayDo(session, 'audit');
  return (
    <>
      {mayDo(session, 'approve') && <Live hasJournal={isAuditor} />}
      {isAuditor ? <Recorded query={query} /> : <AsCommand>dovegate requests --socket PATH</AsCommand>}
    </>
  );
}

/** Requests as the daemon has them now. */
function Live({ hasJournal }: { readonly hasJournal: boolean }) {
  const { approvals, decided, more, whyNone, fault } = useApprovals();
  if (approvals === undefined) return <Pending fault={fault}>Reading the requests …</Pending>;
  const isWaiting = (item: AccessItem): boolean => item.state === 'requested' || waitsForReview(item);
  return (
    <>
      <Listed
        title="Waiting"
        rows={approvals.filter(isWaiting).map(rowOf)}
        empty={
          whyNone === undefined
            ? 'Nothing waits. A request is here from the moment it is recorded.'
            : `Nothing is shown: ${visible(whyNone)}.`
        }
      />
      <Listed
        title="Live"
        rows={approvals
          .filter((item) => !isWaiting(item))
          .toSorted(({ granted: one = '' }, { granted: other = '' }) => (one < other ? 1 : -1))
          .map(rowOf)}
        empty="Nobody else has access on request now."
      />
      {more > 0 && <p class="faint">{plural(more, 'newer one is', 'newer ones are')} not shown.</p>}
      {!hasJournal && (
        <Listed
          title="Decided, and over"
          rows={decided.map(rowOf)}
          empty="Nothing was decided that is kept here."
        />
      )}
    </>
  );
}

/** Requests as the journal has them. */
function Recorded({ query }: Pick<ScreenProps, 'query'>) {
  const { api } = useSession();
  const clock = useDaemonMs();
  const days = spanOf(query.get('days'));
  const wanted = query.get('with') ?? '';
  const by = query.get('by') ?? '';
  const [name, setName] = useState(by);
  const to = (next: Readonly<Record<string, string>>): void =>
    go(`/requests?${new URLSearchParams({ days, with: wanted, by, ...next }).toString()}`, true);
  const { value, fault, isBusy } = useAnswer(clock && `${days} ${by}`, (signal) => {
    const filter = { ...sinceOf(days, clock?.()), ...(by !== '' && { by }) };
    return askTrail(api, 'POST /api/trail/requests', { filter }, signal);
  });
  // Grants without an approval that nobody has reviewed stand first.
  const all = (value?.requests ?? [])
    .toReversed()
    .toSorted((one, other) => Number(isUnreviewed(other)) - Number(isUnreviewed(one)));
  const shown = all.filter(({ said, ...item }) =>
    hasWords(wanted, JSON.stringify([item, Object.values(said)])),
  );
  return (
    <>
      <div class="heading">
        <h2>Recorded</h2>
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
          <Sentences
            texts={[...(value.end.sentences ?? []), ...(value.end.notes ?? [])].map((text) => `${text}.`)}
          />
          <Listed
            title="All"
            rows={shown.map((told) => rowOfTold(told, by))}
            of={all.length}
            empty={all.length === 0 ? 'Nobody had or asked for access in this time.' : 'No row has that.'}
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

interface Row extends Pick<AccessTold, 'id' | 'to' | 'command' | 'users' | 'reason' | 'asked'> {
  readonly effect?: ComponentChildren;
  readonly decisions: ReturnType<typeof decisionsOf>;
  readonly approved: string;
  readonly used: string;
  /** With marked times. */
  readonly state: string;
  readonly isUnreviewed: boolean;
}

function rowOf(item: AccessItem): Row {
  const { state, ended_by: by, ended = '', granted } = item;
  return {
    ...item,
    effect: <Effect effect={item.effect} content={item.content === true ? 'yes' : undefined} />,
    decisions: decisionsOf({ ...item, end: { action: state, by, time: ended } }, undefined),
    approved: approvedWords(item),
    used: granted === undefined ? '' : usedSentence(item),
    state: `${ended === '' ? stateSentence(item) : becameSentence(item)}${granted === undefined ? '' : `; given: ${givenWords(item)}`}`,
    isUnreviewed: waitsForReview(item),
  };
}

function rowOfTold(told: AccessTold, by: string): Row {
  const { said, granted, end, until } = told;
  const isLive = end === undefined && granted !== undefined && until !== undefined;
  return {
    ...told,
    decisions: decisionsOf(told, by || undefined),
    approved: said.by,
    used: said.used,
    state: isLive ? `until {${until}}` : said.end,
    isUnreviewed: isUnreviewed(told),
  };
}

interface ListedProps {
  readonly title: string;
  readonly rows: readonly Row[];
  /** How many there are; default: those that are shown. */
  readonly of?: number;
  readonly empty: string;
  readonly controls?: ComponentChildren;
}

function Listed({ title, rows, of = rows.length, empty, controls }: ListedProps) {
  return (
    <Panel
      title={title}
      count={`${rows.length < of ? `${countWords(rows.length)} of ` : ''}${countWords(of)}`}
      controls={controls}
      isTable
    >
      <Table
        label={title}
        rows={rows}
        columns={columns}
        keyOf={({ id }) => id}
        isDense
        toneOf={(row) => (row.isUnreviewed ? 'tone-warn' : '')}
        onOpen={({ id }) => go(requestPath(id))}
        empty={empty}
      />
    </Panel>
  );
}

const columns: readonly Column<Row>[] = [
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
    cell: ({ decisions }) =>
      decisions.map(({ what, time }, at) => (
        <Fragment key={at}>
          {at > 0 && '; '}
          <span>
            {what} <Time at={time} isExact isDated />
          </span>
        </Fragment>
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
    kind: 'rest',
    line: 2,
    grows: true,
    cell: ({ effect, command, users = [], reason = '' }) => (
      <>
        {effect} <Words value={command} max={120} /> of <Name value={users.join(', ')} max={80} />
        {reason !== '' && (
          <span class="faint">
            : <Name value={reason} max={120} />
          </span>
        )}
      </>
    ),
  },
  {
    title: 'approved',
    line: 3,
    grows: true,
    cell: ({ approved, isUnreviewed: isDoubtful }) =>
      isDoubtful ? <Sign tone="warn">{approved}</Sign> : <Name value={approved} max={120} />,
  },
  { title: 'used', line: 3, cell: ({ used }) => <Sentence text={used} /> },
  { title: 'state', line: 3, cell: ({ state }) => <Sentence text={state} /> },
];
