// A policy, an attempt and a time make a decision; equal inputs give equal decisions. The answer is no unless a rule allows it, by itself
// or under a grant. A deny always wins, and no rule reaches beyond its policy's users.
import type { DecisionCode } from '../../doveadm/codes/decisions.js';
import type { Attempt } from './attempt.js';
import {
  type Granted,
  type GrantsAtHand,
  grantFor,
  hasGrants,
  offeredRules,
  requestableAmong,
} from './grant.js';
import { type Asked, ask, matches, missesOf, strikesRule } from './match.js';
import type { Obligations, Policy, RequestRule, Rule, RulePlace } from './policy.js';

export interface Decision {
  readonly kind: 'allow' | 'deny';
  readonly code: DecisionCode;
  readonly rule?: RulePlace;
  /** The deciding fact, for people. Holds names of the policy and the catalog, never a value that the client sent. */
  readonly reason: string;
  /** For a denial: the rule that came nearest to allowing it, by itself or on request, and its unmet demands. */
  readonly nearest?: { readonly rule: RulePlace; readonly missing: readonly string[] };
  /** Under `mode: observe`: the decision of enforce, where it denies or makes demands. */
  readonly would?: Decision;
  readonly obligations?: Obligations;
  /** For code `granted`: id of the grant; empty: a grant of its rule was only supposed, as in policy tests. */
  readonly grant?: string;
  /** For a denial: the rule of `on_request` that a grant would need. */
  readonly onRequest?: RequestRule;
  /** The decision is valid until then, in Unix milliseconds; undefined: for the life of the policy. */
  readonly holdsUntilMs?: number;
}

