// A story in words for people. Every sentence about what became of a command is made here, with the words that its client got
// (`doveadm/codes`). Texts are as recorded: callers make them harmless for their output.

import {
  codes,
  isCode,
  plain,
  sentenceOf,
  sentenceOfError,
  statusMeaning,
} from '../../doveadm/codes/codes.js';
import { decisionCodes, isDecisionCode } from '../../doveadm/codes/decisions.js';
import { lockSentence } from '../../doveadm/codes/locks.js';
import { wouldWords } from '../../doveadm/codes/outcomes.js';
import { endWords } from '../../gate/access/ending-words.js';
import { drainWords } from '../../gate/now/operator.js';
import { denialWords, nextWords, ranWords } from '../../gate/outcome/next.js';
import { type CloseReason, closeReasons } from '../../host/ports/transport.js';
import type { StoredRecord } from '../../host/values/values.js';
import { asTimeMs } from '../../journal/records/record.js';
import { numberIn, textIn, valueText } from '../../journal/records/stored.js';
import { type FoldedStory as Folded, peerOf } from './fold.js';
import { approvedText } from './grant.js';
import {
  countedWords,
  type Fact,
  hiddenSentences,
  isExchange,
  kindOf,
  type LifeStep,
  type LoggedLine,
  lockIn,
  outcomeOf,
  type StoryRow,
  type StoryTold,
  shownEffect,
  type TrailContent,
} from './row.js';
import { type Cause, type Right, type Story, storyOfRow } from './story.js';

/** The sentence that the client got, or one that stands for it; '' if the command succeeded. */
export function causeWords(cause: Cause): string {
  switch (cause.kind) {
    case 'none':
      return '';
    case 'open':
      return cause.status === undefined
        ? 'it runs still, or its end was not recorded'
        : `no answer came in time, and the client got ${cause.status}; it may still run, and its end is not recorded`;
    case 'denied':
      return sentenceOf('denied', { policy: cause.policy, reason: cause.reason });
    case 'said':
      return cause.sentence;
    case 'code': {
      const { code, backend, reason } = cause;
      if (code.startsWith(lookup)) return sentenceOf('lookup-failed', { reason: code.slice(lookup.length) });
      if (!isCode(code)) return `it ended with the code "${code}", which this dovegate does not know`;
      return reason === code ? sentenceOfError(code, backend) : sentenceOf(code, { backend, reason });
    }
    case 'backend':
      return sentenceOf('backend-failed', { reason: statusMeaning(cause.word) });
    default:
      return cause satisfies never;
  }
}

/** Why it ended this way: for a denial, its words; otherwise the words that the client got, unless the record knows more. */
function endedWords({ decided: { policy, right }, ended }: Pick<Story, 'decided' | 'ended'>): string {
  const { denial, error, cause, givenBytes } = ended;
  if (!isDecisionCode(denial)) return ranWords(causeWords(cause), givenBytes);
  const place = right.kind === 'none' ? '' : right.place;
  return denialWords(denial, { policy, place, isOffered: error === 'on-request' });
}

const lookup = 'lookup-';

/** What permitted it: a rule or a grant; or that none did. */
export function rightWords({ right, policy, decision, isObserved }: Story['decided']): string {
  const ofPolicy = policy === '' ? '' : ` of policy ${policy}`;
  if (right.kind === 'grant') return `grant ${right.id}: ${grantWords(right)}`;
  if (right.kind === 'rule') return `rule ${right.place}${ofPolicy}`;
  if (isObserved) return `no rule${ofPolicy}, which only observes`;
  return decision === undefined ? 'no decision is recorded' : `no rule${ofPolicy}`;
}

/** `anna@support asked, approved by carol@leads, use 2 of 5`. */
function grantWords({ story, use }: Extract<Right, { readonly kind: 'grant' }>): string {
  const asked = story?.entry === undefined || story.requested.by !== undefined ? '' : `${story.to} asked, `;
  const of = story?.usesMax === undefined ? '' : ` of ${story.usesMax}`;
  return `${asked}${approvedText(story)}${use === undefined ? '' : `, use ${use}${of}`}`;
}

