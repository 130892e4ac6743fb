// How a judgement that says no ends an exchange. Pure.

import type { Ending } from '../engine/outcome.js';
import { limitAsks } from '../policy/limits.js';
import type { ExchangeContext, ExchangeSession } from './exchange-context.js';
import { isSame, type Judged, type Judgement } from './judge.js';

/** The ending of a command that was not understood or not allowed. */
export function refusalOf(judgement: Judgement, policy: string): Ending {
  if (judgement.kind === 'unparsable') {
    return { kind: 'unparsable', code: judgement.code, reason: judgement.message };
  }
  return { kind: 'denied', reason: judgement.decision.reason, policy };
}

/**
 * The backend turned out to be of another series than the command was judged for. Undefined: it means the same there
 * and is allowed there; else how the exchange ends. What would be sent must be what the admission says.
 */
export function refusalOnSecondLook(again: Judgement, first: Judged, policy: string): Ending | undefined {
  if (again.kind === 'unparsable' || again.decision.kind === 'deny') return refusalOf(again, policy);
  const isSameThing =
    again.attempt.effect === first.attempt.effect &&
    again.attempt.command.name === first.attempt.command.name &&
    again.wantsUsernameCell === first.wantsUsernameCell &&
    isSame(again.args, first.args);
  if (isSameThing) return undefined;
  const series = again.attempt.series;
  return { kind: 'unroutable', reason: `the backend turned out to be Dovecot ${series}; try again` };
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
  if (obligations?.reason === true && (reason ?? '') === '') {
    return { kind: 'denied', reason: 'the client must say why', policy: policy.name };
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
