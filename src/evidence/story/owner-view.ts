// What the owner of a mailbox is shown of those who touched it: the team, the reason, and who approved it; never a name. What a grant
// keeps from the owner (`quiet_ms`) is shown after its end.

import { asNumber } from '../../host/values/values.js';
import { type AccessEntry, countedFor } from '../../journal/records/access-book.js';
import { pagePrefix } from '../../journal/records/stored.js';

/** What the owner is shown of a grant. */
export interface GivenToOwner {
  /**
   * The team of each approver that counted for the last approval, as it is recorded; none: access without one. Undefined: not known any
   * more.
   */
  readonly approvedBy: readonly string[] | undefined;
  /** Unix ms: up to then it is kept from the owner. Undefined: it is not. */
  readonly quietUntilMs: number | undefined;
}

/** The one place where something is left out, or not. */
export function givenToOwner(entry: AccessEntry): GivenToOwner {
  const { granted } = entry;
  const quietMs = asNumber(granted?.quiet_ms);
  const quietUntilMs = granted === undefined || quietMs === undefined ? undefined : granted.time + quietMs;
  return { approvedBy: approversOf(entry), quietUntilMs };
}

function approversOf({ approvals, granted }: AccessEntry): GivenToOwner['approvedBy'] {
  if (granted?.approvals === 0) return [];
  // Of those that were given, the ones that counted for the last.
  const last = approvals.at(-1);
  const counted = last === undefined ? [] : [...countedFor(last, approvals.slice(0, -1)), last];
  if (counted.length === 0) return undefined;
  return counted.map(({ policy = '', principal = '' }) =>
    principal.startsWith(pagePrefix) ? 'the page' : policy,
  );
}

/** Who approved a grant, for its owner; `name` makes a name harmless. */
export function approvedWords(by: GivenToOwner['approvedBy'], name: (text: string) => string): string {
  if (by === undefined) return 'not in the kept records any more';
  if (by.length === 0) return 'nobody before it (emergency); it is reviewed afterwards';
  const who = by.length === 1 ? 'a second person' : `${by.length} other persons`;
  return `${who} (${by.map(name).join(', ')})`;
}
