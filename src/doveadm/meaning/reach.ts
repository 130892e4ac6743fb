// The effect of a parsed command with all of its arguments, and its reach: the users that it names, mailboxes of others, secrets of a
// userdb. It describes possibilities, never permissions.
import { foldAscii } from '../../host/words/text.js';
import {
  type Command,
  type Effect,
  fetchFieldClass,
  type Parameter,
  strongerEffect,
} from '../commands/catalog.js';
import { type Unparsable, unparsable } from '../commands/getopt.js';
import { type ParsedArguments, withoutParameters } from '../commands/parse.js';
import { conditionsIn, namesMailbox } from '../commands/search-query.js';
import { isAddress, isMask } from '../names/glob.js';
import { usualSharedPrefixes } from '../names/mailbox-names.js';
import { maskCovers } from '../names/mask.js';
import type { NameCase } from '../names/user-name.js';
import { ofMinor } from '../protocol/minors.js';

/** Repeatable positionals whose values are not changed one after the other. */
const notNames: ReadonlySet<string | undefined> = new Set(['acl-right', 'mail-flags', 'search-query']);

/**
 * Whether a command works on several named things, so that one may fail after others were done: two values of a repeatable positional
 * (mailboxes, users, scripts, paths, services), a mask, everything below a name, other commands; or a query without a single literal
 * mailbox.
 */
export function namesSeveral({ command, values, query }: ParsedArguments): boolean {
  for (const { name, type, isPositional, role } of command.params) {
    const given = values.get(name);
    if (given === undefined) continue;
    if (role === 'sub-commands' || name === 'recursive') return true;
    if (type !== 'array' || !isPositional || notNames.has(role)) continue;
    if (given.length > 1 || (role === 'mailbox-mask' && given.some(isMask))) return true;
  }
  if (query === undefined) return false;
  const places = conditionsIn(query).filter(({ key }) => key.class === 'place');
  return (
    places.length !== 1 || places.some(({ values: names }) => names.some(isMask)) || !namesMailbox(query)
  );
}

export function effectOf({ command, values }: ParsedArguments): Effect {
  let { effect } = command;
  for (const { name, danger } of command.params) {
    if (danger !== undefined && values.has(name)) effect = strongerEffect(effect, danger.effect);
  }
  return effect;
}

/** A part of a field's name that indicates a secret, or a path to one. */
const secretName =
  /pass|pwd|(?:^|_)pw(?:_|$)|secret|token|cred|key|crypt|hash|private|auth|otp|salt|seed|cookie|nonce/i;

export function mayBeSecretField(field: string): boolean {
  return secretName.test(field);
}

/**
 * The parts of a userdb that a command line can show and only a rule with `content: true` allows, for people; undefined for a field with a
 * harmless name, for lists of names, and for every other command. Never contains a value of the client. A userdb often has passwords and
 * private keys (mail_crypt_private_password, imapc_password):
 *
 *     user MASK             names, whatever the options are (measured on 2.3.19.1 and 2.4.1)
 *     user NAME             every field
 *     user -f FIELD NAME    that field
 *     user -e TEXT NAME     the text with variables expanded: any field, and on 2.4 the server's environment
 */
export function userdbContent({ command, values }: ParsedArguments): string | undefined {
  if (command.name !== 'user' || values.get('user-mask')?.some(isMask) === true) return undefined;
  if (values.has('expand-field')) return 'whatever the expansion asks for';
  const field = values.get('field')?.[0];
  if (field === undefined) return 'every field';
  return mayBeSecretField(field) ? 'a field that may be secret' : undefined;
}

/**
 * The parameters that read the content of mails, for people: `field hdr`, `key text`; for `user`: the userdb fields that it shows. Without
 * values of the client: the part of a field after a dot is a header of its choice.
 */
