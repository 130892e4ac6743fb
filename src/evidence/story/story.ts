// What became of a command: a pure fold over the records of its id. It returns values; `words.ts` makes sentences of them. Screens, reports
// and commands use the story instead of reading records. What the records do not say is `unknown`, never guessed.

import { backendMet, countedForOf, givenOf } from '../../gate/outcome/class.js';
import { ownerOf } from '../../gate/outcome/owner.js';
import { asList, asTexts, type StoredRecord } from '../../host/values/values.js';
import { numberIn, textIn } from '../../journal/records/stored.js';
import type { GrantStory } from './grant.js';
import type { Asked, StoryRow } from './row.js';

export type Certainty = 'yes' | 'maybe' | 'no';

export type Story = ReturnType<typeof tell>;

export type Decided = ReturnType<typeof decidedOf>;

export type Right =
  /** The line that allowed or denied it, as `FILE:LINE`. */
  | { readonly kind: 'rule'; readonly place: string }
  | {
      readonly kind: 'grant';
      readonly id: string;
      /** The rule of `on_request`. */
      readonly place: string;
      /** Undefined: no record of the grant was read. */
      readonly story: GrantStory | undefined;
      /** Which use of the grant this is. Undefined: unknown. */
      readonly use: number | undefined;
    }
  | { readonly kind: 'none' };

export type Ended = ReturnType<typeof endedOf>;

/** Why it ended this way. `words.ts` has the sentence of each, in the words that the client got. */
export type Cause =
  /** It succeeded, or no record says why it ended. */
  | { readonly kind: 'none' }
  /** It is running, or its end was not recorded. `status`: what the client got when it was overdue. */
  | { readonly kind: 'open'; readonly status: string | undefined }
  | { readonly kind: 'denied'; readonly policy: string; readonly reason: string }
  /** The recorded words that the client got. `code`: the key `error`; '' if policy denied it, or several backends answered. */
  | { readonly kind: 'said'; readonly code: string; readonly sentence: string }
  /** The sentence of the code, with these values. */
  | { readonly kind: 'code'; readonly code: string; readonly backend: string; readonly reason: string }
  /** The backend's own answer. `word`: the first word of its status line. */
  | { readonly kind: 'backend'; readonly backend: string; readonly word: string };

/** The story of a row of a search, which does not read steps of grants. */
export function storyOfRow({ fields, completedSeq, said = '' }: StoryRow): Story {
  const completion = completedSeq === undefined ? undefined : { ...fields, text: said };
  return tell(fields, completion, undefined, undefined, undefined, undefined);
}

export function tell(
  asked: StoredRecord,
  completion: StoredRecord | undefined,
  granted: GrantStory | undefined,
  overdue: string | undefined,
  deed: StoredRecord | undefined,
  lock: StoredRecord | undefined,
  use?: number,
) {
  const decided = decidedOf(asked, textIn(asked, 'grant') || textIn(completion, 'grant'), granted, use);
  return {
    id: textIn(asked, 'id'),
    asked: askedOf(asked),
    decided,
    /** Whether a byte of it went to a backend. */
    sent: sentOf(decided, completion),
    ended: endedOf(asked, decided, completion, overdue, deed, lock),
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
) {
  const decision = (['allow', 'deny'] as const).find((word) => word === record['decision']);
  const place = textIn(record, 'rule');
  const ofRule: Right = place === '' ? { kind: 'none' } : { kind: 'rule', place };
  const right: Right = grant === '' ? ofRule : { kind: 'grant', id: grant, place, story: granted, use };
  return {
    /** Undefined: no decision is recorded. */
    decision,
    policy: textIn(record, 'policy'),
    right,
    /** Why the rules denied it; '' if they did not. */
    reason: decision === 'deny' ? textIn(record, 'text') : '',
    /** The policy observes, and its rules would not have served it. */
    isObserved: decision === 'allow' && textIn(record, 'would') !== '',
  };
}

/** The completion says it; without one, an allowed command may have been sent. */
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
  lock: StoredRecord | undefined,
) {
  const outcome = completion === undefined ? 'open' : textIn(completion, 'outcome');
  const status = textIn(completion, 'status');
  const [error, denial] = [textIn(completion, 'error'), textIn(completion, 'denial')];
  const named = textIn(completion, 'backend') || textIn(asked, 'backend');
  const backend = backendMet({ outcome, backend: named }, completion?.['sent']);
  const cause: Cause =
    completion === undefined
      ? { kind: 'open', status: overdue }
      : causeOf(outcome, status, error, backend, textIn(completion, 'text'), decided);
  return {
    /** A recorded outcome, or `open`: no end is recorded. */
    outcome,
    cause,
    /** The status line that the client got; '' if none. */
    status,
    error,
    /** The code of the denial; '' if it was not denied by policy. */
    denial,
    /** RFC 3339: when the same command is within the limit again; '' if no such limit stopped it. */
    until: textIn(completion, 'until'),
    /** As `backendMet` says. */
    backend,
    /** As `givenOf` says. */
    givenBytes: givenOf({
      bytesIn: numberIn(completion, 'bytes_in') ?? 0,
      bytesOut: numberIn(completion, 'bytes_out') ?? 0,
    }),
    /** The record of the lock or the hold that stopped it. Undefined: none, or it was not read. */
    lock,
    /** The operator who ended it or had drained its backend, and why. Undefined: nobody, or no record of it was read. */
    operator: deed && { by: textIn(deed, 'by'), reason: textIn(deed, 'reason') },
    /** Who can change how it ended. Undefined: it succeeded, or has not ended. */
    owner:
      completion === undefined || outcome === 'ok'
        ? undefined
        : ownerOf({ outcome, denial: denial || undefined, error: error || undefined, status }),
  };
}

function causeOf(
  outcome: string,
  status: string,
  error: string,
  backend: string,
  sentence: string,
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
