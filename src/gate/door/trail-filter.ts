// The filter of a search of the journal.

import type { RowKind } from '../outcome/class.js';

/** All given fields must match. */
export interface TrailFilter {
  /** A mail user whom the command names, also in an argument, or covers by a mask; `*` stands for any characters. */
  readonly user?: string | undefined;
  readonly principal?: string | undefined;
  /** A command's name, or the words that it begins with: `mailbox` finds `mailbox list`. */
  readonly command?: string | undefined;
  readonly listener?: string | undefined;
  readonly backend?: string | undefined;
  readonly policy?: string | undefined;
  /** The strongest possible effect as it is shown: a word of {@link shownEffects}. */
  readonly effect?: string | undefined;
  /** A word of {@link outcomeWords}; `open`: without completion. */
  readonly outcome?: string | undefined;
  /** The decision that an observing policy or a candidate would have made: a word of `policyOutcomes`; `any`: one that differs. */
  readonly would?: string | undefined;
  readonly shadow?: string | undefined;
  readonly id?: string | undefined;
  readonly session?: string | undefined;
  /** Commands under this grant, those tried after it ended, and its access records. */
  readonly grant?: string | undefined;
  /** Who did it: an operator or a person of the page, an approver, a requester. */
  readonly by?: string | undefined;
  /** Absent: commands; with `grant` or an outcome of requests, access records too; with `by`, everything that this person did. */
  readonly kind?: RowKind | 'all' | undefined;
  /** Set by reports only, never by a search: includes the searches with which dovegate counted mails. */
  readonly isWithCounts?: boolean | undefined;
  /** A part of the stated reason; case does not matter. */
  readonly reason?: string | undefined;
  /** Milliseconds since 1970 of the admission: `sinceMs` inclusive, `untilMs` exclusive. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Occurs anywhere in the records as written; a command whose arguments or users were too long to be recorded matches too. */
  readonly text?: string | undefined;
}
