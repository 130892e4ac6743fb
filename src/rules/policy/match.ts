// Matches one rule with one attempt, and lists the rule's unmet demands. Anything that the rule does not mention must be harmless: each
// check below refuses unless the rule permits it.
import {
  type Command,
  listOfText,
  locationRoles,
  type Parameter,
  parameterNamed,
} from '../../doveadm/commands/catalog.js';
import { isAddress, isWithin, leadsOut, mayOverlap } from '../../doveadm/names/glob.js';
import { isKeyTest, isQueryTest, type QueryTest } from '../conditions/query-test.js';
import {
  comparesValues,
  describeDemand,
  hasLiterally,
  isValueTest,
  nameThatFails,
  type ParameterTest,
  passes,
  strikes,
  strikesMailboxes,
  textsOfTest,
  type ValueTest,
} from '../conditions/value-test.js';
import type { Attempt, AttemptMask } from './attempt.js';
import type { Policy, Rule } from './policy.js';
import {
  dependsOnTime,
  type JudgedQuery,
  judgedQuery,
  mayReachMailbox,
  missingInQuery,
  queryPasses,
} from './query.js';

export interface Asked {
  readonly policy: Policy;
  readonly attempt: Attempt;
  readonly nowMs: number;
  query: JudgedQuery | undefined;
  /** Lowered by every rule with a time-dependent answer. */
  holdsUntilMs: number | undefined;
}

export function ask(policy: Policy, attempt: Attempt, nowMs: number): Asked {
  return { policy, attempt, nowMs, query: undefined, holdsUntilMs: undefined };
}

const movingMs = 1000;

/** An unmet demand, for people; the text is made on request only. */
type Miss = string | (() => readonly string[]);

type Check = (rule: Rule, asked: Asked) => Miss | undefined;

export function matches(rule: Rule, asked: Asked): boolean {
  for (const check of checks) {
    if (check(rule, asked) !== undefined) return false;
  }
  return true;
}

/** The rule's unmet demands, for people, without values that the client sent; empty: it matches. */
export function missesOf(rule: Rule, asked: Asked): string[] {
  return checks.flatMap((check) => {
    const miss = check(rule, asked);
    return miss === undefined ? [] : typeof miss === 'string' ? miss : miss();
  });
}

const checks: readonly Check[] = [
  missesTime,
  missesGrant,
  missesUsers,
  missesEverybody,
  missesMasks,
  missesShared,
  missesContent,
  missesNames,
  missesWhere,
  missesQuery,
];

function missesTime(rule: Rule, asked: Asked): string | undefined {
  if (rule.expiresMs === undefined) return undefined;
  if (asked.nowMs >= rule.expiresMs) return 'the rule has expired';
  hold(asked, rule.expiresMs);
  return undefined;
}

function missesGrant(rule: Rule, { attempt }: Asked): string | undefined {
  if (attempt.command.grant !== 'never' || rule.rootEquivalent) return undefined;
  return 'the rule must say root_equivalent: true';
}

function missesUsers(rule: Rule, { attempt }: Asked): string | undefined {
  const { users } = rule;
  if (users === undefined) return undefined;
  const isInside = (user: string): boolean => users.matches(user);
  if (attempt.users.every(isInside) && attempt.aliases.every(isInside)) return undefined;
  return 'the rule holds for other users only';
}

export interface UnmetConditions {
  readonly parameters: ReadonlySet<string>;
  readonly isQueryUnmet: boolean;
  /** For a query by keys: the conditions that every mail must meet. */
  readonly keys: ReadonlySet<string>;
  readonly areAlternativesUnmet: boolean;
  readonly areUsersUnmet: boolean;
}

/** Each condition is tested alone. A command that meets them all may still be denied for something that the rule does not name. */
export function unmetConditions(
  rule: Rule,
  policy: Policy,
  attempt: Attempt,
  nowMs: number,
): UnmetConditions {
  const asked = ask(policy, attempt, nowMs);
  const { where = [], query } = rule;
  const isUnmet = (test: QueryTest | undefined): boolean =>
    test !== undefined && missesQuery({ ...rule, query: test }, asked) !== undefined;
  const keyed = isQueryTest(query, 'keys') ? query : undefined;
  const keys = (keyed?.conditions ?? []).filter((condition) =>
    isUnmet({ kind: 'keys', conditions: [condition], anyOf: [] }),
  );
  return {
    parameters: new Set(
      where.filter((each) => missesTest(each, attempt) !== undefined).map(({ parameter }) => parameter),
    ),
    isQueryUnmet: isUnmet(query),
    keys: new Set(keys.map(({ key }) => key)),
    areAlternativesUnmet: keyed !== undefined && isUnmet({ ...keyed, conditions: [] }),
    areUsersUnmet: missesUsers(rule, asked) !== undefined,
  };
}

