// Reads one rule, and refuses one that could never match.

import { stringify } from 'yaml';
import {
  type AddedCommands,
  allSeries,
  type Command,
  commandsNamed,
  commandsOf,
  parameterNamed,
} from '../../doveadm/commands/catalog.js';
import { GlobList } from '../../doveadm/names/glob.js';
import { foldFor } from '../../doveadm/names/user-name.js';
import { sha256Hex } from '../../host/values/digest.js';
import { foldAscii } from '../../host/words/text.js';
import {
  isRequestTerm,
  type RequestRule,
  type RequestTerms,
  type Rule,
  requestTermKeys,
} from '../policy/policy.js';
import type { Cursor } from './cursor.js';
import { parametersOf, parseWhere, type RuleKind } from './parse-where.js';
import type { RawRequestRule, RawRule } from './policy-schema.js';
import { meantBy } from './problem.js';
import type { MailUserSettings } from './settings.js';

export interface RuleReading {
  readonly mailUsers: Pick<MailUserSettings, 'case'>;
  /** For warnings about rules that are over; undefined: none. */
  readonly nowMs: number | undefined;
  /** The commands that rules may name besides those of the catalog. */
  readonly added: AddedCommands;
}

/** The valid rules of a list; faults of the others are reported. `cursor` stands at the list. */
export function parseRules(
  raw: readonly RawRule[],
  cursor: Cursor,
  kind: RuleKind,
  reading: RuleReading,
): Rule[] {
  return raw.flatMap((each, index) => parseRule(each, cursor.down(index), kind, reading) ?? []);
}

/** As {@link parseRules}, for `on_request`. */
export function parseRequestRules(
  raw: readonly RawRequestRule[],
  cursor: Cursor,
  reading: RuleReading,
): RequestRule[] {
  return raw.flatMap(({ command, ...each }, index) =>
    [command]
      .flat()
      .flatMap((one) => parseRequestRule({ ...each, command: one }, cursor.down(index), reading) ?? []),
  );
}

type OneRequestRule = Omit<RawRequestRule, 'command'> & { readonly command: string };

function parseRequestRule(
  { reason, ...raw }: OneRequestRule,
  cursor: Cursor,
  reading: RuleReading,
): RequestRule | undefined {
  const { scope, uses } = raw;
  const demanded = reason === 'required' ? { reason } : {};
  const plain = only(raw, (key) => !isRequestTerm(key));
  const rule = parseRule(
    { ...plain, ...demanded, masks: false, allUsers: false },
    cursor,
    'request',
    reading,
  );
  if (rule === undefined) return undefined;
  checkRequest(raw.command, commandsNamed(raw.command, reading.added), cursor);
  const terms: RequestTerms = {
    ...only(raw, isRequestTerm),
    uses: uses ?? (scope === 'command' ? 1 : undefined),
    reason: typeof reason === 'object' ? reason.regex : undefined,
  };
  // Each command of a list makes a rule of its own.
  const { meaning: written } = rule;
  const meaning = typeof written === 'object' ? { ...written, command: raw.command } : written;
  return { ...rule, meaning, terms, hash: sha256Hex(JSON.stringify(meaning)) };
}

function only<Value extends object>(value: Value, isKept: (key: string) => boolean): Value {
  const kept = { ...value };
  for (const key in kept) if (!isKept(key)) delete kept[key];
  return kept;
}

/** Refuses commands with input: an approver must see all that is granted. */
function checkRequest(command: string, commands: readonly Command[], cursor: Cursor): void {
  if (commands.every(({ input }) => input === 'none')) return;
  const message = `"${command}" takes input, which no approver could see: it cannot be requested`;
  cursor.error(cursor.kind() === 'map' ? ['command'] : [], message);
}

function parseRule(
  raw: RawRule,
  cursor: Cursor,
  kind: RuleKind | 'request',
  reading: RuleReading,
): Rule | undefined {
  const {
    command,
    where: written,
    users,
    reason,
    limit,
    maxMatches,
    deadlineMs,
    emergency,
    expiresMs,
    ...grants
  } = raw;
  const { added } = reading;
  const commands = commandsNamed(command, added);
  if (commands.length === 0) {
    const rest = '; names are full and separated by one blank';
    const known = new Set(allSeries.flatMap((series) => commandsOf(series, added).map(({ name }) => name)));
    const hint = meantBy(command, known, rest);
    const message = `no Dovecot has a command ${JSON.stringify(command)} that can be sent to it${hint}`;
    cursor.error(cursor.kind() === 'map' ? ['command'] : [], message, 'unknown-name');
    return undefined;
  }
  const where =
    written === undefined
      ? undefined
      : parseWhere(
          cursor.down('where'),
          command,
          commands,
          kind === 'deny' ? 'deny' : 'allow',
          reading.mailUsers.case,
        );
  const named = where?.tests.map((each) => each.parameter) ?? [];
  if (kind === 'deny') checkDeny(commands, named, cursor);
  else checkAllow(raw, commands, named, cursor);
  if (expiresMs !== undefined && reading.nowMs !== undefined && expiresMs <= reading.nowMs)
    cursor.warning(['expires'], 'is in the past: the rule allows nothing');
  const { meaning, limitKey } = meaningOf(cursor, kind);
  return {
    place: cursor.place(),
    command,
    meaning,
    where: where?.tests,
    query: where?.query,
    users: users && usersOf(users, kind, reading),
    ...grants,
    expiresMs,
    obligations: {
      reason: reason === 'required',
      ...(limit && { limit }),
      limitKey,
      ...(maxMatches !== undefined && { maxMatches }),
      ...(deadlineMs !== undefined && { deadlineMs }),
      emergency,
    },
  };
}

