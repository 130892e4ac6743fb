// What a parsed command does and whom it touches: its effect with all of its arguments, the users that it names, mailboxes of others,
// secrets of a userdb. Says what is possible, never whether it is allowed.
import { ofMinor } from '../../protocol/minors.js';
import {
  type Command,
  type Effect,
  fetchFieldClass,
  type Parameter,
  strongerEffect,
} from '../commands/catalog.js';
import { type ParsedArguments, type Unparsable, unparsable, withoutParameters } from '../commands/parse.js';
import { conditionsIn, namesMailbox } from '../commands/search-query.js';
import { foldAscii } from '../identity/user-name.js';
import { isAddress, isMask, maskCovers } from '../names/glob.js';
import { usualSharedPrefixes } from '../names/mailbox-names.js';

/** Of repeatable positionals, those whose values are not things that are changed one after the other. */
const notNames: ReadonlySet<string | undefined> = new Set(['acl-right', 'mail-flags', 'search-query']);

/**
 * Whether a command names more than one thing that it works on, so that a failure of one leaves the others done: two values of a repeatable
 * positional (mailboxes, users, scripts, paths, services), a mask, everything below a name, other commands; or a query that is not for one
 * mailbox by name.
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

/** The strongest of the command's effect and those of its present parameters. */
export function effectOf({ command, values }: ParsedArguments): Effect {
  let { effect } = command;
  for (const { name, danger } of command.params) {
    if (danger !== undefined && values.has(name)) effect = strongerEffect(effect, danger.effect);
  }
  return effect;
}

/** Part of a name that says that the field may be a secret, or leads to one. */
const secretName =
  /pass|pwd|(?:^|_)pw(?:_|$)|secret|token|cred|key|crypt|hash|private|auth|otp|salt|seed|cookie|nonce/i;

export function mayBeSecretField(field: string): boolean {
  return secretName.test(field);
}

/**
 * What a command line can show of a userdb that only a rule with `content: true` allows, for people; undefined for a field that is
 * not secret by its name, for lists of names, and for every other command. Never holds a value of the client. A userdb often holds
 * passwords and private keys (mail_crypt_private_password, imapc_password):
 *
 *   user MASK             names, whatever the options are (measured on 2.3.19.1 and 2.4.1)
 *   user NAME             every field
 *   user -f FIELD NAME    that field
 *   user -e TEXT NAME     the text with variables expanded: any field, and on 2.4 the server's environment
 */
export function userdbContent({ command, values }: ParsedArguments): string | undefined {
  if (command.name !== 'user' || values.get('user-mask')?.some(isMask) === true) return undefined;
  if (values.has('expand-field')) return 'whatever the expansion asks for';
  const field = values.get('field')?.[0];
  if (field === undefined) return 'every field';
  return mayBeSecretField(field) ? 'a field that may be secret' : undefined;
}

/**
 * What asks for the content of mails, for people: `field hdr`, `key text`; of `user`: what it shows of a userdb. Names no value of the
 * client: what follows a dot in a field is a header of its choice.
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

function commandSet(names: string): ReadonlySet<string> {
  return new Set(names.split(', '));
}

/** Commands that concern everybody unless their arguments name somebody. */
const allUnlessNamed = commandSet(
  'director map, indexer list, kick, proxy kick, proxy list, replicator status, who',
);

/** Commands that show or move everybody, whatever their arguments are. */
const alwaysAll = commandSet('director flush, log errors, replicator dsync-status');

/** Their arguments do not say what belongs to whom. */
const unknowable = commandSet(
  'batch, dict get, dict inc, dict iter, dict set, dict unset, fs copy, fs delete, fs get, fs iter, fs iter-dirs, ' +
    'fs metadata, fs put, fs stat, sis deduplicate, sis find',
);

/**
 * `oldstats dump TYPE [FILTER]` has a row for each command, session, user, domain or address (doveadm-stats(1)); only the one row of
 * `global` is about nobody. The filter goes to the stats service as it is written, and whoever writes one can ask for more with it.
 */
function listsPeople({ command, values }: ParsedArguments): boolean {
  if (command.name !== 'oldstats dump') return alwaysAll.has(command.name);
  return values.get('type')?.[0] !== 'global' || values.has('filter');
}

