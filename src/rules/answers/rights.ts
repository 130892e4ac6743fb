// What a policy allows, in words: for `can`, `explain` and the replies of dovegate's own commands. A reply has rows of two cells, what and
// value, so that any doveadm client can print it; details of a row follow it as rows. It contains nothing about other policies, other
// listeners or the machine. Values are as the configuration has them, so they must be escaped for a terminal. Readers skip unknown rows,
// since later versions may add some.

import {
  type AddedCommands,
  type Command,
  commandsNamed,
  type Effect,
  type Parameter,
  parameterNamed,
  strongerEffect,
} from '../../doveadm/commands/catalog.js';
import { formatDuration } from '../../host/words/durations.js';
import { formatEnd } from '../../host/words/instants.js';
import { listOr } from '../conditions/kind.js';
import { describeQuery, isKeyTest, isQueryTest } from '../conditions/query-test.js';
import {
  comparesValues,
  describeComparison,
  describeParameter,
  type ValueTest,
} from '../conditions/value-test.js';
import {
  type Policy,
  type RequestRule,
  type Rule,
  type RulePlace,
  type ShownTerms,
  sayRequestTerms,
  shownTermsOf,
} from '../policy/policy.js';
import type { Rate } from '../policy/rate.js';
import { regexWords } from '../policy/regex.js';
import { exampleOfRequest } from './example.js';

/** One row: `allow` and `quota get`. */
export type AnswerRow = readonly [what: string, value: string];

export interface RuleInWords {
  readonly command: string;
  readonly says: readonly string[];
}

/** A rule as rows: `what` with its command, then `if` with each of its conditions. */
export function rowsOfRule(what: string, { command, says }: RuleInWords): AnswerRow[] {
  return [[what, command], ...rowsOf('if', ...says)];
}

export function rowsOf(what: string, ...values: readonly (string | undefined)[]): AnswerRow[] {
  return values.flatMap((value): AnswerRow[] => (value === undefined ? [] : [[what, value]]));
}

export interface Right extends RuleInWords {
  readonly effect: string;
}

export interface RequestableRule extends RuleInWords {
  readonly terms: ShownTerms;
}

export type RequestableRight = Right &
  RequestableRule & {
    /** As it would be typed into a shell. */
    readonly example: string;
  };

export function describeRequestable(
  rule: RequestRule,
  policy: Pick<Policy, 'isForEverybody'>,
): RequestableRule {
  const { reason } = rule.terms;
  return {
    command: rule.command,
    terms: shownTermsOf(rule.terms),
    says: [
      ...describeRule(rule, policy),
      ...(reason === undefined ? [] : [`the reason of the request ${regexWords(reason)}`]),
    ],
  };
}

/** The terms of a grant first, then the conditions of the rule. */
export function sayRequestable({ terms, says }: RequestableRule): string[] {
  return [sayRequestTerms(terms), ...says];
}

/** The policy's rule at that place, in words; undefined: the place is that of the policy's users or exceptions. */
export function ruleAt(policy: Policy, place: RulePlace): RuleInWords | undefined {
  const isThere = (rule: Rule): boolean => rule.place === place;
  const rule = policy.allow.find(isThere);
  if (rule !== undefined) return { command: rule.command, says: describeRule(rule, policy) };
  const denied = policy.deny.find(isThere);
  if (denied !== undefined) return { command: denied.command, says: describeDeny(denied, policy) };
  const offered = policy.onRequest.find(isThere);
  if (offered === undefined) return undefined;
  const [terms, ...says] = sayRequestable(describeRequestable(offered, policy));
  return { command: offered.command, says: [`on request, ${terms}`, ...says] };
}

export function rowsOfRequestable({ command, terms, says }: RequestableRule): AnswerRow[] {
  const shown = Object.entries(terms).flatMap(([key, value]) => rowsOf(key, String(value)));
  return [['on-request', command], ...shown, ...rowsOf('if', ...says)];
}