export function contentAsked(parsed: ParsedArguments): readonly string[] {
  const { query } = parsed;
  const isFetch = parsed.command.name === 'fetch';
  const ofUserdb = userdbContent(parsed);
  if (ofUserdb !== undefined) return [ofUserdb];
  if (query === undefined && !isFetch) return none;
  const content: string[] = [];
  for (const field of isFetch ? (parsed.values.get('field') ?? none) : none) {
    if (fetchFieldClass(parsed.series, field) !== 'plain') content.push(`field ${field.split('.')[0] ?? ''}`);
  }
  for (const { key } of query === undefined ? none : conditionsIn(query)) {
    if (key.class === 'content') content.push(`key ${key.name}`);
  }
  return content;
}

const none: readonly never[] = [];

export interface UserArgument {
  readonly parameter: string;
  /** As written; a user's name is without `user=`. */
  readonly value: string;
}

/** `named`: `users`, and all matches of `masks`. `unknown`: the arguments do not show it, so any user is possible. */
export type TouchedUsers = {
  /** Users named literally: the line's first, then those of the arguments. It may be empty although users are affected. */
  readonly users: readonly UserArgument[];
  /** Masks, addresses, networks, groups: each may cover several users or all. */
  readonly masks: readonly UserArgument[];
} & (
  | { readonly kind: 'named' | 'unknown' }
  /** `by`: the parameter that causes it; undefined: a missing parameter, or the command itself. */
  | { readonly kind: 'all'; readonly by: string | undefined }
);

function commandSet(names: string): ReadonlySet<string> {
  return new Set(names.split(', '));
}

/** The beginning of an ACL id that is a user. */
export const userOfAcl = 'user=';

/** Commands that affect all users unless their arguments name some. */
const allUnlessNamed = commandSet(
  'director map, indexer list, kick, proxy kick, proxy list, replicator status, who',
);

/** Commands that show or affect all users, whatever their arguments are. */
const alwaysAll = commandSet('director flush, log errors, replicator dsync-status');

/** Commands whose arguments do not show the affected users. */
const unknowable = commandSet(
  'batch, dict get, dict inc, dict iter, dict set, dict unset, fs copy, fs delete, fs get, fs iter, fs iter-dirs, ' +
    'fs metadata, fs put, fs stat, sis deduplicate, sis find',
);

/** Whether a command concerns others than the users that it names, whatever its arguments are. */
export function exceedsNamedUsers(command: string): boolean {
  return alwaysAll.has(command) || unknowable.has(command);
}

/**
 * `oldstats dump TYPE [FILTER]` has a row for each command, session, user, domain or address (doveadm-stats(1)); only the single row of
 * `global` names no user. The filter goes to the stats service as written, so it can select more.
 */
function listsPeople({ command, values }: ParsedArguments): boolean {
  if (command.name !== 'oldstats dump') return alwaysAll.has(command.name);
  return values.get('type')?.[0] !== 'global' || values.has('filter');
}

