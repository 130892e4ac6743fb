// Whether a hold of a mail user stops a command: one that could destroy, hide, move or change their mail. `hold` of the catalog says what a
// command can do, and the attempt whose mail it may reach; an unknown reach counts as theirs. A client that does not name the held user is
// not told who it is.

import { parameterNamed, whyNotKept } from '../../doveadm/commands/catalog.js';
import { GlobList } from '../../doveadm/names/glob.js';
import { foldAscii } from '../../host/words/text.js';
import type { LockEntry } from '../../journal/records/lock-book.js';
import type { Attempt } from '../../rules/policy/attempt.js';
import { mayTouch } from '../../rules/policy/match.js';
import type { Policy } from '../../rules/policy/policy.js';

interface HoldRefusal {
  readonly lock: LockEntry;
  /** Whether the line names the held user, or everybody. */
  readonly isNamed: boolean;
  /** A sentence; made on first read, since most refusals are never shown. */
  readonly why: string;
}

type Holdable = Pick<
  Attempt,
  | 'command'
  | 'effect'
  | 'parsed'
  | 'user'
  | 'users'
  | 'aliases'
  | 'masks'
  | 'everybody'
  | 'shared'
  | 'isSharedUnsaid'
>;

/** The refusal by the first hold that names one of the users, else the first one. `policy`: limits the proposed users. */
export function refusalOfHolds(
  holds: readonly LockEntry[],
  attempt: Holdable,
  policy?: Pick<Policy, 'users' | 'except'>,
): HoldRefusal | undefined {
  const [first] = holds;
  const { command, masks, everybody, shared } = attempt;
  if (first === undefined || command.hold === 'keeps' || onlyAddsFlags(attempt)) return undefined;
  const what = `"${command.name}" ${whyNotKept(command)}`;
  const userMasks = masks.filter(({ isUserMask }) => isUserMask);
  const isForAll = everybody === 'option';
  // Copying keeps the source mail, so only the receiving user counts. Which aliases are theirs is not known.
  const users = command.hold === 'into' && attempt.user !== undefined ? [attempt.user] : attempt.users;
  const meant = {
    ...attempt,
    users,
    masks: userMasks,
    everybody: isForAll ? everybody : 'none',
  } as const;
  const named = holds.find((lock) => mayTouch(heldNames(lock), meant));
  if (named !== undefined) {
    const isForSeveral = isForAll || userMasks.length > 0;
    return {
      lock: named,
      isNamed: true,
      get why() {
        return isForSeveral ? `${what}; ${without(holds, policy)}` : what;
      },
    };
  }
  if (command.hold === 'all') return { lock: first, isNamed: false, why: `${what}, also of that one` };
  if (shared !== undefined && !(command.hold === 'into' && shared === 'query')) {
    const unsaid = attempt.isSharedUnsaid ? ' (the backend does not say its shared_namespaces)' : '';
    const why = `${what}, and by ${shared} it may reach mailboxes of others${unsaid}`;
    return { lock: first, isNamed: false, why };
  }
  // The ids in an ACL do not name the owner of the mail.
  const isOpen =
    everybody !== 'none' ||
    masks.some(
      ({ isUserMask, parameter }) => !isUserMask && parameterNamed(command, parameter)?.role !== 'acl-id',
    );
  return isOpen ? { lock: first, isNamed: false, why: `${what}, and of whom cannot be known` } : undefined;
}

/** Adding a flag keeps the mail, except for \Deleted, which hides it and lets the next expunge delete it. */
function onlyAddsFlags({ command, parsed }: Holdable): boolean {
  const flags = parsed.values.get('flag') ?? [];
  return (
    command.name === 'flags add' && flags.length > 0 && !flags.some((flag) => /^\\?deleted$/i.test(flag))
  );
}

const namesMax = 20;

function without(holds: readonly LockEntry[], policy: Pick<Policy, 'users' | 'except'> | undefined): string {
  const others = othersOf(holds, policy);
  const list = others.length > 0 ? `, which has ${others.join(' ')}` : ' without the users that are held';
  return `send it with \`dovegate send --users LIST\`, a list${list}`;
}

/** Empty: there are none, too many to show, or the policy does not name each of them. */
function othersOf(
  holds: readonly LockEntry[],
  policy: Pick<Policy, 'users' | 'except'> | undefined,
): readonly string[] {
  const others: string[] = [];
  for (const user of policy?.users.texts ?? ['*']) {
    if (user.includes('*') || others.length > namesMax) return [];
    if (policy?.except.matches(user) === true || holds.some((lock) => heldNames(lock).matches(user)))
      continue;
    others.push(user);
  }
  return others.length > namesMax ? [] : others;
}

const names = new WeakMap<LockEntry['locked'], GlobList>();

/** All names of the mail user that were known when it was locked or held; case is ignored, since Dovecot may ignore it. */
export function heldNames({ locked }: LockEntry): GlobList {
  const known = names.get(locked);
  if (known !== undefined) return known;
  const { user, users = [] } = locked;
  const all = user === undefined ? users : [user, ...users];
  const made = new GlobList(all.map(foldAscii), { isAnyCase: true });
  names.set(locked, made);
  return made;
}
