// A row of a search with the words of its cells, and a command as a screen shows it. The browser uses it too, so it uses nothing of Node.

import { lockTarget } from '../../doveadm/codes/lock-target.js';
import type { ShownLock } from '../../doveadm/codes/locks.js';
import { policyOutcomeWords, wouldWords } from '../../doveadm/codes/outcomes.js';
import { maskCovers } from '../../doveadm/names/mask.js';
import { personWords } from '../../gate/access/ending-words.js';
import {
  backendMet,
  classOfOutcome,
  countedForOf,
  isKnown,
  notOk,
  type OutcomeClass,
  type RowKind,
} from '../../gate/outcome/class.js';
import { asList, isText, type StoredRecord } from '../../host/values/values.js';
import { countWords, durationWords, plural } from '../../host/words/words.js';
import { textIn, valueText } from '../../journal/records/stored.js';

/** A row of a search: the keys of the admission, then those of the completion. */
export interface StoryRow {
  readonly fields: StoredRecord;
  readonly completedSeq?: number | undefined;
  /** The key `text` of the completion; that of `fields` is the admission's, if it has one. */
  readonly said?: string | undefined;
  readonly content?: TrailContent | undefined;
}

/**
 * Whether a command asks for mail content. `searched`: only which mails contain something; `maybe`: its record does not show it. Set in
 * pages of the newest commands, and for a single command.
 */
export type TrailContent = 'yes' | 'searched' | 'maybe';

/** The most that a command can do, in the words for people and for searches; the weakest first. */
export const shownEffects = ['read', 'session', 'content', 'write', 'admin', 'destroy'] as const;

/** A word in the text of a command that records do not hold, since it may be secret. With groups, for `split`. */
export const hiddenWordForm = /(\bhmac:[0-9a-f]{64}\b|\[secret\])/;
const hiddenWords =
  'a hidden word ("hmac:" in records) is held by no record, since it may be a secret, or say what mails say';

/** A sentence if some words of the command are hidden. */
export function hiddenSentences(command: string): readonly string[] {
  return hiddenWordForm.test(command) ? [hiddenWords] : [];
}

/** The shown effect for a recorded one. Only commands that read can show content. */
export function shownEffect(effect: string, content: TrailContent | undefined): string {
  return effect === 'read' && content !== undefined ? 'content' : effect;
}

/** Whether a row is a command, or a search by which dovegate counted mails. */
export function isExchange({ event }: StoredRecord): boolean {
  return event === undefined;
}

/** '' if a client sent it, and not dovegate to count mails. */
export function countedWords({ countedFor }: Pick<Asked, 'countedFor'>): string {
  if (countedFor === undefined) return '';
  return `counted by dovegate for ${countedFor.kind === 'request' ? 'request ' : ''}${countedFor.id}`;
}

/** Undefined: nobody did it, or a view hides what it was. Rows of commands have no event. */
export function kindOf(fields: StoredRecord): RowKind | undefined {
  const { event, action, session } = fields;
  if (isExchange(fields)) return countedForOf(fields) === undefined ? 'command' : 'count';
  if (event === 'session-open' || event === 'session-close') return isText(session) ? 'session' : undefined;
  if (!isText(action)) return undefined;
  if (event === 'access') return 'access';
  if (event === 'lock') return 'operator';
  if (event !== 'operator') return undefined;
  // Sign-ins of the page.
  if (action.startsWith('page-')) return 'session';
  return action === 'explain' || action.startsWith('audit-') ? 'look' : 'operator';
}

/** Words for records that are not commands, by `action`, or by `event` if they have none. Other actions are shown as they are. */
const deeds: Readonly<Record<string, string>> = {
  'session-open': 'connected',
  'session-close': 'session over',
  'unlock-asked': 'asked to lift the hold of',
  'page-open': 'asked for a link to the page',
  'page-sign-in': 'signed in to the page',
  'page-sign-out': 'signed out of the page',
  'page-refused': 'was refused by the page',
  'audit-verify': 'verified the journal',
  'audit-search': 'searched the trail',
  'audit-export': 'exported records',
  'audit-extract': 'took an extract',
  'audit-report': 'made a report of a mailbox',
  'audit-owner': 'read for the owner who looked into',
  'audit-survey': 'looked for like names',
  'audit-access': 'looked at requests and grants',
  'audit-show': 'looked at one id',
  'audit-suggest': 'looked at what a policy has seen',
  'audit-replay': 'tried a policy on the past',
  'audit-policies': 'looked at what was changed in the policies',
  explain: 'asked what becomes of a command',
};

