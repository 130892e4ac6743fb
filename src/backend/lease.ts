// The words between an exchange and a pool: how a lease ends, and why there was none.

import type { CloseReason } from '../ports/close-reason.js';

/** No lease: a value, not a fault. */
export class LeaseRefusal extends Error {
  readonly why: 'queue-full' | 'queue-timeout' | 'draining';
  constructor(why: 'queue-full' | 'queue-timeout' | 'draining') {
    super(why);
    this.name = 'LeaseRefusal';
    this.why = why;
  }
}

/** What an exchange says of the upstream that it leased. */
export interface LeaseEnd<T> {
  readonly value: T;
  /** Undefined: it may serve another; else it is closed for that reason. */
  readonly closeFor: CloseReason | undefined;
}
