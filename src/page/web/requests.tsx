// A request or grant as a card, and the question before each step.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { givenWords, hiddenSentences } from '../../evidence/story/row.js';
import type { AccessItem } from '../../gate/access/access-item.js';
import { countWords } from '../../host/words/words.js';
import type { AccessTable, Approvals } from '../answers/api.js';
import { useApprovals } from './approvals.js';
import { Effect, Words } from './badge.js';
import { Confirm } from './dialog.js';
import { Ago, Button, type FactRow, Facts, Field, Name, Panel, Sentence, Sentences, Time } from './kit.js';
import { Link } from './location.js';
import {
  afterWords,
  approvedWords,
  becameSentence,
  deadlineSentence,
  lossWords,
  mailsWords,
  othersOf,
  permitsTitle,
  permitsWords,
  requestName,
  ruleWords,
  type Step,
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
  readonly policies?: ToldProps['policies'];
  /** Opens the question that comes before the step. */
  readonly onStep: (step: Step) => void;
}

export function RequestCard({ item, policies, onStep }: CardProps) {
  const { to, may, effect, content } = item;
  const has = (each: Step): boolean => may.includes(each);
  const button = (each: Step, kind: 'main' | 'plain') =>
    has(each) && (
      <Button kind={kind} label={`${each} ${requestName(item)}`} onClick={() => onStep(each)}>
        {each}
      </Button>
    );
  return (
    <Panel
      title={<Name value={to} max={80} />}
      label={requestName(item)}
      tone={effectWith(effect, content === true ? 'yes' : undefined).tone}
      controls={
        <span class="faint">
          asked <Ago at={item.asked} /> ago
          {item.granted !== undefined && (
            <>
              , granted <Time at={item.granted} isExact />
            </>
          )}
        </span>
      }
    >
      <Told item={item} policies={policies} />
      <WhyNot text={whyNoDecision(item, { isApprover: true, listed: item, whyNone: undefined })} />
      <div class="toolbar">
        <span class="buttons">
          {button('approve', 'main')}
          {button('review', 'main')}
        </span>
        <span class="buttons">
          {button('refuse', 'plain')}
          {item.state !== 'requested' && button('revoke', 'plain')}
        </span>
      </div>
    </Panel>
  );
}

export interface Deciding {
  readonly onStep: (item: AccessItem, step: Step) => void;
  readonly dialog: ComponentChildren;
}

/** The screen draws the dialog, since the card disappears when its last step is taken. */
export function useDeciding(): Deciding {
  const { askAgain } = useApprovals();
  const [asked, setAsked] = useState<{ readonly item: AccessItem; readonly step: Step }>();
  const onStep = (item: AccessItem, step: Step): void => setAsked({ item, step });
  const onClose = (): void => {
    setAsked(undefined);
    askAgain();
  };
  return { onStep, dialog: asked && <Decide {...asked} onClose={onClose} /> };
}

export function WhyNot({ text }: { readonly text: string | undefined }) {
  return text === undefined ? null : <Sentences texts={[text]} kind="hint" />;
}

interface ToldProps {
  readonly item: AccessItem;
  /** The policies as they are served now. */
  readonly policies?: AccessTable['policies'] | undefined;
}

export function Told({ item, policies }: ToldProps) {
  const { scope, users, granted, to } = item;
  const { approvals, decided } = useApprovals();
  const hidden = hiddenSentences(item.command);
  const facts: readonly FactRow[] = [
    ['Effect', <Effect effect={item.effect} content={item.content === true ? 'yes' : undefined} />],
    // If the grant is for all that the rule permits, the command is only an example.
    [scope === 'user' ? 'For example' : 'Command', <Words value={item.command} max={200} />],
    ['Hidden words', hidden.length === 0 ? undefined : <Sentence text={hidden.join('; ')} />],
    [permitsTitle(item), <Name value={permitsWords(item)} max={600} />],
    ['Mail of', users.join(', ')],
    ['Mails', textOf(mailsWords(item))],
    ['Reason given', item.reason],
    ['Decide', textOf(deadlineSentence(item))],
    ['Approvals', approvedWords(item)],
    [
      granted !== undefined ? 'Granted' : item.asked_for === undefined ? 'Asks for' : 'Would give',
      item.state === 'requested'
        ? `${givenWords(item)}; the time begins at the approval${item.may.includes('approve') ? ', which may give less time and fewer uses' : ''}`
        : givenWords(item),
    ],
    ['Stopped', textOf(item.locked?.join('; '))],
    ['Used', granted === undefined ? undefined : <Sentence text={usedSentence(item)} />],
    ['Rule', ruleWords(item, policies)],
    [
      `Other requests of ${to}`,
      approvals === undefined ? undefined : <Others item={item} all={[...approvals, ...decided]} />,
    ],
  ];
  return <Facts rows={facts} />;
}

function textOf(text: string | undefined): ComponentChildren {
  return text === undefined ? undefined : <Sentence text={text} />;
}

function Others({ item, all }: { readonly item: AccessItem; readonly all: readonly AccessItem[] }) {
  const { shown, more } = othersOf(item, all);
  if (shown.length === 0) return <>none of the same requester is known here</>;
  return (
    <>
      {shown.map((other) => (
        <div key={other.id}>
          <Link to={requestPath(other.id)}>
            <Time at={other.asked} isExact />
          </Link>{' '}
          <Words value={other.command} max={120} /> of <Name value={other.users.join(', ')} max={80} />:{' '}
          <Sentence text={becameSentence(other)} />
          {other.reason !== '' && (
            <p class="why faint">
              asked with the reason: <Name value={other.reason} max={120} />
            </p>
          )}
        </div>
      ))}
      {more > 0 && <div>and {countWords(more)} more</div>}
    </>
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
      isDanger={step === 'revoke' || (isApproval && item.effect === 'destroy')}
      obstacle={obstacle}
      onDo={run}
      onClose={onClose}
    >
      <p>
        <Name value={item.to} />
      </p>
      {isApproval && item.effect === 'destroy' && <Sentences texts={[lossWords(item)]} kind="said bad" />}
      {step === 'revoke' && (
        <p>
          What is left of it is gone at once: the next command is denied. One that runs is ended, but a change
          that has begun is finished. It cannot be taken back; who had it may ask again.
        </p>
      )}
      {step === 'review' && (
        <p>
          A review says that a person has looked at what was done; it gives and takes nothing, and cannot be
          taken back. What was done is in the history on this page.
        </p>
      )}
      <Told item={item} />
      {isApproval && (
        <>
          <Field
            label="Minutes"
            value={minutes}
            onInput={setMinutes}
            placeholder={String(Math.ceil(item.for_ms / 60_000))}
            hint="From the approval on. Fewer than it would give; empty: all of them."
          />
          {item.uses !== 1 && (
            <Field
              label="Uses"
              value={uses}
              onInput={setUses}
              hint="Fewer than it would give; empty: all of them."
              {...(item.uses !== undefined && { placeholder: String(item.uses) })}
            />
          )}
        </>
      )}
      {isEnd && (
        <Field
          label={`Why you ${step} it`}
          value={reason}
          onInput={setReason}
          hint={`The requester reads it${step === 'revoke' ? '; it may be empty' : ''}.`}
        />
      )}
    </Confirm>
  );
}
