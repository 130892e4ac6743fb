// What became of a command: one pure fold over the records of its id. It gives values; `words.ts` makes sentences of them. Screens, reports
// and commands take the story and read no record for such a conclusion. What the records do not say is `unknown`, never guessed.
// Also for the browser, so nothing of Node is used.

import {
  approverSeparator,
  argumentCount,
  asList,
  asObject,
  asTexts,
  joinArguments,
  numberIn,
  type StoredRecord,
  textIn,
} from '../audit/stored.js';

export type Certainty = 'yes' | 'maybe' | 'no';

export interface Story {
  readonly id: string;
  readonly asked: Asked;
  readonly decided: Decided;
  /** Whether a byte of it went to a backend. */
  readonly sent: Certainty;
  readonly ended: Ended;
}

export interface Asked {
  /** RFC 3339, as it was recorded. */
  readonly time: string;
  readonly listener: string;
  readonly session: string;
  /** Who sent it; of a search that dovegate made, for whom it was made. */
  readonly principal: string;
  /** What dovegate itself counted mails for: a command, or a request for access, by its id. Undefined: a client sent it. */
  readonly countedFor: { readonly kind: 'command' | 'request'; readonly id: string } | undefined;
  /** The reason as the client stated it; '': none. */
  readonly reason: string;
  readonly command: string;
  readonly user: string;
  readonly users: readonly string[];
  /** Undefined: they were not recorded. */
  readonly args: readonly unknown[] | undefined;
  readonly effect: string;
}

export interface Decided {
  /** What the rules said; undefined: it is not recorded. */
  readonly decision: 'allow' | 'deny' | undefined;
  readonly policy: string;
  readonly right: Right;
  /** Why the rules denied it; '': they did not. */
  readonly reason: string;
  /** What an observed policy, or a shadow, would have said. */
  readonly would: 'allow' | 'deny' | undefined;
  readonly isShadow: boolean;
}

export type Right =
  /** The line that allowed or denied it, as `FILE:LINE`. */
  | { readonly kind: 'rule'; readonly place: string }
  | {
      readonly kind: 'grant';
      readonly id: string;
      /** The rule of `on_request`. */
      readonly place: string;
      readonly approval: Approval;
    }
  | { readonly kind: 'none' };

/** Of a grant. Texts are principals. */
export type Approval =
  | { readonly kind: 'approved'; readonly by: readonly string[] }
  /** An approver gave it without a request. */
  | { readonly kind: 'given'; readonly by: string }
  | { readonly kind: 'break-glass'; readonly reviewedBy: string }
  /** No record of the grant was among those that were read. */
  | { readonly kind: 'not-kept' };

export interface Ended {
  /** A word of the closed list of records, or `open`: no end is recorded. */
  readonly outcome: string;
  readonly cause: Cause;
  /** The status line that the client got; '': none. */
  readonly status: string;
  readonly error: string;
  readonly backend: string;
}

/** Why it ended as it did. `words.ts` has the sentence of each, which is the one that the client got. */
export type Cause =
  /** It went well, or ended as no record explains. */
  | { readonly kind: 'none' }
  /** It runs still, or its end was not recorded. `status`: what the client got when it was overdue. */
  | { readonly kind: 'open'; readonly status: string | undefined }
  | { readonly kind: 'denied'; readonly policy: string; readonly reason: string }
  /** The words that the client got, as they were recorded. `code`: the key `error`; '': policy denied it, or several backends answered. */
  | { readonly kind: 'said'; readonly code: string; readonly sentence: string }
  /** The sentence of the code, with these values. */
  | { readonly kind: 'code'; readonly code: string; readonly backend: string; readonly reason: string }
  /** The backend's own answer; `word`: of its status line. */
  | { readonly kind: 'backend'; readonly backend: string; readonly word: string };

/** A row of a search: the keys of the admission, then those of the completion. */
export interface StoryRow {
  readonly fields: StoredRecord;
  readonly completedSeq?: number | undefined;
  /** The key `text` of the completion. */
  readonly said?: string | undefined;
}

/** `open`: it has no end. A step of a grant has none of its own: what was done. */
export function outcomeOf({ fields, completedSeq }: StoryRow): string {
  if (fields['event'] === 'access') return textIn(fields, 'action');
  return completedSeq === undefined ? 'open' : textIn(fields, 'outcome');
}

export type OutcomeClass = 'ok' | 'denied' | 'failed' | 'unknown';

