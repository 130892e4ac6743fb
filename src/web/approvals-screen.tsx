// Screen "approvals": requests for access that wait, live grants, and grants without an approval that nobody has reviewed. Never one's own.

import { useState } from 'preact/hooks';
import type { AccessItem } from '../domain/admin/page/access.js';
import type { Approvals } from '../domain/admin/page/api.js';
import { countWords, plural } from '../domain/language/words/words.js';
import { useApprovals } from './approvals.js';
import { Effect } from './badge.js';
import { Confirm } from './dialog.js';
import { AsCommand, Button, Duration, Empty, Field, Name, Panel, Pending, Sign, Time } from './kit.js';
import { useSession } from './session.js';
import { type Column, Table } from './table.js';
import { visible } from './visible.js';

type Step = 'approve' | 'refuse' | 'revoke' | 'review';

interface Chosen {
  readonly item: AccessItem;
  readonly step: Step;
}

export function ApprovalsScreen() {
  const { approvals, more, whyNone, fault, askAgain } = useApprovals();
  const [chosen, choose] = useState<Chosen | undefined>();
  if (approvals === undefined) return <Pending fault={fault}>Reading the requests …</Pending>;
  const waiting = approvals.filter(({ state }) => state === 'requested');
  const others = approvals.filter(({ state }) => state !== 'requested');
  const columns: Column<AccessItem>[] = [
    { title: 'who', line: 1, cell: (row) => <Name value={row.to} /> },
    { title: 'what', line: 2, grows: true, cell: (row) => <What item={row} /> },
    { title: 'reason', line: 3, cell: (row) => <Name value={row.reason} max={200} /> },
    { title: 'until', line: 3, cell: (row) => <State item={row} /> },
    {
      title: 'decide',
      kind: 'action',
      cell: (item) =>
        item.may
          .filter((step) => !(step === 'revoke' && item.state === 'requested'))
          .map((step) => (
            <Button
              key={step}
              kind={step === 'refuse' || step === 'revoke' ? 'danger' : 'main'}
              label={`${step} ${item.to}`}
              onClick={() => choose({ item, step })}
            >
              {step}
            </Button>
          )),
    },
  ];
  const table = (title: string, rows: readonly AccessItem[], empty: string) => (
    <Panel
      title={
        <>
          {title} <span class="count">{countWords(rows.length)}</span>
        </>
      }
      isTable
    >
      <Table
        label={title}
        rows={rows}
        columns={columns}
        keyOf={({ id }) => id}
        empty={<Empty>{empty}</Empty>}
      />
    </Panel>
  );
  return (
    <>
      {table(
        'Waiting',
        waiting,
        whyNone === undefined
          ? 'Nothing waits. A request is here from the moment it is recorded.'
          : `Nothing is shown: ${visible(whyNone)}.`,
      )}
      {table('Live, or to be reviewed', others, 'Nobody has access on request now.')}
      {more > 0 && <p class="faint">{plural(more, 'newer one is', 'newer ones are')} not shown.</p>}
      <AsCommand>dovegate requests --socket /run/dovegate/SOCKET</AsCommand>
      {chosen !== undefined && (
        <Decide
          {...chosen}
          onClose={() => {
            choose(undefined);
            askAgain();
          }}
        />
      )}
    </>
  );
}

function What({ item }: { readonly item: AccessItem }) {
  const { command, rule, users, effect, matches } = item;
  return (
    <>
      <Effect effect={effect} />{' '}
      <Name value={rule === undefined ? command : rule.join(', ')} max={200} isCode />
      <p class="why faint">
        of <Name value={users.join(', ')} max={120} />
        {rule !== undefined && (
          <>
            ; for example <Name value={command} max={120} isCode />
          </>
        )}
        {matches !== undefined && <>; {plural(matches, 'mail', 'mails')}</>}
      </p>
    </>
  );
}

function State({ item }: { readonly item: AccessItem }) {
  const { state, until, used, uses, for_ms: forMs, approvals, approved_by: approved } = item;
  const given = approved.map(({ principal }) => principal).join(', ');
  return (
    <>
      {item.ended !== undefined ? (
        <Sign tone="warn">over, not reviewed</Sign>
      ) : state === 'requested' ? (
        <>
          <Duration ms={forMs} />, if decided by <Time at={until} />
        </>
      ) : (
        <>
          <Time at={until} />
          {item.break_glass && item.reviewed_by === undefined && <Sign tone="warn">not reviewed</Sign>}
        </>
      )}
      <p class="why faint">
        {state === 'requested'
          ? `${approved.length} of ${plural(approvals, 'approval', 'approvals')}`
          : `used ${used}${uses === undefined ? '' : ` of ${uses}`}`}
        {given !== '' && (
          <>
            {' '}
            by <Name value={given} max={80} />
          </>
        )}
      </p>
    </>
  );
}

const titles: Readonly<Record<Step, string>> = {
  approve: 'Approve this request',
  refuse: 'Refuse this request',
  revoke: 'End this grant at once',
  review: 'Mark as reviewed',
};

function Decide({ item, step, onClose }: Chosen & { readonly onClose: () => void }) {
  const { api } = useSession();
  const [minutes, setMinutes] = useState('');
  const [uses, setUses] = useState('');
  const [reason, setReason] = useState('');
  const isApproval = step === 'approve';
  const most = Math.ceil(item.for_ms / 60_000);
  const number = (text: string): number | undefined => (text === '' ? undefined : Number(text));
  const isWrong = [minutes, uses].some((text) => text !== '' && !/^[1-9]\d{0,5}$/.test(text));
  const obstacle = isWrong
    ? 'A number from 1 on, or nothing for all of it.'
    : step === 'refuse' && reason.trim() === ''
      ? 'Say why: the requester reads it.'
      : undefined;
  const run = async (): Promise<string> => {
    const forMinutes = number(minutes);
    const body = isApproval
      ? { forMs: forMinutes && Math.min(forMinutes * 60_000, item.for_ms), uses: number(uses) }
      : step === 'review'
        ? {}
        : { reason: reason === '' ? undefined : reason };
    const { items } = await api.json<Approvals>(`POST /api/approvals/:id/${step}`, {
      params: [item.id],
      body,
    });
    return items[0]?.state === 'requested' ? 'Recorded; another approval is needed.' : 'Recorded.';
  };
  return (
    <Confirm
      title={titles[step]}
      doit={step}
      isDanger={step === 'refuse' || step === 'revoke'}
      obstacle={obstacle}
      onDo={run}
      onClose={onClose}
    >
      <p>
        <Name value={item.to} />: <Name value={item.reason} max={500} />
      </p>
      <What item={item} />
      {isApproval && (
        <>
          <Field
            label="Minutes"
            value={minutes}
            onInput={setMinutes}
            placeholder={String(most)}
            hint="Fewer than asked for; empty: all of them."
          />
          <Field
            label="Uses"
            value={uses}
            onInput={setUses}
            {...(item.uses !== undefined && { placeholder: String(item.uses) })}
          />
        </>
      )}
      {(step === 'refuse' || step === 'revoke') && (
        <Field label="Reason" value={reason} onInput={setReason} />
      )}
    </Confirm>
  );
}
