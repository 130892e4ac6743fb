// What the owner of a mailbox is shown of those who touched it: the team, the reason, and who approved it; never a name. What a grant
// keeps from the owner (`quiet_ms`) is shown after its end.

import { asNumber } from '../../host/values/values.js';
import { type AccessEntry, countedFor } from '../../journal/records/access-book.js';
import { pagePrefix } from '../../journal/records/stored.js';

/** One command that may have touched the mailbox. Texts are as recorded: callers make them harmless. */
interface OwnerTouch {
  readonly policy: string;
  readonly reason: string;
  /** Of the grant; undefined: its records are not kept any more. */
  readonly given?: GivenToOwner | undefined;
}

/** What the owner is shown of a grant. */
export interface GivenToOwner {
  /** Of those that counted for the last approval; none: access without one. Undefined: not known any more. */
  readonly approvers: readonly { readonly policy: string; readonly principal: string }[] | undefined;
  /** Unix ms: up to then it is kept from the owner. */
  readonly quietUntilMs: number | undefined;
}

interface OwnerRow {
  /** The policy. */
  readonly team: string;
  readonly reason: string;
  /** A team for each; none: access without an approval. Undefined: not known any more. */
  readonly approvedBy: readonly string[] | undefined;
  /** Unix ms: up to then it was kept from the owner. */
  readonly quietUntilMs?: number | undefined;
}

/** Unix ms: up to then the uses of a grant are kept from the owner. Undefined: they are not. */
function quietEndMs({ granted }: Pick<AccessEntry, 'granted'>): number | undefined {
  const quietMs = asNumber(granted?.quiet_ms);
  return granted === undefined || quietMs === undefined ? undefined : granted.time + quietMs;
}

/** The one place where something is left out, or not. */
export function shownToOwner({ policy, reason, given }: OwnerTouch): OwnerRow {
  const quietUntilMs = given?.quietUntilMs;
  return {
    team: policy,
    reason,
    approvedBy: given?.approvers?.map(shownApprover),
    ...(quietUntilMs !== undefined && { quietUntilMs }),
  };
}

function shownApprover({
  policy,
  principal,
}: {
  readonly policy: string;
  readonly principal: string;
}): string {
  return principal.startsWith(pagePrefix) ? 'the page' : policy;
}

export function givenToOwner(entry: AccessEntry): GivenToOwner {
  return { approvers: approversOf(entry), quietUntilMs: quietEndMs(entry) };
}

function approversOf({ approvals, granted }: AccessEntry): GivenToOwner['approvers'] {
  if (granted?.approvals === 0) return [];
  // Of those that were given, the ones that counted for the last.
  const last = approvals.at(-1);
  const counted = last === undefined ? [] : [...countedFor(last, approvals.slice(0, -1)), last];
  if (counted.length === 0) return undefined;
  return counted.map(({ policy = '', principal = '' }) => ({ policy, principal }));
}

/** Who approved a grant, for its owner; `name` makes a name harmless. */
export function approvedWords(by: OwnerRow['approvedBy'], name: (text: string) => string): string {
  if (by === undefined) return 'not in the kept records any more';
  if (by.length === 0) return 'nobody before it (emergency); it is reviewed afterwards';
  const who = by.length === 1 ? 'a second person' : `${by.length} other persons`;
  return `${who} (${by.map(name).join(', ')})`;
}
