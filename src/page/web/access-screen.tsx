// Screen "access": who reaches a mailbox, who may do what, the rules in words, a playground; and accounts, keys and certificates.

import { useEffect, useRef, useState } from 'preact/hooks';
import { countWords, plural } from '../../host/words/words.js';
import type { AccessCell, AccessPolicy, AccessTable } from '../answers/api.js';
import { type AccessRow, accessRows, isNone, rowsWith } from './access.js';
import { useAnswer } from './asked.js';
import { Effect } from './badge.js';
import { KeysPart } from './keys-part.js';
import { AsCommand, Button, Empty, Facts, Name, Panel, Pending, Sign } from './kit.js';
import { useLive } from './live.js';
import { go, Link } from './location.js';
import { Playground, Rule } from './playground.js';
import { ReachPart } from './reach-part.js';
import { pathOf, type ScreenProps } from './route.js';
import { mayDo, useSession } from './session.js';
import { effectSign } from './signs.js';
import { type Column, Table } from './table.js';

type Row = AccessRow;

export function AccessScreen({ query }: ScreenProps) {
  return (
    <>
      {mayDo(useSession(), 'audit') && <Rights query={query} />}
      <KeysPart />
    </>
  );
}

function Rights({ query }: Pick<ScreenProps, 'query'>) {
  const { api } = useSession();
  const configuration = useLive(({ now }) => now?.head.configHash);
  // Asked again when the configuration changes.
  const { value: table, fault } = useAnswer(`access ${configuration}`, (signal) =>
    api.json<AccessTable>('GET /api/access', { signal }),
  );
  const [wanted, setWanted] = useState('');
  if (table === undefined) return <Pending fault={fault}>Reading the policies …</Pending>;
  const all = accessRows(table);
  const rows = rowsWith(all, wanted);
  const shown = table.policies.find(({ name }) => name === query.get('policy'));
  return (
    <>
      <ReachPart key={query.get('mailbox')} query={query} />
      <Playground rows={table.rows} query={query} />
      <Panel
        title="Who may do what"
        count={`${rows.length < all.length ? `${countWords(rows.length)} of ` : ''}${countWords(all.length)}`}
        controls={
          <>
            <Link to="/policies">What was changed in the policies</Link>
            <input
              type="text"
              aria-label="Show rows with"
              placeholder="show rows with …"
              value={wanted}
              spellcheck={false}
              onInput={(event) => setWanted(event.currentTarget.value)}
            />
          </>
        }
        isTable
      >
        <Matrix table={table} rows={rows} />
        <p class="faint inside">
          A number is how many commands of that kind a policy allows, of all that there are; its rules say for
          which users and with which options. "content" has those that may show or search what is in mails.
          Enter or a click on a row shows the rules.
        </p>
      </Panel>
      {shown !== undefined && (
        <PolicyInWords key={shown.name} policy={shown} approvesOnPage={table.approvesOnPage} />
      )}
      <AsCommand>dovegate can --listener NAME</AsCommand>
    </>
  );
}

function Matrix({ table, rows }: { readonly table: AccessTable; readonly rows: readonly AccessRow[] }) {
  const { policies, effects } = table;
  const byName = new Map(policies.map((policy) => [policy.name, policy]));
  const columns: Column<Row>[] = [
    { title: 'who', cell: (row) => <Who row={row} /> },
    {
      title: 'policy',
      cell: (row) => (
        <>
          <Link to={`/access?policy=${encodeURIComponent(row.policy)}`}>
            <Name value={row.policy} />
          </Link>
          {byName.get(row.policy)?.isObserving === true && (
            <p class="why">
              <Sign tone="warn">observes only</Sign>
            </p>
          )}
        </>
      ),
    },
    ...effects.flatMap(({ name, commands }, at): Column<Row>[] => {
      if (/^(session|admin)$/.test(name) && isNone(table, at)) return [];
      const cell = (row: Row) => {
        const policy = byName.get(row.policy);
        return <Cell policy={policy} cell={policy?.cells[at]} ofCommands={commands} />;
      };
      return [{ title: effectSign(name).word, cell }];
    }),
    {
      title: effectSign('content').word,
      cell: (row) => {
        const policy = byName.get(row.policy);
        return <Cell policy={policy} cell={policy?.content} />;
      },
    },
  ];
  return (
    <Table
      label="Who may do what"
      rows={rows}
      columns={columns}
      keyOf={({ kind, listener, names, people, policy }) =>
        `${kind} ${listener} ${names.join(' ')} ${people ?? ''} ${policy}`
      }
      onOpen={(row) => go(`/access?policy=${encodeURIComponent(row.policy)}`)}
      empty={
        table.rows.length === 0
          ? 'The configuration has no listeners, so nobody may do anything.'
          : 'No listener, account, key or policy has that in its name.'
      }
    />
  );
}

