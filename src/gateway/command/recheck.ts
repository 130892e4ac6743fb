// The second look at an allowed command that waited: at another backend than it was judged for, or after a reload. It does not
// know what was waited for. The rules: what is sent is what the admission says; of two configurations the stricter one counts.

import type { Series } from '../../domain/commands/catalog.js';
import { homeOf, nothingAsked, type RoutedBackend } from '../../domain/policy/assess.js';
import type { Judged } from '../../domain/policy/judge.js';
import { saysWhy, whyNoReason } from '../../domain/policy/says-why.js';
import type { CommandLine } from '../../protocol/command.js';
import type { Ending } from '../outcome/outcome.js';
import { judgeAt } from './assessment.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';
import { refusalAfterReload, refusalOnSecondLook } from './refusal.js';
import type { Destination } from './router.js';

/** A command as it was judged first, and by what. */
export interface FirstLook {
  readonly context: ExchangeContext;
  readonly session: ExchangeSession;
  readonly line: CommandLine;
  readonly judgement: Judged;
  /** The backends that it was judged for. */
  readonly destinations: readonly Destination[];
  readonly aliases: readonly string[];
}

/** The ending of what cannot be finished by the configuration that it began with. */
export const changedMeanwhile: Ending = {
  kind: 'unroutable',
  reason: 'the configuration changed while the command waited; try again',
};

/** For a backend that it was not judged for. Undefined: it means the same there and is allowed. */
export function lookThere(first: FirstLook, there: Destination): Ending | undefined {
  const { context, session, line, judgement, aliases } = first;
  const again = judgeAt(context, session, line, there, aliases);
  return refusalOnSecondLook(again, judgement, session.policy.name);
}

/** For the upstream that it got, by what holds now. Undefined: it means the same and is allowed. */
export function lookAgain(first: FirstLook, destination: Destination, series: Series): Ending | undefined {
  const { context, session, line, judgement, aliases } = first;
  if (!session.isCurrent(context)) return afterReload(first, destination, series);
  if (stillHolds(first, destination, series)) return undefined;
  const again = judgeAt(context, session, line, atSeries(destination, series), aliases);
  return refusalOnSecondLook(again, judgement, session.policy.name);
}

/** The backend as it is of one series. */
function atSeries({ name, sharedNamespaces, mailboxNames }: Destination, series: Series): RoutedBackend {
  return { name, series, sharedNamespaces, mailboxNames };
}

/** Whether what was judged first is what would be judged now. Where a referral led was judged by another rule perhaps, until then. */
function stillHolds(
  { context, judgement, destinations }: FirstLook,
  destination: Destination,
  series: Series,
): boolean {
  const { holdsUntilMs } = judgement;
  if (!judgement.series.includes(series) || !destinations.includes(destination)) return false;
  return holdsUntilMs === undefined || context.clock.wallMs() < holdsUntilMs;
}

function afterReload(first: FirstLook, destination: Destination, series: Series): Ending | undefined {
  const { session, line, judgement, aliases } = first;
  const { context, policy } = session.now();
  if (policy === undefined) {
    return { kind: 'denied', reason: 'its peer is no longer served', policy: session.policy.name };
  }
  const there = context.router.table.backends.find(({ pool }) => pool === destination.pool);
  if (there === undefined || !mayLeadThere(first, context, there)) return changedMeanwhile;
  const now = { names: session.names, clientMinor: session.clientMinor, policy };
  const again = judgeAt(context, now, line, atSeries(there, series), aliases);
  const refusal = refusalAfterReload(again, judgement, policy.name);
  if (refusal !== undefined || again.kind === 'unparsable') return refusal;
  const { reason, maxMatches } = again.decision.obligations ?? {};
  if (reason === true && !saysWhy(session.reason)) {
    return { kind: 'denied', reason: whyNoReason(session.reason), policy: policy.name };
  }
  // Who is meant, whether somebody is asked who else that is, how mails are counted and what of the reply is shown was settled when
  // it began, and cannot be made stricter on the way.
  const isAskedAlike = !context.router.table.asksUserdb || first.context.router.table.asksUserdb;
  const isHandledAlike =
    isAskedAlike &&
    again.user === judgement.user &&
    policy.logs === session.policy.logs &&
    policy.debug === session.policy.debug &&
    maxMatches === judgement.decision.obligations?.maxMatches;
  return isHandledAlike ? undefined : changedMeanwhile;
}

/** Whether the routes of now lead to where those of then did; of a referral and of what names no user the routes say nothing. */
function mayLeadThere(first: FirstLook, { router }: ExchangeContext, there: Destination): boolean {
  const { user, attempt } = first.judgement;
  const isRouted = attempt.command.scope === 'user' && attempt.everybody !== 'option' && user !== '';
  const isReferred = !first.destinations.some(({ pool }) => pool === there.pool);
  if (!isRouted || isReferred) return true;
  const home = homeOf(user, router.table, nothingAsked);
  return (home.kind === 'to' || home.kind === 'anywhere') && home.backends.some((each) => each === there);
}
