// Access on request as programs and people see it: one JSON object for each request or grant, the same over a socket, over HTTP, in the
// client library and on the page. Keys and states are never renamed.

import type { AccessStep } from '../../doveadm/verbs/verbs.js';

export const accessEnds = [
  'refused',
  /** Taken back by an approver, by the requester, or by the operators. */
  'revoked',
  /** The request expired undecided, or the time of the grant is over. */
  'expired',
  'used-up',
  /** The policy or the requester's credential changed, or a start could not prove the grant. */
  'ended',
] as const;
/** `requested`: undecided, or with fewer approvals than it needs. */
export type AccessState = 'requested' | 'granted' | (typeof accessEnds)[number];

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
  /** It permits commands that show mail content, or may. */
  readonly content?: boolean | undefined;
  readonly reason: string;
  /** Persons who must approve; 0: break-glass. */
  readonly approvals: number;
  /** `gives`: the time and uses that this approval allows, where that is less than what was asked for. */
  readonly approved_by: readonly {
    readonly principal: string;
    readonly time: string;
    readonly gives?: { readonly for_ms: number; readonly uses?: number | undefined } | undefined;
  }[];
  readonly asked: string;
  readonly granted?: string | undefined;
  /** Of an undecided request: when it expires; of a grant: its end. */
  readonly until: string;
  readonly for_ms: number;
  /** What was asked for, where the approvals (so far) give less. */
  readonly asked_for?: { readonly for_ms: number; readonly uses?: number | undefined } | undefined;
  /** How often a grant may be used. Absent: as often as its time permits. */
  readonly uses?: number | undefined;
  readonly used: number;
  /** How long after the grant it is hidden from the owner of the mailbox; absent: not hidden. */
  readonly quiet_ms?: number | undefined;
  /** Mails that its query matched when they were counted last; for approvers only. */
  readonly matches?: number | undefined;
  readonly break_glass: boolean;
  /** The review of a grant without approval; absent: no approver has reviewed it. */
  readonly reviewed_by?: { readonly principal: string; readonly time: string } | undefined;
  /** When it ended, and who ended it; `ended_by` is absent if nobody did. */
  readonly ended?: string | undefined;
  readonly ended_by?: string | undefined;
  /** The locks of its requester, and the locks and holds of its mail users, in sentences: they stop it even when it is approved. */
  readonly locked?: readonly string[] | undefined;
  readonly mine: boolean;
  readonly may: readonly AccessStep[];
  /** Why this approver may not approve or review it, as a sentence; absent: they may, or nothing waits for that. */
  readonly why_not?: string | undefined;
  readonly why?: string | undefined;
}

/** A list of requests for access; after a step, the one request that it changed. */
export interface AccessListed {
  readonly items: readonly AccessItem[];
  /** In a list: the number of those that follow. */
  readonly more?: number;
  /** In a list: those that are over, the newest first. */
  readonly decided?: readonly AccessItem[];
  /** In a list: why this person may approve nothing, as a sentence; absent: they may. */
  readonly whyNone?: string;
}
