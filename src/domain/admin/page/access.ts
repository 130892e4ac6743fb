// Access on request as programs and people see it: one JSON object for each request or grant, the same over a socket, over HTTP, in the
// client library and on the page. Keys and states are never renamed.

import type { AccessStep } from '../../language/verbs/verbs.js';

export type AccessState =
  /** Undecided, or with fewer approvals than it needs. */
  | 'requested'
  | 'granted'
  | 'refused'
  /** Taken back by an approver, by the requester, or by the operators. */
  | 'revoked'
  /** Its time is over: without a decision, or of the grant. */
  | 'expired'
  | 'used-up'
  /** The policy or the requester's credential changed, or a start could not prove the grant. */
  | 'ended'
  /** A grant without approval that is over, and that no approver has reviewed. */
  | 'unreviewed';

/** Times are RFC 3339 in UTC, durations in milliseconds. */
export interface AccessItem {
  readonly id: string;
  readonly state: AccessState;
  readonly to: string;
  readonly policy: string;
  readonly users: readonly string[];
  /** The canonical command with its arguments, words quoted where they must be, secrets as `[secret]`. */
  readonly command: string;
  readonly scope: 'command' | 'user';
  /** For scope `user`: the rule in words, which allows more than the command. */
  readonly rule?: readonly string[] | undefined;
  /** Where the rule is written: FILE:LINE. Absent for those who only ask. */
  readonly place?: string | undefined;
  readonly effect: string;
  readonly reason: string;
  /** Persons who must approve; 0: break-glass. */
  readonly approvals: number;
  readonly approved_by: readonly { readonly principal: string; readonly time: string }[];
  readonly asked: string;
  /** Of an undecided request: when it expires; of a grant: its end. */
  readonly until: string;
  readonly for_ms: number;
  /** How often a grant may be used. Absent: as often as its time permits. */
  readonly uses?: number | undefined;
  readonly used: number;
  /** Mails that its query matches, as counted last; for approvers. */
  readonly matches?: number | undefined;
  readonly break_glass: boolean;
  readonly reviewed: boolean;
  readonly mine: boolean;
  readonly may: readonly AccessStep[];
  readonly why?: string | undefined;
}
