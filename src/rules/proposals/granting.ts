// The lines for a policy that would permit a denied command, with their side effects. Rules are found as for a suggestion. Explicit denials
// (`deny`, `except`) get no such lines. A rule is shown only after the configuration's own parser accepted it and a test passed, and it
// keeps every condition that the nearest existing rule has and the command meets.

import { GlobList, isWithin, mayOverlap } from '../../doveadm/names/glob.js';
import { describeRule } from '../answers/rights.js';
import { comparesValues, isValueTest } from '../conditions/value-test.js';
import type { MailUserSettings } from '../config/settings.js';
import { noAllUsers } from '../policy/assess.js';
import type { Attempt } from '../policy/attempt.js';
import { type Decision, decide } from '../policy/decide.js';
import type { Policy, Rule } from '../policy/policy.js';
import { allNarrowness } from './generalise.js';
import { type KeptRule, keepConditions } from './kept-conditions.js';
import { formatValue, linesOfRule } from './policy-text.js';
import { policyOf, type RuleText, ruleFor, type Trial, tryOut } from './suggested-rule.js';

/** Lines for one list of a policy; for a policy without that list they begin with its key. */
export interface Grant {
  /** `policies.support.allow`, or `policies.support`. */
  readonly into: string;
  /** FILE:LINE of that list, or of the policy. */
  readonly place: string;
  /** Where the lines go so that they can be pasted as they are, as `add to policies.support.allow (FILE:LINE)`. */
  readonly edit: string;
  /** YAML, without indentation. */
  readonly lines: readonly string[];
  readonly also: readonly string[];
}

export interface DeniedCommand {
  readonly policy: Policy;
  readonly mailUsers: MailUserSettings;
  /** In each series of its possible destinations; at least one. */
  readonly attempts: readonly Attempt[];
  readonly decision: Decision;
  readonly nowMs: number;
}

/** The lines that would permit a denied command. Without grants and hindrance: it is permitted, or explicitly denied. */
export interface Remedy {
  readonly grants: readonly Grant[];
  readonly hindrance?: string;
}

const nothing: Remedy = { grants: [] };

export function remedyFor(denied: DeniedCommand): Remedy {
  const { decision, policy, attempts, nowMs } = denied;
  if (decision.code === 'no-rule' || decision.code === 'rule-misses') return ruleRemedy(denied);
  if (decision.code !== 'user') return nothing;
  const named = attempts.flatMap(({ users, aliases }) => [...users, ...aliases]);
  const missing = [...new Set(named.filter((user) => !policy.users.matches(user)))];
  const names = missing.map((user) => formatValue(user));
  const grant: Grant = {
    ...editOf(
      policy,
      'users',
      names.map((name) => `- ${name}`),
      names,
    ),
    also: [`everything else that policy ${policy.name} allows, for ${missing.join(', ')}`],
  };
  const wider = { ...policy, users: new GlobList([...policy.users.texts, ...missing]) };
  const left = attempts.map((attempt) => decide(wider, attempt, nowMs)).find(({ kind }) => kind === 'deny');
  if (left === undefined) return { grants: [grant] };
  const { grants, ...more } = ruleRemedy({ ...denied, policy: wider, decision: left });
  // The users alone would not permit it.
  return grants.length === 0 ? { grants, ...more } : { grants: [grant, ...grants] };
}

/** The rule that would permit a command, with the nearest rule and its unmet conditions; or why this policy cannot have one. */
export function ruleThatPermits({ policy, mailUsers, attempts, decision, nowMs }: DeniedCommand):
  | {
      readonly rule: RuleText;
      readonly parsed: Rule;
      readonly near: Rule | undefined;
      readonly unmet: readonly string[];
    }
  | { readonly hindrance?: string } {
  if (decision.code !== 'no-rule' && decision.code !== 'rule-misses') return {};
  const hindrance = whyNotHere(policy, attempts);
  if (hindrance !== undefined) return { hindrance };
  const sights = [{ seen: { firstMs: nowMs, lastMs: nowMs }, attempts, decision }];
  const trial: Trial = { policy, mailUsers, nowMs };
  const isRoot = attempts.some(({ command }) => command.grant === 'never');
  const isForAll = attempts.some(({ everybody }) => everybody !== 'none');
  const flags = { ...(isRoot ? { root_equivalent: true } : {}), ...(isForAll ? { all_users: true } : {}) };
  const near = nearestAllow(policy, attempts, nowMs);
  const candidates = allNarrowness.map((narrowness): KeptRule => {
    if (near !== undefined) return keepConditions(near, sights, trial, narrowness);
    const own = ruleFor(sights, trial, narrowness);
    return { rule: isForAll ? withoutUsers(own) : own, unmet: [] };
  });
  const found = candidates
    .map(({ rule, unmet }) => ({ rule: { ...rule, ...flags }, unmet }))
    .find((each) => tryOut(each.rule, sights, trial) === undefined);
  const read = found && policyOf(found.rule, trial);
  const [parsed] = read === undefined || typeof read === 'string' ? [] : read.allow;
  if (found !== undefined && parsed !== undefined) return { ...found, parsed, near };
  if (near === undefined) return {};
  return { hindrance: `there is no rule that keeps what ${placeOf(near)} demands and allows this, too` };
}

