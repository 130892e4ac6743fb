// Owns the judging of past records by another configuration: which decisions would change.
// It does not read journals; rows come in, one after the other, and only what differs is kept.
// The rule: a record is judged as of its own time, for the series that it was judged for, so that nothing but the policies makes
// a difference.

import type { ExchangeRow } from '../audit/search.js';
import { backendsFor, jointDestination } from '../config/destination.js';
import type { ListenerSettings, Settings } from '../config/settings.js';
import { parsePrincipal, policyOfAnybody } from '../identity/peer.js';
import { createUserNames } from '../identity/user-name.js';
import { isAllowed, type Judgement, judgeLine } from '../policy/judge.js';
import type { RulePlace } from '../policy/rule.js';
import { type RecordedLine, recordedLine, type UnjudgeableWhy } from './recorded.js';

/** Records of one kind whose decision would be another one. */
export interface ReplayChange {
  readonly from: 'allow' | 'deny';
  readonly to: 'allow' | 'deny';
  readonly listener: string;
  /** The name and the canonical arguments. */
  readonly words: readonly string[];
  /** What the line that decided then was, or why it was denied. */
  readonly before: string;
  /** Why it would be decided otherwise. */
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

/** What came of a replay. */
export interface ReplayResult {
  /** Records that were judged, and those of them that hold digests. */
  readonly judged: number;
  readonly opaque: number;
  readonly allowToDeny: number;
  readonly denyToAllow: number;
  readonly notJudged: ReadonlyMap<UnjudgeableWhy | 'no-listener', number>;
  /** Most frequent first. */
  readonly changes: readonly ReplayChange[];
  /** Changed records beyond the {@link changesMax} kinds that are kept. */
  readonly untold: number;
}

/** Judges rows as they come. */
export interface Replay {
  take(row: ExchangeRow): void;
  finish(): ReplayResult;
}

/** Kinds of changes, and users of each, that are kept. Stops a journal of years from filling the memory. */
export const changesMax = 10_000;
const usersMax = 1_000;

/** A client of the newest series: what the option for a column was has been taken out before it was recorded. */
const clientMinor = 4;

/**
 * Records do not say in which groups somebody was: where a listener has policies by person, the one that was asked then is
 * asked again, and the one for everybody if that is no longer among them. An account
 * has one policy; one that is gone is taken for one with the policy that was asked then, or for the first.
 */
function policyNameFor(listener: ListenerSettings, { policy, principal }: RecordedLine): string {
  const name = parsePrincipal(principal)?.name;
  const { accounts } = listener;
  const account =
    accounts.find((each) => each.name === name) ??
    accounts.find((each) => each.policy === policy) ??
    accounts[0];
  if (account !== undefined) return account.policy;
  const names = listener.policies.map((choice) => choice.policy);
  if (policy !== undefined && names.includes(policy)) return policy;
  return policyOfAnybody(listener) ?? names[0] ?? '';
}

/** By the settings of the other configuration; `onJudged` sees every judgement. */
export function createReplay(
  settings: Settings,
  onJudged: (judgements: readonly Judgement[]) => void = () => undefined,
): Replay {
  const userNames = createUserNames(settings.mailUsers);
  const changes = new Map<string, ReplayChange>();
  const notJudged = new Map<UnjudgeableWhy | 'no-listener', number>();
  const counts = { judged: 0, opaque: 0, allowToDeny: 0, denyToAllow: 0, untold: 0 };

  function take(row: ExchangeRow): void {
    const line = recordedLine(row);
    if (line === undefined) return;
    if (line.kind === 'unjudgeable') return skip(line.why);
    const listener = settings.listeners.find((each) => each.name === line.listener);
    const policy = listener === undefined ? undefined : settings.policies.get(policyNameFor(listener, line));
    if (policy === undefined) return skip('no-listener');
    const asked = { ...line, clientMinor };
    const { sharedNamespaces, mailboxNames } = namespacesOf(settings, line);
    const judgements = line.series.map((series) =>
      judgeLine(policy, asked, series, sharedNamespaces, userNames, line.timeMs, mailboxNames),
    );
    onJudged(judgements);
    counts.judged += 1;
    if (line.isOpaque) counts.opaque += 1;
    const answer = answerOf(judgements, line);
    if (answer.decision === line.decision) return;
    if (answer.decision === 'deny') counts.allowToDeny += 1;
    else counts.denyToAllow += 1;
    keep(line, answer);
  }

  function skip(why: UnjudgeableWhy | 'no-listener'): void {
    notJudged.set(why, (notJudged.get(why) ?? 0) + 1);
  }

  function keep(line: RecordedLine, answer: Answer): void {
    const { listener, words, principal, isOpaque } = line;
    const key = JSON.stringify([line.decision, listener, words, answer.reason]);
    let change = changes.get(key);
    if (change === undefined) {
      if (changes.size >= changesMax) {
        counts.untold += 1;
        return;
      }
      change = {
        from: line.decision,
        to: answer.decision,
        listener,
        words,
        before: (line.decision === 'allow' ? line.rule : line.text) ?? '',
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

interface Answer {
  readonly decision: 'allow' | 'deny';
  readonly reason: string;
  readonly rule: RulePlace | undefined;
}

/** All series that it was judged for must allow it; and a reason that is demanded must have been said. */
function answerOf(judgements: readonly Judgement[], line: RecordedLine): Answer {
  const worst = judgements.find((each) => !isAllowed(each)) ?? judgements[0];
  if (worst === undefined)
    return { decision: 'deny', reason: 'it was judged for no series', rule: undefined };
  if (worst.kind === 'unparsable') return { decision: 'deny', reason: worst.message, rule: undefined };
  const { kind, reason, rule, nearest } = worst.decision;
  if (kind === 'deny') return { decision: 'deny', reason, rule: rule ?? nearest?.rule };
  const wanting = judgements.find(
    (each) => each.kind === 'judged' && each.decision.obligations?.reason === true && !line.hasReason,
  );
  if (wanting?.kind === 'judged') {
    return { decision: 'deny', reason: 'the client must say why, and did not', rule: wanting.decision.rule };
  }
  return { decision: 'allow', reason, rule };
}

/** The namespaces of the backends that this user may be on; of all for commands that name no mailbox user. */
export function namespacesOf(
  settings: Settings,
  { user }: RecordedLine,
): Pick<ReturnType<typeof jointDestination>, 'sharedNamespaces' | 'mailboxNames'> {
  const backends = backendsFor(settings, user);
  return jointDestination(backends.length > 0 ? backends : settings.backends);
}
