// What a search of the journal asks for.

import type { RowKind } from '../outcome/class.js';

/** All given fields must match. */
export interface TrailFilter {
  /** A user of the command, in arguments too, or covered by a mask; `*` stands for any characters. */
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
  /** What the rules of a policy that observes, or a candidate, would have made of it: a word of `policyOutcomes`; `any`: something else. */
  readonly would?: string | undefined;
  readonly shadow?: string | undefined;
  readonly id?: string | undefined;
  readonly session?: string | undefined;
  /** Commands under this grant, those that were tried when it was over, and its access records. */
  readonly grant?: string | undefined;
  /** Who did it: an operator or a person of the page, an approver, a requester. */
  readonly by?: string | undefined;
  /** Absent: commands; with `grant`, and an outcome of requests, access records too; with `by` all that this person did. */
  readonly kind?: RowKind | 'all' | undefined;
  /** Not of a search: a report has the searches by which dovegate counted mails, too. */
  readonly isWithCounts?: boolean | undefined;
  /** A part of the stated reason, in any case. */
  readonly reason?: string | undefined;
  /** Milliseconds since 1970 of the admission: from, and before. */
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Occurs anywhere in its records, as written there; or may, if arguments or users were too long to be recorded. */
  readonly text?: string | undefined;
}