/** Whom the command line touches. `wireUser`: the user field of the line, which commands of scope server ignore. */
export function touchedUsers(parsed: ParsedArguments, wireUser: string): TouchedUsers {
  const { command, values } = parsed;
  const users: UserArgument[] = command.scope === 'user' ? [{ parameter: 'user', value: wireUser }] : [];
  const masks: UserArgument[] = [];
  // This option makes the names of the masks another kind of name than a user's.
  const isOtherName = values.has('passdb-field');
  for (const { name, role } of namersOf(command)) {
    for (const given of values.get(name) ?? []) {
      const isSubject = role === 'acl-id';
      if (isSubject && given === 'owner') continue;
      const isUser = isSubject && given.startsWith('user=');
      const value = isUser ? given.slice('user='.length) : given;
      const standsForMore =
        // All other subjects of an ACL are groups, or everybody.
        (isSubject && !isUser) ||
        // A server may take an empty name for all of them.
        value === '' ||
        isMask(value) ||
        (role === 'user-mask-or-ip' && isAddress(value)) ||
        (isOtherName && role !== 'user');
      (standsForMore ? masks : users).push({ parameter: name, value });
    }
  }
  // Each result is written out: spreading a shared object would cost more than the rest of this function.
  if (unknowable.has(command.name) || values.has('user-file')) return { users, masks, kind: 'unknown' };
  if (values.has('all-users')) return { users, masks, kind: 'all', by: 'all-users' };
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
  const found = command.params.filter(
    ({ role = '' }) =>
      ['source-user', 'user-mask', 'user-mask-or-ip', 'acl-id'].includes(role) ||
      // Of a mail command it is -u, which means the wire user or nothing: see reconcileUserOptions.
      (role === 'user' && command.scope === 'server'),
  );
  namers.set(command, found);
  return found;
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
  const isUserMask = option !== undefined && isMask(option);
  if (option !== undefined) {
    const user = foldAscii(normalise(wireUser));
    const isCovered = isUserMask
      ? maskCovers(foldAscii(option), user)
      : foldAscii(normalise(option)) === user;
    if (!isCovered) {
      const text = 'the option -u names another user than the command line; leave it out';
      return unparsable('user-invalid', text);
    }
  }
  const asksAll = parsed.values.has('all-users');
  const isColumn = ofMinor(clientMinor).asksForColumn && (asksAll || isUserMask);
  return {
    kind: 'reconciled',
    parsed: withoutParameters(parsed, isColumn ? ['user', 'all-users'] : ['user']),
    wantsUsernameCell: isColumn,
    isAllUsers: asksAll && !isColumn,
  };
}

/**
 * The first parameter whose value can reach mailboxes of other people, which a user sees below the prefix of a shared namespace. doveadm
 * ignores ACLs, so whoever may name `shared/victim/INBOX` has the victim's mail. Reaching are: a mailbox name in such a namespace or with
 * one below it, a mask that can match one, no mask where `*` is meant, a GUID (which is looked for everywhere), a query with any of these.
 *
 * @param prefixes of the backend's shared namespaces, each with its separator at the end; `[]`: it has none; undefined: it is not
 *   said. Then the usual ones count, and a query that names no mailbox counts as reaching them; where they are said it does not,
 *   since servers search only private namespaces unless a mailbox is named (measured on 2.3.13 and 2.4.5).
 */
export function sharedReach(
  parsed: ParsedArguments,
  prefixes: readonly string[] | undefined,
): string | undefined {
  const folded = prefixes?.map(foldAscii) ?? usualSharedPrefixes;
  if (folded.length === 0) return undefined;
  const { command, values, query } = parsed;
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
    if (query === undefined) return false;
    if (prefixes === undefined && !namesMailbox(query)) return true;
    // Wherever in the tree a mailbox is named, the server may open it.
    return conditionsIn(query).some(
      ({ key, values: [mailbox = ''] }) =>
        key.name === 'mailbox-guid' || (key.name === 'mailbox' && maskReachesOne(mailbox)),
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
 * Whether a mask with `*` and `%` can match the namespace's root or something below. Both wildcards count as any text. Servers let
 * neither cross into another namespace (measured on 2.3.13 and 2.4.5), which is not relied on: what an operator calls shared
 * need not be a namespace of its own.
 */
function maskReaches(mask: string, prefix: string): boolean {
  const wild = mask.search(/[*%]/);
  if (wild === -1) return nameReaches(mask, prefix);
  const literal = mask.slice(0, wild);
  // Up to the first wildcard mask and prefix must agree; after it the mask can match the rest of the prefix and more.
  return literal.length >= prefix.length ? literal.startsWith(prefix) : prefix.startsWith(literal);
}