/** For a row of a search: why a command ended this way, why a request for access failed, or why a session ended. '' if no record says. */
export function whyWords(row: StoryRow): string {
  if (isExchange(row.fields)) return endedWords(storyOfRow(row));
  const outcome = outcomeOf(row);
  if (outcome === 'unanswered') return 'nobody decided in time';
  if (outcome === 'refused' && kindOf(row.fields) === 'access')
    return `${endWords(outcome, textIn(row.fields, 'principal'))}: ${textIn(row.fields, 'reason') || 'no reason was given'}`;
  return row.fields['event'] === 'session-close' ? closedWords(textIn(row.fields, 'reason')) : '';
}

export function tellStory(story: Folded, content?: TrailContent): StoryTold {
  const { asked, ended, records } = story;
  const { admission, completion, logs, opened, closed } = records;
  return {
    asked,
    uid: numberIn(peerOf(story), 'uid'),
    outcome: ended.outcome,
    tookMs: numberIn(completion, 'duration_ms'),
    answer: answerWords(story),
    next: nextOf(story),
    remarks: remarksOf(story),
    grant: story.decided.right.kind === 'grant' ? story.decided.right.id : undefined,
    who: whoOf(story),
    what: [
      ...facts({ ...(admission ?? completion), effect: shownEffect(asked.effect, content) }, [
        ['command', 'Command'],
        ['user', 'Mail user'],
        ['written', 'As the client wrote it'],
        ['users', 'All users it touches'],
        ['case', 'Case of names'],
        ['effect', 'The most it can do'],
        ['matches', 'Mails that match'],
        ['tag', "The client's name for it"],
      ]),
      ...facts(completion && { ...completion, backend: ended.backend }, [
        ['input', 'Input'],
        ['backend', 'Backend'],
        ['upstream', 'Connection'],
        ['backends', 'Backends'],
        ['cells', 'Cells of the answer'],
        ['bytes_in', 'Bytes from the backend'],
        ['bytes_out', 'Bytes to the client'],
      ]),
      ...codeFacts(story.ended),
    ],
    why: whyOf(story),
    life: lifeOf(story),
    logs: logs.map(loggedLine),
    opened: opened && loggedLine(opened),
    closed: closed && loggedLine(closed),
  };
}

/** What became of it, in one sentence without its full stop: `denied by ...`, `failed: ...`, `allowed by grant G: ...`. */
export function answerWords({ decided, ended }: Pick<Story, 'decided' | 'ended'>): string {
  const cause = endedWords({ decided, ended });
  if (cause === '') return ended.outcome === 'ok' ? `allowed by ${rightWords(decided)}` : ended.outcome;
  return ended.outcome === 'open' || cause.startsWith(ended.outcome) ? cause : `${ended.outcome}: ${cause}`;
}

/** Further remarks, each in one sentence without its full stop. */
function remarksOf({ asked, decided, ended, sent, records }: Folded): string[] {
  const counted = countedWords(asked);
  const isTold = ended.outcome === 'ok' || decided.right.kind !== 'grant';
  return [
    ...(isDecisionCode(ended.denial) ? [`the client got: ${causeWords(ended.cause)}`] : []),
    ...(isTold ? [] : [`under ${rightWords(decided)}`]),
    ...(counted === '' ? [] : [counted]),
    ...(sent === 'maybe' && ended.outcome !== 'open' ? ['whether a backend got it is not recorded'] : []),
    ...(records.admission === undefined ? ['its admission is not in the kept records'] : []),
    ...hiddenSentences((asked.args ?? []).map(valueText).join(' ')),
    ...(records.isPartMissing ? ['argument records are missing: dovegate audit verify'] : []),
  ];
}

