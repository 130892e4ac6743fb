// Policy tests and past records judged by a configuration: which tests fail, which decisions would change, which rules were exercised. Rows
// of a journal come in one after the other, and only what differs is kept.

import { bounds } from '../../host/bounds/bounds.js';
import { type RecordedAssessment, RecordedAssessor } from '../../rules/answers/recorded-line.js';
import { loginsOf, type Settings } from '../../rules/config/settings.js';
import { parsePrincipal, policyOfAnybody } from '../../rules/identity/principal.js';
import { type Assessment, describeObstacle } from '../../rules/policy/assess.js';
import { isAllowed } from '../../rules/policy/judge.js';
import {
  exceptFull,
  isOutcome,
  type OutcomeKind,
  outcomesOf,
  whyOf,
  withMatches,
} from '../../rules/policy/outcome.js';
import type { Policy, RulePlace } from '../../rules/policy/policy.js';
import { Limiter } from '../../rules/policy/terms.js';
import type { RecordedLine } from '../../rules/proposals/seen-line.js';
import type { ExchangeRow } from '../trail/search.js';
import { recordedLine } from './recorded.js';
import type { LeftOutWhy } from './sightings.js';

/** What became of a command by policy, in the words of policy tests where they have one. */
export type ReplayWord = 'allow' | 'deny' | Exclude<OutcomeKind, 'served' | 'denied' | 'unparsable'>;

export type ReplayChange = ReturnType<typeof changeOf>;

export type ReplayResult = ReturnType<ReturnType<typeof createReplay>['finish']>;

/** Kinds of changes, and users of each, that are kept. Stops a journal of years from filling the memory. */
export const changesMax = 10_000;
const usersMax = 1000;

/**
 * Records do not contain a person's groups: if a listener has policies by person, the recorded policy is used, or the one for everybody if
 * that policy is gone. An account or a key has one policy; a removed one gets the recorded policy, or the first.
 */
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
) {
  const assessor = new RecordedAssessor(settings);
  const limiter = new Limiter(bounds.limiterEntries);
  const changes = new Map<string, ReplayChange>();
  const notJudged = new Map<LeftOutWhy | 'no-listener', number>();
  const counts = {
    /** Records that were judged, and those of them that hold digests. */
    judged: 0,
    opaque: 0,
    /** Records without the client's minor version, judged as from a current client. */
    withoutClient: 0,
    allowToDeny: 0,
    denyToAllow: 0,
    /** Refused then and now, in another way; or served then, and now it would depend on how many mails match. */
    otherwise: 0,
    /** Allowed by policy then and now, but an obstacle would stop them that did not then. */
    toObstacle: 0,
    /** Changed records beyond the {@link changesMax} kinds that are kept. */
    untold: 0,
  };

  function take(row: ExchangeRow): void {
    const line = recordedLine(row, settings.catalog?.added);
    if (line === undefined) return;
    if (line.kind === 'unjudgeable') return skip(line.why);
    const listener = settings.listeners.find((each) => each.name === line.listener);
    const policy =
      listener === undefined
        ? undefined
        : settings.policies.get(whichPolicy(listener.policies, loginsOf(listener), line));
    if (policy === undefined) return skip('no-listener');
    if (line.isProbe) return skip('probe');
    const judged = assessor.assess(line, policy);
    onJudged(judged);
    counts.judged += 1;
    if (line.isOpaque) counts.opaque += 1;
    if (line.client === undefined) counts.withoutClient += 1;
    const answer = answerOf(judged.assessment, line, policy, limiter);
    const before = wordOf(line.done);
    // An obstacle then and now is no change: the recorded one may have been a route of that moment.
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
    const { listener, words } = line;
    const key = JSON.stringify([before, listener, words, answer.word, answer.reason]);
    let change = changes.get(key);
    if (change === undefined) {
      if (changes.size >= changesMax) {
        counts.untold += 1;
        return;
      }
      change = changeOf(line, before, answer);
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

function changeOf(line: RecordedLine, before: ReplayWord, { word, reason, rule }: Answer) {
  const { listener, words, principal, isOpaque, timeMs } = line;
  return {
    from: before,
    to: word,
    listener,
    words,
    /** The rule that decided then, or the reason of the denial. */
    before: (before === 'allow' ? line.rule : line.text) ?? '',
    reason,
    /** The rule that would decide, or else the one that comes nearest to allowing it. */
    rule,
    /** Some words are known only by their digests, so the command may have been judged wrongly. */
    isOpaque,
    /** How many records, of which mail users, and the principal of the first one. */
    count: 0,
    users: new Set<string>(),
    principal,
    lastMs: timeMs,
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
  readonly word: ReplayWord | 'obstacle';
  readonly reason: string;
  readonly rule: RulePlace | undefined;
}

/** A line that cannot be parsed is refused, too. */
function wordOf(kind: OutcomeKind): ReplayWord {
  if (kind === 'served') return 'allow';
  return kind === 'denied' || kind === 'unparsable' ? 'deny' : kind;
}

/** With the recorded reason, the recorded number of mails, and the counts of limits at the time of the record. */
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