/** For commands on all users: all users must be covered by the policy and by the rule. */
function missesEverybody(rule: Rule, { policy, attempt }: Asked): string | undefined {
  if (attempt.everybody === 'none') return undefined;
  if (attempt.everybody === 'option' && !rule.allUsers) return 'the rule must say all_users: true';
  if (attempt.everybody === 'listing' && !rule.masks && !rule.allUsers) {
    return 'it concerns all users: the rule must say masks: true, or all_users: true';
  }
  return isForEverybody(rule, policy)
    ? undefined
    : 'it concerns all users, and the policy or the rule does not';
}

function missesMasks(rule: Rule, { policy, attempt }: Asked): string | undefined {
  for (const mask of attempt.masks) {
    if (!rule.masks && !namesVeryValue(rule, mask, attempt)) {
      return `the rule must say masks: true, or name ${mask.parameter} with that very value`;
    }
    if (isForEverybody(rule, policy)) continue;
    const isInside =
      mask.isUserMask &&
      isWithin(mask.value, policy.users) &&
      (rule.users === undefined || isWithin(mask.value, rule.users)) &&
      !mayOverlap(mask.value, policy.except);
    if (!isInside) return `${mask.parameter} can reach users for whom the policy or the rule does not hold`;
  }
  return undefined;
}

export function isForEverybody(rule: Rule, policy: Policy): boolean {
  return policy.isForEverybody && (rule.users === undefined || rule.users.isEverything);
}

function namesVeryValue(rule: Rule, mask: AttemptMask, attempt: Attempt): boolean {
  const test = rule.where?.find((each) => each.parameter === mask.parameter)?.test;
  return hasLiterally(test, attempt.parsed.values.get(mask.parameter) ?? []);
}

function missesShared(rule: Rule, { attempt }: Asked): string | undefined {
  if (attempt.shared === undefined || rule.shared) return undefined;
  const unsaid = attempt.isSharedUnsaid ? ', or its backend which shared_namespaces there are' : '';
  return `${attempt.shared} can reach mailboxes of others: the rule must say shared: true${unsaid}`;
}

function missesContent(rule: Rule, { attempt }: Asked): string | undefined {
  const [first] = attempt.content;
  if (first === undefined || rule.content) return undefined;
  const what =
    attempt.command.name === 'user' ? 'shows what a userdb holds' : 'asks for the content of mails';
  return `it ${what} (${first}): the rule must say content: true`;
}

function missesNames(rule: Rule, { attempt }: Asked): string | undefined {
  const unnamed = attempt.mustBeNamed.find((name) => !isNamed(rule, name));
  return unnamed === undefined ? undefined : `the rule must name ${unnamed} in its where`;
}

/** The tests of `where`, which is closed: an option that it does not name must be absent. */
function missesWhere(rule: Rule, { attempt }: Asked): Miss | undefined {
  const { where } = rule;
  if (where === undefined) return undefined;
  const { values } = attempt.parsed;
  for (const each of where) {
    const miss = missesTest(each, attempt);
    if (miss !== undefined) return miss;
  }
  const positionals = positionalsOf(attempt.command);
  for (const name of values.keys()) {
    if (positionals.has(name) || name === 'all-users' || isNamed(rule, name)) continue;
    // missesNames requires these already.
    if (!attempt.mustBeNamed.includes(name)) {
      return `${name} must be absent, since the where does not name it`;
    }
  }
  return undefined;
}

function missesTest({ parameter, test }: ParameterTest, attempt: Attempt): Miss | undefined {
  const { values } = attempt.parsed;
  if (!passes(test, values.get(parameter), attempt.soleUser))
    return () => [describeMiss(parameter, test, values.has(parameter))];
  const role = parameterNamed(attempt.command, parameter)?.role;
  // Patterns of locations never match "..", and a literal text that has it is intended: this is for the other tests.
  const isOpen = comparesValues(test) && textsOfTest(test) === undefined;
  if (isOpen && locationRoles.has(role) && values.get(parameter)?.some(leadsOut) === true)
    return `${parameter} must have no ".." in it`;
  if (role !== 'mailbox' && role !== 'mailbox-mask') return undefined;
  const failing = nameThatFails(test, values.get(parameter), attempt.mailboxNames);
  return failing === undefined ? undefined : () => [describeOtherName(parameter, failing, attempt)];
}

function describeMiss(parameter: string, test: ValueTest, isGiven: boolean): string {
  if (isValueTest(test, 'absent')) return `${parameter} must be absent`;
  return isGiven ? describeDemand(parameter, test) : `${parameter} must be given`;
}