/** The answer, the next step with who can take it, and the remarks. */
export function storySentences(story: Folded): string[] {
  const next = nextOf(story);
  return [answerWords(story), ...(next === undefined ? [] : [next]), ...remarksOf(story)];
}

function nextOf({
  asked: { effect },
  decided: { right, policy },
  sent,
  ended: { outcome, owner, error, denial, until, backend, operator, lock, givenBytes },
}: Story): string | undefined {
  if (owner === undefined) return undefined;
  const isNothingOpen = sent === 'no' || (effect === 'read' && givenBytes > 0);
  const look = isNothingOpen ? '' : 'look on the mail server whether it ran, and then ';
  // The process ended without an answer of the backend: only the requester can look whether it ran.
  if (owner === 'gate' && outcome === 'unknown') return `next: the requester, who can ${look}send it again`;
  if (error === 'killed') {
    const who = operator === undefined ? 'an operator of dovegate' : `the operator ${operator.by}`;
    return `next: the requester, who can ${look}send it again, or ask ${who}, who ended it`;
  }
  if (error === 'backend-drained') {
    const who = operator === undefined ? 'by an operator or the configuration' : drainWords(operator);
    return `next: the requester, who can send it again when ${backend} is back in service; it was drained ${who}`;
  }
  const place = right.kind === 'rule' ? right.place : '';
  const next = `next: ${nextWords(owner, { denial, error, backend, policy, place, until })}`;
  return lock === undefined ? next : `${next}; ${lockSentence(lockIn(lock), true)}`;
}

function loggedLine(record: StoredRecord): LoggedLine {
  return {
    time: textIn(record, 'time'),
    level: textIn(record, 'level'),
    text: valueText(record['text']) || closedWords(textIn(record, 'reason')),
  };
}

/** Why a session ended: the words of its code, or another reason as recorded. */
export function closedWords(reason: string): string {
  return isCloseReason(reason) ? plain(closeReasons[reason][0]) : reason;
}

function isCloseReason(text: string): text is CloseReason {
  return Object.hasOwn(closeReasons, text);
}

/** The error and the denial: what their codes mean, with the codes that the client got. */
function codeFacts({ error, denial }: Story['ended']): Fact[] {
  const words = (code: string, means: string | undefined): string =>
    means === undefined ? code : `${plain(means)} [${code}]`;
  return [
    { what: 'Error', value: words(error, isCode(error) ? codes[error].means : undefined) },
    {
      what: 'Denied for',
      value: words(denial, isDecisionCode(denial) ? decisionCodes[denial][0] : undefined),
    },
  ].filter(({ value }) => value !== '');
}

function facts(record: StoredRecord | undefined, keys: readonly (readonly [string, string])[]): Fact[] {
  return keys.flatMap(([key, what]) => {
    const value = valueText(record?.[key]);
    return value === '' ? [] : [{ what, value }];
  });
}

/** The requester, as far as the kernel or TLS identified them. */
function whoOf(story: Folded): Fact[] {
  const { admission, completion } = story.records;
  return [
    ...facts(admission ?? completion, [
      ['principal', 'Name'],
      ['listener', 'Listener'],
      ['protocol', 'Protocol'],
    ]),
    ...facts(peerOf(story), [
      ['user', 'User of the host'],
      ['uid', 'uid'],
      ['login_uid', 'uid of the login'],
      ['exe', 'Program'],
      ['exe_unproven', 'Program (unproven)'],
      ['unit', 'Unit'],
      ['unit_unproven', 'Unit (unproven)'],
      ['pid', 'Process'],
      ['address', 'Address'],
      ['certificate', 'Certificate'],
    ]),
    ...facts(admission, [['reason', 'Reason given']]),
  ];
}

