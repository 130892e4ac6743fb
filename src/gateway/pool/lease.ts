// The words between an exchange and a pool: who asks for a lease, how it ends, and why there was none.

import type { CloseReason } from '../../ports/close-reason.js';
import type { Upstream } from './upstream-options.js';

/** Why there is no lease. */
export type LeaseRefusalCode = 'queue-full' | 'queue-timeout' | 'draining' | 'backend-drained';

/** No lease: a value, not a fault. */
export class LeaseRefusal extends Error {
  readonly why: LeaseRefusalCode;
  constructor(why: LeaseRefusalCode) {
    super(why);
    this.name = 'LeaseRefusal';
    this.why = why;
  }
}

/** Who asks, and for what. */
export interface LeaseOptions {
  /** Whose turn it is: principals take turns, one principal's own exchanges stand in the order in which they came. */
  readonly principal: string;
  /** Turns of the principal in a round; at least 1. */
  readonly weight: number;
  /** Only an upstream on which nothing ran before; nothing else may run on it afterwards. */
  readonly isFresh: boolean;
  /** Called after 5 s of waiting, and then ever less often; 1 is the next. Must not throw. */
  readonly onWaiting?: (position: number) => void;
}

/** What an exchange says of the upstream that it leased. */
export interface LeaseEnd<T> {
  readonly value: T;
  /** Undefined: it may serve another; else it is closed for that reason. */
  readonly closeFor: CloseReason | undefined;
  /**
   * The status that its backend gave, as far as it tells whether a living Dovecot stands behind it: one that was stopped
   * leaves processes that say TEMPFAIL to everything. Absent: nothing was asked, or no status came.
   */
  readonly answer?: 'tempfail' | 'other';
}

/** What an exchange does with an upstream, for as long as it has it. */
export type UseLease<T> = (upstream: Upstream) => Promise<LeaseEnd<T>>;
