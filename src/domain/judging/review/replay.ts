// Policy tests and past records judged by a configuration: which tests fail, which decisions would change, which rules were exercised. Rows
// of a journal come in one after the other, and only what differs is kept.

import { bounds } from '../../../bounds/bounds.js';
import { newestMinor } from '../../../protocol/minors.js';
import {
  type ListenerSettings,
  loginsOf,
  type Person,
  type PolicyTest,
  policyTestsOf,
  routingTableOf,
  type Settings,
} from '../../config/settings.js';
import type { Series } from '../../language/commands/catalog.js';
import { choosePolicy, parsePrincipal, policyOfAnybody } from '../../people/identity/peer.js';
import type { ExchangeRow } from '../../records/trail/search.js';
import {
  type Assessment,
  assess,
  describeObstacle,
  fateOf,
  plainLine,
  readingsOf,
  type SeriesReading,
} from '../policy/assess.js';
import { underAnyGrant } from '../policy/grant.js';
import { isAllowed, type Subject } from '../policy/judge.js';
import {
  exceptFull,
  isOutcome,
  type OutcomeKind,
  outcomesOf,
  whyOf,
  withMatches,
} from '../policy/outcome.js';
import type { Policy, Rule, RulePlace } from '../policy/policy.js';
import { nothingAsked, type RoutingTable } from '../policy/route.js';
import { Limiter } from '../policy/terms.js';
import { type RecordedAssessment, RecordedAssessor, type RecordedLine, recordedLine } from './recorded.js';
import type { LeftOutWhy } from './sightings.js';

/** What became of a command by policy, in the words of policy tests where they have one. */
export type ReplayWord = 'allow' | 'deny' | Exclude<OutcomeKind, 'served' | 'denied' | 'unparsable'>;

export interface ReplayChange {
  readonly from: ReplayWord;
  readonly to: ReplayWord | 'obstacle';
  readonly listener: string;
  readonly words: readonly string[];
  /** The deciding line of that time, or the reason of the denial. */
  readonly before: string;
  readonly reason: string;
  /** The line that would decide, else the one that comes nearest to allowing it. */
  readonly rule: RulePlace | undefined;
  /** Holds words that are known by their digest only, and may have been judged wrongly because of them. */
  readonly isOpaque: boolean;
  /** How many records, of how many users, and one of them. */
  count: number;
  readonly users: Set<string>;
  readonly principal: string;
  lastMs: number;
}

export interface ReplayResult {
  /** Records that were judged, and those of them that hold digests. */
  readonly judged: number;
  readonly opaque: number;
  /** Records without the client's minor, judged as of a present client. */
  readonly withoutClient: number;
  readonly allowToDeny: number;
  readonly denyToAllow: number;
  /** Refused then and now, and otherwise; or served then, and it would depend on how many mails match. */
  readonly otherwise: number;
  /** Policy allowed them then as now, and something else would stand in their way that did not then. */
  readonly toObstacle: number;
  readonly notJudged: ReadonlyMap<LeftOutWhy | 'no-listener', number>;
  readonly changes: readonly ReplayChange[];
  /** Changed records beyond the {@link changesMax} kinds that are kept. */
  readonly untold: number;
}

/** Kinds of changes, and users of each, that are kept. Stops a journal of years from filling the memory. */
export const changesMax = 10_000;
const usersMax = 1000;

/**
 * Records do not contain a person's groups: if a listener has policies by person, the recorded policy is used, or the one for everybody if
 * that policy is gone. An account or a key has one policy; a removed one gets the recorded policy, or the first.
 */
function policyNameFor(listener: ListenerSettings, line: RecordedLine): string {
  return whichPolicy(listener.policies, loginsOf(listener), line);
}

export function whichPolicy(
  policies: readonly { readonly policy: string; readonly peers?: unknown }[],
  logins: readonly { readonly name: string; readonly policy: string }[],
  { policy, principal }: Pick<RecordedLine, 'policy' | 'principal'>,
): string {
  const name = parsePrincipal(principal)?.name;
  const login =
    logins.find((each) => each.name === name) ?? logins.find((each) => each.policy === policy) ?? logins[0];
  if (login !== undefined) return login.policy;
  const names = policies.map((choice) => choice.policy);
  if (policy !== undefined && names.includes(policy)) return policy;
  return policyOfAnybody({ policies }) ?? names[0] ?? '';
}