/** `denied`: refused by policy or a limit, or not understood; nothing ran. `unknown`: it may have run. */
export function classOfOutcome(outcome: string): OutcomeClass {
  switch (outcome) {
    case 'ok':
      return 'ok';
    case 'denied':
    case 'unparsable':
    case 'limited':
      return 'denied';
    case 'failed':
    case 'partly':
    case 'timeout':
      return 'failed';
    default:
      return 'unknown';
  }
}

/** Beside an outcome: who took a step of a grant of somebody else; what an observed policy, or a shadow, would have said. '': nothing. */
export function remarkOf(row: StoryRow): string {
  const { event, would, mode, principal } = row.fields;
  if (event === 'access')
    return principal === requesterOf(row) ? '' : `by ${textIn(row.fields, 'principal')}`;
  if (mode === 'shadow' && would !== undefined)
    return `the shadow would ${would === 'deny' ? 'deny' : 'allow'}`;
  return would === 'deny' ? 'would be denied' : '';
}

/** Whose request or grant a step is about; of a command, who sent it. An approver acts on the access of somebody else. */
export function requesterOf({ fields }: StoryRow): string {
  return (fields['event'] === 'access' && textIn(fields, 'to')) || textIn(fields, 'principal');
}

/** A search reads no steps of grants. */
export function storyOfRow({ fields, completedSeq, said = '' }: StoryRow): Story {
  const completion = completedSeq === undefined ? undefined : { ...fields, text: said };
  return tell(fields, completion, notKept, undefined);
}

const notKept: Approval = { kind: 'not-kept' };

/** The records of a command, with those that others read beside it. */
export interface StoryRecords {
  /** With all its arguments, where all their records are there. */
  readonly admission: StoredRecord | undefined;
  readonly completion: StoredRecord | undefined;
  /** Lines of the backend's log. */
  readonly logs: readonly StoredRecord[];
  readonly opened: StoredRecord | undefined;
  readonly closed: StoredRecord | undefined;
  /** Admissions of searches that dovegate made for it. */
  readonly twins: readonly StoredRecord[];
  /** Argument records are missing. */
  readonly isPartMissing: boolean;
}

/** The fold. `records`: those of the id in their order, with its session, its twins and the steps of its grant, as far as they are kept. */
export function foldStory(
  records: readonly StoredRecord[],
  id: string,
): Story & { readonly records: StoryRecords } {
  const own = records.filter((record) => record['id'] === id);
  const find = (from: readonly StoredRecord[], event: string): StoredRecord | undefined =>
    from.find((record) => record['event'] === event);
  const recorded = find(own, 'admission');
  const parts = own.filter(({ event }) => event === 'arguments');
  const isLong = parts.length > 0 || (recorded !== undefined && argumentCount(recorded) > 0);
  const joined = isLong && recorded !== undefined ? joinArguments(recorded, parts) : recorded;
  const admission = joined ?? recorded;
  const completion = find(own, 'completion');
  const lines = own.filter(({ event }) => event === 'log');
  const grant = textIn(admission, 'grant') || textIn(completion, 'grant');
  return {
    ...tell(admission ?? completion ?? { id }, completion, approvalOf(records, grant), overdueStatus(lines)),
    records: {
      admission,
      completion,
      logs: lines,
      opened: find(records, 'session-open'),
      closed: find(records, 'session-close'),
      twins: records.filter((record) => record['event'] === 'admission' && record['for'] === id),
      isPartMissing: recorded !== undefined && joined === undefined,
    },
  };
}

/** Folded from the steps of the grant among the records. */
export function approvalOf(records: readonly StoredRecord[], grant: string): Approval {
  if (grant === '') return notKept;
  const steps = records.filter(
    (record) =>
      record['event'] === 'access' && (textIn(record, 'grant') || textIn(record, 'request')) === grant,
  );
  const step = (action: string): StoredRecord | undefined => steps.find((each) => each['action'] === action);
  let by: readonly string[] = [];
  for (const each of steps.filter(({ action }) => action === 'approved')) {
    const principal = textIn(each, 'principal');
    const counted = textIn(each, 'by');
    // Where approvals before it do not count any more, it names those that do.
    const before = counted === '' ? by : by.filter((name) => counted.split(approverSeparator).includes(name));
    by = [...new Set([...before, principal])];
  }
  if (by.length > 0) return { kind: 'approved', by };
  const first = step('requested') ?? step('granted');
  const giver = textIn(first, 'by');
  if (giver !== '') return { kind: 'given', by: giver };
  if (numberIn(first, 'approvals') !== 0) return notKept;
  return { kind: 'break-glass', reviewedBy: textIn(step('reviewed'), 'principal') };
}

