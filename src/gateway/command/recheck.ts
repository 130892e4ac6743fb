// Whether an allowed command may be sent: the policy's demands beyond its rule, and the recheck of a command that waited, moved to another
// backend, or was overtaken by a reload. The command that is sent is the one that the admission names. Of two configurations the stricter
// one counts.

import { requestLine } from '../../domain/judging/answers/explanation.js';
import { judgeFor, noAllUsers, whyUnfit } from '../../domain/judging/policy/assess.js';
import type { GrantsAtHand } from '../../domain/judging/policy/grant.js';
import { isSame, type Judged, type Judgement, type Subject } from '../../domain/judging/policy/judge.js';
import { homeOf, nothingAsked, type RoutedBackend } from '../../domain/judging/policy/route.js';
import { areSameTerms, limitAsks, mostMatches, whyNoReason } from '../../domain/judging/policy/terms.js';
import type { Series } from '../../domain/language/commands/catalog.js';
import { replyShape } from '../../domain/language/meaning/columns.js';
import type { CommandLine } from '../../protocol/command.js';
import type { Server } from '../../protocol/releases.js';
import type { Ending } from '../outcome/outcome.js';
import type { Destination } from './assessment.js';
import type { ExchangeContext, ExchangeSession } from './context.js';
import type { SessionNames } from './exchange-records.js';

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

/**
 * The ending of a command that was not parsed or not allowed. `withheld`: the id of a grant that is not for processes without a login of a
 * person.
 */
export function refusalOf(
  judgement: Judgement,
  policy: string,
  { socket }: SessionNames,
  withheld?: string,
): Ending {
  if (judgement.kind === 'unparsable') {
    return { kind: 'unparsable', code: judgement.code, reason: judgement.message };
  }
  const { decision } = judgement;
  const request = decision.onRequest && requestLine(judgement, socket);
  if (request !== undefined && withheld !== undefined) {
    const reason = `grant ${withheld} was given without a request, so it is not for processes without a login (cron, at, a service) or in that of root: log in, or ask: ${request}`;
    return { kind: 'denied', code: 'grant-withheld', reason, policy };
  }
  return { kind: 'denied', code: decision.code, reason: decision.reason, policy, request };
}

/** The policy's demands beyond the rule: room for its records, a reason, and, where it `counts`, counts within its limits. */
export function refuseByLimits(
  { attempt, decision: { obligations } }: Judged,
  { names: { origin }, subject: { policy }, stated: { reason } }: ExchangeSession,
  { journal, limiter, clock }: ExchangeContext,
  counts = true,
): Ending | undefined {
  // Checked before the limits: a command that the disk refuses must not use them up.
  if (journal.space === 'reserve' && obligations?.emergency !== true) {
    return { kind: 'refused', why: 'audit-reserve' };
  }
  if (journal.isOverShare(origin) && obligations?.emergency !== true) {
    return { kind: 'refused', why: 'audit-share' };
  }
  const unsaid = whyNoReason(obligations, reason);
  if (unsaid !== undefined) return { kind: 'denied', ...unsaid, policy: policy.name };
  const asks = counts ? limitAsks(policy, obligations, attempt, origin) : [];
  if (asks.length === 0) return undefined;
  const verdict = limiter.admit(asks, clock.now());
  switch (verdict.kind) {
    case 'within':
      return undefined;
    case 'over':
      return { ...verdict, kind: 'limited' };
    case 'full':
      return { kind: 'limited', limit: `a limit of policy ${policy.name}`, retryAfterMs: undefined };
    default:
      return verdict satisfies never;
  }
}

export const changedMeanwhile: Ending = { kind: 'refused', why: 'changed-meanwhile' };

/** For a backend that it was not judged for. Undefined: it means the same there and is allowed. */
export function recheckAt(first: AllowedCommand, there: RoutedBackend): Ending | undefined {
  const { context, line, judgement, aliases } = first;
  const { clock, router } = context;
  const subject = subjectOf(first);
  const again = judgeFor(line, subject, router.table, [there], aliases, clock.wallMs());
  const refusal = refusalOnRecheck(again, first, subject.policy.name);
  if (refusal !== undefined || again.kind === 'unparsable') return refusal;
  // These terms were met already.
  if (areSameTerms(again.decision.obligations, judgement.decision.obligations)) return undefined;
  return {
    kind: 'unroutable',
    reason: 'its rule has other terms at the backend that it leads to; ask for it there',
  };
}

/**
 * For the upstream that it got, by the present configuration. `chosen`: where it was to go, before a reload replaced that by `destination`.
 * Undefined: it means the same and is allowed.
 */
export function recheck(
  first: AllowedCommand,
  chosen: Destination,
  destination: Destination,
  server: Server,
): Ending | undefined {
  const { context, session, judgement, destinations } = first;
  const { grant } = judgement.decision;
  if (grant !== undefined && grant !== '' && !context.access.isLive(grant))
    return { kind: 'grant-over', grant, policy: session.subject.policy.name };
  const unfit = whyUnfit(judgement, { name: destination.name, newer: destination.newer, server });
  if (unfit !== undefined) return unfit;
  const { series } = server;
  if (!session.isCurrent(context)) return afterReload(first, chosen, destination, series);
  const { holdsUntilMs } = judgement;
  const isInTime = holdsUntilMs === undefined || context.clock.wallMs() < holdsUntilMs;
  // After a referral another rule may have applied.
  const stillHolds = judgement.series.includes(series) && destinations.includes(destination) && isInTime;
  return stillHolds ? undefined : recheckAt(first, atSeries(destination, series));
}

function subjectOf({ session: { subject }, grants }: AllowedCommand): Subject {
  return grants === undefined ? subject : { ...subject, grants };
}

function atSeries({ name, sharedNamespaces, mailboxNames }: Destination, series: Series): RoutedBackend {
  return { name, series, sharedNamespaces, mailboxNames };
}

function afterReload(
  first: AllowedCommand,
  chosen: Destination,
  destination: Destination,
  series: Series,
): Ending | undefined {
  const { session, line, judgement, aliases } = first;
  const { context, policy } = session.now();
  if (policy === undefined) {
    const { name } = session.subject.policy;
    return { kind: 'denied', code: 'not-served', reason: 'its peer is no longer served', policy: name };
  }
  const { table } = context.router;
  const there = table.backends.find(({ pool }) => pool === destination.pool);
  if (there === undefined || !mayLeadThere(first, context, chosen, there)) return changedMeanwhile;
  const subject: Subject = { ...subjectOf(first), policy };
  const again = judgeFor(line, subject, table, [atSeries(there, series)], aliases, context.clock.wallMs());
  const refusal = refusalOnRecheck(again, first, policy.name);
  if (refusal !== undefined || again.kind === 'unparsable') return refusal;
  const unsaid = whyNoReason(again.decision.obligations, session.stated.reason);
  if (unsaid !== undefined) return { kind: 'denied', ...unsaid, policy: policy.name };
  // The user, the alias look-up, the counting of mails and the filter of the reply were settled at the start, and cannot be tightened
  // afterwards.
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
 * The backend differs from the judged one, or the policy changed. Undefined: the command means the same and is allowed, terms aside; it
 * must be the one in the admission.
 */
function refusalOnRecheck(
  again: Judgement,
  { judgement: first, session }: AllowedCommand,
  policy: string,
): Ending | undefined {
  if (again.kind === 'unparsable' || again.decision.kind === 'deny')
    return refusalOf(again, policy, session.names);
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
