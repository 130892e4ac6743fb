// The page's requests to the trail and the answers: JSON lines, each a TrailLine. Reports of one mailbox come as events.

import type { AccessItem } from '../../gate/access/access-item.js';
import type { StoredRecord } from '../../host/values/values.js';
import type { AccessTold, StoryRow, StoryTold, TrailContent } from '../story/row.js';
import type { Cursor } from './asked.js';

/**
 * One command as its records say: the keys of its admission, then those of its completion. Values as recorded, even if cut. Or one record
 * of another kind: its keys, among them `event`, and its seq and time for both records. Without `completedSeq` the command has not ended.
 */
export interface TrailRow extends Omit<StoryRow, 'content'> {
  readonly admittedSeq?: number | undefined;
  readonly completedTime?: string | undefined;
}

export type TrailLine =
  /** `why`: why the command failed or was refused, in the words that its client got. */
  | { readonly row: TrailRow; readonly content?: TrailContent | undefined; readonly why?: string | undefined }
  | { readonly line: string }
  | { readonly found: { readonly record: StoredRecord; readonly file: string } }
  | { readonly access: AccessTold }
  | { readonly end: TrailEnd }
  /** After the end of an extract. */
  | {
      readonly signed: { readonly head: string; readonly signature: string };
      readonly notes?: readonly string[];
    };

/** The last line of an answer; an answer without it was cut off. */
export interface TrailEnd {
  readonly rows: number;
  /** For an export and an extract: the commands of this part that were only counted. `records`: how many of `rows` are such counts. */
  readonly counted?: Readonly<Record<'refused' | 'unsent' | 'unsure' | 'records', number>> | undefined;
  readonly cursor?: Cursor | undefined;
  /** For a page of the newest commands: the position of the next one; absent: this is the last one. */
  readonly before?: number | undefined;
  readonly looked?:
    | {
        readonly fromSeq: number;
        readonly toSeq: number;
        readonly fromTime?: string | undefined;
        readonly toTime?: string | undefined;
      }
    | undefined;
  readonly notes?: readonly string[] | undefined;
  readonly retired?: readonly RetiredRecords[] | undefined;
  /** For `show`: the id of the command. */
  readonly id?: string | undefined;
  readonly story?: StoryTold | undefined;
  /** For `show` of a request or grant, whose steps and uses are the records. `item` is absent if its request is not kept, or not shown. */
  readonly grant?: { readonly item?: AccessItem; readonly sentences: readonly string[] } | undefined;
  /** For `requests`: how many there are of each kind, and how many are left out. */
  readonly sentences?: readonly string[] | undefined;
  /** Which use of its grant the command is. */
  readonly use?: number | undefined;
  readonly content?: TrailContent | undefined;
  /** For `show` in a whole view: admissions of the commands before and after it in its session, if they were near. */
  readonly around?:
    | {
        readonly before?: StoredRecord | undefined;
        readonly after?: StoredRecord | undefined;
      }
    | undefined;
  /** For `show` in a whole view: the first checkpoint after its records, if there is one yet. */
  readonly checkpoint?: { readonly seq: number; readonly time: string } | undefined;
  /** For `show` in a whole view: the hash of the policy, and its text at that time. */
  readonly policy?: { readonly version: string; readonly text?: string | undefined } | undefined;
  /** For `survey`. */
  readonly surveyed?: Surveyed | undefined;
}

export interface RetiredRecords {
  readonly by?: 'age' | 'size' | undefined;
  readonly segments: number;
  /** RFC 3339: records before it are gone. */
  readonly until?: string | undefined;
}

/** The extent of a search. Times are those of records. */
export interface Surveyed {
  /** Records of all events, in the requested time. */
  readonly records: number;
  readonly all: number;
  readonly firstTime: string | undefined;
  readonly lastTime: string | undefined;
  /** Users with a name similar to the one that was searched. */
  readonly names: readonly string[];
  readonly isNamed: boolean;
}

/** The commands that a filter finds, counted by the time of their admission. A hidden command is not counted. */
export interface Histogram {
  /** RFC 3339: the start of the first bucket, and the end of the last one. Equal if nothing was found. */
  readonly from: string;
  readonly to: string;
  /** Seconds. A bucket covers the times from `at` to before `at` + `step`. */
  readonly step: number;
  /** The oldest first, empty ones included. At most 120. */
  readonly buckets: readonly HistogramBucket[];
  /** Commands that were only counted: as a sentence, and as words beside the number of rows. */
  readonly counted?: string;
  readonly onlyCounted?: string;
  readonly causes: Causes;
  readonly whose: Whose;
  readonly destroyed: Destroyed;
  readonly looked?: TrailEnd['looked'];
  /** False: time ran out, and older records were not read. `looked` says how far it came. */
  readonly isWhole: boolean;
}

/** Commands with the effect `destroy` that reached a mail server, or may have. */
export interface Destroyed {
  /** Whose mails were counted before they were sent. */
  readonly commands: number;
  /** Mails that these matched: no more can be gone. */
  readonly mailsMax: number;
  /** Of these, the mails of commands that ended well. */
  readonly mails: number;
  /** Commands for which Dovecot was not asked how many mails match. */
  readonly uncounted: number;
}