const overdueOpening = 'no answer in time: the client got ';

/** A remark of dovegate among the lines of the log, which names no upstream. */
function overdueStatus(lines: readonly StoredRecord[]): string | undefined {
  for (const line of lines) {
    const text = textIn(line, 'text');
    if (line['upstream'] === undefined && text.startsWith(overdueOpening))
      return text.slice(overdueOpening.length).split(';', 1)[0];
  }
  return undefined;
}

function tell(
  asked: StoredRecord,
  completion: StoredRecord | undefined,
  approval: Approval,
  overdue: string | undefined,
): Story {
  const decided = decidedOf(asked, textIn(asked, 'grant') || textIn(completion, 'grant'), approval);
  return {
    id: textIn(asked, 'id'),
    asked: askedOf(asked),
    decided,
    sent: sentOf(decided, completion),
    ended: endedOf(asked, decided, completion, overdue),
  };
}

function askedOf(record: StoredRecord): Asked {
  const [command, request] = [textIn(record, 'for'), textIn(record, 'request')];
  const counted = command !== '' || request !== '';
  return {
    time: textIn(record, 'time'),
    listener: textIn(record, 'listener'),
    session: textIn(record, 'session'),
    principal: textIn(record, 'principal'),
    countedFor: counted
      ? { kind: request === '' ? 'command' : 'request', id: request || command }
      : undefined,
    reason: textIn(record, 'reason'),
    command: textIn(record, 'command'),
    user: textIn(record, 'user'),
    users: asTexts(record['users']),
    args: asList(record['args']),
    effect: textIn(record, 'effect'),
  };
}

/** The shadow's words follow those of the decision. */
const shadowText = /(?:^|; )the shadow would (?:allow|deny): /;

function decidedOf(record: StoredRecord, grant: string, approval: Approval): Decided {
  const { decision, would } = record;
  const place = textIn(record, 'rule');
  const isShadow = record['mode'] === 'shadow';
  const [reason = ''] = isShadow ? textIn(record, 'text').split(shadowText) : [textIn(record, 'text')];
  return {
    decision: decision === 'allow' || decision === 'deny' ? decision : undefined,
    policy: textIn(record, 'policy'),
    right:
      grant !== ''
        ? { kind: 'grant', id: grant, place, approval }
        : place === ''
          ? { kind: 'none' }
          : { kind: 'rule', place },
    reason: decision === 'deny' ? reason : '',
    would: would === 'allow' || would === 'deny' ? would : undefined,
    isShadow,
  };
}

/** The completion says it; without one, an allowed command may be running. */
function sentOf({ decision }: Decided, completion: StoredRecord | undefined): Certainty {
  const sent = completion?.['sent'];
  if (sent === true) return 'yes';
  if (sent === false || decision === 'deny') return 'no';
  return 'maybe';
}

function endedOf(
  asked: StoredRecord,
  decided: Decided,
  completion: StoredRecord | undefined,
  overdue: string | undefined,
): Ended {
  const outcome = completion === undefined ? 'open' : textIn(completion, 'outcome');
  const status = textIn(completion, 'status');
  const error = textIn(completion, 'error');
  const backend = textIn(completion, 'backend') || textIn(asked, 'backend');
  return {
    outcome,
    status,
    error,
    backend,
    cause:
      completion === undefined
        ? { kind: 'open', status: overdue }
        : causeOf({ outcome, status, error, backend, sentence: textIn(completion, 'text') }, decided),
  };
}

function causeOf(
  {
    outcome,
    status,
    error,
    backend,
    sentence,
  }: Pick<Ended, 'outcome' | 'status' | 'error' | 'backend'> & { readonly sentence: string },
  { policy, reason, decision }: Decided,
): Cause {
  if (sentence !== '') return { kind: 'said', code: error, sentence };
  if (error !== '')
    return { kind: 'code', code: error, backend, reason: decision === 'deny' ? reason : error };
  if (outcome === 'denied') return { kind: 'denied', policy, reason };
  if (status.startsWith('-'))
    return { kind: 'backend', backend, word: /^-([A-Z]{0,12})/.exec(status)?.[1] ?? '' };
  return { kind: 'none' };
}

/** The client as far as the kernel or TLS identified it, from the first of its records that has it. */
export function peerOf({
  records: { admission, completion, opened },
}: {
  readonly records: StoryRecords;
}): StoredRecord {
  const [found = {}] = [admission, opened, completion]
    .map((record) => asObject(record?.['peer']) ?? {})
    .filter((peer) => Object.keys(peer).length > 0);
  return found;
}
