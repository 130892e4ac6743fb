// Finds the lock that stops a person or a command: the gate, its answers, approvals and the page all ask here. A lock of a person holds
// for the human, as approvals know one (`persons`, else uids and names), and one of a mail user for each command that may touch that user's
// mail.

import { GlobList } from '../../language/names/glob.js';
import type { Persons } from '../../people/identity/person.js';
import type { LockEntry } from '../../records/audit/lock-book.js';
import type { LockRecord } from '../../records/audit/record.js';
import type { Attempt } from './attempt.js';
import { mayTouch } from './match.js';

export interface Lockable {
  /** Words of the human, as of an asker. */
  readonly identities?: readonly string[];
  readonly listener?: string | undefined;
  readonly backends?: readonly { readonly name: string }[];
  readonly touched?: Pick<Attempt, 'users' | 'aliases' | 'masks' | 'everybody'> | undefined;
}

export function lockOn(
  locks: Iterable<LockEntry>,
  { identities, listener, backends, touched }: Lockable,
  persons: Pick<Persons, 'sharesHuman'>,
): LockEntry | undefined {
  for (const lock of locks) {
    const { locked } = lock;
    const isBound =
      locked.user !== undefined
        ? touched !== undefined && mayTouch(usersOf(locked, locked.user), touched)
        : locked.backend !== undefined
          ? backends?.some(({ name }) => name === locked.backend)
          : locked.listener !== undefined
            ? listener === locked.listener
            : identities !== undefined && isHeld(locked, identities, persons);
    if (isBound === true) return lock;
  }
  return undefined;
}

/** A key is locked alone, without its human. */
function isHeld(
  { to = '', identities: held = [] }: LockRecord,
  identities: readonly string[],
  persons: Pick<Persons, 'sharesHuman'>,
): boolean {
  return to.startsWith('key:') ? identities.includes(to) : persons.sharesHuman(held, identities);
}

const users = new WeakMap<LockRecord, GlobList>();

function usersOf(locked: LockRecord, user: string): GlobList {
  const known = users.get(locked) ?? new GlobList([user]);
  users.set(locked, known);
  return known;
}
