// The records of access on request: what each step writes. Pure. The journal is the database, so a record holds everything that a start
// needs.

import { type AccessValues, type AccessVerb, verbRow } from '../../doveadm/verbs/verbs.js';
import { bounds } from '../../host/bounds/bounds.js';
import { formatTime } from '../../host/words/instants.js';
import { type AccessEntry, least, leastTerms } from '../../journal/records/access-book.js';
import type { RecordedArgument } from '../../journal/records/keys.js';
import type { AuditRecord } from '../../journal/records/record.js';
import { approverSeparator } from '../../journal/records/stored.js';
import type { GrantTerms } from '../../rules/policy/grant.js';
import { quietApprovals, type RequestRule } from '../../rules/policy/policy.js';
import { hasVisible } from '../../rules/policy/terms.js';
import { type Asker, actorKeys, uidOf } from './asker.js';

export interface AccessWish {
  readonly rule: RequestRule;
  readonly users: readonly string[];
  readonly case: AuditRecord['case'];
  readonly command: string;
  /** With digests for secret words. */
  readonly args: readonly RecordedArgument[];
  readonly effect: string;
  readonly reason: string;
  readonly forMs: number;
  readonly uses: number | undefined;
  /** How long it is hidden from the owner of the mailbox. */
  readonly quietMs?: number | undefined;
  /** Digest of the canonical line. */
  readonly line: string;
  /** The canonical words, the command's name first; in memory only. */
  readonly words: readonly string[];
}

/** An approval may give less than was asked for. */
export type Shorter = Pick<AccessValues, 'forMs' | 'uses'>;

/** Why the text cannot be the reason of that step; undefined: it can. */
export function whyNoReason(verb: AccessVerb, reason: string | undefined): string | undefined {
  if (reason === undefined && verbRow(verb).needs?.includes('reason') !== true) return undefined;
  return whyNotSaid(reason ?? '');
}

/** Why the text cannot be recorded as a reason; undefined: it can. */
export function whyNotSaid(text: string): string | undefined {
  if (Buffer.byteLength(text) > bounds.reasonBytes) return `a reason has at most ${bounds.reasonBytes} bytes`;
  if (/\p{Cc}/u.test(text)) return 'a reason is one line of text';
  if (text.trim() === '') return 'say why, with a reason (--reason)';
  return hasVisible(text) ? undefined : 'say why, in characters that can be seen';
}

/** `waitMs`: how long it may stay undecided; `matches`: mails that its query matches. */
export function requestedRecord(
  owner: Asker,
  wish: AccessWish,
  given: {
    readonly id: string;
    readonly time: number;
    readonly waitMs: number;
    readonly matches: number | undefined;
  },
): AuditRecord {
  const { rule, users, command, args, effect, reason, forMs, uses, quietMs, line } = wish;
  const { terms } = rule;
  const { id, time, waitMs, matches } = given;
  return {
    time,
    event: 'access',
    ...actorKeys(owner),
    action: 'requested',
    rule: `${rule.place.file}:${rule.place.line}`,
    reason,
    command,
    user: users[0] ?? '',
    args,
    effect,
    matches,
    users,
    case: wish.case,
    request: id,
    until: formatTime(time + waitMs),
    uses,
    scope: terms.scope,
    approvals: quietMs === undefined ? terms.approvals : Math.max(terms.approvals, quietApprovals),
    quiet_ms: quietMs,
    duration_ms: forMs,
    bound: {
      rule: rule.hash,
      line: terms.scope === 'command' ? line : undefined,
      credential: owner.credential,
      login: owner.login,
      uid: uidOf(owner),
    },
  };
}

/** `before`: the earlier approvals that count. */
export function approvedRecord(
  asker: Asker,
  { requested, approvals }: Pick<AccessEntry, 'requested' | 'approvals'>,
  before: readonly AuditRecord[],
  time: number,
  matches: number | undefined,
  shorter: Shorter,
): AuditRecord {
  const { request, to, principal, command, users } = requested;
  const isWhole = approvals.every((each) => before.includes(each));
  // The approver signs for what is shown: no more than would be granted now.
  const signed = leastTerms([requested, ...before, { duration_ms: shorter.forMs, uses: shorter.uses }]);
  return {
    time,
    event: 'access',
    ...actorKeys(asker),
    action: 'approved',
    request,
    to: to ?? principal,
    command,
    by: isWhole ? undefined : [...before, asker].map((each) => each.principal).join(approverSeparator),
    users,
    case: requested.case,
    matches,
    uses: signed.uses,
    duration_ms: signed.for_ms,
  };
}

/**
 * The grant allows the least of what the request and each approval allow. A destroying command may affect at most the lowest counted number
 * of mails. `approvals`: those that count.
 */
export function grantedRecord(
  asker: Asker,
  { id, requested }: AccessEntry,
  approvals: readonly AuditRecord[],
  time: number,
): AuditRecord {
  const all = [requested, ...approvals];
  const { for_ms: forMs, uses } = leastTerms(all);
  // No approver consented to more mails than were counted for them.
  const counted = (approvals.length === 0 ? [requested] : approvals).map((each) => each.matches);
  const matches = requested.effect === 'destroy' ? least(counted) : undefined;
  const { to, principal, reason, command, effect, users, scope, approvals: needed } = requested;
  return {
    time,
    event: 'access',
    ...actorKeys(asker),
    action: 'granted',
    request: id,
    grant: id,
    to: to ?? principal,
    reason,
    command,
    effect,
    matches,
    users,
    case: requested.case,
    until: formatTime(time + forMs),
    uses,
    scope,
    approvals: needed,
    quiet_ms: requested.quiet_ms,
    duration_ms: forMs,
  };
}

/**
 * Why the grant of a further approval could not be used: a command that deletes matches more mails now than an earlier approver consented
 * to. `approvals`: those that count.
 */
export function whyTooMany(
  { requested }: AccessEntry,
  approvals: readonly AuditRecord[],
  matches: number | undefined,
): string | undefined {
  const most = requested.effect === 'destroy' ? least(approvals.map((each) => each.matches)) : undefined;
  if (most === undefined || matches === undefined || matches <= most) return undefined;
  return `${matches} mails match now, and an earlier approval is for at most ${most}; refuse it, so that it is asked for again`;
}

/** Any later step. `asker` undefined: dovegate itself ends it. */
export function stepRecord(
  asker: Asker | undefined,
  { id, requested, granted }: AccessEntry,
  action: 'refused' | 'revoked' | 'expired' | 'used-up' | 'ended' | 'reviewed',
  time: number,
  more: Pick<AuditRecord, 'reason' | 'text'> = {},
): AuditRecord {
  const { command, users, to = requested.principal } = requested;
  const ids = granted === undefined ? { request: id } : { grant: id };
  const actor = asker === undefined ? { principal: to } : actorKeys(asker);
  return {
    time,
    event: 'access',
    ...actor,
    action,
    to,
    command,
    users,
    case: requested.case,
    ...ids,
    ...more,
  };
}

export function wordsOf({ command = '', args = [] }: AuditRecord): readonly string[] | undefined {
  const words = args.filter((word) => typeof word === 'string');
  return words.length === args.length ? [command, ...words] : undefined;
}

/** A live grant as decisions see it. `rule`: the hash of its rule. */
export function grantTermsOf({ id, requested, granted }: AccessEntry, rule: string): GrantTerms {
  const scope = requested.scope === 'user' ? 'user' : 'command';
  const { bound, users = [] } = requested;
  const line = scope === 'user' ? undefined : bound?.line;
  return { id, rule, scope, users, line, maxMatches: granted?.matches };
}
