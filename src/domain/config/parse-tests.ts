// Owns the policy tests of a configuration: their reading, and their running against the policies beside them.
// It does not judge; that is policy.
import type { Series } from '../commands/series.js';
import { choosePolicy, policyOfAnybody } from '../identity/peer.js';
import { createUserNames } from '../identity/user-name.js';
import { isAllowed, type Judgement, judgeEverywhere } from '../policy/judge.js';
import type { Cursor } from './cursor.js';
import { backendsFor, jointDestination } from './destination.js';
import type { RawPolicyTest } from './policy-schema.js';
import { nearestName } from './problem.js';
import type { ListenerSettings, Person, PolicyTest, Settings } from './settings.js';

/** Reads `tests`; `cursor` stands at the list. */
export function parseTests(raw: readonly RawPolicyTest[], cursor: Cursor): PolicyTest[] {
  return raw.map((each, index) => {
    const at = cursor.down(index);
    const name = at.source('as', 'user');
    const account = at.source('as', 'account');
    const groups = at.words('as', 'groups').map(({ text }) => text);
    const series = seriesOf(at.source('series'));
    return {
      place: at.place(),
      listener: each.listener,
      ...(each.as === undefined
        ? {}
        : {
            as: {
              ...(name === undefined ? {} : { name }),
              ...(account === undefined ? {} : { account }),
              groups,
            },
          }),
      user: at.source('user') ?? '',
      words: at.words('command').map(({ text }) => text),
      ...(series === undefined ? {} : { series }),
      expect: each.expect,
    };
  });
}

/**
 * What a test names must be there, and where it matters who asks, it must say it. `cursor` stands at the configuration;
 * `whyUnknown`: the sentence about a listener that nobody wrote.
 */
export function checkTests(
  settings: Settings,
  cursor: Cursor,
  whyUnknown: (listener: string) => string | undefined,
): void {
  for (const [index, { listener: name, as }] of settings.tests.entries()) {
    const unknown = whyUnknown(name);
    if (unknown !== undefined) cursor.error(['tests', index, 'listener'], unknown, 'unknown-name');
    const listener = settings.listeners.find((each) => each.name === name);
    const message = listener === undefined ? undefined : whyNobody(listener, as);
    if (message !== undefined) cursor.error(['tests', index], message);
  }
}

/** Why nobody can be meant by a test's `as` at this listener; undefined: somebody is. */
function whyNobody(listener: ListenerSettings, as: Person | undefined): string | undefined {
  const { name, accounts } = listener;
  if (accounts.length > 0) {
    const names = accounts.map((each) => each.name);
    if (as?.account === undefined)
      return `does not say which account asks (as: { account: NAME }); listener ${name} has: ${names.join(', ')}`;
    if (names.includes(as.account)) return undefined;
    const nearest = nearestName(as.account, names);
    const hint = nearest === undefined ? `there are: ${names.join(', ')}` : `did you mean ${nearest}?`;
    return `listener ${name} has no account ${JSON.stringify(as.account)}; ${hint}`;
  }
  if (as?.account !== undefined)
    return `names an account, and listener ${name} has none: the kernel says who asks there`;
  if (as !== undefined || policyOfAnybody(listener) !== undefined) return undefined;
  return `does not say who asks (as), and listener ${name} has no policy for everybody`;
}

function seriesOf(text: string | undefined): Series | undefined {
  return text === '2.3' || text === '2.4' ? text : undefined;
}

/** How a policy test came out. */
export interface TestOutcome {
  readonly test: PolicyTest;
  readonly isPassed: boolean;
  /** Name of the policy that was asked; undefined: the listener does not let this person in, and so denies everything. */
  readonly policy: string | undefined;
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
    const choice = listener === undefined ? undefined : policyOf(listener, test.as);
    const policy = choice === undefined ? undefined : settings.policies.get(choice);
    if (policy === undefined)
      return { test, isPassed: test.expect === 'deny', policy: choice, judgements: [] };
    const name = userNames.normalise(test.user);
    const destination = jointDestination(backendsFor(settings, name.kind === 'name' ? name.name : ''));
    const line = {
      listener: test.listener,
      principal: `${test.as?.account ?? test.as?.name ?? '-'}@${test.listener}`,
      user: test.user,
      words: test.words,
      clientMinor: testMinor,
    };
    const read = { ...destination, series: test.series ?? destination.series };
    const judgements = judgeEverywhere(policy, line, read, userNames, nowMs);
    const said = judgements.every(isAllowed) ? 'allow' : 'deny';
    return { test, isPassed: said === test.expect, policy: choice, judgements };
  });
}
/** As the listener would choose it, by the names in the test. */
function policyOf(listener: ListenerSettings, person: Person | undefined): string | undefined {
  if (listener.accounts.length > 0) {
    return listener.accounts.find(({ name }) => name === person?.account)?.policy;
  }
  if (person === undefined) return policyOfAnybody(listener);
  const { name, groups } = person;
  return choosePolicy(
    listener,
    (peers) =>
      (name !== undefined && peers.users.includes(name)) ||
      peers.groups.some((each) => groups.includes(each)),
  );
}
