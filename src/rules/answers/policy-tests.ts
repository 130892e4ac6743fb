// Runs the policy tests of a configuration, and says which rules they exercise.

import { newestMinor } from '../../doveadm/protocol/minors.js';
import {
  type ListenerSettings,
  loginsOf,
  type Person,
  type PolicyTest,
  policyTestsOf,
  type Settings,
  tablesOf,
} from '../config/settings.js';
import { choosePolicy, policyOfAnybody } from '../identity/principal.js';
import {
  type Assessment,
  assess,
  fateOf,
  plainLine,
  readingsOf,
  type SeriesReading,
} from '../policy/assess.js';
import { underAnyGrant } from '../policy/grant.js';
import type { Subject } from '../policy/judge.js';
import type { Policy, Rule, RulePlace } from '../policy/policy.js';
import { nothingAsked } from '../policy/route.js';

export interface CoveredRule {
  readonly policy: string;
  readonly kind: 'allow' | 'deny' | 'on_request';
  readonly rule: Rule;
  readonly isExercised: boolean;
}

/** Which rules decide, in tests or in records, not which come near. A rule of `on_request` also counts where it was available. */
export class Coverage {
  readonly #policies: readonly Policy[];
  /** Places are compared by identity: a preset that two policies use stands in one place for both. */
  readonly #decided = new Set<RulePlace>();

  constructor(policies: Iterable<Policy>) {
    this.#policies = [...policies];
  }

  take(readings: readonly SeriesReading[]): void {
    for (const { judgement } of readings) {
      if (judgement.kind !== 'judged') continue;
      const { rule, would, onRequest } = judgement.decision;
      for (const place of [rule, would?.rule, onRequest?.place])
        if (place !== undefined) this.#decided.add(place);
    }
  }

  /** Every rule of the policies in the order of the file; for each policy `allow`, then `deny`, then `on_request`. */
  rules(): CoveredRule[] {
    return this.#policies.flatMap((policy) =>
      (['allow', 'deny', 'on_request'] as const).flatMap((kind) =>
        policy[kind === 'on_request' ? 'onRequest' : kind].map((rule) => {
          return { policy: policy.name, kind, rule, isExercised: this.#decided.has(rule.place) };
        }),
      ),
    );
  }
}

export interface TestOutcome {
  readonly test: PolicyTest;
  readonly isPassed: boolean;
  /** Name of the policy used; undefined: the listener refuses this person, and so denies everything. */
  readonly policy: string | undefined;
  readonly assessment: Assessment | undefined;
  readonly readings: readonly SeriesReading[];
}

/** Runs every policy test of the settings. Listeners and policies exist: the settings were checked. */
export function runTests(settings: Settings, nowMs: number): TestOutcome[] {
  const tableFor = tablesOf(settings);
  return policyTestsOf(settings).map((test) => {
    const listener = settings.listeners.find((each) => each.name === test.listener);
    const choice = listener === undefined ? undefined : policyOfPerson(listener, test.as);
    const policy = choice === undefined ? undefined : settings.policies.get(choice);
    if (policy === undefined) {
      const isPassed = test.expect === 'deny';
      return { test, isPassed, policy: choice, assessment: undefined, readings: [] };
    }
    const table = tableFor(test.series);
    const line = plainLine(test.user, test.words);
    const subject: Subject = {
      listener: test.listener,
      principal: `${test.as?.account ?? test.as?.name ?? '-'}@${test.listener}`,
      clientMinor: test.client ?? newestMinor,
      policy,
      grants: test.granted === true ? underAnyGrant : undefined,
    };
    const assessment = assess(line, subject, table, nothingAsked, nowMs);
    const isPassed = isAsExpected(test.expect, assessment);
    const readings = readingsOf(line, subject, table, assessment, nowMs);
    return { test, isPassed, policy: choice, assessment, readings };
  });
}

/** An obstacle is not a denial: with another series or route the policy's yes counts. A command on request counts as denied. */
function isAsExpected(expect: PolicyTest['expect'], assessment: Assessment): boolean {
  const fate = fateOf(assessment);
  if (expect !== 'request') return fate === expect || (expect === 'deny' && fate === 'unparsable');
  const { judgement } = assessment;
  return judgement.kind === 'judged' && judgement.decision.onRequest !== undefined;
}

/** As the listener would choose it, by the names in the test. */
export function policyOfPerson(listener: ListenerSettings, person: Person | undefined): string | undefined {
  const logins = loginsOf(listener);
  if (logins.length > 0) return logins.find(({ name }) => name === person?.account)?.policy;
  if (person === undefined) return policyOfAnybody(listener);
  const { name, groups } = person;
  return choosePolicy(
    listener,
    (peers) =>
      (name !== undefined && peers.users.includes(name)) ||
      peers.groups.some((each) => groups.includes(each)),
  );
}
