// The outcome of one line under one policy, given what the client stated and the counts so far. The daemon, observing, the shadow,
// `explain`, policy tests, replay and suggest all use it, so they agree. Obstacles outside of the policy (a route, a full disk) are not
// considered.

import type { DecisionCode } from '../../doveadm/codes/decisions.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import type { Decision } from './decide.js';
import type { Judgement, UnjudgeableCode } from './judge.js';
import type { Policy, RequestRule, RulePlace } from './policy.js';
import { type LimitAsk, type LimitVerdict, limitAsks, mostMatches, whyNoReason } from './terms.js';

/** The kinds are the words of `doveadm/codes/outcomes`. */
export type Outcome =
  | { readonly kind: 'unparsable'; readonly code: UnjudgeableCode; readonly reason: string }
  | { readonly kind: 'served'; readonly rule: RulePlace | undefined }
  /** Served if so many mails match at most. */
  | { readonly kind: 'depends'; readonly rule: RulePlace | undefined; readonly most: number }
  | (Denial & { readonly kind: 'denied' })
  /** Denied, and a grant of that rule would lift it. */
  | (Denial & { readonly kind: 'on-request'; readonly request: RequestRule })
  | (Denial & { readonly kind: 'no-reason' })
  | {
      readonly kind: 'over-limit';
      readonly rule: RulePlace | undefined;
      readonly limit: string;
      /** Undefined: the table of counts is full. */
      readonly retryAfterMs: number | undefined;
    };

interface Denial {
  readonly code: DecisionCode;
  readonly reason: string;
  /** The deciding rule; for `denied` without one, the rule that came nearest to allowing it. */
  readonly rule: RulePlace | undefined;
}

export const isOutcome = predicateOf<Outcome>();

export type OutcomeKind = Outcome['kind'];

export interface Given {
  /** As the client stated it. */
  readonly reason: string | undefined;
  /** The origin whose counts apply. */
  readonly origin: string;
  /** Takes the counts, or refuses them. Undefined: nothing is counted, and so nothing is over a limit. */
  readonly count?: Count | undefined;
}

export type Count = (asks: readonly LimitAsk[]) => LimitVerdict;

export const nothingGiven: Given = { reason: undefined, origin: '' };

/** `rules`: what the rules of the policy alone make of it; the same as `done`, unless the policy observes. */
export interface Outcomes {
  readonly done: Outcome;
  readonly rules: Outcome;
}

/** `candidate`: what a candidate for the policy would do in its place. */
export interface Compared extends Outcomes {
  readonly candidate?: Outcome | undefined;
}

export function outcomesOf(judgement: Judgement, policy: Policy, given: Given): Outcomes {
  if (judgement.kind === 'unparsable') {
    const { code, message: reason } = judgement;
    const unparsable: Outcome = { kind: 'unparsable', code, reason };
    return { done: unparsable, rules: unparsable };
  }
  const { decision } = judgement;
  const rules = byRules(rulesOf(decision), judgement, policy, given);
  const isLenient = policy.mode === 'observe' && decision.kind === 'allow';
  return { done: isLenient ? { kind: 'served', rule: decision.rule } : rules, rules };
}

/** The outcome of the policy's candidate in its place. */
export function candidateOf(judgement: Judgement, { shadow }: Policy, given: Given): Outcome | undefined {
  if (shadow === undefined || judgement.kind === 'unparsable' || judgement.shadow === undefined)
    return undefined;
  const count = given.count && exceptFull(given.count);
  return outcomesOf({ ...judgement, decision: judgement.shadow }, shadow, { ...given, count }).done;
}

/** For counts beside the daemon's own: that their table is full says nothing about a policy. */
export function exceptFull(count: Count): Count {
  return (asks) => {
    const verdict = count(asks);
    return verdict.kind === 'full' ? { kind: 'within' } : verdict;
  };
}

/** `besideGiven`: the counts of candidates. */
export function comparedOf(
  judgement: Judgement,
  policy: Policy,
  given: Given,
  besideGiven: Given = given,
): Compared {
  const outcomes = outcomesOf(judgement, policy, given);
  return policy.shadow === undefined
    ? outcomes
    : { ...outcomes, candidate: candidateOf(judgement, policy, besideGiven) };
}

/** The decision of the rules alone: whether the policy observes is left out. */
export function rulesOf(decision: Decision): Decision {
  return decision.would ?? decision;
}

function byRules(
  decision: Decision,
  { attempt }: Extract<Judgement, { readonly kind: 'judged' }>,
  policy: Policy,
  { reason: stated, origin, count }: Given,
): Outcome {
  const { kind, code, reason, rule, nearest, onRequest, obligations } = decision;
  if (kind === 'deny') {
    return onRequest === undefined
      ? { kind: 'denied', code, reason, rule: rule ?? nearest?.rule }
      : { kind: 'on-request', code, reason, rule: onRequest.place, request: onRequest };
  }
  const unsaid = whyNoReason(obligations, stated);
  if (unsaid !== undefined) return { kind: 'no-reason', ...unsaid, rule };
  const asks = count === undefined ? [] : limitAsks(policy, obligations, attempt, origin);
  const verdict = asks.length === 0 ? undefined : count?.(asks);
  if (verdict?.kind === 'over')
    return { kind: 'over-limit', rule, limit: verdict.limit, retryAfterMs: verdict.retryAfterMs };
  if (verdict?.kind === 'full')
    return { kind: 'over-limit', rule, limit: `a limit of policy ${policy.name}`, retryAfterMs: undefined };
  const most = mostMatches(obligations);
  return most === undefined ? { kind: 'served', rule } : { kind: 'depends', rule, most };
}

/** The outcome once the number of matching mails is known. */
export function withMatches(outcome: Outcome, matches: number | undefined): Outcome {
  if (outcome.kind !== 'depends' || matches === undefined) return outcome;
  const { rule, most } = outcome;
  const reason = `${matches} mails match, and its rule allows at most ${most}`;
  return matches <= most
    ? { kind: 'served', rule }
    : { kind: 'denied', code: 'too-many-matches', reason, rule };
}

/** Whether a client sees no difference between the two. */
export function areSame(one: Outcome, other: Outcome): boolean {
  if (one.kind === 'depends' && other.kind === 'depends') return one.most === other.most;
  return one.kind === other.kind;
}

/** Why, for people: what the client would be told, without the place of the rule. */
export function whyOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'served':
      return 'it is served';
    case 'depends':
      return `it is served if at most ${outcome.most} mails match`;
    case 'over-limit':
      return `it is over ${outcome.limit}`;
    case 'unparsable':
    case 'denied':
    case 'on-request':
    case 'no-reason':
      return outcome.reason;
    default:
      return outcome satisfies never;
  }
}