/** The users of a command line. `wireUser`: the user field of the line, which commands of scope server ignore. */
export function touchedUsers(
  parsed: ParsedArguments,
  wireUser: string,
  nameCase: NameCase = 'fold',
): TouchedUsers {
  const { command, values } = parsed;
  const users: UserArgument[] = command.scope === 'user' ? [{ parameter: 'user', value: wireUser }] : [];
  const masks: UserArgument[] = [];
  // With this option the masks are for another kind of name.
  const isOtherName = values.has('passdb-field');
  for (const { name, role } of namersOf(command)) {
    for (const given of values.get(name) ?? []) {
      const isSubject = role === 'acl-id';
      if (isSubject && given === 'owner') continue;
      const isUser = isSubject && given.startsWith(userOfAcl);
      const value = isUser ? given.slice(userOfAcl.length) : given;
      const standsForMore =
        // All other subjects of an ACL are groups, or everybody.
        (isSubject && !isUser) ||
        // A server may treat an empty name as all users.
        value === '' ||
        isMask(value) ||
        (role === 'user-mask-or-ip' && isAddress(value)) ||
        // A server compares such a name in any case (doveadm-who.c of 2.3 and 2.4), so it reaches several users.
        (role === 'user-mask-or-ip' && nameCase === 'keep') ||
        (isOtherName && role !== 'user');
      (standsForMore ? masks : users).push({ parameter: name, value });
    }
  }
  // Each result is written out: spreading a shared object would cost more than the rest of this function.
  if (unknowable.has(command.name) || values.has('user-file')) return { users, masks, kind: 'unknown' };
  if (values.has('all-users')) return { users, masks, kind: 'all', by: 'all-users' };
  // It is unknown which other users a server command of a plugin touches.
  const mayBeAll = allUnlessNamed.has(command.name) || (command.isAdded && command.scope === 'server');
  const isEverybody = mayBeAll && users.length + masks.length === 0;
  if (isEverybody || listsPeople(parsed)) return { users, masks, kind: 'all', by: undefined };
  const everybody = masks.find(({ value }) => value.includes('*') && /^[*?]*$/.test(value));
  if (everybody !== undefined) return { users, masks, kind: 'all', by: everybody.parameter };
  return { users, masks, kind: 'named' };
}

const namers = new WeakMap<Command, readonly Parameter[]>();

/** The parameters that can name users: few commands have one, and every line needs this. */
function namersOf(command: Command): readonly Parameter[] {
  const known = namers.get(command);
  if (known !== undefined) return known;
  const found = command.params.filter(
    ({ role = '' }) =>
      ['source-user', 'user-mask', 'user-mask-or-ip', 'acl-id'].includes(role) ||
      // For a mail command it is -u, which means the wire user or nothing: see reconcileUserOptions.
      (role === 'user' && command.scope === 'server'),
  );
  namers.set(command, found);
  return found;
}

export interface ReconciledUser {
  readonly kind: 'reconciled';
  /** Without `-u`; without an `-A` that only requested a column. */
  readonly parsed: ParsedArguments;
  /** The client expects the user's name as the first cell of each row. */
  readonly wantsUsernameCell: boolean;
  /** The client wants all users; `-A` is still in `parsed`. */
  readonly isAllUsers: boolean;
}

/**
 * Settles `-u` and `-A` of a mail command. In 2.3 neither selects the user on the wire, the user field does; `-A` to a 2.4 server means all
 * users. A `-u` that equals the wire user, or a mask that covers it, is dropped; any other is refused. `wireUser`: '' for none.
 * @param clientMinor the minor of the client's VERSION line
 * @param normalise gives names the form in which they are compared
 */
export function reconcileUserOptions(
  parsed: ParsedArguments,
  wireUser: string,
  clientMinor: number,
  normalise: (user: string) => string = foldAscii,
): ReconciledUser | Unparsable {
  if (parsed.command.scope === 'server') {
    return { kind: 'reconciled', parsed, wantsUsernameCell: false, isAllUsers: false };
  }
  const option = parsed.values.get('user')?.[0];
  const isUserMask = option !== undefined && isMask(option);
  if (option !== undefined) {
    const user = normalise(wireUser);
    const isCovered = isUserMask
      ? maskCovers(foldAscii(option), foldAscii(user))
      : normalise(option) === user;
    if (!isCovered) {
      const text = 'the option -u names another user than the command line; leave it out';
      return unparsable('user-invalid', text);
    }
  }
  const asksAll = parsed.values.has('all-users');
  // Without a user there is no row to put a column in front of: such a line asks a 2.4 server for all users, whatever the client's minor.
  const isForAll = asksAll && wireUser === '';
  const isColumn = ofMinor(clientMinor).asksForColumn && (asksAll || isUserMask) && !isForAll;
  return {
    kind: 'reconciled',
    parsed: withoutParameters(parsed, isColumn ? ['user', 'all-users'] : ['user']),
    wantsUsernameCell: isColumn,
    isAllUsers: asksAll && !isColumn,
  };
}

