// Whether an allowed command may be sent: the policy's demands beyond its rule, and the recheck of a command that waited, moved to another
// backend, or was overtaken by a reload. The command that is sent is the one that the admission names. Of two configurations the stricter
// one counts.

import type { Series } from '../../doveadm/commands/catalog.js';
import { replyShape } from '../../doveadm/meaning/columns.js';
import type { CommandLine } from '../../doveadm/protocol/command.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import { requestLine } from '../../rules/answers/explanation.js';
import { judgeFor, noAllUsers, whyUnfit } from '../../rules/policy/assess.js';
import type { GrantsAtHand } from '../../rules/policy/grant.js';
import { isAllowed, isSame, type Judged, type Judgement, type Subject } from '../../rules/policy/judge.js';
import { type Compared, comparedOf, type Outcome, outcomesOf } from '../../rules/policy/outcome.js';
import type { Policy } from '../../rules/policy/policy.js';
import { homeOf, nothingAsked, type RoutedBackend } from '../../rules/policy/route.js';
import { areSameTerms, type LimitAsk, type Limiter, mostMatches } from '../../rules/policy/terms.js';
import type { GrantOver } from '../access/desk.js';
import type { Ending } from '../outcome/outcome.js';
import type { Destination } from './assessment.js';
import type { ExchangeContext, ExchangeSession } from './context.js';
import type { SessionNames } from './exchange-records.js';
import { lockedEnding } from './locked.js';

export interface AllowedCommand {
  readonly context: ExchangeContext;
  readonly session: ExchangeSession;
  readonly line: CommandLine;
  readonly judgement: Judged;
  /** The backends of that judgement; not empty for commands that a backend gets. */
  readonly destinations: readonly Destination[];
  readonly aliases: readonly string[];
  readonly grants: GrantsAtHand | undefined;
}

export interface BesideGrants {
  /** The id of a grant that is not for processes without a login of a person. */
  readonly withheld?: string | undefined;
  /** The last grant for it, and how it ended. */
  readonly over?: GrantOver | undefined;
}

/** The refusal for an outcome; undefined if policy serves the command. */
export function refusalBy(
  outcome: Outcome,
  judgement: Judgement,
  policy: string,
  { socket }: SessionNames,
  { withheld, over }: BesideGrants = {},
): Ending | undefined {
  switch (outcome.kind) {
    case 'served':
    case 'depends':
      return undefined;
    case 'unparsable':
      return { kind: 'unparsable', code: outcome.code, reason: outcome.reason };
    case 'over-limit':
      return { kind: 'limited', limit: outcome.limit, retryAfterMs: outcome.retryAfterMs };
    case 'denied':
    case 'no-reason':
      return { kind: 'denied', code: outcome.code, reason: outcome.reason, policy };
    case 'on-request': {
      const line = judgement.kind === 'judged' ? requestLine(judgement, socket) : undefined;
      const request = line === undefined || over === undefined ? line : `${over.words}, ask again: ${line}`;
      if (withheld === undefined)
        return { kind: 'denied', code: over?.code ?? outcome.code, reason: outcome.reason, policy, request };
      const reason = `grant ${withheld} was given without a request, so it is not for processes without a login (cron, at, a service) or in that of root: log in, or ask: ${line}`;
      return { kind: 'denied', code: 'grant-withheld', reason, policy };
    }
    default:
      return outcome satisfies never;
  }
}

/** Refuses a command if the journal has no room for its records. Call it before limits are counted: a refusal must not use them up. */
export function refuseByJournal(
  { decision: { obligations } }: Judged,
  { names: { origin } }: ExchangeSession,
  { journal }: ExchangeContext,
): Ending | undefined {
  if (obligations?.emergency === true) return undefined;
  if (journal.space === 'reserve') return { kind: 'refused', why: 'audit-reserve' };
  return journal.isOverShare(origin) ? { kind: 'refused', why: 'audit-share' } : undefined;
}

/** The outcome of a command under its policy, and under the policy's candidate. `counts`: whether it counts against the limits of both. */
export function outcomesIn(
  judgement: Judgement,
  { names: { origin }, subject: { policy }, stated: { reason } }: ExchangeSession,
  { limiter, candidateLimiter, clock }: ExchangeContext,
  counts: boolean,
): Compared {
  const countIn = (by: Limiter) =>
    counts ? (asks: readonly LimitAsk[]) => by.admit(asks, clock.now()) : undefined;
  const given = { reason, origin, count: countIn(limiter) };
  if (policy.shadow === undefined) return outcomesOf(judgement, policy, given);
  return comparedOf(judgement, policy, given, { ...given, count: countIn(candidateLimiter) });
}

export const changedMeanwhile: Ending = { kind: 'refused', why: 'changed-meanwhile' };

/** Rechecks a command for a backend that it was not judged for. Returns undefined if it means the same there and is allowed. */
export function recheckAt(first: AllowedCommand, there: RoutedBackend): Ending | undefined {
  const { context, line, judgement, aliases } = first;
  const { clock, router } = context;
  const subject = subjectOf(first);
  const again = judgeFor(line, subject, router.table, [there], aliases, clock.wallMs());
  // The same terms were met already.
  const hasSameTerms =
    !isAllowed(again) || areSameTerms(again.decision.obligations, judgement.decision.obligations);
  if (hasSameTerms) return refusalOnRecheck(again, first, subject.policy);
  return {
    kind: 'unroutable',
    reason: 'its rule has other terms at the backend that it leads to; ask for it there',
  };
}

