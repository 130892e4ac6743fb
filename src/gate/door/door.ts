// What the daemon answers at `admin.door`; the calls are in ./calls.

import type { NoticeReceiver } from '../../rules/config/receiver.js';
import type { PageRole } from '../../rules/identity/roles.js';
import type { AccessListed } from '../access/access-item.js';
import type { JournalNow, Now, TroubleFacts } from '../now/now.js';

/** Raised by a change that the other side cannot work with: a page works with a daemon of the same version. */
export const doorVersion = 1;

export const doorVersionHeader = 'dovegate-door';

export interface DoorHead {
  /** Counts up with each reload of this daemon. */
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
   * Every human who is locked, with all words of today: whoever has one of them is out, and of `isForName` whoever has no name now. Absent:
   * as before.
   */
  readonly locked?:
    | readonly { readonly words: readonly string[]; readonly isForName: boolean; readonly why: string }[]
    | undefined;
}

/** As the door tells it: sentences about troubles are the page's to make. */
export interface DoorNow extends Omit<MadeNow, 'now'> {
  readonly now: Omit<Now, 'troubles'> & { readonly troubles: readonly TroubleFacts[] };
}

/** What is shown now, without mail users, and whom the rows named: one for each, `''` for nobody. */
export interface MadeNow {
  readonly now: Now;
  readonly runningUsers: readonly string[];
  readonly troubleUsers: readonly string[];
  /** Problems as they are told to those who may see that user, by their keys. */
  readonly namedProblems: readonly { readonly key: string; readonly user: string; readonly text: string }[];
}

/** What the daemon knows beside its settings. Times are milliseconds of the wall clock. */
export interface DoorFacts {
  readonly atMs: number;
  readonly seq: number;
  readonly receivers: JournalNow['receivers'];
  /** What `dovegate ship` said of receivers of notices. */
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
  /** Another one after a restart, when all counts begin again. */
  readonly run: string;
  /** Upper bounds of the buckets in seconds; a list of counts has one more, above all of them. */
  readonly bounds: readonly number[];
  /** Those in service; a team is a listener. */
  readonly teams: readonly (TrafficCounts & { readonly name: string })[];
}

export interface TrafficCounts {
  readonly ended: number;
  readonly denied: number;
  readonly failed: number;
  /** Those that were allowed and had a backend, by how long they took; each bucket alone. */
  readonly buckets: readonly number[];
}

/** What the page may have recorded of a person, and the roles that permit it; undefined: every role. */
export const recordedActions = {
  'page-open': undefined,
  'page-sign-in': undefined,
  'page-sign-out': undefined,
  'audit-verify': undefined,
  'audit-search': ['audit'],
  'audit-export': ['audit'],
  // Without a signature; one that is signed is recorded by `sign`.
  'audit-extract': ['audit'],
  'audit-report': ['audit'],
  'audit-survey': ['audit'],
  'audit-access': ['audit'],
  // An approver sees the uses of what is theirs to decide.
  'audit-show': ['audit', 'approve'],
  'audit-suggest': ['audit'],
  'audit-replay': ['audit'],
  'audit-policies': ['audit'],
  explain: ['audit'],
} as const satisfies Readonly<Record<string, readonly PageRole[] | undefined>>;
export type RecordedAction = keyof typeof recordedActions;

/** Looks whose rules and records name other mail users: only for people who may see all of them. */
export const unlimitedActions: readonly RecordedAction[] = [
  'audit-suggest',
  'audit-replay',
  'audit-policies',
  'explain',
];

/** `unrecorded`: the record could not be written, so nothing was done. `undone`: recorded, and then it failed. */
export type ActionFailure = 'unrecorded' | 'undone';

/** The text is a sentence. `unknown`: there is no such thing. `already`: done before, so no record. `refused`: not by this operator. */
export interface ActionResult {
  readonly kind: 'done' | 'already' | 'unknown' | 'refused' | 'failed' | ActionFailure;
  readonly text: string;
}

/** The mailbox that a token opens the report of, in its normal form, and until when. */
export interface DoorOpened {
  readonly user: string;
  readonly until: string;
}

export type DoorAccessed =
  | AccessListed
  /** Why not, as a sentence, and whether it may be asked again. `code`: of doveadm/codes. */
  | { readonly text: string; readonly isPassing: boolean; readonly code: string };

export interface DoorRefusal {
  /** `stale`: the page has other settings; `person`: not there, or not with this role; `busy`: too much within a time; `unrecorded`. */
  readonly code: 'stale' | 'person' | 'busy' | 'unrecorded' | 'malformed' | 'version';
  readonly text: string;
  /** The call came so many milliseconds too early; undefined: a person alone has used up what is theirs, or it is not known. */
  readonly waitMs?: number | undefined;
}
