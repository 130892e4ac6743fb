// A rule for a denied command that keeps the demands of the policy's nearest rule: its conditions, users and terms. A condition that the
// command does not meet is replaced by the command's own value, so that the rule never becomes wider than the two together.

import { type Parameter, parameterNamed } from '../../doveadm/commands/catalog.js';
import {
  isKeyTest,
  isQueryTest,
  type QueryTest,
  writtenKeys,
  writtenQuery,
} from '../conditions/query-test.js';
import { writtenTest } from '../conditions/value-test.js';
import { type UnmetConditions, unmetConditions } from '../policy/match.js';
import type { Rule } from '../policy/policy.js';
import { type Narrowness, whereFor } from './generalise.js';
import type { Plain } from './policy-text.js';
import { type RuleText, ruleFor, type Trial, type TriedLine, termsOf, usesOf } from './suggested-rule.js';

type PlainMap = Readonly<Record<string, Plain>>;

function mapOf(value: Plain | undefined): PlainMap {
  return typeof value === 'object' && !isList(value) ? value : {};
}

function isList(value: readonly Plain[] | PlainMap): value is readonly Plain[] {
  return Array.isArray(value);
}

export interface KeptRule {
  readonly rule: RuleText;
  readonly unmet: readonly string[];
}

/** The rule is not tested yet. `sights`: at least one, all of one command. */
export function keepConditions(
  near: Rule,
  sights: readonly TriedLine[],
  trial: Trial,
  narrowness: Narrowness,
): KeptRule {
  const attempts = sights.flatMap((sight) => sight.attempts);
  const unmet = attempts.map((attempt) => unmetConditions(near, trial.policy, attempt, trial.nowMs));
  const { where: own, ...rule } = ruleFor(sights, trial, narrowness);
  const { users: ofCommand, ...more } = rule;
  const isForAll = attempts.some(({ everybody }) => everybody !== 'none');
  const areUsersUnmet = unmet.some((each) => each.areUsersUnmet);
  const named = [...new Set(attempts.flatMap((attempt) => [...attempt.users, ...attempt.aliases]))];
  const users = areUsersUnmet ? named : (near.users?.texts ?? (isForAll ? undefined : ofCommand));
  const where = whereOf(near, sights, unmet, mapOf(own));
  const { expires, ...terms } = termsOf(near);
  const hasEnded = near.expiresMs !== undefined && near.expiresMs <= trial.nowMs;
  return {
    rule: {
      command: near.command,
      ...(where === undefined ? {} : { where }),
      ...(users === undefined ? {} : { users }),
      ...more,
      ...terms,
      ...(expires === undefined || hasEnded ? {} : { expires }),
    },
    unmet: [
      ...new Set(
        unmet.flatMap(({ parameters, isQueryUnmet }) => [...parameters, ...(isQueryUnmet ? ['query'] : [])]),
      ),
      ...(areUsersUnmet ? ['users'] : []),
      ...(hasEnded ? ['expires'] : []),
    ],
  };
}

function whereOf(
  near: Rule,
  sights: readonly TriedLine[],
  unmet: readonly UnmetConditions[],
  narrow: PlainMap,
): PlainMap | undefined {
  if (near.where === undefined) return Object.keys(narrow).length === 0 ? undefined : narrow;
  const attempts = sights.flatMap((sight) => sight.attempts);
  const tight = whereFor(usesOf(sights), 'tight') ?? {};
  const parameterOf = (name: string): Parameter | undefined =>
    attempts.flatMap(({ command }) => parameterNamed(command, name) ?? [])[0];
  const where: Record<string, Plain> = {};
  // A where is closed: each option of the command has to be named.
  for (const [name, condition] of Object.entries(tight)) {
    const parameter = parameterOf(name);
    if (parameter?.role === 'search-query') continue;
    if (name in narrow || parameter?.isPositional === false) where[name] = narrow[name] ?? condition;
  }
  for (const { parameter, test } of near.where) {
    const isUnmet = unmet.some(({ parameters }) => parameters.has(parameter));
    where[parameter] = isUnmet ? (tight[parameter] ?? 'absent') : writtenTest(test);
  }
  const [query] = attempts.flatMap(({ command }) =>
    command.params.filter(({ role }) => role === 'search-query'),
  );
  if (query === undefined) return where;
  const condition = queryOf(near.query, attempts[0]?.parsed.values.get(query.name) ?? [], unmet, {
    narrow: narrow[query.name],
    tight: tight[query.name],
  });
  return condition === undefined ? where : { ...where, [query.name]: condition };
}

/** Narrow: keys that a rule for the command would have anyway. Tight: every key of the command. */
interface OwnKeys {
  readonly narrow: Plain | undefined;
  readonly tight: Plain | undefined;
}

function queryOf(
  near: QueryTest | undefined,
  words: readonly string[],
  unmet: readonly UnmetConditions[],
  own: OwnKeys,
): Plain | undefined {
  if (near === undefined) return own.narrow;
  const isUnmet = unmet.some(({ isQueryUnmet }) => isQueryUnmet);
  const exactly = { equals: words };
  if (!isQueryTest(near, 'keys')) return isUnmet ? exactly : writtenQuery(near);
  const tight = mapOf(own.tight);
  const keys: Record<string, Plain> = { ...mapOf(own.narrow) };
  for (const condition of near.conditions) {
    const { key } = condition;
    if (!unmet.some((each) => each.keys.has(key))) Object.assign(keys, writtenKeys([condition]));
    // The command lacks the key, or has one that must be absent: no condition on keys would be as strict.
    else if (tight[key] === undefined || isKeyTest(condition.test, 'absent')) return exactly;
    else keys[key] = tight[key];
  }
  if (unmet.some((each) => each.areAlternativesUnmet)) return exactly;
  return near.anyOf.length === 0 ? keys : { ...keys, any_of: near.anyOf.map(writtenKeys) };
}
