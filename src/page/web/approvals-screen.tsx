// Screen "approvals": requests for access that wait, live grants, grants without an approval that nobody has reviewed, and what became of
// those that are over. Never one's own.

import { decisionsOf, givenWords } from '../../evidence/story/row.js';
import type { AccessItem } from '../../gate/access/access-item.js';
import { countWords, plural } from '../../host/words/words.js';
import { useApprovals } from './approvals.js';
import { Effect, Words } from './badge.js';
import { AsCommand, Button, Empty, Name, Panel, Pending, Sentence, Time } from './kit.js';
import { go, Link } from './location.js';
import { becameSentence, isOver, waitsForReview } from './request.js';
import { RequestCard, requestPath, useDeciding } from './requests.js';
import { encoded, type ScreenProps } from './route.js';
import { mayDo, useSession } from './session.js';
import { type Column, Table } from './table.js';
import { visible } from './visible.js';

export function ApprovalsScreen({ query }: ScreenProps) {
  const session = useSession();
  const { name } = session.me;
  const isMine = query.get('by') === 'me';
  const { approvals, decided, more, whyNone, fault } = useApprovals();
  const { onStep, dialog } = useDeciding(false);
  if (approvals === undefined) return <Pending fault={fault}>Reading the requests …</Pending>;
  const cards = (title: string, items: readonly AccessItem[], empty: string) => (
    <section aria-label={title}>
      <h2>
        {title} <span class="count">{countWords(items.length)}</span>
      </h2>
      {items.length === 0 ? (
        <Empty>{empty}</Empty>
      ) : (
        <div class="exchange-parts">
          {items.map((item) => (
            <RequestCard key={item.id} item={item} onStep={(step) => onStep(item, step)} />
          ))}
        </div>
      )}
    </section>
  );
  // What lives was decided, too.
  const mine = [...approvals, ...decided].filter((item) => decidedBy(item, name).length > 0);
  const listed = isMine ? mine : decided;
  const title = isMine ? 'Decided by you' : 'Decided, and over';
  const unreviewed = approvals.filter((item) => waitsForReview(item) && !isOver(item)).length;
  return (
    <>
      {cards(
        'Waiting',
        approvals.filter(({ state }) => state === 'requested'),
        whyNone === undefined
          ? 'Nothing waits. A request is here from the moment it is recorded.'
          : `Nothing is shown: ${visible(whyNone)}.`,
      )}
      {cards(
        'Without an approval (break-glass), to be reviewed',
        approvals.filter(waitsForReview),
        'No access without an approval (break-glass) waits for a review.',
      )}
      {cards(
        'Live',
        approvals
          .filter((item) => item.state !== 'requested' && !waitsForReview(item))
          .toSorted(({ granted: one = '' }, { granted: other = '' }) => (one < other ? 1 : -1)),
        'Nobody else has access on request now.',
      )}
      {unreviewed > 0 && (
        <p class="faint">{plural(unreviewed, 'more is', 'more are')} live, and to be reviewed: above.</p>
      )}
      {more > 0 && <p class="faint">{plural(more, 'newer one is', 'newer ones are')} not shown.</p>}
      <Panel
        title={title}
        controls={
          <>
            <Button
              kind="small"
              isDown={isMine}
              onClick={() => go(isMine ? '/approvals' : '/approvals?by=me', true)}
            >
              my decisions
            </Button>
            {mayDo(session, 'audit') && (
              <Link to={`/requests?days=all&by=${encoded(name)}`} class="button small">
                all of mine, from the journal
              </Link>
            )}
          </>
        }
        isTable
      >
        <Table
          label={title}
          rows={listed}
          columns={isMine ? [decidedColumn(name), ...columns] : columns}
          keyOf={({ id }) => id}
          onOpen={({ id }) => go(requestPath(id))}
          empty={<Empty>Nothing was decided that is kept here.</Empty>}
        />
      </Panel>
      <AsCommand>dovegate requests --socket PATH</AsCommand>
      {dialog}
    </>
  );
}

function decidedBy({ state, ended_by: by, ended = '', ...item }: AccessItem, name: string) {
  return decisionsOf({ ...item, end: { action: state, by, time: ended } }, name);
}

function decidedColumn(name: string): Column<AccessItem> {
  return {
    title: 'you decided',
    kind: 'short',
    line: 1,
    cell: (item) =>
      decidedBy(item, name).map(({ what, time }) => (
        <div key={what}>
          {what} <Time at={time} isDated isExact />
        </div>
      )),
  };
}

const columns: Column<AccessItem>[] = [
  {
    title: 'asked',
    kind: 'short',
    line: 1,
    cell: ({ asked }) => <Time at={asked} isDated isExact />,
  },
  {
    title: 'over since',
    kind: 'short',
    line: 1,
    cell: ({ ended }) => ended !== undefined && <Time at={ended} isDated isExact />,
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
    cell: ({ effect, content, command, users }) => (
      <>
        <Effect effect={effect} content={content === true ? 'yes' : undefined} />{' '}
        <Words value={command} max={120} /> of <Name value={users.join(', ')} max={80} />
      </>
    ),
  },
  {
    title: 'what became of it',
    kind: 'wide',
    line: 3,
    cell: (item) => (
      <>
        <Sentence text={becameSentence(item)} />
        {item.granted !== undefined && <p class="why faint">given: {givenWords(item)}</p>}
      </>
    ),
  },
];
