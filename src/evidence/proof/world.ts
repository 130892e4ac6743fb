// A configuration for proofs: which mail users a rule can concern, and what the daemon would do with a command line.

import { type Command, type Parameter, parameterNamed, type Series } from '../../doveadm/commands/catalog.js';
import { hasJsonForm } from '../../doveadm/meaning/columns.js';
import { type GlobList, isMask } from '../../doveadm/names/glob.js';
import { parseCharacterClass } from '../../doveadm/names/user-name.js';
import { newestMinor } from '../../doveadm/protocol/minors.js';
import { mayBeGiven, mayBeObserved } from '../../rules/answers/command-list.js';
import { isQueryTest } from '../../rules/conditions/query-test.js';
import { comparesValues, kindOf, textsOfTest, writtenTest } from '../../rules/conditions/value-test.js';
import { type Settings, tablesOf } from '../../rules/config/settings.js';
import { assess, describeObstacle, fateOf, plainLine, seriesOf } from '../../rules/policy/assess.js';
import type { Attempt } from '../../rules/policy/attempt.js';
import { underAnyGrant } from '../../rules/policy/grant.js';
import { isOutcome, outcomesOf, whyOf } from '../../rules/policy/outcome.js';
import { createPolicy, type Policy, type Rule, type RulePlace } from '../../rules/policy/policy.js';
import { nothingAsked } from '../../rules/policy/route.js';
import {
  type FoundText,
  findText,
  type Ranges,
  setOfLanguage,
  setOfList,
  setOfMask,
  setOfUserNames,
  type TextSet,
  unionOf,
} from './language.js';
import { principalOfRequester, type Requester } from './requesters.js';

export type World = ReturnType<typeof worldOf>;

export function worldOf(settings: Settings, nowMs: number, isOver: () => boolean) {
  const tableOf = tablesOf(settings);
  const { mailUsers, routes, backends } = settings;
  const table = tableOf(undefined);
  const series = seriesOf(table.backends);
  return {
    settings,
    nowMs,
    /** The series that the backends may have. */
    series,
    /** All of these if no backend says its own series; empty if one does. */
    possible: table.backends.every((backend) => backend.series === undefined) ? series : [],
    /** All names that mail users can have, and those with a route. */
    names: setOfUserNames(
      rangesOf(mailUsers.characters, mailUsers.case),
      mailUsers.defaultRealm !== undefined,
    ),
    routed: unionOf(routes.map(({ users }) => setOfList(users))),
    /** No backend has mailboxes of others. */
    isShareless: backends.every(({ sharedNamespaces }) => sharedNamespaces?.length === 0),
    isOver,
    tableOf,
    /** Results of `userFor`, by its arguments. */
    found: new Map<string, FoundText>(),
  };
}

/** The characters of names in their normal form. */
function rangesOf(characters: string, nameCase: Settings['mailUsers']['case']): Ranges {
  const parsed = parseCharacterClass(characters);
  if (parsed.kind === 'bad') throw new RangeError(parsed.message);
  const ranges = Array.from(
    parsed.set.matchAll(/\\u\{([0-9a-f]+)\}-\\u\{([0-9a-f]+)\}/g),
    ([, low = '', high = '']) => [Number.parseInt(low, 16), Number.parseInt(high, 16)] as const,
  );
  if (nameCase === 'keep') return ranges;
  const [upperA, upperZ, toLower] = [0x41, 0x5a, 0x20];
  return ranges.flatMap(([low, high]) => {
    const [from, to] = [Math.max(low, upperA), Math.min(high, upperZ)];
    if (from > to) return [[low, high] as const];
    const parts = [
      [low, from - 1],
      [from + toLower, to + toLower],
      [to + 1, high],
    ] as const;
    return parts.filter(([first, last]) => first <= last);
  });
}

/** The policy as a statement sees it: with the rules of `on_request` that need no other person, or with all of them. */
export function viewOf(policy: Policy, isWithApproval: boolean): Policy {
  if (isWithApproval || policy.onRequest.every(({ terms }) => terms.approvals === 0)) return policy;
  return createPolicy({
    ...policy,
    onRequest: policy.onRequest.filter(({ terms }) => terms.approvals === 0),
  });
}

const userRolesOfArguments: readonly Parameter['role'][] = [
  'user',
  'source-user',
  'user-mask',
  'user-mask-or-ip',
];

/** The parameter for a user whose mails are copied, where the rule (undefined: an observing policy) may let it be given. */
export function sourceOf(rule: Rule | undefined, command: Command): Parameter | undefined {
  return command.params.find(
    (each) =>
      each.role === 'source-user' &&
      (rule === undefined ? mayBeObserved(each, command) : mayBeGiven(rule, command, each)),
  );
}

/** Parameters that name users, of a command that ignores the user of its line. */
export function namersOf({ scope, params }: Command): readonly Parameter[] {
  return scope === 'server' ? params.filter(({ role }) => userRolesOfArguments.includes(role)) : [];
}

/** The mailbox users that a search is about. */
export interface Wanted {
  readonly set: TextSet;
  readonly key: string;
}

