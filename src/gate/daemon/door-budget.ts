// Rate limits for the page's process, by calls and by bytes, checked before anything of a call is read. Each kind of call has its own
// budget, so that reading cannot block draining a backend. Decisions are short, so they are read first and limited afterwards. An action
// that takes a right away, once, is never refused for its rate.

import { bounds } from '../../host/bounds/bounds.js';
import { TokenBuckets, type TokenLimits } from '../../host/concurrency/limits.js';
import { type DoorAction } from '../door/action.js';
import { callRow, type DoorCall, doorCalls } from '../door/calls.js';

const kibibyte = 1024;
const callRate = { burst: bounds.doorCalls, refillMs: bounds.doorCallMs };
/** Expensive calls: a stream begins with all settings or with a state, and the traffic has tens of thousands of counts. */
const streamRate = { burst: bounds.doorStreamOpens, refillMs: bounds.doorStreamMs };
const bytesRate = { burst: bounds.doorCallBytes / kibibyte, refillMs: bounds.doorKibibyteMs };
/** Approving may count mails at a backend. */
const stepRate = { burst: bounds.doorSteps, refillMs: bounds.doorStepMs };
/** A list looks at every request and grant. */
const listRate = { burst: bounds.doorLists, refillMs: bounds.doorListMs };
/** A lock is recorded and may end running commands. After it is lifted or has ended it can be repeated. */
const lockRate = { burst: bounds.doorLocks, refillMs: bounds.doorLockMs };

const kinds = Object.keys(doorCalls).length;

/**
 * The budgets of decisions. `enable`: a backend back in service, an acknowledgement, a lifted lock. `step`: access on request. `nothing`: a
 * decision that was malformed or had no effect.
 */
export type Decided = 'enable' | 'lock' | 'step' | 'list' | 'nothing';

/** An action without a budget takes a right away, which can be done once only. */
export const actionBudgets: Readonly<Record<DoorAction['kind'], Decided | undefined>> = {
  kill: undefined,
  drain: undefined,
  enable: 'enable',
  acknowledge: 'enable',
  lock: 'lock',
  unlock: 'enable',
};

export class DoorBudget {
  readonly #calls = new TokenBuckets(each(callRate));
  readonly #costly = new TokenBuckets(each(streamRate));
  readonly #bytes = new TokenBuckets(each(bytesRate));
  readonly #steps = new TokenBuckets(each(stepRate));
  readonly #locks = new TokenBuckets(each(lockRate));
  readonly #lists = new TokenBuckets(each(listRate));

  /** Returns undefined if the call may be read, else the time to wait, in milliseconds. `bytes`: length of the body. */
  take(call: DoorCall, bytes: number, nowMs: number): number | undefined {
    if (callRow(call).costs === 'decision') return undefined;
    const counted = callRow(call).costs === 'stream' ? this.#costly : this.#calls;
    return (
      counted.take(call, nowMs) ??
      (bytes === 0 ? undefined : this.#bytes.take(call, nowMs, Math.ceil(bytes / kibibyte)))
    );
  }

  /** Counts a decision; returns as `take` does. */
  takeDecided(what: Decided, nowMs: number): number | undefined {
    const [list, step, lock, enable] = [this.#lists, this.#steps, this.#locks, this.#calls];
    return { list, step, lock, enable, nothing: enable }[what].take(what, nowMs);
  }
}

function each(rate: { readonly burst: number; readonly refillMs: number }): TokenLimits {
  return { ...rate, sourcesMax: kinds };
}