/**
 * The first parameter whose value can reach mailboxes of other people, which a user sees below the prefix of a shared namespace. doveadm
 * ignores ACLs, so a client that may name `shared/victim/INBOX` can read the victim's mail. Reaching are: a mailbox name in such a
 * namespace or with one below it, a mask that can match one, a missing mask that means `*`, a GUID (which is looked up everywhere), a query
 * with any of these, and one that names no mailbox: it finds, and changes, mail of the INBOX that somebody shares with the user, and of
 * virtual mailboxes (measured on 2.3.19.1 and 2.4.1: test/whole/dovecot/hold.test.ts).
 * @param prefixes of the backend's shared namespaces, each with its separator at the end; `[]`: it has none; undefined: not declared. Then
 * the usual ones count.
 */
export function sharedReach(
  parsed: ParsedArguments,
  prefixes: readonly string[] | undefined,
): string | undefined {
  return namedSharedReach(parsed, prefixes) ?? openSharedReach(parsed, prefixes);
}

/** The part of {@link sharedReach} that is a query which names no mailbox. */
export function openSharedReach(
  { command, query }: ParsedArguments,
  prefixes: readonly string[] | undefined,
): string | undefined {
  if (prefixes?.length === 0 || query === undefined || namesMailbox(query)) return undefined;
  return command.params.find(({ role }) => role === 'search-query')?.name;
}

/** The other part of {@link sharedReach}: values that name such mailboxes. */
export function namedSharedReach(
  { command, values, query }: ParsedArguments,
  prefixes: readonly string[] = usualSharedPrefixes,
): string | undefined {
  const folded = prefixes.map(foldAscii);
  if (folded.length === 0) return undefined;
  // Without a mask it lists everything that `*` does, and in shared namespaces too (measured on 2.3.19.1 and 2.4.1).
  if (command.name === 'mailbox list' && !values.has('mailbox-mask')) return 'mailbox-mask';
  const maskReachesOne = (mask: string): boolean => {
    const text = foldAscii(mask);
    return folded.some((prefix) => maskReaches(text, prefix));
  };
  const reaching = command.params.find(({ name, role }) => {
    const given = values.get(name);
    if (given === undefined) return false;
    if (role === 'mailbox-mask') return given.some(maskReachesOne);
    if (role === 'mailbox' || role === 'namespace')
      return given.map(foldAscii).some((text) => folded.some((prefix) => nameReaches(text, prefix)));
    if (role !== 'search-query') return role === 'mailbox-guid' || name === 'all-namespaces';
    // Wherever in the tree a mailbox is named, the server may open it.
    return (
      query !== undefined &&
      conditionsIn(query).some(
        ({ key, values: [mailbox = ''] }) =>
          key.name === 'mailbox-guid' || (key.name === 'mailbox' && maskReachesOne(mailbox)),
      )
    );
  });
  return reaching?.name;
}

/** A name in the namespace, its root, or one that has the namespace below it. */
function nameReaches(name: string, prefix: string): boolean {
  if (name.startsWith(prefix) || name === prefix.slice(0, -1)) return true;
  return name !== '' && prefix.startsWith(name) && /[/.\\:^|]/.test(prefix[name.length] ?? '');
}

/**
 * Whether a mask with `*` and `%` can match the namespace's root or something below. Both wildcards count as any text. Servers let neither
 * cross into another namespace (measured on 2.3.13 and 2.4.5), which is not relied on: an operator's "shared" prefix need not be a
 * namespace.
 */
function maskReaches(mask: string, prefix: string): boolean {
  const wild = mask.search(/[*%]/);
  if (wild === -1) return nameReaches(mask, prefix);
  const literal = mask.slice(0, wild);
  // Mask and prefix must agree up to the first wildcard; after it the mask can match the rest of the prefix and more.
  return literal.length >= prefix.length ? literal.startsWith(prefix) : prefix.startsWith(literal);
}
