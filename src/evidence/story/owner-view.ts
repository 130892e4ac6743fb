// What the owner of a mailbox is shown of those who touched it: the team, the reason, and who approved it, but never a name. What a grant
// keeps from the owner (`quiet_ms`) is shown after its end.

import { asNumber } from '../../host/values/values.js';
import { type AccessEntry, countedFor } from '../../journal/records/access-book.js';
import { pagePrefix } from '../../journal/records/stored.js';

export interface GivenToOwner {
  /** The recorded team of each approver that counted for the last approval. Empty: access without approval. Undefined: no longer known. */
  readonly approvedBy: readonly string[] | undefined;
  /** Unix ms: hidden from the owner until then. Undefined: not hidden. */
  readonly quietUntilMs: number | undefined;
}

/** The only place that decides what the owner does not see. */
export function givenToOwner(entry: AccessEntry): GivenToOwner {
  const { granted } = entry;
  const quietMs = asNumber(granted?.quiet_ms);
  const quietUntilMs = granted === undefined || quietMs === undefined ? undefined : granted.time + quietMs;
  return { approvedBy: approversOf(entry), quietUntilMs };
}

function approversOf({ approvals, granted }: AccessEntry): GivenToOwner['approvedBy'] {
  if (granted?.approvals === 0) return [];
  // The approvals that counted for the last one, and the last one itself.
  const last = approvals.at(-1);
  const counted = last === undefined ? [] : [...countedFor(last, approvals.slice(0, -1)), last];
  if (counted.length === 0) return undefined;
  return counted.map(({ policy = '', principal = '' }) =>
    principal.startsWith(pagePrefix) ? 'the page' : policy,
  );
}

/** Who approved a grant, in words for the owner. `name` makes a name harmless. */
export function approvedWords(by: GivenToOwner['approvedBy'], name: (text: string) => string): string {
  if (by === undefined) return 'not in the kept records any more';
  if (by.length === 0) return 'nobody before it (emergency); it is reviewed afterwards';
  const who = by.length === 1 ? 'a second person' : `${by.length} other persons`;
  return `${who} (${by.map(name).join(', ')})`;
}