function Who({ row: { names, listener, kind, people } }: { readonly row: Row }) {
  const what =
    kind === 'listener'
      ? `listener, ${people === undefined ? 'everybody who may connect' : `only ${people}`}`
      : `${names.length === 1 ? kind : `${kind}s`} of ${listener}`;
  return (
    <>
      <strong>
        <Name value={names.join(', ')} max={200} />
      </strong>
      <p class="why faint">
        <Name value={what} max={100} />
      </p>
    </>
  );
}

interface CellProps {
  readonly policy: AccessPolicy | undefined;
  readonly cell: AccessCell | undefined;
  /** How many commands have this effect. */
  readonly ofCommands?: number;
}

function Cell({ policy, cell, ofCommands }: CellProps) {
  if (policy === undefined || cell === undefined) return null;
  if (policy.isObserving)
    return (
      <span>
        all, recorded
        <br />
        <span class="faint number">{countWords(cell.commands.length)} by rules</span>
      </span>
    );
  const { commands, onRequest } = cell;
  return (
    <span title={[...commands, ...onRequest.map((name) => `${name} (on request)`)].join(', ')}>
      {commands.length === 0 ? (
        <span class="faint">none</span>
      ) : (
        <>
          <strong class="number">{countWords(commands.length)}</strong>
          {ofCommands !== undefined && <span class="faint number"> of {countWords(ofCommands)}</span>}
        </>
      )}
      {onRequest.length > 0 && (
        <>
          <br />
          <span class="number">{countWords(onRequest.length)} on request</span>
        </>
      )}
      {cell.mayAll && (
        <>
          <br />
          <Sign tone="warn">all users at once</Sign>
        </>
      )}
    </span>
  );
}

interface PolicyProps extends Pick<AccessTable, 'approvesOnPage'> {
  readonly policy: AccessPolicy;
}

function PolicyInWords({ policy, approvesOnPage }: PolicyProps) {
  const { name, place, users, except, limits, allow, deny, onRequest, isObserving, shadow } = policy;
  const approvers = [
    ...policy.approvers.map((each) => `people of policy ${each}, for its users`),
    ...(approvesOnPage ? ['people of this page with the role approve, for the users that they see'] : []),
  ];
  const asks = 'what may be asked for, with a reason (dovegate request)';
  const shownAt = useRef<HTMLElement>(null);
  // The part stands below the table, out of sight where that is long.
  useEffect(() => shownAt.current?.focus(), []);
  return (
    <section ref={shownAt} tabIndex={-1} aria-label={`Policy ${name}`} class="policy panel">
      <div class="inside">
        <div class="heading">
          <h2>
            Policy <Name value={name} />{' '}
            <span class="count">
              <Name value={place} max={80} />
            </span>
          </h2>
          <div class="buttons">
            <Button onClick={() => go(pathOf('/learn/:policy', name))}>What was seen under it</Button>
            <Button onClick={() => go('/access')}>Close</Button>
          </div>
        </div>
        {isObserving && (
          <p>
            <Sign tone="warn">
              It observes: ordinary commands without a rule are allowed, too, and recorded.
            </Sign>
          </p>
        )}
        <Facts
          kind="facts"
          rows={[
            ['for users', steps(users)],
            ['but not', except.length > 0 && steps(except)],
            ['at most', limits.length > 0 && steps(limits)],
            ['may approve requests of', policy.approve.length > 0 && steps(policy.approve)],
            ['candidate beside it', shadow],
          ]}
        />
        <Rules title="allows" rules={allow} empty="It has no rule that allows anything." />
        {deny.length > 0 && <Rules title="denies, whatever is allowed" rules={deny} empty="" />}
        {onRequest.length > 0 && (
          <>
            <Rules
              title={isObserving ? `${asks}, once the policy enforces` : asks}
              rules={onRequest}
              empty=""
            />
            <Facts
              kind="facts"
              rows={[
                [
                  'who approves or reviews it',
                  steps(approvers.length === 0 ? ['nobody: no policy has it in `approve`'] : approvers),
                ],
              ]}
            />
          </>
        )}
      </div>
    </section>
  );
}

const steps = (texts: readonly string[]) =>
  texts.map((text) => (
    <span key={text} class="step">
      <Name value={text} max={120} />
    </span>
  ));

interface RulesProps {
  readonly title: string;
  readonly rules: AccessPolicy['allow'];
  readonly empty: string;
}

function Rules({ title, rules, empty }: RulesProps) {
  if (rules.length === 0) return <Empty>{empty}</Empty>;
  return (
    <>
      <h3>
        {title} <span class="count">{plural(rules.length, 'rule', 'rules')}</span>
      </h3>
      <ul class="rules">
        {rules.map((rule, at) => (
          <li key={at} data-row tabIndex={-1}>
            <Rule rule={rule} />
            <Effect effect={rule.effect} content={rule.content} />
          </li>
        ))}
      </ul>
    </>
  );
}
