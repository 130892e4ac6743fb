// The policy tests of a configuration: their reading, and their running against the policies beside them.

import type { Series } from '../commands/catalog.js';
import { choosePolicy, policyOfAnybody } from '../identity/peer.js';
import type { Subject } from '../policy/assess.js';
import {
  type Assessment,
  assess,
  fateOf,
  minorOfToday,
  nothingAsked,
  plainLine,
  type RoutingTable,
  readingsOf,
  type SeriesReading,
} from '../policy/assess.js';
import type { Cursor } from './cursor.js';
import type { RawPolicyTest } from './policy-schema.js';
import { meantBy, unknownName } from './problem.js';
import {
  type ListenerSettings,
  type Person,
  type PolicyTest,
  routingTableOf,
  type Settings,
} from './settings.js';

/** Reads `tests`; `cursor` stands at the list. */
export function parseTests(raw: readonly RawPolicyTest[], cursor: Cursor): PolicyTest[] {
  return raw.map((each, index) => {
    const at = cursor.down(index);
    const name = at.source('as', 'user');
    const account = at.source('as', 'account');
    const groups = at.words('as', 'groups');
    const series = seriesOf(at.source('series'));
    return {
      place: at.place(),
      listener: each.listener,
      ...(each.as !== undefined && {
        as: { ...(name !== undefined && { name }), ...(account !== undefined && { account }), groups },
      }),
      user: at.source('user') ?? '',
      words: at.words('command'),
      ...(series !== undefined && { series }),
      ...(each.client !== undefined && { client: each.client }),
      expect: each.expect,
    };
  });
}

/**
 * What a test names must be there, and where it matters who asks, it must say it. `cursor` stands at the configuration; `listeners`: the
 * names that were written.
 */
export function checkTests(settings: Settings, cursor: Cursor, listeners: readonly string[]): void {
  for (const [index, { listener: name, as }] of settings.tests.entries()) {
    if (!listeners.includes(name)) {
      const message = unknownName('listener', name, listeners);
      cursor.error(['tests', index, 'listener'], message, 'unknown-name');
    }
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
    const hint = meantBy(as.account, names, `; there are: ${names.join(', ')}`);
    return `listener ${name} has no account ${JSON.stringify(as.account)}${hint}`;
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
  /** Undefined: nobody was asked. */
  readonly assessment: Assessment | undefined;
  /** What was said, for each series that the backend may be of. */
  readonly readings: readonly SeriesReading[];
}

/** Runs every policy test of the settings. Listeners and policies exist: the settings were checked. */
export function runTests(settings: Settings, nowMs: number): TestOutcome[] {
  const tables = new Map<Series | undefined, RoutingTable>();
  const tableFor = (series: Series | undefined): RoutingTable => {
    const table = tables.get(series) ?? routingTableOf(settings, series && [series]);
    tables.set(series, table);
    return table;
  };
  return settings.tests.map((test) => {
    const listener = settings.listeners.find((each) => each.name === test.listener);
    const choice = listener === undefined ? undefined : policyOf(listener, test.as);
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
      clientMinor: test.client ?? minorOfToday,
      policy,
    };
    const assessment = assess(line, subject, table, nothingAsked, nowMs);
    const fate = fateOf(assessment);
    // An obstacle is no denial: another series or route takes it away, and then the policy's yes counts.
    const isPassed = fate === test.expect || (test.expect === 'deny' && fate === 'unparsable');
    const readings = readingsOf(line, subject, table, assessment, nowMs);
    return { test, isPassed, policy: choice, assessment, readings };
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