function ruleRemedy(denied: DeniedCommand): Remedy {
  const permitting = ruleThatPermits(denied);
  if (!('rule' in permitting)) return { grants: [], ...permitting };
  const { rule, parsed, near, unmet } = permitting;
  const { policy, attempts } = denied;
  const lines = linesOfRule({ comments: [], rule, isCommentedOut: false });
  const more =
    near === undefined || unmet.length === 0
      ? []
      : [`more than the rule at ${placeOf(near)} allows: ${unmet.join(', ')}`];
  return {
    grants: [
      {
        ...editOf(policy, 'allow', lines, [
          formatValue(Object.keys(rule).length === 1 ? (rule['command'] ?? '') : rule),
        ]),
        also: [...more, ...whoElse(parsed, policy, attempts), ...whatElse(parsed, policy, attempts)],
      },
    ],
  };
}

/** `inBrackets`: the items as a list in brackets has them. */
function editOf(
  policy: Policy,
  key: 'allow' | 'users',
  lines: readonly string[],
  inBrackets: readonly string[],
): Omit<Grant, 'also'> {
  const { name, written = {} } = policy;
  const list = written[key];
  const into = `policies.${name}`;
  const place = placeOf(list ?? policy);
  const withKey = [`${key}:`, ...lines.map((line) => `  ${line}`)];
  const form = list?.form;
  switch (form) {
    case 'block':
      return { into: `${into}.${key}`, place, edit: `add to ${into}.${key} (${place})`, lines };
    case 'flow': {
      const edit = `insert before the closing ] of ${into}.${key} (${place})`;
      return { into: `${into}.${key}`, place, edit, lines: inBrackets.map((text) => `, ${text}`) };
    }
    case 'empty':
      return { into, place, edit: `replace "${key}: []" of ${into} (${place}) with`, lines: withKey };
    case undefined:
      // The rules of presets are in other files.
      return { into, place, edit: `add to ${into} (${place}), in line with its other keys`, lines: withKey };
    default:
      return form satisfies never;
  }
}

/** The rule of `allow` that comes nearest; one of `on_request` may be nearer. */
function nearestAllow(policy: Policy, attempts: readonly Attempt[], nowMs: number): Rule | undefined {
  const alone: Policy = { ...policy, mode: 'enforce', onRequest: [] };
  const decisions = attempts.map((attempt) => decide(alone, attempt, nowMs));
  const nearest = decisions.find(({ kind }) => kind === 'deny')?.nearest;
  return policy.allow.find(({ place }) => place === nearest?.rule);
}

/** A rule for all users cannot be limited to some. */
function withoutUsers(rule: RuleText): RuleText {
  return Object.fromEntries(Object.entries(rule).filter(([key]) => key !== 'users'));
}

/** Whether the command is for all users and would go to Dovecot 2.3 only. */
export function isForAllOf23(attempts: readonly Attempt[]): boolean {
  return attempts.every(({ everybody, series }) => everybody === 'option' && series === '2.3');
}

function whyNotHere(policy: Policy, attempts: readonly Attempt[]): string | undefined {
  if (isForAllOf23(attempts)) return `no rule can allow it: ${noAllUsers.reason}`;
  if (policy.isForEverybody) return undefined;
  const needs = `it needs users: ["*"] and no except in policy ${policy.name}`;
  if (attempts.some(({ everybody }) => everybody === 'option'))
    return `no rule here can allow it for all users: ${needs}; for each user of a list, use "dovegate send --users FILE"`;
  if (attempts.some(({ everybody }) => everybody !== 'none'))
    return `no rule here can allow it without the name of a user: ${needs}`;
  const isOutside = attempts.some(({ masks }) =>
    masks.some(
      ({ value, isUserMask }) =>
        !isUserMask || !isWithin(value, policy.users) || mayOverlap(value, policy.except),
    ),
  );
  return isOutside ? `no rule here can allow it for this mask of users: ${needs}` : undefined;
}

function placeOf({ place }: Pick<Rule, 'place'>): string {
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

/** Values that the command does not have and the rule leaves open. */
function whatElse(rule: Rule, policy: Policy, attempts: readonly Attempt[]): string[] {
  const says = describeRule(rule, policy);
  const reach = says.filter((text) => /^(?:also |amounts |query: )/.test(text));
  if (rule.where === undefined) return ['any arguments but those that a rule must name', ...reach];
  const given = new Map<string, Set<string>>();
  for (const { parsed } of attempts)
    for (const [name, values] of parsed.values)
      given.set(name, new Set([...(given.get(name) ?? []), ...values]));
  const open = [...given].flatMap(([name, values]) => {
    if (name === 'query') return rule.query === undefined ? ['any query'] : [];
    const test = rule.where?.find(({ parameter }) => parameter === name)?.test;
    if (!comparesValues(test) && !isValueTest(test, 'absent'))
      return [...values].every((value) => value === 'true') ? [] : [`any ${name}`];
    if (!isValueTest(test, 'one-of')) return says.filter((text) => text.startsWith(`${name}: `));
    const others = test.globs.texts.filter((text) => !values.has(text));
    return others.length === 0 ? [] : [`${name}: ${others.join(', ')}`];
  });
  return [...open, ...reach];
}