/**
 * What somebody did, other than commands and steps of access: `drain mail1`, `signed in to the page how=link`. Times are as recorded.
 * `closed`: for the end of a session, its `closedWords`.
 */
export function deedOf(fields: StoredRecord, closed = ''): string {
  const event = textIn(fields, 'event');
  const action = textIn(fields, 'action') || event;
  const reason = textIn(fields, 'reason');
  const lockOf = event === 'lock' ? ['listener', 'lock'] : [];
  const texts = ['command', 'to', 'backend', 'id', 'user', 'text', ...lockOf].map((key) =>
    valueText(fields[key]),
  );
  const until = textIn(fields, 'until');
  return [
    (Object.hasOwn(deeds, action) && deeds[action]) || action,
    ...texts,
    action === 'session-close' ? closed && `(${closed})` : reason,
    kindOf(fields) === 'look' ? lookedFor(fields['args']) : valueText(fields['args']),
    until && `until ${until}`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** What a look asked for. The histogram and the further pages of a search are separate looks. */
function lookedFor(args: unknown): string {
  const words = (asList(args) ?? [args]).map(valueText);
  return words
    .map((word) => {
      if (word === 'as=histogram') return '(counted over time)';
      return word.replace(/^wanted=/, '').replace(/^before=(\d+)$/, '(older than record $1)');
    })
    .join(' ');
}

/** `open`: no end. For a step of access, what was done; `unanswered`: expired without a grant. For sessions and looks, '' or `refused`. */
export function outcomeOf({ fields, completedSeq }: StoryRow): string {
  const kind = kindOf(fields);
  const action = textIn(fields, 'action');
  if (kind === 'access')
    return action === 'expired' && textIn(fields, 'grant') === '' ? 'unanswered' : action;
  if (!isExchange(fields) && kind !== 'operator') return action === 'page-refused' ? 'refused' : '';
  // A lock is in force as soon as it is recorded.
  if (fields['event'] === 'lock') return 'ok';
  return completedSeq === undefined ? 'open' : textIn(fields, 'outcome');
}

/** For a row of a search, as {@link backendMet}; for an operator's action, the backend that it concerns. */
export function backendOf(row: StoryRow): string {
  const backend = textIn(row.fields, 'backend');
  return isExchange(row.fields)
    ? backendMet({ outcome: outcomeOf(row), backend }, row.fields['sent'])
    : backend;
}

/** The admissions among the records of a grant, each with the outcome of its completion. */
export function usesAmong(records: readonly StoredRecord[]): StoredRecord[] {
  const uses = new Map<string, StoredRecord>();
  for (const record of records) {
    const id = textIn(record, 'id');
    const use = uses.get(id);
    if (record['event'] === 'admission') uses.set(id, record);
    else if (record['event'] === 'completion' && use !== undefined)
      uses.set(id, { ...use, outcome: record['outcome'] });
  }
  return [...uses.values()];
}

/** Whether a command that names a grant was not a use of it: it came after its end and was denied. */
export function isTry({ event, grant }: { readonly event?: unknown; readonly grant?: unknown }): boolean {
  return (event === 'admission' || event === 'completion') && grant === undefined;
}

export function triedWords(times: number): string {
  return `tried ${times === 1 ? 'once more' : `${countWords(times)} times more`} when it was over, denied`;
}

/** Shown instead of names. */
export const allUsers = 'all users';

/** Whether a search for this outcome also finds requests for access, if it names no kind. */
export function isOfRequests(outcome: string | undefined): boolean {
  return outcome === notOk || outcome === 'refused' || outcome === 'unanswered';
}

/** Finds each command with an outcome of an observing policy, or of a candidate, that differs from its own. */
export const anyWord = 'any';
export const besideWords: readonly string[] = [...policyOutcomeWords, anyWord];

/** Class of a record that counts a flood, by its `action`; others are `ok`. */
const classesOfCounted: ReadonlyMap<string, OutcomeClass> = new Map([
  ['refused', 'denied'],
  ['unsent', 'failed'],
  ['page-refused', 'denied'],
  ['turned-away', 'denied'],
  ['login-failed', 'denied'],
]);

export function classOfRow(row: StoryRow): OutcomeClass {
  const { event } = row.fields;
  if (event === 'limit') return classesOfCounted.get(textIn(row.fields, 'action')) ?? 'ok';
  const outcome = outcomeOf(row);
  const kind = kindOf(row.fields);
  if (isExchange(row.fields) || kind === 'operator' || isKnown(outcome)) return classOfOutcome(outcome);
  return 'ok';
}

/** Beside an outcome: who took a step of another's grant; or what an observing policy, or a candidate, would have done. '' if none. */
export function remarkOf(row: StoryRow): string {
  const { event, would, shadow, principal } = row.fields;
  if (event === 'access')
    return principal === requesterOf(row) ? '' : `by ${personWords(textIn(row.fields, 'principal'))}`;
  const told = [wouldWords('would', would), wouldWords('shadow', shadow)];
  return told.filter((text) => text !== undefined).join('; ');
}

/** The id of the request or grant of a step of access. Undefined: the record is not such a step. */
export function requestOf(fields: StoredRecord): string | undefined {
  if (kindOf(fields) !== 'access') return undefined;
  return textIn(fields, 'grant') || textIn(fields, 'request') || undefined;
}

/** The row of a record that is not of a command; an operator's action has two records. */
export function rowOfDeed(records: readonly StoredRecord[]): StoryRow {
  const [fields = {}] = records;
  const outcome = records.map((record) => record['outcome']).find(isText);
  return outcome === undefined ? { fields } : { fields: { ...fields, outcome }, completedSeq: 0 };
}

/** The heading for a record. */
export function recordTitle(row: StoryRow): string {
  const { fields } = row;
  const kind = kindOf(fields);
  switch (kind) {
    case 'access': {
      const by = textIn(fields, 'principal');
      const to = requesterOf(row);
      return `Access on request: ${outcomeOf(row)}${by === to ? '' : ` by ${personWords(by)}`}, ${to}`;
    }
    case 'operator':
      return `What the operator ${requesterOf(row)} did: ${outcomeOf(row)}`;
    case 'session':
      return 'A session';
    case 'look':
      return 'A look at records';
    case 'command':
    case 'count':
    case undefined:
      return 'A record that belongs to no command';
    default:
      return kind satisfies never;
  }
}

/** For a step of access, the requester; an approver acts on the access of somebody else. Otherwise who did it. */
export function requesterOf({ fields }: StoryRow): string {
  const { event } = fields;
  const key = event === 'operator' || event === 'lock' ? 'by' : 'principal';
  return (event === 'access' && textIn(fields, 'to')) || textIn(fields, key);
}

/** A name alone means that name at any listener, and on the page. */
export function isPerson(name: string, wanted: string): boolean {
  if (isFitting(name, wanted)) return true;
  return isNameAlone(wanted) && (name === `page:${wanted}` || isFitting(name, `${wanted}@*`));
}

export const isNameAlone = (wanted: string): boolean => !/[@*:]/.test(wanted);

/** Whether a text matches a pattern of a search; `*` stands for any characters. */
export const isFitting = (text: string, pattern: string): boolean => maskCovers(pattern, text, Object.is);

export interface Asked {
  /** RFC 3339, as it was recorded. */
  readonly time: string;
  readonly listener: string;
  readonly session: string;
  /** Who sent it. For a search that dovegate made: for whom it was made. */
  readonly principal: string;
  /** The command or the request for access, by its id, for which dovegate itself counted mails. Undefined: a client sent it. */
  readonly countedFor: ReturnType<typeof countedForOf>;
  /** As the client stated it; '' if it stated none. */
  readonly reason: string;
  readonly command: string;
  readonly user: string;
  readonly users: readonly string[];
  /** Undefined: they were not recorded. */
  readonly args: readonly unknown[] | undefined;
  readonly effect: string;
}

/** One line of a list: a label, and a value as recorded. */
export interface Fact {
  readonly what: string;
  readonly value: string;
}

/** One step in the life of a command. */
export interface LifeStep {
  readonly what: string;
  /** Milliseconds after the command came; undefined: in no record. */
  readonly ms?: number | undefined;
  /** What took the time, or why the command did not get to this step. */
  readonly about: string;
}

export interface LoggedLine {
  readonly time: string;
  readonly level: string;
  readonly text: string;
}

/** One command as a screen shows it. `words.ts` makes it. */
export interface StoryTold {
  readonly asked: Asked;
  readonly uid: number | undefined;
  readonly outcome: string;
  readonly tookMs: number | undefined;
  /** What became of it, in one sentence; then who can change that, and further remarks. */
  readonly answer: string;
  readonly next: string | undefined;
  readonly remarks: readonly string[];
  /** The id of the grant that allowed it. */
  readonly grant: string | undefined;
  readonly who: readonly Fact[];
  readonly what: readonly Fact[];
  readonly why: readonly Fact[];
  readonly life: readonly LifeStep[];
  readonly logs: readonly LoggedLine[];
  readonly opened: LoggedLine | undefined;
  readonly closed: LoggedLine | undefined;
}

interface AccessStepTold {
  readonly principal: string;
  /** RFC 3339. */
  readonly time: string;
}

/** A request or grant with what became of it, for programs and tables; `report/access` makes it. Unknown values are absent. */
export interface AccessTold {
  readonly id: string;
  readonly to: string;
  readonly policy?: string | undefined;
  readonly users?: readonly string[] | undefined;
  readonly command: string;
  readonly scope?: string | undefined;
  readonly rule?: string | undefined;
  readonly reason?: string | undefined;
  readonly asked?: string | undefined;
  /** Who gave it without a request. */
  readonly given_by?: string | undefined;
  /** Persons who had to approve; 0: break-glass. */
  readonly approvals?: number | undefined;
  readonly approved_by?: readonly AccessStepTold[] | undefined;
  readonly granted?: string | undefined;
  readonly until?: string | undefined;
  readonly uses?: number | undefined;
  readonly used: number;
  /** Commands that came after its end and were denied. */
  readonly tried?: number | undefined;
  readonly commands: Readonly<Record<string, number>>;
  readonly first_use?: string | undefined;
  readonly last_use?: string | undefined;
  readonly reviewed_by?: AccessStepTold | undefined;
  readonly end?:
    | {
        readonly action: string;
        readonly by?: string | undefined;
        readonly time: string;
        readonly why: string;
      }
    | undefined;
  /** In words; `by` and `used` are empty before a grant. */
  readonly said: { readonly by: string; readonly used: string; readonly end: string };
}

interface Terms {
  readonly for_ms: number;
  readonly uses?: number | undefined;
  readonly quiet_ms?: number | undefined;
}

/** `30 min, 2 uses`. */
export function termsWords({ for_ms: forMs, uses, quiet_ms: quietMs }: Terms): string {
  const quiet = quietMs === undefined ? '' : `, kept from the owner for ${durationWords(quietMs)}`;
  return `${durationWords(forMs)}, ${uses === undefined ? 'as often as wanted' : plural(uses, 'use')}${quiet}`;
}

/** What a grant gives; where an approval shortened it: `30 min, 2 uses (1 h, 3 uses were asked for)`. */
export function givenWords(item: Terms & { readonly asked_for?: Terms | undefined }): string {
  const { asked_for: asked } = item;
  return `${termsWords(item)}${asked === undefined ? '' : ` (${termsWords(asked)} were asked for)`}`;
}

type Decided = Pick<AccessTold, 'to' | 'approved_by' | 'given_by' | 'granted' | 'reviewed_by'> & {
  readonly end?: Omit<NonNullable<AccessTold['end']>, 'why'> | undefined;
};

/**
 * What this person decided about a request, each with its time: approved or gave it, refused it, revoked it, reviewed it. `by` undefined:
 * anybody. Withdrawing one's own request is not a decision.
 */
export function decisionsOf(
  { to, approved_by = [], given_by, granted = '', reviewed_by, end }: Decided,
  by: string | undefined,
): readonly { readonly what: string; readonly time: string }[] {
  const steps = [
    ...approved_by.map((step) => ({ what: 'approved', ...step })),
    { what: 'given', principal: given_by, time: granted },
    { what: end?.action ?? '', principal: end?.by, time: end?.time ?? '' },
    { what: 'reviewed', principal: undefined, time: '', ...reviewed_by },
  ];
  return steps
    .filter(
      ({ principal }) =>
        principal !== undefined && principal !== to && (by === undefined || isPerson(principal, by)),
    )
    .map(({ what, time }) => ({ what, time }));
}

/** Whether a record makes a lock or a hold, or is a copy of one that does. */
export function isLockMade({ event, action }: StoredRecord): boolean {
  return event === 'lock' && (action === 'locked' || action === 'held');
}

/** The lock or the hold that a record makes; times are marked. */
export function lockIn(record: StoredRecord): ShownLock {
  const [user, backend, listener, to, until] = ['user', 'backend', 'listener', 'to', 'until'].map((key) =>
    textIn(record, key),
  );
  return {
    id: textIn(record, 'lock'),
    target: lockTarget({ user, backend, listener, to }),
    by: textIn(record, 'by'),
    reason: textIn(record, 'reason'),
    since: `{${textIn(record, 'at') || textIn(record, 'time')}}`,
    ...(until ? { until: `{${until}}` } : {}),
    hold: record['action'] === 'held',
  };
}

/** Whether a search for this outcome finds only what did not go well. */
export function isOfTrouble(outcome: string | undefined): boolean {
  return outcome !== undefined && outcome !== 'ok';
}

/** The word of a class matches all outcomes of that class. */
export function hasOutcome(row: StoryRow, wanted: string): boolean {
  const as = classOfRow(row);
  return outcomeOf(row) === wanted || as === wanted || (wanted === notOk && as !== 'ok');
}
