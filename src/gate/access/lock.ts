// Finds the lock or hold that stops a person or a command: the gate, its answers, approvals and the page all ask here. A lock of a person
// holds for the human, as approvals know one (`persons`, else uids and names), and one of a mail user for each command that may touch that
// user's mail; a hold only for commands that could destroy, hide, move or change it.

import { isHold, type LockEntry } from '../../journal/records/lock-book.js';
import type { LockRecord } from '../../journal/records/record.js';
import { type Human, openNames } from '../../rules/identity/human.js';
import type { Persons } from '../../rules/identity/person.js';
import { mayTouch } from '../../rules/policy/match.js';
import type { Policy } from '../../rules/policy/policy.js';
import { heldNames, refusalOfHolds } from './hold.js';

export interface Lockable {
  readonly human?: Human | undefined;
  readonly listener?: string | undefined;
  readonly backends?: readonly { readonly name: string }[];
  readonly touched?: Parameters<typeof refusalOfHolds>[1] | undefined;
  readonly policy?: Pick<Policy, 'users' | 'except'>;
}

interface Stop {
  readonly lock: LockEntry;
  readonly hold?: NonNullable<ReturnType<typeof refusalOfHolds>>;
  /** Whether the client may read whose mailbox it is, and why: its policy lets it name the user, and the line does. */
  readonly isNamed: boolean;
}

export function stopOn(
  locks: readonly LockEntry[],
  what: Lockable,
  persons: Pick<Persons, 'sharesHuman'>,
): Stop | undefined {
  const lock = lockOn(locks, what, persons);
  if (lock !== undefined) return { lock, isNamed: mayName(what.policy, lock) };
  const unread = locks.find(({ isUnread }) => isUnread);
  if (unread !== undefined && (what.touched?.effect ?? 'read') !== 'read')
    return { lock: unread, isNamed: true };
  const hold = holdOn(locks, what);
  return hold && { lock: hold.lock, hold, isNamed: hold.isNamed && mayName(what.policy, hold.lock) };
}

/** Whether a reader with this policy may read the name; `policy` undefined: no limit. */
export function mayName(policy: Lockable['policy'], { locked: { user } }: LockEntry): boolean {
  if (user === undefined || policy === undefined) return true;
  return policy.users.matches(user) && !policy.except.matches(user);
}

function holdOn(locks: readonly LockEntry[], { touched, policy }: Lockable): Stop['hold'] | undefined {
  return touched && refusalOfHolds(locks.filter(isHold), touched, policy);
}

function lockOn(
  locks: readonly LockEntry[],
  { human, listener, backends, touched, policy }: Lockable,
  persons: Pick<Persons, 'sharesHuman'>,
): LockEntry | undefined {
  const stopping = locks.filter((lock) => {
    const { locked } = lock;
    if (isHold(lock)) return false;
    if (locked.user !== undefined) return touched !== undefined && mayTouch(heldNames(lock), touched);
    if (locked.backend !== undefined) return backends?.some(({ name }) => name === locked.backend);
    if (locked.listener !== undefined) return listener === locked.listener;
    return human !== undefined && isBound(locked, human, persons);
  });
  return stopping.find((lock) => mayName(policy, lock)) ?? stopping[0];
}

/** A lock of a key is for the key alone, not for its human. A lock by name alone also stops clients whose names are unknown now. */
function isBound(
  { to = '', identities: held = [] }: LockRecord,
  { identities, isUnanswered = false }: Human,
  persons: Pick<Persons, 'sharesHuman'>,
): boolean {
  if (to.startsWith('key:')) return identities.includes(to);
  return persons.sharesHuman(held, identities) || (isUnanswered && openNames(held).length > 0);
}
