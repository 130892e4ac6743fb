// A request or a grant as people and programs see it: one JSON object, the answer of the own commands about access, of HTTP and the page.
// Words that records hide are `[secret]` here too. The number of mails, which says something about content, and the place of the rule in
// the gate's files are not for requesters.

import type { AccessItem, AccessState } from '../../admin/page/access.js';
import type { AccessStep } from '../../language/verbs/verbs.js';
import type { AccessEntry } from '../../records/audit/access-book.js';
import { formatCommand } from '../../records/audit/encode.js';
import { type AuditRecord, formatTime } from '../../records/audit/record.js';

export interface AccessView {
  readonly approvals: readonly AuditRecord[];
  readonly state?: AccessState | undefined;
  readonly isMine: boolean;
  readonly seesPlace: boolean;
  readonly may: readonly AccessStep[];
  readonly matches: number | undefined;
  readonly rule: readonly string[] | undefined;
}

export function accessItemOf(entry: AccessEntry, view: AccessView): AccessItem {
  const { requested, granted } = entry;
  const { duration_ms: forMs = 0, uses } = granted ?? requested;
  return {
    id: entry.id,
    state: view.state ?? entry.state,
    to: requested.to ?? requested.principal ?? '',
    policy: requested.policy ?? '',
    users: requested.users ?? [],
    command: formatCommand([requested.command ?? '', ...(requested.args ?? [])]),
    scope: requested.scope === 'user' ? 'user' : 'command',
    rule: view.rule,
    place: view.seesPlace ? requested.rule : undefined,
    effect: requested.effect ?? '',
    reason: requested.reason ?? '',
    approvals: requested.approvals ?? 1,
    approved_by: view.approvals.map(({ principal = '', time }) => ({ principal, time: formatTime(time) })),
    asked: formatTime(requested.time),
    until: formatTime(entry.untilMs),
    for_ms: forMs,
    uses,
    used: entry.used,
    matches: view.matches,
    break_glass: requested.approvals === 0,
    reviewed: entry.isReviewed,
    mine: view.isMine,
    may: view.may,
  };
}

/** A reviewed grant that has ended is kept for its number a day alone. */
export function isOver({ state, isReviewed }: AccessEntry): boolean {
  return state === 'unreviewed' && isReviewed;
}

export function stepsFor(entry: AccessEntry, mayApprove: boolean, isApprover: boolean): AccessStep[] {
  const { state, requested, isReviewed } = entry;
  if (state === 'requested')
    return [
      ...(mayApprove ? (['approve'] as const) : []),
      ...(isApprover ? (['refuse'] as const) : []),
      'revoke',
    ];
  const isOpen = requested.approvals === 0 && !isReviewed && mayApprove;
  return [...(state === 'granted' ? (['revoke'] as const) : []), ...(isOpen ? (['review'] as const) : [])];
}
