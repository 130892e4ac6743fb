// What became of a command: one pure fold over the records of its id. It gives values; `words.ts` makes sentences of them. Screens, reports
// and commands take the story and read no record for such a conclusion. What the records do not say is `unknown`, never guessed.

import {
  argumentCount,
  asList,
  asObject,
  asTexts,
  joinArguments,
  numberIn,
  type StoredRecord,
  textIn,
} from '../audit/stored.js';
import { foldGrant, type GrantStory } from './grant.js';
import { ownerOf, type TroubleOwner } from './owner.js';
import { type Asked, backendMet, countedForOf, type Drain, type StoryRow } from './row.js';

export type Certainty = 'yes' | 'maybe' | 'no';

export interface Story {
  readonly id: string;
  readonly asked: Asked;
  readonly decided: Decided;
  /** Whether a byte of it went to a backend. */
  readonly sent: Certainty;
  readonly ended: Ended;
}

export interface Decided {
  /** What the rules said; undefined: it is not recorded. */
  readonly decision: 'allow' | 'deny' | undefined;
  readonly policy: string;
  readonly right: Right;
  /** Why the rules denied it; '': they did not. */
  readonly reason: string;
  /** The policy observes, and its rules would not have served it. */
  readonly isObserved: boolean;
}

export type Right =
  /** The line that allowed or denied it, as `FILE:LINE`. */
  | { readonly kind: 'rule'; readonly place: string }
  | {
      readonly kind: 'grant';
      readonly id: string;
      /** The rule of `on_request`. */
      readonly place: string;
      /** Who asked and who approved; undefined: no record of it is among those that were read. */
      readonly story: GrantStory | undefined;
      /** Which use of it this is; undefined: unknown. */
      readonly use: number | undefined;
    }
  | { readonly kind: 'none' };

export interface Ended {
  /** A word of the closed list of records, or `open`: no end is recorded. */
  readonly outcome: string;
  readonly cause: Cause;
  /** The status line that the client got; '': none. */
  readonly status: string;
  readonly error: string;
  /** What policy refused it for; '': it was not policy. */
  readonly denial: string;
  /** From when on the same is within its limit, RFC 3339; '': it was no limit that ends. */
  readonly until: string;
  /** As `backendMet` says. */
  readonly backend: string;
  /** As `givenOf` says. */
  readonly givenBytes: number;
  /** Who ended it, or had drained its backend, and why; undefined: nobody, or no record of it is among those that were read. */
  readonly operator: Drain | undefined;
  /** Who can change how it ended; undefined: it went well, or has not ended. */
  readonly owner: TroubleOwner | undefined;
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

/** A search reads no steps of grants. */
export function storyOfRow({ fields, completedSeq, said = '' }: StoryRow): Story {
  const completion = completedSeq === undefined ? undefined : { ...fields, text: said };
  return tell(fields, completion, undefined, undefined, undefined);
}

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
  use?: number,
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
    ...tell(
      admission ?? completion ?? { id },
      completion,
      foldGrant(records, grant),
      overdueStatus(lines),
      own.find(isDone) ?? records.find((record) => isDone(record) && record['action'] === 'drain'),
      use,
    ),
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

function isDone({ event, outcome }: StoredRecord): boolean {
  return event === 'operator' && outcome === 'ok';
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
  granted: GrantStory | undefined,
  overdue: string | undefined,
  deed: StoredRecord | undefined,
  use?: number,
): Story {
  const decided = decidedOf(asked, textIn(asked, 'grant') || textIn(completion, 'grant'), granted, use);
  return {
    id: textIn(asked, 'id'),
    asked: askedOf(asked),
    decided,
    sent: sentOf(decided, completion),
    ended: endedOf(asked, decided, completion, overdue, deed),
  };
}

function askedOf(record: StoredRecord): Asked {
  return {
    time: textIn(record, 'time'),
    listener: textIn(record, 'listener'),
    session: textIn(record, 'session'),
    principal: textIn(record, 'principal'),
    countedFor: countedForOf(record),
    reason: textIn(record, 'reason'),
    command: textIn(record, 'command'),
    user: textIn(record, 'user'),
    users: asTexts(record['users']),
    args: asList(record['args']),
    effect: textIn(record, 'effect'),
  };
}

function decidedOf(
  record: StoredRecord,
  grant: string,
  granted: GrantStory | undefined,
  use: number | undefined,
): Decided {
  const { decision } = record;
  const place = textIn(record, 'rule');
  return {
    decision: decision === 'allow' || decision === 'deny' ? decision : undefined,
    policy: textIn(record, 'policy'),
    right:
      grant !== ''
        ? { kind: 'grant', id: grant, place, story: granted, use }
        : place === ''
          ? { kind: 'none' }
          : { kind: 'rule', place },
    reason: decision === 'deny' ? textIn(record, 'text') : '',
    isObserved: decision === 'allow' && textIn(record, 'would') !== '',
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
  deed: StoredRecord | undefined,
): Ended {
  const outcome = completion === undefined ? 'open' : textIn(completion, 'outcome');
  const status = textIn(completion, 'status');
  const [error, denial] = [textIn(completion, 'error'), textIn(completion, 'denial')];
  const named = textIn(completion, 'backend') || textIn(asked, 'backend');
  const backend = backendMet({ outcome, backend: named }, completion?.['sent']);
  return {
    outcome,
    status,
    error,
    denial,
    until: textIn(completion, 'until'),
    backend,
    givenBytes: givenOf({
      bytesIn: numberIn(completion, 'bytes_in') ?? 0,
      bytesOut: numberIn(completion, 'bytes_out') ?? 0,
    }),
    operator: deed && { by: textIn(deed, 'by'), reason: textIn(deed, 'reason') },
    owner:
      completion === undefined || outcome === 'ok'
        ? undefined
        : ownerOf({ outcome, denial: denial || undefined, error: error || undefined, status }),
    cause:
      completion === undefined
        ? { kind: 'open', status: overdue }
        : causeOf({ outcome, status, error, backend, sentence: textIn(completion, 'text') }, decided),
  };
}

/** What dovegate itself says in an answer is shorter, and is counted with it. */
const ownBytesMax = 4096;

/** Bytes of a backend's answer that went to the client, so it ran; 0: nothing shows that some did. */
export function givenOf({
  bytesIn,
  bytesOut,
}: {
  readonly bytesIn: number;
  readonly bytesOut: number;
}): number {
  return bytesIn > 0 && bytesOut > ownBytesMax ? bytesOut : 0;
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
