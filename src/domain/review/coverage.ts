// Owns the question which rules of a configuration were exercised: which of them decided something, in tests or in records.
// It does not judge; judgements come in. The rule: a rule counts where it decided, not where it only came near.

import type { SeriesReading } from '../policy/explanation.js';
import type { Policy, Rule, RulePlace } from '../policy/rule.js';

/** One rule, and whether anything that came in was decided by it. */
export interface CoveredRule {
  readonly policy: string;
  readonly kind: 'allow' | 'deny';
  readonly rule: Rule;
  readonly isExercised: boolean;
}

/** Collects which rules decide. */
export interface Coverage {
  /** What policy said to one line, for each series. */
  take(readings: readonly SeriesReading[]): void;
  /** Every rule of the policies, in the order of the file, of each policy the denying ones behind the allowing ones. */
  rules(): CoveredRule[];
}

/** Of these policies; a policy that is judged and not among them is passed over. */
export function createCoverage(policies: Iterable<Policy>): Coverage {
  const all = [...policies];
  // Places are compared by identity: a preset that two policies use stands in one place for both.
  const decided = new Set<RulePlace>();
  return {
    take(readings) {
      for (const { judgement } of readings) {
        if (judgement.kind !== 'judged') continue;
        const { rule, would } = judgement.decision;
        if (rule !== undefined) decided.add(rule);
        if (would?.rule !== undefined) decided.add(would.rule);
      }
    },
    rules: () =>
      all.flatMap(({ name, allow, deny }) => [
        ...allow.map((rule) => covered(name, 'allow', rule, decided)),
        ...deny.map((rule) => covered(name, 'deny', rule, decided)),
      ]),
  };
}

function covered(
  policy: string,
  kind: CoveredRule['kind'],
  rule: Rule,
  decided: ReadonlySet<RulePlace>,
): CoveredRule {
  return { policy, kind, rule, isExercised: decided.has(rule.place) };
}
