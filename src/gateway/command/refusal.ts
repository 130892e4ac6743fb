// How a judgement that says no ends an exchange. Pure.

import { replyShape } from '../../domain/commands/columns.js';
import { noAllUsers } from '../../domain/policy/assess.js';
import { isSame, type Judged, type Judgement } from '../../domain/policy/judge.js';
import { limitAsks } from '../../domain/policy/limits.js';
import { areSameTerms } from '../../domain/policy/rule.js';
import { saysWhy, whyNoReason } from '../../domain/policy/says-why.js';
import type { Ending } from '../outcome/outcome.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';

/** The ending of a command that was not understood or not allowed. */
export function refusalOf(judgement: Judgement, policy: string): Ending {
  if (judgement.kind === 'unparsable') {
    return { kind: 'unparsable', code: judgement.code, reason: judgement.message };
  }
  return { kind: 'denied', reason: judgement.decision.reason, policy };
}

/**
 * The backend turned out to be another than the command was judged for: of another series, or one that a referral points to.
 * Undefined: it means the same there and is allowed there; else how the exchange ends. What would be sent must be what the
 * admission says, and what its rule asks for besides has been done already.
 */
export function refusalOnSecondLook(again: Judgement, first: Judged, policy: string): Ending | undefined {
  const refusal = refusalAfterReload(again, first, policy);
  if (refusal !== undefined || again.kind === 'unparsable') return refusal;
  if (areSameTerms(again.decision.obligations, first.decision.obligations)) return undefined;
  return {
    kind: 'unroutable',
    reason: 'its rule has other terms at the backend that it leads to; ask for it there',
  };
}

/** The same by another policy than the first look's, whose terms the caller compares. */
export function refusalAfterReload(again: Judgement, first: Judged, policy: string): Ending | undefined {
  if (again.kind === 'unparsable' || again.decision.kind === 'deny') return refusalOf(again, policy);
  if (again.unable !== undefined) {
    return { kind: 'unparsable', code: again.unable.code, reason: again.unable.message };
  }
  if (again.attempt.everybody === 'option' && again.series.includes('2.3')) return noAllUsers;
  const isSameThing =
    cellsOf(again) === cellsOf(first) &&
    again.attempt.effect === first.attempt.effect &&
    again.attempt.command.name === first.attempt.command.name &&
    again.wantsUsernameCell === first.wantsUsernameCell &&
    isSame(again.args, first.args);
  if (isSameThing) return undefined;
  const { series } = again.attempt;
  const reason = first.series.includes(series)
    ? 'the backend that it leads to is judged differently; ask for it there'
    : `the backend turned out to be Dovecot ${series}; try again`;
  return { kind: 'unroutable', reason };
}

/** Of a row that may be joined with those of other backends. */
function cellsOf({ attempt: { command, parsed } }: Judged): number | undefined {
  return command.scope === 'server' ? replyShape(parsed, undefined)?.columns.length : undefined;
}

/** What policy demands of an allowed command besides: room for its records, a reason, and counts within its limits. */
export function refuseByLimits(
  judgement: Judged,
  session: ExchangeSession,
  context: ExchangeContext,
): Ending | undefined {
  const { policy, reason } = session;
  const { obligations } = judgement.decision;
  // Before it is counted: what the disk refuses has used nothing up.
  if (context.journal.space === 'reserve' && obligations?.emergency !== true) {
    return { kind: 'refused', why: 'audit-reserve' };
  }
  if (obligations?.reason === true && !saysWhy(reason)) {
    return { kind: 'denied', reason: whyNoReason(reason), policy: policy.name };
  }
  const asks = limitAsks(policy, obligations, judgement.attempt);
  if (asks.length === 0) return undefined;
  const verdict = context.limiter.admit(asks, context.clock.now());
  switch (verdict.kind) {
    case 'within':
      return undefined;
    case 'over':
      return { kind: 'limited', policy: policy.name, retryAfterMs: verdict.retryAfterMs };
    case 'full':
      return { kind: 'limited', policy: policy.name, retryAfterMs: undefined };
    default:
      return verdict satisfies never;
  }
}
