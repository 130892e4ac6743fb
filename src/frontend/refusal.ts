// How a judgement that says no ends an exchange. Pure.

import type { Ending } from '../engine/outcome.js';
import type { Judged, Judgement } from './judge.js';

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
  const isSame =
    again.attempt.effect === first.attempt.effect &&
    again.attempt.command.name === first.attempt.command.name &&
    again.args.length === first.args.length &&
    again.args.every((word, at) => word === first.args[at]);
  if (isSame) return undefined;
  const series = again.attempt.series;
  return { kind: 'unroutable', reason: `the backend turned out to be Dovecot ${series}; try again` };
}
