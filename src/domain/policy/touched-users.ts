// Which mailbox users a command line touches, as records name them. Pure. The rule: whoever may be touched is among them; where nobody
// can tell who is, all users are.

import { sharedReach, usualSharedPrefixes } from '../commands/shared-mailboxes.js';
import type { Attempt } from './attempt.js';

/** All users. A record that holds this holds nothing else. */
export const allUsers: readonly string[] = ['*'];

/** Each once, in normal form: the user of the line, those in arguments, aliases of both, masks as they are. */
export function usersTouchedBy(attempt: Attempt): readonly string[] {
  const { users, aliases, masks, everybody } = attempt;
  if (
    everybody !== 'none' ||
    masks.some((mask) => !mask.isUserMask || (mask.value.includes('*') && /^[*?]*$/.test(mask.value)))
  )
    return allUsers;
  if (namesSharedMailbox(attempt)) return allUsers;
  if (users.length <= 1 && aliases.length + masks.length === 0) return users;
  return [...new Set([...users, ...aliases, ...masks.map((mask) => mask.value)])];
}

/**
 * Whether it names a mailbox in a shared namespace, which belongs to somebody whom only the server knows. Listing all mailboxes that a
 * user sees, and a search that names no mailbox, do not count.
 */
function namesSharedMailbox({ parsed, shared, isSharedUnsaid }: Attempt): boolean {
  if (shared === undefined) return false;
  const reach = isSharedUnsaid ? sharedReach(parsed, usualSharedPrefixes)?.parameter : shared;
  if (reach !== 'mailbox-mask') return reach !== undefined;
  return parsed.values.get(reach)?.some((mask) => !/^[*%]/.test(mask)) === true;
}
