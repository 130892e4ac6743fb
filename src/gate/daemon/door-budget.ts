// What the page's process may ask for, by calls and by bytes, before anything of a call is read. Each kind of call has its own, so that
// looks keep nobody from draining a backend. Decisions are brief, and judged after they were read: what takes a right away is refused for
// no rate, where it can be done once only. A call, an action or a step without a row here does not compile.

import { bounds } from '../../host/bounds/bounds.js';
import { TokenBuckets, type TokenLimits } from '../../host/concurrency/limits.js';
import { callRow, type DoorAction, type DoorCall, doorCalls } from '../door/calls.js';

const kibibyte = 1024;
const callRate = { burst: bounds.doorCalls, refillMs: bounds.doorCallMs };
/** A stream begins with all of the settings, or with a state; the traffic is made of tens of thousands of counts. */
const streamRate = { burst: bounds.doorStreamOpens, refillMs: bounds.doorStreamMs };
const bytesRate = { burst: bounds.doorCallBytes / kibibyte, refillMs: bounds.doorKibibyteMs };
/** Approving may count mails at a backend. */
const stepRate = { burst: bounds.doorSteps, refillMs: bounds.doorStepMs };
/** A list looks at every request and grant. */
const listRate = { burst: bounds.doorLists, refillMs: bounds.doorListMs };
/** Each one is recorded, may end what runs, and can be repeated by its lift or its end. */
const lockRate = { burst: bounds.doorLocks, refillMs: bounds.doorLockMs };

const kinds = Object.keys(doorCalls).length;

/** What a decision is: a backend back in service, a step of access on request, a list of them; or it was malformed, or ended nothing. */
export type Decided = 'enable' | 'lock' | 'step' | 'list' | 'nothing';

/** Undefined: it takes a right away, once. */
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

  /** Undefined: it may be read; else how long it is too early, in milliseconds. `bytes`: of its body, as its head says. */
  take(call: DoorCall, bytes: number, nowMs: number): number | undefined {
    if (callRow(call).costs === 'decision') return undefined;
    const counted = callRow(call).costs === 'stream' ? this.#costly : this.#calls;
    return (
      counted.take(call, nowMs) ??
      (bytes === 0 ? undefined : this.#bytes.take(call, nowMs, Math.ceil(bytes / kibibyte)))
    );
  }

  /** A decision that has a budget; as `take`. */
  takeDecided(what: Decided, nowMs: number): number | undefined {
    const [list, step, lock, enable] = [this.#lists, this.#steps, this.#locks, this.#calls];
    return { list, step, lock, enable, nothing: enable }[what].take(what, nowMs);
  }
}

function each(rate: { readonly burst: number; readonly refillMs: number }): TokenLimits {
  return { ...rate, sourcesMax: kinds };
}
