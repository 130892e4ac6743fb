// A request or a grant as people and programs see it: one JSON object, the answer of the own commands about access, of HTTP and the page.
// The rules: words that records hide are `[secret]` here too; the number of mails is for approvers only, since it says something about content.

import type { AccessEntry } from '../audit/access-book.js';
import { formatTime, type RecordedArgument } from '../audit/record.js';
import type { AccessItem, AccessState, AccessStep } from '../page/access.js';

/** What the entry does not say itself. */
export interface AccessView {
  readonly state?: AccessState | undefined;
  readonly isMine: boolean;
  readonly isApprover: boolean;
  readonly may: readonly AccessStep[];
  readonly matches: number | undefined;
  readonly rule: readonly string[] | undefined;
}

export function accessItemOf(entry: AccessEntry, view: AccessView): AccessItem {
  const { requested, granted, approvals } = entry;
  const { duration_ms: forMs = 0, uses } = granted ?? requested;
  return {
    id: entry.id,
    state: view.state ?? entry.state,
    to: requested.to ?? requested.principal ?? '',
    policy: requested.policy ?? '',
    users: requested.users ?? [],
    command: formatWords([requested.command ?? '', ...(requested.args ?? [])]),
    scope: requested.scope === 'user' ? 'user' : 'command',
    rule: view.rule,
    place: requested.rule ?? '',
    effect: requested.effect ?? '',
    reason: requested.reason ?? '',
    approvals: requested.approvals ?? 1,
    approved_by: approvals.map(({ principal = '', time }) => ({ principal, time: formatTime(time) })),
    asked: formatTime(requested.time),
    until: formatTime(entry.untilMs),
    for_ms: forMs,
    uses,
    used: entry.used,
    matches: view.isApprover ? view.matches : undefined,
    break_glass: requested.approvals === 0,
    reviewed: entry.isReviewed,
    mine: view.isMine,
    may: view.may,
  };
}

/** What somebody who sees an entry may do with it. */
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

/** Words for a shell: quoted where they must be, hidden ones as `[secret]`. The `--` of the canonical form is left out where it says nothing. */
export function formatWords(words: readonly RecordedArgument[]): string {
  const [name = '', ...args] = words;
  const shown = args[0] === '--' && !args.slice(1).some(isDashed) ? args.slice(1) : args;
  return [typeof name === 'string' ? name : '[secret]', ...shown.map(formatWord)].join(' ');
}

function isDashed(word: RecordedArgument): boolean {
  return typeof word === 'string' && word.startsWith('-');
}

function formatWord(word: RecordedArgument): string {
  if (typeof word !== 'string') return '[secret]';
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
