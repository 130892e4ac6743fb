// What the page's process may ask for, by calls and by bytes, before anything of a call is read. Each kind of call has its own, so that
// looks keep nobody from draining a backend. Decisions are brief, and judged after they were read: what takes a right away is refused for
// no rate.

import { bounds } from '../bounds/bounds.js';
import { TokenBuckets, type TokenLimits } from '../concurrency/limits.js';
import { type DoorCall, doorCalls } from '../domain/admin/door/door.js';

const kibibyte = 1024;
const kinds = Object.keys(doorCalls).length;
const callRate = { burst: bounds.doorCalls, refillMs: bounds.doorCallMs };
/** A stream begins with all of the settings, or with a state; the traffic is made of tens of thousands of counts. */
const streamRate = { burst: bounds.doorStreamOpens, refillMs: bounds.doorStreamMs };
const bytesRate = { burst: bounds.doorCallBytes / kibibyte, refillMs: bounds.doorKibibyteMs };
/** Approving may count mails at a backend. */
const stepRate = { burst: bounds.doorSteps, refillMs: bounds.doorStepMs };
/** A list looks at every request and grant. */
const listRate = { burst: bounds.doorLists, refillMs: bounds.doorListMs };
const costly: ReadonlySet<DoorCall> = new Set(['settings', 'now', 'traffic']);

const decisions: ReadonlySet<DoorCall> = new Set(['operate', 'access']);

/** What a decision is: a backend back in service, a step of access on request, a list of them; or it was malformed, or ended nothing. */
export type Decided = 'enable' | 'step' | 'list' | 'nothing';

/** Bytes of a body. A question of the playground may be as long as a line of a client; the others are brief. */
export function doorBodyMax(call: DoorCall): number {
  if (decisions.has(call)) return bounds.httpAccessBytes;
  return call === 'record' ? bounds.doorBodyBytes : bounds.doorBriefBytes;
}

export class DoorBudget {
  readonly #calls = new TokenBuckets(each(callRate));
  readonly #costly = new TokenBuckets(each(streamRate));
  readonly #bytes = new TokenBuckets(each(bytesRate));
  readonly #steps = new TokenBuckets(each(stepRate));
  readonly #lists = new TokenBuckets(each(listRate));

  /** Undefined: it may be read; else how long it is too early, in milliseconds. `bytes`: of its body, as its head says. */
  take(call: DoorCall, bytes: number, nowMs: number): number | undefined {
    if (decisions.has(call)) return undefined;
    const counted = costly.has(call) ? this.#costly : this.#calls;
    return (
      counted.take(call, nowMs) ??
      (bytes === 0 ? undefined : this.#bytes.take(call, nowMs, Math.ceil(bytes / kibibyte)))
    );
  }

  /** A decision that takes no right away; as `take`. */
  takeDecided(what: Decided, nowMs: number): number | undefined {
    if (what === 'list') return this.#lists.take(what, nowMs);
    return (what === 'step' ? this.#steps : this.#calls).take(what, nowMs);
  }
}

function each(rate: { readonly burst: number; readonly refillMs: number }): TokenLimits {
  return { ...rate, sourcesMax: kinds };
}