/**
 * Finds a mail user whom the rule (undefined: an observing policy) may concern, by name or by a mask. `only`: one of these; `except`: none
 * of these. `isSource`: as the user whose mails are copied, who needs no route.
 */
export function userFor(
  world: World,
  policy: Policy,
  rule: Rule | undefined,
  command: Command,
  only: Wanted | undefined,
  except: readonly GlobList[] = [],
  isSource = false,
): FoundText {
  const lists = rule === undefined ? [] : [policy.users, ...(rule.users === undefined ? [] : [rule.users])];
  const denied = [...except, ...(rule === undefined ? [] : [policy.except, ...deniedUsers(policy, command)])];
  const namers = namersOf(command);
  const named = namers.length === 1 && namers[0] !== undefined ? namedBy(rule, namers[0]) : undefined;
  const key = JSON.stringify([
    only?.key,
    command.scope,
    isSource,
    ...[lists, denied].map((each) => each.map(({ texts, isAnyCase }) => [texts, isAnyCase])),
    named?.key,
  ]);
  const known = world.found.get(key);
  if (known !== undefined) return known;
  const found = findText(
    [
      world.names,
      ...lists.map(setOfList),
      ...(command.scope === 'user' && !isSource ? [world.routed] : []),
      ...(only === undefined ? [] : [only.set]),
      ...(named === undefined ? [] : [named.set]),
    ],
    denied.map(setOfList),
    world.isOver,
  );
  world.found.set(key, found);
  return found;
}

/** Whether the values that the rule takes say whom the command is about: names and masks of users, and no addresses. */
export function saysWhom(rule: Rule, command: Command): boolean {
  const [namer, ...others] = namersOf(command);
  const isPlain =
    others.length === 0 &&
    namer?.role === 'user-mask' &&
    parameterNamed(command, 'passdb-field') === undefined;
  return isPlain && namedBy(rule, namer) !== undefined;
}

/** Users of `deny` rules without another condition. */
function deniedUsers({ denyByCommand }: Policy, { name }: Command): GlobList[] {
  return (denyByCommand.get(name) ?? []).flatMap(({ where = [], query, users }) =>
    where.length === 0 && !isQueryTest(query, 'keys') && users !== undefined ? [users] : [],
  );
}

/** The users whom values of the parameter can name, or match as masks. Undefined: that is not known. */
function namedBy(
  rule: Rule | undefined,
  { name }: Parameter,
): { readonly set: TextSet; readonly key: string } | undefined {
  const test = rule?.where?.find(({ parameter }) => parameter === name)?.test;
  if (rule === undefined || rule.masks || !comparesValues(test)) return undefined;
  const language = kindOf(test).language?.(test);
  if (language === undefined) return undefined;
  const masks = textsOfTest(test)?.filter(isMask) ?? [];
  return {
    set: unionOf([setOfLanguage(language), ...masks.map(setOfMask)]),
    key: JSON.stringify(writtenTest(test)),
  };
}

export interface Line {
  readonly user: string;
  readonly words: readonly string[];
}

export type Fate =
  | {
      readonly kind: 'served';
      readonly attempt: Attempt;
      /** The series that was used. Undefined: that of the backends. */
      readonly series: Series | undefined;
      readonly rule: RulePlace | undefined;
      readonly isGranted: boolean;
    }
  | { readonly kind: 'obstacle' | 'refused'; readonly why: string };

/** What becomes of a line of a requester under a policy. Nothing is counted. */
export function fateOfLine(
  world: World,
  requester: Requester,
  policy: Policy,
  { user, words }: Line,
  reason: string | undefined,
): Fate {
  let refused: Fate = { kind: 'refused', why: '' };
  for (const series of [undefined, ...world.possible]) {
    const subject = {
      listener: requester.listener.name,
      principal: principalOfRequester(requester),
      clientMinor: newestMinor,
      policy,
      grants: policy.onRequest.length === 0 ? undefined : underAnyGrant,
    };
    const found = assess(plainLine(user, words), subject, world.tableOf(series), nothingAsked, world.nowMs);
    const { judgement, obstacle } = found;
    const fate = fateOf(found);
    if (fate === 'obstacle' && obstacle !== undefined)
      refused = { kind: 'obstacle', why: describeObstacle(obstacle) };
    if (judgement.kind === 'unparsable' || fate !== 'allow') {
      if (refused.kind === 'refused' && refused.why === '')
        refused = {
          kind: 'refused',
          why: judgement.kind === 'unparsable' ? judgement.message : judgement.decision.reason,
        };
      continue;
    }
    const outcome = outcomesOf(judgement, policy, { reason, origin: '' }).done;
    if (!isOutcome(outcome, 'served') && !isOutcome(outcome, 'depends')) {
      refused = { kind: 'refused', why: whyOf(outcome) };
      continue;
    }
    const { attempt, decision } = judgement;
    if (requester.listener.protocol === 'http' && !hasJsonForm(attempt.parsed)) {
      refused = { kind: 'refused', why: `the reply of "${attempt.command.name}" has no form over HTTP` };
      continue;
    }
    return { kind: 'served', attempt, series, rule: decision.rule, isGranted: decision.grant !== undefined };
  }
  return refused;
}
