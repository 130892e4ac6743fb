// A policy, an attempt and a time make a decision; equal questions have equal answers.
// The rule: no is the answer unless a rule says yes, a deny always wins, and no rule reaches beyond its policy's users.
import type { Attempt } from './attempt.js';
import { type Asked, ask, matches, missesOf, strikesRule } from './match.js';
import type { Obligations, Policy, Rule, RulePlace } from './policy.js';

/** Why, for machines; never renamed, because journals hold it. */
export type DecisionCode =
  | 'allowed'
  | 'observed'
  | 'no-user'
  | 'user'
  | 'except'
  | 'never'
  | 'deny-rule'
  | 'no-rule'
  | 'rule-misses';

/** The judgement of one attempt. */
export interface Decision {
  readonly kind: 'allow' | 'deny';
  readonly code: DecisionCode;
  readonly rule?: RulePlace;
  /** For people: what decided. Holds names of the policy and the catalog, never a value that the client sent. */
  readonly reason: string;
  /** For a denial: the rule that came nearest to allowing it, and what it misses. */
  readonly nearest?: { readonly rule: RulePlace; readonly missing: readonly string[] };
  /** Under `mode: observe`: what enforce would have said, and why. */
  readonly would?: Decision;
  /** Of an allowed command: what is still to be done before it is sent. */
  readonly obligations?: Obligations;
  /** The same question has the same answer until then, in Unix milliseconds; undefined: as long as the policy stands. */
  readonly holdsUntilMs?: number;
}

/** Judges one attempt at a time in Unix milliseconds. Pure. */
export function decide(policy: Policy, attempt: Attempt, nowMs: number): Decision {
  const verdict = judge(policy, attempt, nowMs);
  if (verdict.kind === 'allow' || policy.mode === 'enforce' || !mayBeObserved(attempt)) return verdict;
  return {
    kind: 'allow',
    code: 'observed',
    reason: `policy ${policy.name} observes only`,
    would: verdict,
    obligations: noObligations,
    ...(verdict.holdsUntilMs === undefined ? {} : { holdsUntilMs: verdict.holdsUntilMs }),
  };
}

const noObligations: Obligations = { reason: false, limitKey: '', emergency: false };

function judge(policy: Policy, attempt: Attempt, nowMs: number): Decision {
  const outside = refuseUsers(policy, attempt);
  if (outside !== undefined) return outside;
  const command = attempt.command.name;
  const [never] = attempt.never;
  if (never !== undefined) return deny('never', `the parameter ${never} is never allowed`);
  const denied = policy.denyByCommand.get(command)?.find((rule) => strikesRule(rule, attempt));
  if (denied !== undefined) {
    return deny('deny-rule', `a rule of policy ${policy.name} denies "${command}"`, { rule: denied.place });
  }
  const rules = policy.allowByCommand.get(command);
  if (rules === undefined) return deny('no-rule', `no rule allows "${command}"`);

  const asked = ask(policy, attempt, nowMs);
  for (const rule of rules) {
    if (matches(rule, asked)) return allow(rule, command, asked.holdsUntilMs);
  }
  return refuseByRules(rules, asked, command);
}

/** No rule for the command matches: the one that misses least is told, the first of equals. */
function refuseByRules(rules: readonly Rule[], asked: Asked, command: string): Decision {
  const misses = rules.map((rule) => ({ rule: rule.place, missing: missesOf(rule, asked) }));
  const nearest = misses.reduce((best, each) => (each.missing.length < best.missing.length ? each : best));
  return deny('rule-misses', `no rule allows "${command}" like this: ${nearest.missing[0] ?? ''}`, {
    nearest,
    ...(asked.holdsUntilMs === undefined ? {} : { holdsUntilMs: asked.holdsUntilMs }),
  });
}

function allow(rule: Rule, command: string, holdsUntilMs: number | undefined): Decision {
  const { place, obligations } = rule;
  const decision: Decision = {
    kind: 'allow',
    code: 'allowed',
    rule: place,
    reason: `a rule allows "${command}"`,
    obligations,
  };
  return holdsUntilMs === undefined ? decision : { ...decision, holdsUntilMs };
}

/** Every user that is named must be inside, and none excepted. Masks and everybody depend on the rule: see match. */
function refuseUsers(policy: Policy, attempt: Attempt): Decision | undefined {
  if (attempt.user === undefined && attempt.command.scope === 'user' && attempt.everybody !== 'option') {
    return deny('no-user', 'the command names no user');
  }
  for (const user of peopleOf(attempt)) {
    if (policy.except.matches(user)) {
      return deny('except', `policy ${policy.name} excepts a user of this command`, {
        rule: policy.exceptPlace,
      });
    }
    if (!policy.users.matches(user)) {
      return deny('user', `policy ${policy.name} does not hold for a user of this command`, {
        rule: policy.usersPlace,
      });
    }
  }
  return undefined;
}

/** Everybody who is touched by name: an alias is judged beside the name that leads to it. */
function peopleOf({ users, aliases }: Attempt): readonly string[] {
  return aliases.length === 0 ? users : [...users, ...aliases];
}

/**
 * What observing lets through without a rule: nothing that reaches beyond the mailboxes of users named one by one, and nothing
 * whose commands cannot be seen: a duplex stream (`dsync-server`) reads, writes and deletes without a line that could be recorded.
 */
function mayBeObserved(attempt: Attempt): boolean {
  const { command, parsed } = attempt;
  const reachesBeyond = command.params.some(
    (parameter) =>
      attempt.mustBeNamed.includes(parameter.name) &&
      // A field of the userdb reaches nobody else. A dangerous parameter with this effect ends sessions of users that the command does not name.
      ((parameter.role !== undefined && parameter.role !== 'output-fields') ||
        parameter.danger?.effect === 'session'),
  );
  // Who else is named by a command about one user's mail gets something of it: rights, or is its source.
  const namesOthers = command.scope === 'user' && attempt.users.some((user) => user !== attempt.user);
  return (
    command.grant !== 'never' &&
    command.input !== 'duplex' &&
    attempt.never.length === 0 &&
    !reachesBeyond &&
    !namesOthers &&
    !parsed.values.has('all-users') &&
    attempt.everybody === 'none' &&
    attempt.masks.length === 0 &&
    !attempt.isCrowd &&
    (attempt.user !== undefined || command.scope === 'server')
  );
}

function deny(code: DecisionCode, reason: string, more: Partial<Decision> = {}): Decision {
  return { kind: 'deny', code, reason, ...more };
}
