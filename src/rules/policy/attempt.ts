// A command as policy sees it: principal, peer, command, mailboxes, and values by name; and the users that its records name. An attempt is
// built from a complete parse only, with every user's name in its normal form. Lines that cannot be parsed or named are refused before
// policy evaluates them.

import { type Command, type Effect, parameterNamed, type Series } from '../../doveadm/commands/catalog.js';
import { type Unparsable, unparsable } from '../../doveadm/commands/getopt.js';
import type { ParsedArguments } from '../../doveadm/commands/parse.js';
import {
  contentAsked,
  effectOf,
  namedSharedReach,
  openSharedReach,
  type TouchedUsers,
  touchedUsers,
  type UserArgument,
  userOfAcl,
} from '../../doveadm/meaning/reach.js';
import { isAddress, isMask } from '../../doveadm/names/glob.js';
import { doubtedNames, type MailboxNames } from '../../doveadm/names/mailbox-names.js';
import type { UserNames } from '../../doveadm/names/user-name.js';
import { bounds } from '../../host/bounds/bounds.js';
import { foldAscii } from '../../host/words/text.js';
import type { Policy } from './policy.js';

export interface Attempt {
  readonly listener: string;
  readonly principal: string;
  readonly series: Series;
  readonly command: Command;
  /** The arguments as judged and sent: users in normal form, ids of an ACL as written, since servers compare their bytes. */
  readonly parsed: ParsedArguments;
  /** Ids of an ACL, with the users in them in normal form: a `deny` holds for every spelling. */
  readonly aclIds: readonly string[];
  readonly effect: Effect;
  readonly user: string | undefined;
  /** The user, if the command concerns nobody else: several users would share one location. */
  readonly soleUser: string | undefined;
  /** Every user that is named literally, the wire user included, in normal form. */
  readonly users: readonly string[];
  /** The aliases of these users according to the userdb, in normal form; without the `users`. Evaluated like them. */
  readonly aliases: readonly string[];
  readonly masks: readonly AttemptMask[];
  /** The number of users and masks as written; a rule may limit it. */
  readonly named: number;
  /** Why all users are affected: an option, or a listing without users; `unknown`: the users cannot be determined. */
  readonly everybody: 'none' | 'option' | 'listing' | 'unknown';
  /** The parameter that reaches into shared namespaces. */
  readonly shared: string | undefined;
  /** The backend does not declare its shared namespaces, so the usual prefixes counted. */
  readonly isSharedUnsaid: boolean;
  /** The command names a mailbox there, or a mask for some; otherwise `shared` comes from a query without a mailbox. */
  readonly isSharedNamed: boolean;
  readonly mailboxNames: MailboxNames;
  /** The parameters that read the content of mails, for people: `field hdr`, `key text`; for `user`: the userdb fields that it shows. */
  readonly content: readonly string[];
  /** Present parameters that a rule must name, and those that no rule can allow. */
  readonly mustBeNamed: readonly string[];
  readonly never: readonly string[];
}

/** A value that may cover several users. */
export interface AttemptMask {
  readonly parameter: string;
  /** ASCII letters in lower case. */
  readonly value: string;
  /** A pattern over user names, with `*` and `?`; otherwise an address, a network or a group, whose users are unknown. */
  readonly isUserMask: boolean;
}

export interface AttemptContext {
  readonly listener: string;
  readonly principal: string;
  /** Its rules may say how many users one line may name. */
  readonly policy: Pick<Policy, 'allowByCommand' | 'onRequestByCommand'>;
  readonly userNames: UserNames;
  /** Prefixes at the destination; undefined: not declared. */
  readonly sharedNamespaces: readonly string[] | undefined;
  readonly mailboxNames?: MailboxNames | undefined;
  /** Other names of the users of this line, in normal form, as far as they were looked up. */
  readonly aliases?: readonly string[] | undefined;
}

/** Masks in one line. Each is compared with every pattern of the policy. */
const masksMax = bounds.masksPerLine;

/**
 * Makes the attempt of a parsed command, after its options about the wire user are settled; `user`: that user in normal form. Refuses
 * invalid user names; the message never contains the name.
 */
export function attemptOf(
  given: ParsedArguments,
  user: string | undefined,
  context: AttemptContext,
): { readonly kind: 'attempt'; readonly attempt: Attempt } | Unparsable {
  const { command, series } = given;
  const { userNames, sharedNamespaces, aliases = none, mailboxNames = doubtedNames } = context;
  const touched = touchedUsers(given, user ?? '', userNames.nameCase);
  const users = user === undefined ? [] : [user];
  let parsed = given;
  let aclIds: readonly string[] = none;
  // The first user of a mail command is that of its line.
  const inArguments = command.scope === 'user' ? touched.users.slice(1) : touched.users;
  const named = touched.users.length + touched.masks.length;
  // Checked before any work for each of them.
  const namedMax = userNames.perLineMax;
  if (named > namedMax) {
    const why = `is given more than ${namedMax} users (limits.users)`;
    return unparsable('too-many', `"${command.name}" ${why}; use several commands`);
  }
  if (touched.masks.length > masksMax) {
    const why = `is given more than ${masksMax} masks, addresses or groups`;
    return unparsable('too-many', `"${command.name}" ${why}; use several commands`);
  }
  // Ids of ACLs whose user cannot be a mail user here, as "user=a b". Like groups, they need a rule with masks.
  const strangers: UserArgument[] = [];
  if (inArguments.length > 0) {
    const names = new Map<string, string>();
    for (const argument of inArguments) {
      const result = userNames.normalise(argument.value);
      if (result.kind !== 'refused') names.set(argument.value, result.name);
      else if (isAclId(given, argument)) strangers.push(argument);
      else return unparsable('user-invalid', result.message);
    }
    users.push(...names.values());
    parsed = withNames(given, inArguments, names);
    aclIds = idsWithNames(given, inArguments, names);
  }
  const { mustBeNamed, never } = cautionsIn(given);
  const everybody = everybodyIn(touched);
  const sharedNamed = namedSharedReach(given, sharedNamespaces);
  const isForOne = everybody === 'none' && touched.masks.length + strangers.length === 0;
  const attempt: Attempt = {
    listener: context.listener,
    principal: context.principal,
    series,
    command,
    parsed,
    aclIds,
    effect: effectOf(given),
    user,
    soleUser: isForOne ? user : undefined,
    users,
    aliases,
    masks: [...touched.masks, ...strangers].map((mask) => maskOf(given, mask, userNames)),
    named,
    everybody,
    shared: sharedNamed ?? openSharedReach(given, sharedNamespaces),
    isSharedUnsaid: sharedNamespaces === undefined,
    isSharedNamed: sharedNamed !== undefined,
    mailboxNames,
    content: contentAsked(given),
    mustBeNamed,
    never,
  };
  return { kind: 'attempt', attempt };
}

