// Whose mailboxes or sessions a command line touches: the user of its line, users, masks, addresses and groups among its arguments,
// or everybody. Says what is named, never whether that is allowed.

import { foldAscii } from '../identity/user-name.js';
import type { Command, Parameter, Role } from './catalog.js';
import { isAddress } from './fetch-fields.js';
import { type Unparsable, unparsable } from './getopt.js';
import { maskCovers } from './glob.js';
import { type ParsedArguments, withoutParameters } from './parse.js';

export { isAddress } from './fetch-fields.js';

/** A value of a parameter that names people. */
export interface UserArgument {
  readonly parameter: string;
  /** As written; the name of a user is without `user=`. */
  readonly value: string;
}

/**
 * `none`: nobody. `one`: `user`. `several`: more than one, or as many as a mask finds. `all`: everybody. `unknown`: cannot be told
 * from the arguments, and may be anybody.
 */
export type TouchedUsers = {
  /** Users by their names: the line's first, then those of the arguments. Empty does not mean nobody. */
  readonly users: readonly UserArgument[];
  /** Masks, addresses, networks, groups: each may stand for several users or for all. */
  readonly masks: readonly UserArgument[];
} & (
  | { readonly kind: 'none' | 'several' | 'unknown' }
  | { readonly kind: 'one'; readonly user: string }
  /** `by`: the parameter that says so, undefined when it is the lack of one, or the command itself. */
  | { readonly kind: 'all'; readonly by: string | undefined }
);

/** Commands that concern everybody unless their arguments name somebody. */
const allUnlessNamed: ReadonlySet<string> = new Set([
  'director map',
  'indexer list',
  'kick',
  'proxy kick',
  'proxy list',
  'replicator status',
  'who',
]);

/** Commands that show or move everybody, whatever their arguments are. */
const alwaysAll: ReadonlySet<string> = new Set(['director flush', 'log errors', 'replicator dsync-status']);

/**
 * `oldstats dump TYPE [FILTER]` has a row for each command, session, user, domain or address (doveadm-stats(1)); only the one row of
 * `global` is about nobody. The filter goes to the stats service as it is written, and whoever writes one can ask for more with it.
 */
function listsPeople({ command, values }: ParsedArguments): boolean {
  if (command.name !== 'oldstats dump') return alwaysAll.has(command.name);
  return values.get('type')?.[0] !== 'global' || values.has('filter');
}

/** What belongs to whom in them is not in the arguments. */
const unknowable: ReadonlySet<string> = new Set([
  'batch',
  'dict get',
  'dict inc',
  'dict iter',
  'dict set',
  'dict unset',
  'fs copy',
  'fs delete',
  'fs get',
  'fs iter',
  'fs iter-dirs',
  'fs metadata',
  'fs put',
  'fs stat',
  'sis deduplicate',
  'sis find',
]);

/** Whom the command line touches. `wireUser`: the user field of the line, which commands of scope server ignore. */
export function touchedUsers(parsed: ParsedArguments, wireUser: string): TouchedUsers {
  const { command } = parsed;
  const users: UserArgument[] = command.scope === 'user' ? [{ parameter: 'user', value: wireUser }] : [];
  const masks: UserArgument[] = [];
  // These options make the names of the masks another kind of name than a user's.
  const isOtherName = parsed.hasOption('passdb-field');
  for (const parameter of namersOf(command)) {
    const values = parsed.values.get(parameter.name);
    if (values === undefined) continue;
    for (const value of values) {
      const named = nameIn(parsed, parameter, value);
      if (named === undefined) continue;
      const list = named.isMask || (isOtherName && parameter.role !== 'user') ? masks : users;
      list.push({ parameter: parameter.name, value: named.value });
    }
  }
  // Written out each time: spreading what they share costs more than all the rest of this function.
  if (unknowable.has(command.name) || parsed.hasOption('user-file')) return { users, masks, kind: 'unknown' };
  if (parsed.hasOption('all-users')) return { users, masks, kind: 'all', by: 'all-users' };
  const isEverybody = allUnlessNamed.has(command.name) && users.length + masks.length === 0;
  if (isEverybody || listsPeople(parsed)) return { users, masks, kind: 'all', by: undefined };
  const everybody = masks.find(({ value }) => value.includes('*') && /^[*?]*$/.test(value));
  if (everybody !== undefined) return { users, masks, kind: 'all', by: everybody.parameter };
  const [first] = users;
  if (masks.length > 0) return { users, masks, kind: 'several' };
  if (first === undefined) return { users, masks, kind: 'none' };
  const isOne = users.every(({ value }) => foldAscii(value) === foldAscii(first.value));
  return isOne ? { users, masks, kind: 'one', user: first.value } : { users, masks, kind: 'several' };
}