/**
 * Rechecks a command for the upstream that it got, by the present configuration. `chosen`: its destination before a reload replaced that by
 * `destination`. Returns undefined if the command means the same and is allowed.
 */
export function recheck(
  first: AllowedCommand,
  chosen: Destination,
  destination: Destination,
  server: Server,
): Ending | undefined {
  const { context, session, judgement, destinations } = first;
  const locked = lockedEnding(context, session, judgement, [destination]);
  if (locked !== undefined) return locked;
  const { grant } = judgement.decision;
  if (grant !== undefined && grant !== '' && !context.access.isLive(grant))
    return { kind: 'grant-over', grant, policy: session.subject.policy.name };
  const unfit = whyUnfit(judgement, { name: destination.name, newer: destination.newer, server });
  if (unfit !== undefined) return unfit;
  const { series } = server;
  if (!session.isCurrent(context)) return afterReload(first, chosen, destination, series);
  // A key, or the authority of a client's certificate, can expire without a reload.
  if (session.proof.kind !== 'kernel' && session.now().policy === undefined) return notServed(session);
  const { holdsUntilMs } = judgement;
  const isInTime = holdsUntilMs === undefined || context.clock.wallMs() < holdsUntilMs;
  // After a referral another rule may apply.
  const stillHolds = judgement.series.includes(series) && destinations.includes(destination) && isInTime;
  return stillHolds ? undefined : recheckAt(first, atSeries(destination, series));
}

function subjectOf({ session: { subject }, grants }: AllowedCommand): Subject {
  return grants === undefined ? subject : { ...subject, grants };
}

function atSeries({ name, sharedNamespaces, mailboxNames }: Destination, series: Series): RoutedBackend {
  return { name, series, sharedNamespaces, mailboxNames };
}

function notServed({ subject }: ExchangeSession): Ending {
  const { name: policy } = subject.policy;
  return { kind: 'denied', code: 'not-served', reason: 'its peer is no longer served', policy };
}

function afterReload(
  first: AllowedCommand,
  chosen: Destination,
  destination: Destination,
  series: Series,
): Ending | undefined {
  const { session, line, judgement, aliases } = first;
  const { context, policy } = session.now();
  if (policy === undefined) return notServed(session);
  const { table } = context.router;
  const there = table.backends.find(({ pool }) => pool === destination.pool);
  if (there === undefined || !mayLeadThere(first, context, chosen, there)) return changedMeanwhile;
  const subject: Subject = { ...subjectOf(first), policy };
  const again = judgeFor(line, subject, table, [atSeries(there, series)], aliases, context.clock.wallMs());
  const refusal = refusalOnRecheck(again, first, policy);
  if (refusal !== undefined || again.kind === 'unparsable') return refusal;
  // The user, the aliases, the count of mails and the filter of the reply were settled at the start and cannot be tightened afterwards.
  const before = session.subject.policy;
  const isHandledAlike =
    (!table.asksUserdb || first.context.router.table.asksUserdb) &&
    again.user === judgement.user &&
    policy.logs === before.logs &&
    policy.debug === before.debug &&
    mostMatches(again.decision.obligations) === mostMatches(judgement.decision.obligations);
  return isHandledAlike ? undefined : changedMeanwhile;
}

/**
 * Whether present routes still lead to the same backends. Routes do not cover referrals, nor commands that name no user. A referral or a
 * passdb named a host: under another address, the backend of that name is another host.
 */
function mayLeadThere(
  first: AllowedCommand,
  { router }: ExchangeContext,
  chosen: Destination,
  there: Destination,
): boolean {
  const { user, attempt } = first.judgement;
  const isRouted = attempt.command.scope === 'user' && attempt.everybody !== 'option' && user !== '';
  if (!isRouted) return true;
  const isSamePlace = there.place === chosen.place;
  // By name: a reload may have replaced its pool.
  const isReferred = !first.destinations.some(({ name }) => name === there.name);
  if (isReferred) return isSamePlace;
  const home = homeOf(user, router.table, nothingAsked);
  switch (home.kind) {
    case 'to':
      return home.backends.includes(there) && (home.isByRoute || isSamePlace);
    case 'nowhere':
    case 'open':
      return false;
    default:
      return home satisfies never;
  }
}

/**
 * The refusal of a command at a backend other than the judged one, or under a changed policy. Returns undefined if it means the same and is
 * allowed, limits aside: it must be the command in the admission.
 */
function refusalOnRecheck(
  again: Judgement,
  { judgement: first, session: { stated, names } }: AllowedCommand,
  policy: Policy,
): Ending | undefined {
  const { done } = outcomesOf(again, policy, { reason: stated.reason, origin: names.origin });
  const refusal = refusalBy(done, again, policy.name, names);
  if (refusal !== undefined || again.kind === 'unparsable') return refusal;
  if (again.unable !== undefined) return again.unable;
  if (again.attempt.everybody === 'option' && again.series.includes('2.3')) return noAllUsers;
  const isSameThing =
    again.decision.grant === first.decision.grant &&
    cellsOf(again) === cellsOf(first) &&
    again.attempt.effect === first.attempt.effect &&
    again.attempt.command.name === first.attempt.command.name &&
    again.wantsUsernameCell === first.wantsUsernameCell &&
    isSame(again.args, first.args);
  if (isSameThing) return undefined;
  if (!first.series.includes(again.attempt.series)) return changedMeanwhile;
  return {
    kind: 'unroutable',
    reason: 'the backend that it leads to is judged differently; ask for it there',
  };
}

function cellsOf({ attempt: { command, parsed } }: Judged): number | undefined {
  return command.scope === 'server' ? replyShape(parsed)?.columns.length : undefined;
}