const none: readonly never[] = [];

/** It is unknown what a command that the site added shows, so it counts as content. */
export function readsContent({ effect, content, command }: Attempt): boolean {
  return effect === 'read' && (content.length > 0 || command.isAdded);
}

/** Most commands have neither; these share two lists. */
function cautionsIn({ command, values }: ParsedArguments): Pick<Attempt, 'mustBeNamed' | 'never'> {
  const mustBeNamed: string[] = [];
  const never: string[] = [];
  for (const name of values.keys()) {
    const parameter = parameterNamed(command, name);
    const caution = parameter === undefined ? 'never' : parameter.caution;
    // A -u that was not compared with the wire user: the server ignores it, and its intention is unknown.
    const isUnsettled = name === 'user' && command.scope === 'user';
    if (caution === 'never' || isUnsettled) never.push(name);
    else if (caution === 'named') mustBeNamed.push(name);
  }
  return { mustBeNamed, never };
}

/** A mask that matches everybody is one of the masks, and evaluated there. */
function everybodyIn(touched: TouchedUsers): Attempt['everybody'] {
  switch (touched.kind) {
    case 'unknown':
      return 'unknown';
    case 'all':
      if (touched.by === undefined) return 'listing';
      return touched.by === 'all-users' ? 'option' : 'none';
    case 'named':
      return 'none';
    default:
      return touched satisfies never;
  }
}

function maskOf(parsed: ParsedArguments, { parameter, value }: UserArgument, names: UserNames): AttemptMask {
  const role = parsed.command.params.find((each) => each.name === parameter)?.role;
  const isOfGroup = role === 'acl-id' && parsed.values.get(parameter)?.includes(value) === true;
  // With passdb-field the mask is for the values of a field, which are not user names.
  const isUserMask =
    isMask(value) &&
    // Servers ignore the case of masks, so with case-sensitive names a mask can reach users that it does not match here.
    names.nameCase === 'fold' &&
    names.holdsOnly(value, 'mask') &&
    !isAddress(value) &&
    !isOfGroup &&
    !parsed.values.has('passdb-field');
  return { parameter, value: foldAscii(value), isUserMask };
}

function isAclId({ command }: ParsedArguments, { parameter }: UserArgument): boolean {
  return parameterNamed(command, parameter)?.role === 'acl-id';
}

function withNames(
  parsed: ParsedArguments,
  users: readonly UserArgument[],
  names: ReadonlyMap<string, string>,
): ParsedArguments {
  const renamed = users.filter((each) => !isAclId(parsed, each));
  if (renamed.length === 0) return parsed;
  const values = new Map(parsed.values);
  for (const parameter of new Set(renamed.map((each) => each.parameter))) {
    values.set(
      parameter,
      (values.get(parameter) ?? none).map((value) => names.get(value) ?? value),
    );
  }
  return { ...parsed, values };
}

function idsWithNames(
  parsed: ParsedArguments,
  users: readonly UserArgument[],
  names: ReadonlyMap<string, string>,
): readonly string[] {
  return users
    .filter((each) => isAclId(parsed, each))
    .map(({ value }) => `${userOfAcl}${names.get(value) ?? value}`);
}

/** All users. A record with this has no other user. */
const allUsers: readonly string[] = ['*'];

/**
 * The users in the records of a command, without duplicates, in normal form: the user of the line, those in arguments, aliases of both, and
 * masks as they are. If the affected users cannot be determined, all users.
 */
export function usersTouchedBy(attempt: Attempt): readonly string[] {
  const { users, aliases, masks, everybody } = attempt;
  const isForAll = masks.some(
    ({ value, isUserMask }) => !isUserMask || (value.includes('*') && /^[*?]*$/.test(value)),
  );
  if (everybody !== 'none' || isForAll || namesSharedMailbox(attempt)) return allUsers;
  if (users.length <= 1 && aliases.length + masks.length === 0) return users;
  return [...new Set([...users, ...aliases, ...masks.map((mask) => mask.value)])];
}

/**
 * Whether it names a mailbox in a shared namespace, whose owner only the server knows. Listing all mailboxes that a user sees, and a search
 * that names no mailbox, do not count.
 */
function namesSharedMailbox({ parsed, shared, isSharedNamed }: Attempt): boolean {
  if (shared !== 'mailbox-mask') return isSharedNamed;
  return parsed.values.get(shared)?.some((mask) => !/^[*%]/.test(mask)) === true;
}