function describeOtherName(parameter: string, name: string, { mailboxNames }: Attempt): string {
  const what = name === 'INBOX' ? 'the INBOX' : 'a mailbox';
  const unsaid = mailboxNames.isInboxDoubted ? ', or its backend must list its namespaces' : '';
  return `${parameter} may be another name of ${what}, for which the rule must hold too${unsaid}`;
}

function missesQuery(rule: Rule, asked: Asked): Miss | undefined {
  const test = rule.query;
  if (test === undefined) return undefined;
  asked.query ??= queryOf(asked);
  const { query } = asked;
  if (dependsOnTime(test, query)) hold(asked, asked.nowMs + movingMs);
  return queryPasses(test, query) ? undefined : () => missingInQuery(test, query);
}

function queryOf({ attempt, nowMs }: Asked): JudgedQuery {
  const { parsed, command, series } = attempt;
  const parameter = command.params.find((each) => each.role === 'search-query');
  const words = parameter === undefined ? [] : (parsed.values.get(parameter.name) ?? []);
  return judgedQuery({ words, tree: parsed.query, series, nowMs, mailboxNames: attempt.mailboxNames });
}

function hold(asked: Asked, untilMs: number): void {
  asked.holdsUntilMs = Math.min(asked.holdsUntilMs ?? untilMs, untilMs);
}

function isNamed(rule: Rule, name: string): boolean {
  return rule.where?.some((each) => each.parameter === name && !isValueTest(each.test, 'absent')) === true;
}

/** Whether a rule of `deny` applies to its command whatever the arguments. */
export function strikesAlways({ where = [], query, users }: Rule): boolean {
  return where.length === 0 && !isQueryTest(query, 'keys') && users === undefined;
}

/** Whether a rule of `deny` applies: it does if any of its names may be meant. */
export function strikesRule(rule: Rule, attempt: Attempt): boolean {
  const { command, parsed } = attempt;
  if (rule.users !== undefined && !mayTouch(rule.users, attempt)) return false;
  for (const { parameter, test } of rule.where ?? []) {
    const role = parameterNamed(command, parameter)?.role;
    const values = parsed.values.get(parameter);
    // Without a source user it is the mail of the wire user, which `users` and `except` cover.
    if (role === 'source-user' && values === undefined && !isValueTest(test, 'absent')) return false;
    const isAnybody = role === 'user-mask-or-ip' && values?.some(isAddress) === true;
    if (!isAnybody && !strikesValues(test, role, values, attempt)) return false;
  }
  const { query } = rule;
  if (!isQueryTest(query, 'keys') || parsed.query === undefined) return true;
  const tree = parsed.query;
  return query.conditions.every(({ key, test }) =>
    key === 'mailbox' && isKeyTest(test, 'one-of')
      ? mayReachMailbox(test.globs, tree, attempt.mailboxNames)
      : true,
  );
}

function strikesValues(
  test: ValueTest,
  role: Parameter['role'],
  values: readonly string[] | undefined,
  attempt: Attempt,
): boolean {
  if (role === 'acl-id' && attempt.aclIds.length > 0 && strikes(test, attempt.aclIds, false)) return true;
  const isMailbox = role === 'mailbox' || role === 'mailbox-mask';
  if (locationRoles.has(role) && comparesValues(test) && values?.some(leadsOut) === true) return true;
  if (values === undefined || !isMailbox) {
    return strikes(test, values, role === 'user-mask' || role === 'user-mask-or-ip');
  }
  // A mailbox together with everything below it may include a mailbox named by the rule.
  const withWhatIsBelow =
    role === 'mailbox' &&
    (attempt.command.name === 'mailbox rename' || attempt.parsed.values.has('recursive'));
  const isMask = role === 'mailbox-mask' || withWhatIsBelow;
  return strikesMailboxes(test, values, attempt.mailboxNames, { isMask, withWhatIsBelow });
}

/** Whether a command may touch the mail of one of these users, as far as is known. */
export function mayTouch(
  users: NonNullable<Rule['users']>,
  attempt: Pick<Attempt, 'users' | 'aliases' | 'masks' | 'everybody'>,
): boolean {
  return (
    attempt.everybody !== 'none' ||
    attempt.users.some((user) => users.matches(user)) ||
    attempt.aliases.some((user) => users.matches(user)) ||
    attempt.masks.some((mask) => !mask.isUserMask || mayOverlap(mask.value, users))
  );
}

const positionals = new WeakMap<Command, ReadonlySet<string>>();

/** Names of the positionals of a command, with the lists that are another spelling of one (`field`, `flag`). */
function positionalsOf(command: Command): ReadonlySet<string> {
  const known = positionals.get(command);
  if (known !== undefined) return known;
  const names = new Set<string>();
  for (const parameter of command.params) {
    if (parameter.isPositional) names.add(parameter.name);
    const list = listOfText(command, parameter);
    if (list !== undefined) names.add(list.name);
  }
  positionals.set(command, names);
  return names;
}