/** Why commands and requests for access failed or were refused: similar ones in one row. */
export interface Causes {
  /** The most frequent first. */
  readonly causes: readonly CauseShown[];
  /** How many had other causes than these: their number is limited. */
  readonly further: number;
}

export interface CauseShown {
  /** As a search finds it: `denied`, `failed`, `refused`. */
  readonly outcome: string;
  readonly command: string;
  /** Of the last one; '' if no record says it. */
  readonly why: string;
  readonly count: number;
  /** RFC 3339. */
  readonly firstTime: string;
  readonly lastTime: string;
  /** Of many, the first ones. */
  readonly requesters: readonly string[];
  readonly isMoreRequesters: boolean;
}

/** Whose mail content the commands showed. */
export interface Whose {
  readonly owners: readonly OwnerShown[];
  /** How often mail of further users was shown: the number of owners is limited. */
  readonly further: number;
}

export interface OwnerShown {
  /** A mail user as recorded, or in words: a mask, all users, users that were not recorded. */
  readonly what: string;
  /** Absent: not one single mail user. */
  readonly user?: string | undefined;
  /** Numbers of commands, each counted in one of these, as in a report of a mailbox. */
  readonly showed: number;
  readonly searched: number;
  readonly maybeShowed: number;
  /** Of these: under a grant. */
  readonly granted: number;
  /** RFC 3339, of the last one. */
  readonly lastTime: string;
  /** Of many, the first ones. */
  readonly requesters: readonly string[];
  readonly isMoreRequesters: boolean;
}

export interface HistogramBucket {
  /** RFC 3339. */
  readonly at: string;
  readonly ok: number;
  /** Refused by policy or a limit, or not understood. */
  readonly denied: number;
  /** Also failed in part, or by a deadline. */
  readonly failed: number;
  /** It may have run: its end is not known, its client left, or it has not ended. */
  readonly unknown: number;
}

/** The verdict of a report. Its texts are harmless for a terminal: control and bidi characters are made visible. */
export interface MailboxHead {
  readonly mailbox: string;
  /** `2026-11-01 to 2026-11-30`, in UTC. */
  readonly period: string;
  /** RFC 3339; empty if there is no record. */
  readonly from: string;
  readonly to: string;
  readonly isComplete: boolean;
  readonly answer: string;
  /** The first is the verdict. */
  readonly sentences: readonly string[];
  readonly doubts: readonly { readonly code: string; readonly text: string; readonly isSerious: boolean }[];
  readonly signedBy?: string | undefined;
  readonly signedTo?: string | undefined;
  readonly isContentOnly: boolean;
  readonly madeAt: string;
  /** The machine on which it was made. */
  readonly host: string;
  /** `eve on mx1`, if a daemon made it. */
  readonly madeBy?: string | undefined;
  readonly counts: MailboxCounts;
  /** All classes that a line can have, the gravest first. */
  readonly classes: readonly MailboxClass[];
}

export interface MailboxClass {
  readonly class: MailboxLine['class'];
  readonly what: string;
  readonly tone: 'bad' | 'warn' | 'quiet';
}

export type MailboxCounts = Readonly<typeof noCommands>;

/** The counts of a report of which no command was read. */
export const noCommands = {
  /** Commands that reached a mail server, or may have, and their requesters. */
  commands: 0,
  requesters: 0,
  isMoreRequesters: false,
  showed: 0,
  /** Searched mail content, and showed none. */
  searched: 0,
  maybeShowed: 0,
  /** Recorded after the last signature, or perhaps only ended after it. Also 0 if nothing is signed. */
  unsigned: 0,
  /** Of `commands`: through a mask, or for all users. */
  notNamed: 0,
  /** Of `commands`: without a recorded end, or with an unknown one. */
  open: 0,
  unknown: 0,
  /** Did not reach a mail server; not among `commands`. */
  stopped: 0,
  /** Of `stopped`: refused by policy or a limit. */
  denied: 0,
  /** Searches by which dovegate counted mails, for a command or a request; not among `commands`. */
  counted: 0,
  /** Of `commands`: those that deleted what they named, and those that may have deleted something. */
  deleted: 0,
  maybeDeleted: 0,
  /** Commands that would have deleted something, but were denied, or failed. */
  deleteDenied: 0,
  deleteFailed: 0,
};

/** One line of a report for people: similar commands, in words. Harmless for a terminal. */
export interface MailboxLine {
  /** In UTC; `2026-11-20 (more)`: earlier lines of this day came before. */
  readonly day: string;
  /** Only for a fleet. */
  readonly host?: string | undefined;
  readonly requester: string;
  readonly class:
    | 'deleted'
    | 'destroyed'
    | 'changed'
    | 'content'
    | 'searched'
    | 'read'
    | 'session'
    | 'counted'
    | 'unread'
    | 'failed'
    | 'denied';
  readonly what: string;
  readonly count: number;
  /** The first and the last time; equal for one command. */
  readonly firstTime: string;
  readonly lastTime: string;
  readonly reason: string;
  readonly commands: string;
  readonly note: string;
  /** The id of the grant under which they ran. */
  readonly grant?: string | undefined;
  /** Ids of the first 20 exchanges, for `show`. */
  readonly ids: readonly string[];
}

export interface MailboxDay {
  readonly day: string;
  readonly lines: readonly MailboxLine[];
}

export interface MailboxEnd {
  readonly commands: number;
}