export interface Rights {
  readonly listener: string;
  /** `NAME@LISTENER`; undefined: no particular principal. */
  readonly principal: string | undefined;
  readonly policy: string;
  /** The sentence of a lock that stops all of it; only a daemon knows it. */
  readonly locked?: string | undefined;
  /** Sentences of the holds of its users. */
  readonly held?: readonly string[];
  /** Other ordinary commands are allowed too, and recorded. */
  readonly isObserving: boolean;
  /** A candidate policy is evaluated as well. */
  readonly hasCandidate: boolean;
  readonly users: readonly string[];
  readonly except: readonly string[];
  /** `60 a minute`. */
  readonly limits: readonly string[];
  readonly logs: string;
  readonly debug: boolean;
  readonly contact?: string | undefined;
  readonly allow: readonly Right[];
  readonly deny: readonly Right[];
  readonly onRequest: readonly RequestableRight[];
  readonly approve: readonly string[];
}

export function rightsOf(policy: Policy, listener: string, principal: string | undefined): Rights {
  const { rate, distinctUsers, atOnce } = policy.limits;
  return {
    listener,
    principal,
    policy: policy.name,
    isObserving: policy.mode === 'observe',
    hasCandidate: policy.shadow !== undefined,
    users: policy.users.texts,
    except: policy.except.texts,
    limits: [
      ...(rate === undefined ? [] : [formatRate(rate)]),
      ...(distinctUsers === undefined ? [] : [`${formatRate(distinctUsers)} of different users`]),
      ...(atOnce === undefined ? [] : [`${atOnce} at once`]),
    ],
    logs: policy.logs,
    debug: policy.debug,
    ...(policy.contact !== undefined && { contact: policy.contact }),
    allow: policy.allow.map((rule) => rightOf(rule, describeRule(rule, policy), policy)),
    deny: policy.deny.map((rule) => rightOf(rule, describeDeny(rule, policy), policy)),
    onRequest: policy.onRequest.map((rule) => {
      const effect = effectOfName(rule.command, policy.added);
      return { ...describeRequestable(rule, policy), effect, example: exampleOfRequest(rule, policy) };
    }),
    approve: policy.approve,
  };
}

function rightOf({ command }: Rule, says: readonly string[], { added }: Pick<Policy, 'added'>): Right {
  return { command, effect: effectOfName(command, added), says };
}

export const needsReason = 'the client must say why';

export function effectOfName(name: string, added?: AddedCommands): Effect {
  return commandsNamed(name, added).reduce<Effect>(
    (most, { effect }) => strongerEffect(most, effect),
    'read',
  );
}

export function rowsOfRights(rights: Rights): AnswerRow[] {
  const rule = (what: string, right: Right): AnswerRow[] => {
    const [head, ...more] = rowsOfRule(what, right);
    return head === undefined ? [] : [head, ['effect', right.effect], ...more];
  };
  return [
    ['listener', rights.listener],
    ...rowsOf('principal', rights.principal),
    ['policy', rights.policy],
    ['mode', rights.isObserving ? 'observe' : 'enforce'],
    ...rowsOf('candidate', rights.hasCandidate ? 'beside it' : undefined),
    ...rowsOf('user', ...rights.users),
    ...rowsOf('except', ...rights.except),
    ...rowsOf('limit', ...rights.limits),
    ['logs', rights.logs],
    ...rowsOf('debug', rights.debug ? 'yes' : undefined),
    ...rowsOf('contact', rights.contact),
    ...rights.allow.flatMap((right) => rule('allow', right)),
    ...rights.deny.flatMap((right) => rule('deny', right)),
    ...rights.onRequest.flatMap((right): AnswerRow[] => {
      const [head, ...more] = rowsOfRequestable(right);
      return head === undefined ? [] : [head, ['effect', right.effect], ...more, ['example', right.example]];
    }),
    ...rowsOf('approve', ...rights.approve),
  ];
}

/** `20 an hour`. */
export function formatRate({ count, windowMs }: Rate): string {
  const periods: Readonly<Record<number, string>> = {
    1000: 'a second',
    60_000: 'a minute',
    3_600_000: 'an hour',
  };
  return `${count} ${periods[windowMs] ?? 'a day'}`;
}

/** The conditions for the rule to permit its command, a sentence each; none for a rule that is only a name. */
export function describeRule(rule: Rule, policy: Pick<Policy, 'isForEverybody'>): string[] {
  return [...whereOf(rule), ...usersOf(rule), ...reachOf(rule, policy), ...termsOf(rule)];
}

