// The answers of the daemon at `admin.door`; ./calls has the calls.

import type { NoticeReceiver } from '../../rules/config/receiver.js';
import type { PageRole } from '../../rules/identity/roles.js';
import type { AccessListed } from '../access/access-item.js';
import type { JournalNow, Now, TroubleFacts } from '../now/now.js';

/** Raised by every incompatible change: a page works with a daemon of the same version only. */
export const doorVersion = 1;

export const doorVersionHeader = 'dovegate-door';

export interface DoorHead {
  /** Increases with each reload, and with each start of the daemon. */
  readonly generation: number;
  readonly host: string;
  readonly version: string;
  /** When the daemon was started; RFC 3339. */
  readonly started: string;
  /** The directory of the journal, its id, and the public key that signs it, in base64. */
  readonly directory: string;
  readonly journal: string;
  readonly ownKey: string;
}

export interface DoorBeat {
  readonly beat: 1;
  /**
   * Every locked human, with all current words of that human: a person with one of these words is locked out, and for `isForName` also a
   * person whose name is unknown now. Absent: unchanged.
   */
  readonly locked?:
    | readonly { readonly words: readonly string[]; readonly isForName: boolean; readonly why: string }[]
    | undefined;
}

/** `Now` as the door sends it: the page makes the sentences about troubles. */
export interface DoorNow extends Omit<MadeNow, 'now'> {
  readonly now: Omit<Now, 'troubles'> & { readonly troubles: readonly TroubleFacts[] };
}

/** The current state without names of mail users, and beside it the user of each row; `''`: the row names none. */
export interface MadeNow {
  readonly now: Now;
  readonly runningUsers: readonly string[];
  readonly troubleUsers: readonly string[];
  /** The texts of problems that name a mail user, by the keys of the problems; only for people who may see that user. */
  readonly namedProblems: readonly { readonly key: string; readonly user: string; readonly text: string }[];
}

/** State of the daemon that is not part of its settings. Times are milliseconds of the wall clock. */
export interface DoorFacts {
  readonly atMs: number;
  readonly seq: number;
  readonly receivers: JournalNow['receivers'];
  /** As `dovegate ship` reported the receivers of notices. */
  readonly notices: readonly NoticeReceiver[];
  readonly series: Readonly<Record<string, string>>;
  readonly certificates: readonly { readonly role: string; readonly name: string; readonly leftMs: number }[];
  readonly used: readonly {
    readonly listener: string;
    readonly name: string;
    readonly lastUsedMs?: number | undefined;
    readonly lastFrom?: string | undefined;
    readonly failures: number;
    readonly lastFailedMs?: number | undefined;
    readonly failedFrom?: string | undefined;
  }[];
}

export interface DoorTraffic {
  /** Changes when the daemon restarts; all counts start at 0 then. */
  readonly run: string;
  /** Upper bounds of the buckets in seconds; each list of counts has one more, for everything above. */
  readonly bounds: readonly number[];
  /** The listeners in service; a team is a listener. */
  readonly teams: readonly (TrafficCounts & { readonly name: string })[];
}

export interface TrafficCounts {
  readonly ended: number;
  readonly denied: number;
  readonly failed: number;
  /** Allowed commands that had a backend, by duration; the buckets are not cumulative. */
  readonly buckets: readonly number[];
}

/** The actions of a person that the page may have recorded, and the roles that permit each; undefined: every role. */
export const recordedActions = {
  'page-open': undefined,
  'page-sign-in': undefined,
  'page-sign-out': undefined,
  'audit-verify': undefined,
  'audit-search': ['audit'],
  'audit-export': ['audit'],
  // An unsigned extract; `sign` records a signed one.
  'audit-extract': ['audit'],
  'audit-report': ['audit'],
  'audit-survey': ['audit'],
  'audit-access': ['audit'],
  // An approver sees the uses of the grants that they may decide on.
  'audit-show': ['audit', 'approve'],
  'audit-suggest': ['audit'],
  'audit-replay': ['audit'],
  'audit-policies': ['audit'],
  explain: ['audit'],
} as const satisfies Readonly<Record<string, readonly PageRole[] | undefined>>;
export type RecordedAction = keyof typeof recordedActions;

/** Their answers name other mail users, so they are only for people who may see all users. */
export const unlimitedActions: readonly RecordedAction[] = [
  'audit-suggest',
  'audit-replay',
  'audit-policies',
  'explain',
];

/** `unrecorded`: the record could not be written, so nothing was done. `undone`: recorded, but the action failed. */
export type ActionFailure = 'unrecorded' | 'undone';

/** `text`: a sentence. `unknown`: no such target. `already`: done before, so not recorded. `refused`: not permitted to this operator. */
export interface ActionResult {
  readonly kind: 'done' | 'already' | 'unknown' | 'refused' | 'failed' | ActionFailure;
  readonly text: string;
}

/** The mailbox whose report the token opens, in its normal form, and the end of the token. */
export interface DoorOpened {
  readonly user: string;
  readonly until: string;
}

export type DoorAccessed =
  | AccessListed
  /** Why it was refused, as a sentence; `isPassing`: trying again later can help; `code`: of doveadm/codes. */
  | { readonly text: string; readonly isPassing: boolean; readonly code: string };

export interface DoorRefusal {
  /** `stale`: the page has other settings; `person`: unknown, or without the role; `busy`: over a rate limit; `unrecorded`: no record. */
  readonly code: 'stale' | 'person' | 'busy' | 'unrecorded' | 'malformed' | 'version';
  readonly text: string;
  /** Milliseconds after which the call may be repeated; undefined: unknown, or this person has used up their own share. */
  readonly waitMs?: number | undefined;
}