function whyOf({ decided, ended, records: { admission } }: Folded): Fact[] {
  if (admission === undefined) return [];
  return [
    { what: 'Decision', value: saidWords(decided, ended) },
    { what: 'By', value: rightWords(decided) },
    ...(decided.right.kind === 'grant' ? [{ what: 'Rule', value: decided.right.place }] : []),
    ...facts(admission, [['text', 'In words']]),
    ...besides(admission),
    ...facts(admission, [
      ['series', 'Parsed as Dovecot'],
      ['version', 'Hash of the policy'],
    ]),
  ].filter(({ value }) => value !== '');
}

/** What the rules decided, and what denied the command in spite of it. */
function saidWords({ decision, right }: Story['decided'], { outcome, denial }: Story['ended']): string {
  if (decision !== 'allow') return decision === undefined ? '' : 'denied';
  if (outcome !== 'denied') return 'allowed';
  const why = isDecisionCode(denial) ? `, but ${plain(decisionCodes[denial][0])}` : ', but not this time';
  return `denied: a ${right.kind === 'grant' ? 'grant' : 'rule'} allows it${why}`;
}

/** What an observing policy, and a candidate, would have done instead, and why. */
function besides(admission: StoredRecord): Fact[] {
  return (['would', 'shadow'] as const).flatMap((key) => {
    const words = wouldWords(key, admission[key]);
    const why = textIn(admission, `${key}_why`);
    return words === undefined ? [] : [{ what: 'Beside it', value: why === '' ? words : `${words}: ${why}` }];
  });
}

/** The timeline. Record times are whole milliseconds and durations are exact, so steps are clamped to stay in order. */
function lifeOf({
  sent: isKnownSent,
  decided,
  ended,
  records: { admission, completion },
}: Folded): LifeStep[] {
  const admittedMs = asTimeMs(admission?.['time']);
  const endedMs = asTimeMs(completion?.['time']);
  const durationMs = numberIn(completion, 'duration_ms');
  const waitMs = numberIn(completion, 'wait_ms');
  const firstMs = numberIn(completion, 'first_byte_ms');
  const cameMs = endedMs !== undefined && durationMs !== undefined ? endedMs - durationMs : admittedMs;
  const isSent = isKnownSent === 'yes';
  const within = (ms: number | undefined): number | undefined =>
    ms === undefined ? undefined : Math.min(Math.max(ms, 0), durationMs ?? Infinity);
  const recorded = within(admittedMs === undefined || cameMs === undefined ? undefined : admittedMs - cameMs);
  const sent = within(recorded === undefined || waitMs === undefined ? undefined : recorded + waitMs);
  const first = within(sent === undefined || firstMs === undefined ? undefined : sent + firstMs);
  const said = saidWords(decided, ended);
  const isOpen = completion === undefined;
  const mayBeSent = isOpen ? 'not known yet' : 'whether a backend got it is not recorded';
  const notSent = isKnownSent === 'maybe' ? mayBeSent : 'nothing was sent to a backend';
  const waited = waitMs === undefined ? '' : `after ${briefMs(waitMs)} of waiting for a connection`;
  return [
    { what: 'came', ms: 0, about: 'its line was there in full' },
    {
      what: 'recorded',
      ms: recorded,
      about: said || 'with no decision',
    },
    { what: 'sent', ms: isSent ? sent : undefined, about: isSent ? waited : notSent },
    ...(isSent
      ? ([
          {
            what: 'first byte',
            ms: first,
            about:
              firstMs === undefined ? 'no byte of an answer came' : `${briefMs(firstMs)} after it was sent`,
          },
        ] as const)
      : []),
    isOpen
      ? { what: 'not ended', about: causeWords({ kind: 'open', status: undefined }) }
      : {
          what: 'ended',
          ms: durationMs,
          about:
            ended.status === '' ? ended.outcome : `${ended.outcome}, answered ${statusWords(ended.status)}`,
        },
  ];
}

/** `with success`, `with an error: no such user (-NOUSER)`. */
function statusWords(status: string): string {
  const [, word] = /^-([A-Z]*)/.exec(status) ?? [];
  return word === undefined ? 'with success' : `with an error: ${statusMeaning(word)} (-${word})`;
}

function briefMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
