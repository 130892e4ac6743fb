// Owns the policy tests of a configuration: their reading, and their running against the policies beside them.
// It does not judge; that is policy.
import type { Series } from '../catalog/series.js';
import { createUserNames } from '../identity/user-name.js';
import { isAllowed, type Judgement, judgeEverywhere } from '../policy/judge.js';
import type { Cursor } from '../source/written.js';
import { backendsFor, jointDestination } from './destination.js';
import type { RawPolicyTest } from './policy-schema.js';
import type { PolicyTest, Settings } from './settings.js';

/** Reads `tests`; `cursor` stands at the list. */
export function parseTests(raw: readonly RawPolicyTest[], cursor: Cursor): PolicyTest[] {
  return raw.map((each, index) => {
    const at = cursor.down(index);
    const as = at.source('as', 'user') ?? at.source('as', 'account');
    const series = seriesOf(at.source('series'));
    return {
      place: at.place(),
      listener: each.listener,
      ...(as === undefined ? {} : { as }),
      groups: at.words('as', 'groups').map(({ text }) => text),
      user: at.source('user') ?? '',
      words: at.words('command').map(({ text }) => text),
      ...(series === undefined ? {} : { series }),
      expect: each.expect,
    };
  });
}

function seriesOf(text: string | undefined): Series | undefined {
  return text === '2.3' || text === '2.4' ? text : undefined;
}

/** How a policy test came out. */
export interface TestOutcome {
  readonly test: PolicyTest;
  readonly isPassed: boolean;
  /** What was said, for each series that the backend may be of; the refusing ones first. */
  readonly judgements: readonly Judgement[];
}

/** A client of the newest series: `-A` means all users. */
const testMinor = 4;

/** Runs every policy test of the settings. Listeners and policies exist: the settings were checked. */
export function runTests(settings: Settings, nowMs: number): TestOutcome[] {
  const userNames = createUserNames(settings.mailUsers);
  return settings.tests.map((test) => {
    const listener = settings.listeners.find((each) => each.name === test.listener);
    const policy = listener === undefined ? undefined : settings.policies.get(listener.policy);
    if (policy === undefined) return { test, isPassed: false, judgements: [] };
    const name = userNames.normalise(test.user);
    const destination = jointDestination(backendsFor(settings, name.kind === 'name' ? name.name : ''));
    const line = {
      listener: test.listener,
      principal: `${test.as ?? '-'}@${test.listener}`,
      user: test.user,
      words: test.words,
      clientMinor: testMinor,
    };
    const read = { ...destination, series: test.series ?? destination.series };
    const judgements = judgeEverywhere(policy, line, read, userNames, nowMs);
    const said = judgements.every(isAllowed) ? 'allow' : 'deny';
    return { test, isPassed: said === test.expect, judgements };
  });
}