const namers = new Map<Command, readonly Parameter[]>();

/** The parameters that can name somebody: few commands have one, and this is asked for every line. */
function namersOf(command: Command): readonly Parameter[] {
  const known = namers.get(command);
  if (known !== undefined) return known;
  const roles = new Set<Role | undefined>(['user', 'source-user', 'user-mask', 'user-mask-or-ip', 'acl-id']);
  const found = command.params.filter(({ role }) => roles.has(role));
  namers.set(command, found);
  return found;
}

/** The user, or the mask for users, that a value names; undefined when it names none. */
function nameIn(
  parsed: ParsedArguments,
  parameter: Parameter,
  value: string,
): { value: string; isMask: boolean } | undefined {
  const { role } = parameter;
  // Of a mail command it is -u, which means the wire user or nothing: see reconcileUserOptions.
  const isUser = role === 'user' && parsed.command.scope === 'server';
  if (isUser || role === 'source-user' || role === 'user-mask') return { value, isMask: isUserMask(value) };
  if (role === 'user-mask-or-ip') return { value, isMask: isUserMask(value) || isAddress(value) };
  return role === 'acl-id' ? aclSubject(value) : undefined;
}

/** What an ACL is for: `user=NAME`; owner; and groups or everybody, which are masks. */
function aclSubject(id: string): { value: string; isMask: boolean } | undefined {
  if (id === 'owner') return undefined;
  if (!id.startsWith('user=')) return { value: id, isMask: true };
  const user = id.slice('user='.length);
  return { value: user, isMask: isUserMask(user) };
}

/** Whether a server may take it for more than a name: it has `*` or `?`, or is empty. */
export function isUserMask(value: string): boolean {
  return value === '' || /[*?]/.test(value);
}

/** A command line whose options about the user are settled. */
export interface ReconciledUser {
  readonly kind: 'reconciled';
  /** Without `-u`; without `-A` where that only asked for a column. */
  readonly parsed: ParsedArguments;
  /** The client expects the user's name as the first cell of each row. */
  readonly wantsUsernameCell: boolean;
  /** The client asks for all users; `-A` is still in `parsed`. */
  readonly isAllUsers: boolean;
}

/** Minor of the protocol up to which a client is of the 2.3 series, whose `-A` and wildcard `-u` ask for a column. */
const columnMinorMax = 2;

/**
 * Settles `-u` and `-A` of a mail command. On the wire neither chooses the user in 2.3, the user field does; `-A` of a 2.4
 * server means everybody. A `-u` that is the wire user, or a mask that covers it, is dropped; any other is refused.
 *
 * @param clientMinor what the client announced in its VERSION line
 * @param normalise how names are completed before they are compared (a default realm); folding of case is done here
 */
export function reconcileUserOptions(
  parsed: ParsedArguments,
  wireUser: string,
  clientMinor: number,
  normalise: (user: string) => string = (user) => user,
): ReconciledUser | Unparsable {
  if (parsed.command.scope === 'server') {
    return { kind: 'reconciled', parsed, wantsUsernameCell: false, isAllUsers: false };
  }
  const option = parsed.values.get('user')?.[0];
  const isMask = option !== undefined && /[*?]/.test(option);
  if (option !== undefined) {
    const isCovered = isMask
      ? maskCovers(foldAscii(option), foldAscii(normalise(wireUser)))
      : foldAscii(normalise(option)) === foldAscii(normalise(wireUser));
    if (!isCovered) {
      return unparsable(
        'user-invalid',
        'the option -u names another user than the command line; leave it out',
      );
    }
  }
  const asksAll = parsed.hasOption('all-users');
  const isColumn = clientMinor <= columnMinorMax && (asksAll || isMask);
  const dropped = isColumn ? ['user', 'all-users'] : ['user'];
  return {
    kind: 'reconciled',
    parsed: withoutParameters(parsed, dropped),
    wantsUsernameCell: isColumn,
    isAllUsers: asksAll && !isColumn,
  };
}
