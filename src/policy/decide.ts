// Owns the judgement: a policy and an attempt make a decision.
// It does not know clients, backends or time; equal questions have equal answers.
// The rule: no is the answer unless a rule says yes, and a deny always wins.
import type { Parameter } from '../catalog/catalog.js';
import type { Attempt } from './attempt.js';
import type { Policy, RulePlace } from './rule.js';

/** Why, for machines; never renamed, because journals hold it. */
export type DecisionCode =
  | 'allowed'
  | 'no-user'
  | 'user'
  | 'except'
  | 'deny-rule'
  | 'no-rule'
  | 'parameter'
  | 'form';

/** The judgement of one attempt. */
export interface Decision {
  readonly kind: 'allow' | 'deny';
  readonly code: DecisionCode;
  /** The line that decided, if one did. */
  readonly rule?: RulePlace;
  /** For people: what decided, without values that the client sent. */
  readonly reason: string;
  /** For a denial: the rule that came nearest to allowing it, and what it misses. */
  readonly nearest?: { readonly rule: RulePlace; readonly missing: readonly string[] };
}

/** Judges one attempt. Pure; safe to cache under everything that the attempt holds and the policy's version. */
export function decide(policy: Policy, attempt: Attempt): Decision {
  const command = attempt.command.name;
  if (attempt.user === undefined) return deny('no-user', 'the command names no user');
  if (policy.except.matches(attempt.user)) {
    return deny('except', `policy ${policy.name} excepts this user`, { rule: policy.exceptPlace });
  }
  if (!policy.users.matches(attempt.user)) {
    return deny('user', `policy ${policy.name} does not hold for this user`, { rule: policy.usersPlace });
  }
  const forbidden = policy.denyByCommand.get(command)?.[0];
  if (forbidden !== undefined) {
    return deny('deny-rule', `a rule denies "${command}"`, { rule: forbidden.place });
  }
  const rule = policy.allowByCommand.get(command)?.[0];
  if (rule === undefined) return deny('no-rule', `no rule allows "${command}"`);
  const missing = unusual(attempt);
  if (missing !== undefined) {
    return deny(missing.code, missing.reason, { nearest: { rule: rule.place, missing: [missing.reason] } });
  }
  return { kind: 'allow', code: 'allowed', rule: rule.place, reason: `a rule allows "${command}"` };
}

/** Roles of positionals that a rule without conditions lets pass: they name things of the wire user only. */
const plainRoles: ReadonlySet<string | undefined> = new Set([
  undefined,
  'mailbox',
  'mailbox-mask',
  'search-query',
  'output-fields',
]);

/** Until rules can name parameters, only the plain form of a command passes. */
function unusual(attempt: Attempt): { code: DecisionCode; reason: string } | undefined {
  const { command, values } = attempt;
  if (command.scope !== 'user') return { code: 'form', reason: 'server commands are not supported yet' };
  if (command.grant === 'never') return { code: 'form', reason: 'a rule must say root_equivalent for it' };
  if (command.input !== 'none') return { code: 'form', reason: 'commands with input are not supported yet' };
  for (const name of values.keys()) {
    const parameter = command.params.find((each) => each.name === name);
    if (parameter === undefined || !isPlain(parameter, attempt)) {
      return { code: 'parameter', reason: `no rule names the parameter ${name}` };
    }
  }
  return undefined;
}

function isPlain(parameter: Parameter, attempt: Attempt): boolean {
  if (!plainRoles.has(parameter.role)) return false;
  // The list of a text positional (field, flag) is the positional itself under its one name.
  const isTwin = attempt.command.params.some(
    (each) => each.isPositional && each.name === `${parameter.name}str`,
  );
  return parameter.isPositional || isTwin;
}

function deny(code: DecisionCode, reason: string, more: Partial<Decision> = {}): Decision {
  return { kind: 'deny', code, reason, ...more };
}
