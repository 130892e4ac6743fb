// A request or a grant as people and programs see it: one JSON object, the answer of the own commands about access, of HTTP and the page.
// Words that records hide are `[secret]` here too. The number of mails, which says something about content, and the place of the rule in
// the gate's files are not for requesters.

import type { AccessStep } from '../../doveadm/verbs/verbs.js';
import { formatTime } from '../../host/words/instants.js';
import { type AccessEntry, accessTermsOf, enderOf, leastTerms } from '../../journal/records/access-book.js';
import { formatCommand } from '../../journal/records/encode.js';
import type { AuditRecord } from '../../journal/records/record.js';
import { type AccessItem, type AccessState, accessEnds } from './access-item.js';

export interface AccessView {
  readonly approvals: readonly AuditRecord[];
  readonly state?: AccessState | undefined;
  readonly isMine: boolean;
  readonly seesPlace: boolean;
  readonly may: readonly AccessStep[];
  /** Why this approver may not approve; undefined: they may. */
  readonly whyNot?: string | undefined;
  readonly matches: number | undefined;
  readonly rule: readonly string[] | undefined;
  readonly content?: boolean | undefined;
  /** Sentences of the locks that stop its requester or its mail. */
  readonly locked: readonly string[];
}

export function accessItemOf(entry: AccessEntry, view: AccessView): AccessItem {
  const { requested, granted, reviewed, ended } = entry;
  return {
    id: entry.id,
    state: view.state ?? stateOf(entry),
    to: requested.to ?? requested.principal ?? '',
    policy: requested.policy ?? '',
    users: requested.users ?? [],
    command: formatCommand([requested.command ?? '', ...(requested.args ?? [])]),
    scope: requested.scope === 'user' ? 'user' : 'command',
    rule: view.rule,
    place: view.seesPlace ? requested.rule : undefined,
    effect: requested.effect ?? '',
    content: view.content,
    reason: requested.reason ?? '',
    approvals: requested.approvals ?? 1,
    approved_by: view.approvals.map((approval) => ({
      ...step(approval),
      gives: lessOf(requested, approval),
    })),
    asked: formatTime(requested.time),
    granted: granted && formatTime(granted.time),
    until: formatTime(entry.untilMs),
    ...accessTermsOf(entry, view.approvals),
    used: entry.used,
    matches: view.matches,
    break_glass: requested.approvals === 0,
    reviewed_by: reviewed && step(reviewed),
    ended: ended && formatTime(ended.time),
    locked: view.locked.length === 0 ? undefined : view.locked,
    ended_by: (ended && enderOf(ended)) || undefined,
    why: ended?.reason ?? ended?.text,
    mine: view.isMine,
    may: view.may,
    why_not: whyNotDecide(entry, view.whyNot),
  };
}

/** What an approval allows, where that is less than what was asked for. */
function lessOf(requested: AuditRecord, approval: AuditRecord): AccessItem['approved_by'][number]['gives'] {
  return accessTermsOf({ requested }, [approval]).asked_for && leastTerms([approval]);
}

function step({ principal = '', time }: AuditRecord): { principal: string; time: string } {
  return { principal, time: formatTime(time) };
}

function stateOf({ state, ended }: AccessEntry): AccessState {
  const end = accessEnds.find((each) => each === ended?.action);
  return end ?? (state === 'requested' ? 'requested' : 'granted');
}

/** An ended grant that was reviewed; it is kept only for the daily number of grants without approval. */
export function isOver({ state, reviewed }: AccessEntry): boolean {
  return state === 'unreviewed' && reviewed !== undefined;
}

/** Rewords a reason against an approval for a review. */
export function whyNoReview(why: string): string {
  return why.replaceAll('approves', 'reviews').replaceAll('approve', 'review');
}

function whyNotDecide(entry: AccessEntry, why: string | undefined): string | undefined {
  if (entry.state === 'requested') return entry.ended === undefined ? why : undefined;
  return why !== undefined && waitsForReview(entry) ? whyNoReview(why) : undefined;
}

function waitsForReview({ state, requested, reviewed }: AccessEntry): boolean {
  return state !== 'requested' && requested.approvals === 0 && reviewed === undefined;
}

export function stepsFor(entry: AccessEntry, mayApprove: boolean, isApprover: boolean): AccessStep[] {
  const { state } = entry;
  if (state === 'requested')
    return [
      ...(mayApprove ? (['approve'] as const) : []),
      ...(isApprover ? (['refuse'] as const) : []),
      'revoke',
    ];
  const mayReview = waitsForReview(entry) && mayApprove;
  return [...(state === 'granted' ? (['revoke'] as const) : []), ...(mayReview ? (['review'] as const) : [])];
}
