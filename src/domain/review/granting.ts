// What would allow a command that was denied: the lines to paste into a policy, and what else they allow. The same rule that a suggestion would have.
// The rule: what a person wrote to be denied (`deny`, `except`) has no such lines, and no rule is shown that was not read by the configuration's
// own reader and tried out.

import { describeRule } from '../answers/rights.js';
import type { MailUserSettings } from '../config/settings.js';
import { GlobList } from '../names/glob.js';
import { type Attempt, type Decision, decide } from '../policy/assess.js';
import type { Policy, Rule } from '../policy/policy.js';
import { formatValue, linesOfRule } from './policy-text.js';
import { findRule, graveRule, policyOf, type RuleText, type Trial } from './suggested-rule.js';

/** Lines for one list of a policy. */
export interface Grant {
  /** `policies.support.allow`. */
  readonly into: string;
  /** FILE:LINE of that policy. */
  readonly place: string;
  /** YAML, without indentation. */
  readonly lines: readonly string[];
  /** What else they allow, a sentence each. */
  readonly also: readonly string[];
}

export interface DeniedCommand {
  readonly policy: Policy;
  readonly mailUsers: MailUserSettings;
  /** As each series that it may go to reads it; not empty. */
  readonly attempts: readonly Attempt[];
  /** What enforce says. */
  readonly decision: Decision;
  readonly nowMs: number;
}

/** Empty: it is allowed, or no line of `users` and `allow` would allow it. */
export function grantsFor(denied: DeniedCommand): readonly Grant[] {
  const { decision, policy, attempts, nowMs } = denied;
  if (decision.code === 'no-rule' || decision.code === 'rule-misses') return ruleGrant(denied);
  if (decision.code !== 'user') return [];
  const named = attempts.flatMap(({ users, aliases }) => [...users, ...aliases]);
  const missing = [...new Set(named.filter((user) => !policy.users.matches(user)))];
  const grant: Grant = {
    into: `policies.${policy.name}.users`,
    place: placeOf(policy),
    lines: missing.map((user) => `- ${formatValue(user)}`),
    also: [`everything else that policy ${policy.name} allows, for ${missing.join(', ')}`],
  };
  const wider = { ...policy, users: new GlobList([...policy.users.texts, ...missing]) };
  const left = attempts.map((attempt) => decide(wider, attempt, nowMs)).find(({ kind }) => kind === 'deny');
  return left === undefined ? [grant] : [grant, ...ruleGrant({ ...denied, policy: wider, decision: left })];
}

function ruleGrant({ policy, mailUsers, attempts, decision, nowMs }: DeniedCommand): readonly Grant[] {
  if (decision.code !== 'no-rule' && decision.code !== 'rule-misses') return [];
  const sights = [{ seen: { firstMs: nowMs, lastMs: nowMs }, attempts, decision }];
  const trial: Trial = { policy, mailUsers, nowMs };
  const isRoot = attempts.some(({ command }) => command.grant === 'never');
  const isForAll = attempts.some(({ everybody }) => everybody !== 'none');
  let rule: RuleText;
  if (isRoot) rule = graveRule(sights, trial, 'root_equivalent');
  else if (isForAll) rule = graveRule(sights, trial, 'all_users');
  else {
    const found = findRule(sights, trial);
    if (found.kind === 'none') return [];
    rule = found.rule;
  }
  const read = policyOf(rule, trial);
  const [parsed] = typeof read === 'string' ? [] : read.allow;
  if (parsed === undefined) return [];
  const needsAll = isForAll && !policy.isForEverybody ? ['it needs users: ["*"] and no except, too'] : [];
  return [
    {
      into: `policies.${policy.name}.allow`,
      place: placeOf(policy),
      lines: linesOfRule({ comments: [], rule, isCommentedOut: false }),
      also: [...whoElse(parsed, policy, attempts), ...whatElse(parsed, attempts), ...needsAll],
    },
  ];
}

function placeOf({ place }: Policy): string {
  return `${place.file}:${place.line}`;
}

const patternsShown = 10;

function whoElse(rule: Rule, policy: Policy, attempts: readonly Attempt[]): string[] {
  const { texts } = rule.users ?? policy.users;
  const named = new Set(attempts.flatMap(({ users }) => users));
  if (named.size === 0 || texts.every((text) => named.has(text))) return [];
  const more = texts.length > patternsShown ? `, and ${texts.length - patternsShown} more` : '';
  const except = policy.except.texts.length === 0 ? '' : ' but those that the policy excepts';
  return [`the same for every user of ${texts.slice(0, patternsShown).join(', ')}${more}${except}`];
}

/** Values that the command does not have, as far as the rule leaves them open. */
function whatElse(rule: Rule, attempts: readonly Attempt[]): string[] {
  const says = describeRule(rule);
  const reach = says.filter((text) => /^(?:also |amounts |query: )/.test(text));
  if (rule.where === undefined) return ['any arguments but those that a rule must name', ...reach];
  const given = new Map<string, Set<string>>();
  for (const { parsed } of attempts)
    for (const [name, values] of parsed.values)
      given.set(name, new Set([...(given.get(name) ?? []), ...values]));
  const open = [...given].flatMap(([name, values]) => {
    if (name === 'query') return rule.query === undefined ? ['any query'] : [];
    const test = rule.where?.find(({ parameter }) => parameter === name)?.test;
    if (test === undefined || test.kind === 'any' || test.kind === 'present') {
      const isFlag = [...values].every((value) => value === 'true');
      return isFlag ? [] : [`any ${name}`];
    }
    if (test.kind !== 'one-of') return says.filter((text) => text.startsWith(`${name}: `));
    const others = test.globs.texts.filter((text) => !values.has(text));
    return others.length === 0 ? [] : [`${name}: ${others.join(', ')}`];
  });
  return [...open, ...reach];
}
