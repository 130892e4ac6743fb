// Whether a lock or a hold stops a command: checked when it is judged, and again whenever it is about to be sent.

import type { Judgement } from '../../rules/policy/judge.js';
import type { AccessDesk } from '../access/desk.js';
import type { Lockable } from '../access/lock.js';
import type { ExchangeContext, ExchangeSession } from './context.js';

export function lockableOf(
  { names: { listener }, human, subject: { policy } }: Pick<ExchangeSession, 'names' | 'human' | 'subject'>,
  judgement: Judgement | undefined,
  backends: readonly { readonly name: string }[],
): Lockable {
  const touched = judgement?.kind === 'judged' ? judgement.attempt : undefined;
  return { human, listener, backends, touched, policy };
}

export function lockedEnding(
  { access: { locks } }: Pick<ExchangeContext, 'access'>,
  ...command: Parameters<typeof lockableOf>
): ReturnType<AccessDesk['locks']['endingOn']> {
  // Fast path: nearly always there is no lock.
  return locks.size === 0 ? undefined : locks.endingOn(lockableOf(...command));
}
