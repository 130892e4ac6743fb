// Who reaches a mailbox, at once, by break-glass or on request, and by which rules; and a statement that is proved of what is in force.

import { useState } from 'preact/hooks';
import { type MailboxDeed, mailboxDeeds, reachWays } from '../../evidence/views/reach.js';
import { countWords } from '../../host/words/words.js';
import type { MailboxAccess, Proved } from '../answers/api.js';
import { useAnswer } from './asked.js';
import { AsCommand, Button, Fault, Field, Name, Names, Panel, Pending, Sentences, Sign } from './kit.js';
import { useLive } from './live.js';
import { go, Link } from './location.js';
import { Rule } from './playground.js';
import { useSession } from './session.js';
import { type Column, Table } from './table.js';
import { trailPath } from './trail-query.js';

type Row = MailboxAccess['rows'][number];

const deedWords: Readonly<Record<MailboxDeed, string>> = {
  mail: 'reads mails',
  search: 'searches in them',
  facts: 'folders, sizes, flags',
  change: 'changes',
  destroy: 'destroys',
};
const wayWords = { 'at-once': 'at once', 'break-glass': 'by break-glass', 'on-request': 'on request' };

export function ReachPart({ query }: { readonly query: URLSearchParams }) {
  const { api } = useSession();
  const asked = query.get('mailbox') ?? '';
  const [user, setUser] = useState(asked);
  const configuration = useLive(({ now }) => now?.head.configHash);
  const { value, fault, isBusy } = useAnswer(
    asked === '' ? undefined : `${asked} ${configuration}`,
    (signal) => api.json<MailboxAccess>('POST /api/access/mailbox', { body: { user: asked }, signal }),
  );
  return (
    <Panel title="Who reaches a mailbox" label="Who reaches a mailbox">
      <form
        class="asking"
        onSubmit={(event) => {
          event.preventDefault();
          go(`/access?mailbox=${encodeURIComponent(user.trim())}`);
        }}
      >
        <Field
          label="mail user, or a pattern of their names"
          type="search"
          value={user}
          onInput={setUser}
          placeholder="anna@example.com"
          isNeeded
        />
        <Button type="submit" kind="main">
          Who reaches it
        </Button>
      </form>
      {asked !== '' &&
        (value === undefined || isBusy ? (
          <Pending fault={fault}>Trying each rule …</Pending>
        ) : (
          <Reached access={value} />
        ))}
      <Prove />
    </Panel>
  );
}

function Reached({ access: { user, rows, others, notes } }: { readonly access: MailboxAccess }) {
  const problems = useLive(({ now }) => now?.head.problems) ?? [];
  const locks = problems.filter(({ code }) => code === 'locked' || code === 'held');
  const columns: Column<Row>[] = [
    {
      title: 'who',
      cell: ({ who, policy }) => (
        <>
          <strong>
            <Name value={who} max={120} />
          </strong>
          <p class="why">
            <Link to={`/access?policy=${encodeURIComponent(policy)}`}>
              policy <Name value={policy} />
            </Link>
          </p>
        </>
      ),
    },
    ...mailboxDeeds.map(
      (deed): Column<Row> => ({ title: deedWords[deed], cell: (row) => <Way row={row} deed={deed} /> }),
    ),
  ];
  return (
    <div aria-live="polite">
      <h3>
        Who reaches <Name value={user} max={120} /> <span class="count">{countWords(rows.length)}</span>
      </h3>
      <Sentences texts={locks.map(({ text }) => text)} />
      <Table
        label="Who reaches it"
        rows={rows}
        columns={columns}
        keyOf={({ who, policy }) => `${who} ${policy}`}
        empty="Nobody reaches it through this gate."
      />
      {byPolicy(rows).map(([first, ...more]) => (
        <details key={first.who}>
          <summary>
            By which rules: <Name value={[first, ...more].map(({ who }) => who).join(', ')} max={200} />
          </summary>
          <ByRules row={first} user={user} />
        </details>
      ))}
      {others.length > 0 && (
        <details>
          <summary>{countWords(others.length)} who do not reach it</summary>
          <Names values={others} />
        </details>
      )}
      <Names values={notes} />
      <AsCommand>{`dovegate prove 'nobody may reach content in mailboxes of "${user}"'`}</AsCommand>
    </div>
  );
}

/** Requesters of one policy reach the mailbox by the same rules, except for commands that have no form over HTTP. */
function byPolicy(rows: readonly Row[]): readonly (readonly [Row, ...Row[]])[] {
  const found = new Map<string, [Row, ...Row[]]>();
  for (const row of rows) {
    const key = JSON.stringify([row.policy, row.rules]);
    const known = found.get(key);
    if (known === undefined) found.set(key, [row]);
    else known.push(row);
  }
  return [...found.values()];
}

function Way({ row: { rules }, deed }: { readonly row: Row; readonly deed: MailboxDeed }) {
  const way = reachWays.find((each) => rules.some((rule) => rule.way === each && rule.deeds.includes(deed)));
  if (way === 'at-once') return <strong>{wayWords[way]}</strong>;
  if (way !== undefined) return <span>{wayWords[way]}</span>;
  const isPerhaps = rules.some(({ perhaps }) => perhaps.some((each) => each.deed === deed));
  return isPerhaps ? <Sign tone="warn">perhaps</Sign> : <span class="faint">no</span>;
}

function ByRules({
  row: { policy, place, approvers, rules },
  user,
}: {
  readonly row: Row;
  readonly user: string;
}) {
  const asks = rules.some(({ way }) => way !== 'at-once');
  return (
    <>
      <p>
        Policy <Name value={policy} /> at <Name value={place} max={80} />.{' '}
        <Link to={trailPath({ user, policy, since: '30d' })}>What it did there in 30 days</Link>
      </p>
      {asks && (
        <p>
          Approved or reviewed by{' '}
          <Name value={approvers.join(', ') || 'nobody: no policy has it in `approve`'} max={200} />.
        </p>
      )}
      <ul class="rules">
        {rules.map((rule, at) => (
          <li key={at}>
            <Rule rule={rule} />
            <p class="faint">
              {[wayWords[rule.way], ...rule.deeds.map((deed) => deedWords[deed])].join(', ')}
            </p>
            <Names values={rule.perhaps.map(({ deed, why }) => `perhaps ${deedWords[deed]}: ${why}`)} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** Started by a button, because each proof is recorded. */
function Prove() {
  const { api } = useSession();
  const [statement, setStatement] = useState('');
  const [asked, setAsked] = useState<string>();
  const { value, fault, isBusy } = useAnswer(asked, (signal) =>
    api.json<Proved>('POST /api/prove', { body: { statement: asked }, signal }),
  );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setAsked(statement.trim());
      }}
    >
      <div class="asking">
        <Field
          label="a statement to prove of what is in force"
          type="search"
          value={statement}
          onInput={setStatement}
          placeholder='nobody but policy leads may destroy in mailboxes of "*@example.com"'
          isNeeded
        />
        <Button type="submit">Prove</Button>
      </div>
      <div aria-live="polite">
        {isBusy && <p class="faint">Trying each rule …</p>}
        <Fault text={fault} />
        {value !== undefined && !isBusy && <Names values={value.lines} />}
      </div>
    </form>
  );
}
