// What became of a command: one pure fold over the records of its id. It gives values; `words.ts` makes sentences of them. Screens, reports
// and commands take the story and read no record for such a conclusion. What the records do not say is `unknown`, never guessed.

import type { Drain } from '../../gate/now/operator.js';
import { backendMet, countedForOf, givenOf } from '../../gate/outcome/class.js';
import { ownerOf, type TroubleOwner } from '../../gate/outcome/owner.js';
import { asList, asTexts, type StoredRecord } from '../../host/values/values.js';
import { numberIn, textIn } from '../../journal/records/stored.js';
import type { GrantStory } from './grant.js';
import type { Asked, StoryRow } from './row.js';

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
  /** The record of the lock or the hold that stopped it; likewise. */
  readonly lock: StoredRecord | undefined;
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
): Story {
  const decided = decidedOf(asked, textIn(asked, 'grant') || textIn(completion, 'grant'), granted, use);
  return {
    id: textIn(asked, 'id'),
    asked: askedOf(asked),
    decided,
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
  lock: StoredRecord | undefined,
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
    lock,
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