/** Evaluates one attempt at a time in Unix milliseconds. Pure. `grants`: those of its principal under this policy. */
export function decide(policy: Policy, attempt: Attempt, nowMs: number, grants?: GrantsAtHand): Decision {
  const verdict = judge(policy, attempt, nowMs, grants);
  if (policy.mode === 'enforce') return verdict;
  if (verdict.kind === 'allow') return withoutDemands(verdict);
  const beyond = whyBeyond(attempt);
  if (beyond !== undefined) {
    const reason = `${verdict.reason}; policy ${policy.name} observes, and this goes beyond that: ${beyond}`;
    return { ...verdict, reason };
  }
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

/** An observing policy refuses nothing by its rules; a deadline and `emergency` stay, since they refuse nothing. */
function withoutDemands(verdict: Decision): Decision {
  const { reason, limit, maxMatches, deadlineMs, emergency } = verdict.obligations ?? noObligations;
  if (!reason && limit === undefined && maxMatches === undefined) return verdict;
  const deadline = deadlineMs === undefined ? {} : { deadlineMs };
  return { ...verdict, obligations: { ...noObligations, ...deadline, emergency }, would: verdict };
}

const none: readonly never[] = [];

function judge(policy: Policy, attempt: Attempt, nowMs: number, grants: GrantsAtHand | undefined): Decision {
  const outside = refuseUsers(policy, attempt);
  if (outside !== undefined) return outside;
  const command = attempt.command.name;
  const [never] = attempt.never;
  if (never !== undefined) return deny('never', `the parameter ${never} is never allowed`);
  const denied = policy.denyByCommand.get(command)?.find((rule) => strikesRule(rule, attempt));
  if (denied !== undefined) {
    return deny('deny-rule', `a rule of policy ${policy.name} denies "${command}"`, { rule: denied.place });
  }
  const rules = policy.allowByCommand.get(command) ?? none;
  const asked = ask(policy, attempt, nowMs);
  for (const rule of rules) {
    if (matches(rule, asked)) return allow(rule, command, asked.holdsUntilMs);
  }
  if (policy.onRequest.length === 0) return refuseByRules(rules, none, asked, command);
  const granted = hasGrants(grants) ? grantFor(asked, grants) : undefined;
  if (granted !== undefined) return allowByGrant(granted, command, asked.holdsUntilMs);
  const onRequest = requestableAmong(asked);
  return onRequest === undefined
    ? refuseByRules(rules, offeredRules(policy, attempt), asked, command)
    : { ...refuseByRules(rules, none, asked, command), onRequest };
}

/**
 * No rule for the command matches: reports the one that misses least, the first among equals. `offered`: those of `on_request`, which come
 * first, since they need no other policy.
 */
function refuseByRules(
  rules: readonly Rule[],
  offered: readonly RequestRule[],
  asked: Asked,
  command: string,
): Decision {
  const misses = [...offered, ...rules].map((rule) => ({
    rule: rule.place,
    missing: missesOf(rule, asked),
  }));
  const [first] = misses;
  const { holdsUntilMs } = asked;
  const holds = holdsUntilMs === undefined ? {} : { holdsUntilMs };
  if (first === undefined) return deny('no-rule', `no rule allows "${command}"`, holds);
  const nearest = misses.reduce(
    (best, each) => (each.missing.length < best.missing.length ? each : best),
    first,
  );
  const isOffered = offered.some(({ place }) => place === nearest.rule);
  const how = isOffered ? 'like this, even on request' : 'like this';
  const reason = `no rule allows "${command}" ${how}: ${nearest.missing[0] ?? ''}`;
  return deny('rule-misses', reason, { nearest, ...holds });
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

function allowByGrant(
  { rule, id, obligations }: Granted,
  command: string,
  holdsUntilMs: number | undefined,
): Decision {
  const reason = `a grant allows "${command}"`;
  const decision: Decision = { ...allow(rule, command, holdsUntilMs), code: 'granted', reason, obligations };
  return { ...decision, grant: id };
}

/** Every named user must be covered and not be excepted. Masks and "everybody" depend on the rule: see match. */
function refuseUsers(policy: Policy, attempt: Attempt): Decision | undefined {
  if (attempt.user === undefined && attempt.command.scope === 'user' && attempt.everybody !== 'option') {
    return deny('no-user', 'the command names no user');
  }
  for (const user of [...attempt.users, ...attempt.aliases]) {
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

/**
 * Why an observing policy does not serve the command without a rule, for people; undefined: it does. Not served are commands that the site
 * added, commands that reach beyond the mailboxes of users named one by one, and hidden effects: a duplex stream (`dsync-server`) reads,
 * writes and deletes without a line that could be recorded.
 */
function whyBeyond(attempt: Attempt): string | undefined {
  const { command, parsed, masks } = attempt;
  const [never] = attempt.never;
  if (never !== undefined) return `nothing serves "${never}"`;
  if (command.grant === 'never') return beyondObserving.root;
  if (command.isAdded) return beyondObserving.added;
  if (command.input === 'duplex') return beyondObserving.stream;
  // A further user in a command about one user's mail gets something of it: rights, or is its source.
  if (command.scope === 'user' && attempt.users.some((user) => user !== attempt.user))
    return beyondObserving.other;
  const parameter = command.params.find(
    ({ name, role, danger }) =>
      attempt.mustBeNamed.includes(name) &&
      // A field of the userdb concerns no other user. A dangerous parameter with this effect ends sessions of users that the command does
      // not name.
      ((role !== undefined && role !== 'output-fields') || danger?.effect === 'session'),
  );
  if (parameter !== undefined) return `its "${parameter.name}" ${beyondObserving.parameter}`;
  if (parsed.values.has('all-users') || attempt.everybody !== 'none') return beyondObserving.all;
  if (masks.length > 0) return beyondObserving.mask;
  return attempt.user === undefined && command.scope === 'user' ? beyondObserving.nobody : undefined;
}

/** What an observing policy does not serve without a rule. The guide for migrating lists all of these. */
export const beyondObserving = {
  root: 'it amounts to root on the mail server',
  added: 'a file of this site added the command',
  stream: 'what a stream of dsync does cannot be recorded',
  parameter: 'reaches beyond the mailbox, to a file, a socket, a program, another host or other sessions',
  other: 'it concerns a user beside the one whose mail it is about',
  all: 'it is for all users, or names none',
  mask: 'it is for a mask of users',
  nobody: 'it names no user',
} as const;

function deny(code: DecisionCode, reason: string, more: Partial<Decision> = {}): Decision {
  return { kind: 'deny', code, reason, ...more };
}