/** Users of an allow are compared as user names are, those of a deny in any case. */
function usersOf(users: readonly string[], kind: RuleKind | 'request', { mailUsers }: RuleReading): GlobList {
  if (kind !== 'deny') return new GlobList(users.map(foldFor(mailUsers.case)));
  return new GlobList(users.map(foldAscii), { isAnyCase: true });
}

/** A deny is unconditional: conditions of an allow would only weaken it. */
function checkDeny(commands: readonly Command[], named: readonly string[], cursor: Cursor): void {
  const never = cursor.keys().filter((key) => !['command', 'where', 'users'].includes(key));
  for (const key of never) cursor.error([key], 'has no meaning in a deny; take it out', 'key-conflict');
  for (const name of named) {
    const isPositional = parametersOf(commands).get(name)?.isPositional === true;
    if (isPositional && commands.some((each) => parameterNamed(each, name) === undefined)) {
      const message =
        'has another name in another series of Dovecot, where this would deny nothing; deny the command, or name users in except';
      cursor.error(['where', name], message);
    }
  }
}

function checkAllow(
  raw: RawRule,
  commands: readonly Command[],
  named: readonly string[],
  cursor: Cursor,
): void {
  const { command } = raw;
  const parameters = [...parametersOf(commands).values()];
  const roles = new Set(parameters.map((parameter) => parameter.role));
  const isRoot = commands.some((each) => each.grant === 'never');
  if (isRoot && !raw.rootEquivalent) {
    const message = `"${command}" amounts to root on the mail server: say root_equivalent: true if that is meant`;
    cursor.error([], message);
  }
  if (!isRoot && raw.rootEquivalent)
    cursor.warning(['root_equivalent'], 'has no effect for this command', 'no-effect');
  for (const unnamed of unnamedIn(commands, named)) {
    const message = `can never match: "${command}" cannot be given without ${unnamed}, so where must name it`;
    cursor.error([], message);
  }
  // Dovecot answers USAGE if neither of the two is given.
  const isCopying = parameters.filter(({ name }) => destinations.includes(name)).length > 1;
  if (isCopying && !named.some((name) => destinations.includes(name))) {
    const message = `never matches what a Dovecot runs: "${command}" goes to a ${destinations.join(' or ')}, so where must name one of them`;
    cursor.warning([], message);
  }
  if (raw.maxMatches !== undefined) {
    if (!roles.has('search-query') || commands.some((each) => each.scope !== 'user'))
      cursor.error(['max_matches'], 'is for commands that take a search query');
  }
  if (raw.content && !roles.has('search-query') && commands.every(({ name }) => name !== 'user')) {
    cursor.warning(['content'], 'has no effect: the command neither searches nor shows mails', 'no-effect');
  }
}

const destinations = ['destination', 'default-destination'];

/** Parameters that a rule must name, and that the command has in every series that has the command. */
function unnamedIn(commands: readonly Command[], named: readonly string[]): string[] {
  const missing = commands.map((command) =>
    command.params
      .filter((each) => !each.isOptional && each.caution === 'named' && !named.includes(each.name))
      .map((each) => each.name),
  );
  return missing.every((names) => names.length > 0) ? [...new Set(missing.flat())] : [];
}

/** Keys for limits, expiry and terms, which do not change the identity of a rule. */
const terms = new Set([
  ...'limit reason expires emergency max_matches deadline'.split(' '),
  ...requestTermKeys,
]);

/** All other scalars of a rule are spelled as texts; these stay numbers, so that the text of a policy can be parsed again. */
const counts = new Set(['max_matches', 'approvals', 'uses']);

/** The rule in one spelling, and the key of its counter: the same without its terms. */
function meaningOf(cursor: Cursor, kind: RuleKind | 'request'): { meaning: unknown; limitKey: string } {
  const plain = cursor.plain();
  // A limit of `allow` and one of `on_request` are counted separately.
  const about = kind === 'request' ? 'on_request ' : '';
  if (typeof plain !== 'object' || plain === null)
    return { meaning: plain, limitKey: `${about}${String(plain)}` };
  const entries = Object.entries(plain).map(([key, value]): [string, unknown] => [
    key,
    counts.has(key) ? Number(value) : value,
  ]);
  const isName = entries.length === 1;
  const text = stringify(Object.fromEntries(entries.filter(([key]) => !terms.has(key))), { lineWidth: 0 });
  // Hashed: a rule may have a long list of users, and its counter is looked up for each command.
  return {
    meaning: isName ? entries[0]?.[1] : Object.fromEntries(entries),
    limitKey: sha256Hex(about + text),
  };
}