/** By the settings of the other configuration; `onJudged` sees every assessment. */
export function createReplay(
  settings: Settings,
  onJudged: (judged: RecordedAssessment) => void = () => undefined,
): { take(row: ExchangeRow): void; finish(): ReplayResult } {
  const assessor = new RecordedAssessor(settings);
  const limiter = new Limiter(bounds.limiterEntries);
  const changes = new Map<string, ReplayChange>();
  const notJudged = new Map<LeftOutWhy | 'no-listener', number>();
  const counts = {
    judged: 0,
    opaque: 0,
    withoutClient: 0,
    allowToDeny: 0,
    denyToAllow: 0,
    otherwise: 0,
    toObstacle: 0,
    untold: 0,
  };

  function take(row: ExchangeRow): void {
    const line = recordedLine(row, settings.catalog?.added);
    if (line === undefined) return;
    if (line.kind === 'unjudgeable') return skip(line.why);
    const listener = settings.listeners.find((each) => each.name === line.listener);
    const policy = listener === undefined ? undefined : settings.policies.get(policyNameFor(listener, line));
    if (policy === undefined) return skip('no-listener');
    if (line.isProbe) return skip('probe');
    const judged = assessor.assess(line, policy);
    onJudged(judged);
    counts.judged += 1;
    if (line.isOpaque) counts.opaque += 1;
    if (line.client === undefined) counts.withoutClient += 1;
    const answer = answerOf(judged.assessment, line, policy, limiter);
    const before = wordOf(line.done);
    // A recorded obstacle may have been a route of that moment.
    if (answer.word === before || (answer.word === 'obstacle' && line.isObstructed)) return;
    if (answer.word === 'obstacle') counts.toObstacle += 1;
    else if (answer.word === 'allow') counts.denyToAllow += 1;
    else if (before === 'allow' && answer.word !== 'depends') counts.allowToDeny += 1;
    else counts.otherwise += 1;
    keep(line, before, answer);
  }

  function skip(why: LeftOutWhy | 'no-listener'): void {
    notJudged.set(why, (notJudged.get(why) ?? 0) + 1);
  }

  function keep(line: RecordedLine, before: ReplayWord, answer: Answer): void {
    const { listener, words, principal, isOpaque } = line;
    const key = JSON.stringify([before, listener, words, answer.word, answer.reason]);
    let change = changes.get(key);
    if (change === undefined) {
      if (changes.size >= changesMax) {
        counts.untold += 1;
        return;
      }
      change = {
        from: before,
        to: answer.word,
        listener,
        words,
        before: (before === 'allow' ? line.rule : line.text) ?? '',
        reason: answer.reason,
        rule: answer.rule,
        isOpaque,
        count: 0,
        users: new Set(),
        principal,
        lastMs: line.timeMs,
      };
      changes.set(key, change);
    }
    change.count += 1;
    change.lastMs = Math.max(change.lastMs, line.timeMs);
    if (line.user !== '' && change.users.size < usersMax) change.users.add(line.user);
  }

  return {
    take,
    finish: () => ({
      ...counts,
      notJudged,
      changes: [...changes.values()].toSorted((a, b) => b.count - a.count),
    }),
  };
}

/** What a policy would have made of a recorded line, with the counts of `limiter`. */
export function replayAnswer(
  assessor: RecordedAssessor,
  line: RecordedLine,
  policy: Policy,
  limiter: Limiter,
): Answer {
  return answerOf(assessor.assess(line, policy).assessment, line, policy, limiter);
}

interface Answer {
  readonly word: ReplayChange['to'];
  readonly reason: string;
  readonly rule: RulePlace | undefined;
}

/** What is no command that can be read is refused, too. */
function wordOf(kind: OutcomeKind): ReplayWord {
  if (kind === 'served') return 'allow';
  return kind === 'denied' || kind === 'unparsable' ? 'deny' : kind;
}

/** With the reason that was stated, the mails that were counted, and counts of the time of the record. */
function answerOf(
  { judgement, obstacle }: Assessment,
  line: RecordedLine,
  policy: Policy,
  limiter: Limiter,
): Answer {
  const isWidened = line.done !== 'served';
  if (obstacle !== undefined && !isWidened && isAllowed(judgement))
    return { word: 'obstacle', reason: describeObstacle(obstacle), rule: judgement.decision.rule };
  const count = exceptFull((asks) => limiter.admit(asks, line.timeMs));
  const { reason, origin, matches } = line;
  const outcome = withMatches(outcomesOf(judgement, policy, { reason, origin, count }).done, matches);
  const rule = 'rule' in outcome ? outcome.rule : undefined;
  const why =
    isOutcome(outcome, 'served') && judgement.kind === 'judged' ? judgement.decision.reason : whyOf(outcome);
  // The obstacle may be gone tomorrow; what policy allows stays allowed.
  const stopped =
    obstacle === undefined ? '' : `; it could not be carried out now: ${describeObstacle(obstacle)}`;
  const word = wordOf(outcome.kind);
  return { word, reason: word === 'allow' ? why + stopped : why, rule };
}

export interface CoveredRule {
  readonly policy: string;
  readonly kind: 'allow' | 'deny' | 'on_request';
  readonly rule: Rule;
  readonly isExercised: boolean;
}

/**
 * Which rules decide, in tests or in records: a rule counts where it decided, not where it only came near. One of `on_request` counts where
 * it was available too.
 */
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

  /** Every rule of the policies, in the order of the file, of each policy the allowing, denying and requestable ones. */
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
  const tables = new Map<Series | undefined, RoutingTable>();
  const tableFor = (series: Series | undefined): RoutingTable => {
    const table = tables.get(series) ?? routingTableOf(settings, series && [series]);
    tables.set(series, table);
    return table;
  };
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

/**
 * An obstacle is no denial: another series or route takes it away, and then the policy's yes counts. What is available on request is denied
 * until then.
 */
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