/** Whether the rule allows its command for all users at once: `all_users` has no effect where the policy or the rule is for some. */
export function isForAllUsers({ allUsers, users }: Rule, policy: Pick<Policy, 'isForEverybody'>): boolean {
  return allUsers && policy.isForEverybody && (users === undefined || users.isEverything);
}

const forAllUsers =
  'also for all users at once, which no Dovecot 2.3 does: there, "dovegate send --users FILE"';

function whereOf({ where, query }: Rule): string[] {
  if (where === undefined) return [];
  const tests = where.map(({ parameter, test }) => describeParameter(parameter, test));
  return [...tests, ...(query === undefined ? [] : [`query: ${describeQuery(query)}`]), 'no other options'];
}

/** When a rule of `deny` applies, see {@link strikesRule}: other options change nothing; what the command leaves open counts as meant. */
export function describeDeny(
  { command, where = [], query, users }: Rule,
  { added }: Pick<Policy, 'added'>,
): string[] {
  const commands = commandsNamed(command, added);
  const tests = where.map(({ parameter, test }) =>
    describeParameter(parameter, test, describeStrike(command, commands, parameter, test)),
  );
  const [mailbox] = isQueryTest(query, 'keys') ? query.conditions : [];
  const reached = isKeyTest(mailbox?.test, 'one-of') ? listOr(mailbox.test.globs.texts) : undefined;
  return [
    ...tests,
    ...(reached === undefined
      ? []
      : [
          `query: may select mails in ${reached}, as each does that does not keep to other mailboxes by name`,
        ]),
    ...(users === undefined
      ? []
      : [`may concern a user of ${listOr(users.texts)}, also by a mask or all users`]),
  ];
}

function describeStrike(
  command: string,
  commands: readonly Command[],
  name: string,
  test: ValueTest,
): string | undefined {
  if (!comparesValues(test)) return undefined;
  const parameters = commands.flatMap((each) => parameterNamed(each, name) ?? []);
  const isOf = (role: Parameter['role']): boolean => parameters.some((each) => each.role === role);
  // Without a source user it is the mail of the user whom `users` covers.
  const mayLack = parameters.some(({ isOptional }) => isOptional) && !isOf('source-user');
  const takesBelow =
    command === 'mailbox rename' || commands.some((each) => parameterNamed(each, 'recursive') !== undefined);
  return [
    `may mean ${describeComparison({ ...test, isOptional: false })}, in any case of letters`,
    ...(isOf('mailbox') && takesBelow ? ['also by what is below it, where that is included'] : []),
    ...(isOf('user-mask-or-ip') ? ['or is an address'] : []),
    ...(mayLack ? ['or is not given'] : []),
  ].join(', ');
}

function usersOf({ users }: Rule): string[] {
  return users === undefined ? [] : [`only for ${listOr(users.texts)}`];
}

function reachOf(rule: Rule, policy: Pick<Policy, 'isForEverybody'>): string[] {
  return [
    ...(rule.rootEquivalent ? ['amounts to root on the mail server'] : []),
    ...(isForAllUsers(rule, policy) ? [forAllUsers] : []),
    ...(rule.masks ? ['also for masks of users'] : []),
    ...(rule.shared ? ['also in mailboxes that others share'] : []),
    ...(rule.content ? [rule.command === 'user' ? 'also secrets of the userdb' : 'also what mails say'] : []),
  ];
}

function termsOf({ obligations, expiresMs }: Rule): string[] {
  const { reason, limit, maxMatches, deadlineMs, emergency } = obligations;
  return [
    ...(reason ? [needsReason] : []),
    ...(limit === undefined ? [] : [`at most ${formatRate(limit)}`]),
    ...(maxMatches === undefined ? [] : [`at most ${maxMatches} mails at once`]),
    ...(deadlineMs === undefined ? [] : [`waits ${formatDuration(deadlineMs)} for the reply`]),
    ...(expiresMs === undefined ? [] : [`until ${formatEnd(expiresMs)}`]),
    ...(emergency ? ['also while the audit disk is almost full'] : []),
  ];
}
