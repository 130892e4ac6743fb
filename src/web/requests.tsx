// A request or grant as a card, and the question before each step.

import { useState } from 'preact/hooks';
import type { AccessItem } from '../domain/admin/page/access.js';
import type { AccessTable, Approvals } from '../domain/admin/page/api.js';
import { plural } from '../domain/language/words/words.js';
import { Effect, Words } from './badge.js';
import { Confirm } from './dialog.js';
import { Ago, Button, Field, Name, Panel, Sentence } from './kit.js';
import { Link } from './location.js';
import {
  afterWords,
  askedBefore,
  ruleWords,
  type Step,
  stateSentence,
  termsWords,
  usedSentence,
  whyNoDecision,
} from './request.js';
import { pathOf } from './route.js';
import { useSession } from './session.js';
import { effectWith } from './signs.js';

export function requestPath(id: string): string {
  return pathOf('/access/:id', id);
}

interface CardProps {
  readonly item: AccessItem;
  /** Those that the reader is shown: for what the requester asked before. */
  readonly all: readonly AccessItem[];
  readonly onDone: () => void;
}

export function RequestCard({ item, all, onDone }: CardProps) {
  const [step, setStep] = useState<Step>();
  const { to, may, effect, content } = item;
  const has = (each: Step): boolean => may.includes(each);
  const button = (each: Step, kind: 'main' | 'plain') =>
    has(each) && (
      <Button kind={kind} label={`${each} ${to}`} onClick={() => setStep(each)}>
        {each}
      </Button>
    );
  return (
    <Panel
      title={<Name value={to} max={80} />}
      label={to}
      tone={effectWith(effect, content === true ? 'yes' : undefined).tone}
      controls={
        <span class="faint">
          asked <Ago at={item.asked} /> ago
        </span>
      }
    >
      <p>
        <Sentence text={stateSentence(item)} />
      </p>
      <Told item={item} all={all} />
      <WhyNot text={whyNoDecision(item, { isApprover: true, listed: item, whyNone: undefined })} />
      <div class="toolbar">
        <span class="buttons">
          {button('approve', 'main')}
          {button('review', 'main')}
          <Link to={requestPath(item.id)}>Its history</Link>
        </span>
        <span class="buttons">
          {button('refuse', 'plain')}
          {item.state !== 'requested' && button('revoke', 'plain')}
        </span>
      </div>
      {step !== undefined && (
        <Decide
          item={item}
          step={step}
          onClose={() => {
            setStep(undefined);
            onDone();
          }}
        />
      )}
    </Panel>
  );
}

export function WhyNot({ text }: { readonly text: string | undefined }) {
  if (text === undefined) return null;
  return (
    <p class="hint">
      <Name value={text} max={600} />
    </p>
  );
}

/** Of a rule for all that it permits, the command is one of many. */
const commandWords = ({ rule }: CardProps['item']): string =>
  rule === undefined ? 'Command' : 'For example';

type ToldProps = Pick<CardProps, 'item'> &
  Partial<Pick<CardProps, 'all'>> & {
    /** As they are served. */
    readonly policies?: AccessTable['policies'] | undefined;
  };

export function Told({ item, all, policies }: ToldProps) {
  const { rule, users, approvals, approved_by: approved, matches } = item;
  const names = approved.map(({ principal }) => principal).join(', ');
  const facts = [
    { what: commandWords(item), value: item.command },
    ...(rule === undefined ? [] : [{ what: 'Permits', value: rule.join(', ') }]),
    { what: 'Mail of', value: users.join(', ') },
    ...(matches === undefined
      ? []
      : [{ what: 'Mails', value: `${plural(matches, 'mail matches', 'mails match')} now` }]),
    { what: 'Reason given', value: item.reason },
    { what: 'Rule', value: ruleWords(item, policies) },
    {
      what: 'Approvals',
      value: item.break_glass
        ? 'none needed (break-glass)'
        : `${approved.length} of ${approvals}${names && `: ${names}`}`,
    },
    { what: item.granted === undefined ? 'Asks for' : 'Granted', value: termsWords(item) },
  ];
  const sentences = [
    ...(item.granted === undefined ? [] : [{ what: 'Used', texts: [usedSentence(item)] }]),
    ...(all === undefined ? [] : [{ what: 'Asked before', texts: askedBefore(item, all) }]),
  ];
  return (
    <dl class="told">
      <div>
        <dt>Effect</dt>
        <dd>
          <Effect effect={item.effect} content={item.content === true ? 'yes' : undefined} />
        </dd>
      </div>
      {facts.map(({ what, value }) => (
        <div key={what}>
          <dt>{what}</dt>
          <dd>
            {what === commandWords(item) ? (
              <Words value={value} max={200} />
            ) : (
              <Name value={value} max={200} />
            )}
          </dd>
        </div>
      ))}
      {sentences.map(({ what, texts }) => (
        <div key={what}>
          <dt>{what}</dt>
          <dd>
            {texts.map((text, at) => (
              <div key={at}>
                <Sentence text={text} />
              </div>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  );
}

const titles: Readonly<Record<Step, string>> = {
  approve: 'Approve this request',
  refuse: 'Refuse this request',
  revoke: 'End this grant at once',
  review: 'Mark as reviewed',
};

interface DecideProps {
  readonly item: AccessItem;
  readonly step: Step;
  readonly onClose: () => void;
}

function Decide({ item, step, onClose }: DecideProps) {
  const { api } = useSession();
  const [minutes, setMinutes] = useState('');
  const [uses, setUses] = useState('');
  const [reason, setReason] = useState('');
  const isApproval = step === 'approve';
  const isEnd = step === 'refuse' || step === 'revoke';
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
      : { reason: isEnd && reason !== '' ? reason : undefined };
    const { items } = await api.json<Approvals>(`POST /api/approvals/:id/${step}`, {
      params: [item.id],
      body,
    });
    return afterWords(items[0]);
  };
  return (
    <Confirm
      title={titles[step]}
      doit={step}
      isDanger={step === 'revoke'}
      obstacle={obstacle}
      onDo={run}
      onClose={onClose}
    >
      <p>
        <Name value={item.to} />
      </p>
      <Told item={item} />
      {isApproval && (
        <>
          <Field
            label="Minutes"
            value={minutes}
            onInput={setMinutes}
            placeholder={String(Math.ceil(item.for_ms / 60_000))}
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
      {isEnd && <Field label={`Why you ${step} it`} value={reason} onInput={setReason} />}
    </Confirm>
  );
}
