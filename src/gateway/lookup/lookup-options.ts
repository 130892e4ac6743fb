// What a lookup is made from and what it offers; types only.

import type { Clock } from '../../ports/clock.js';
import type { Address, Connect } from '../outcome/ports.js';
import type { AnswerFailure, AuthAnswer } from './answer.js';
import type { LinkFailure, LinkLimits } from './auth-link.js';

/** Why there is no answer. Records and logs hold these words: none is ever renamed or reused. */
export type LookupFailure =
  | LinkFailure
  | AnswerFailure
  | 'name-unaskable' // empty, too long, or with a character that would make it another name
  | 'reply-timeout'
  | 'queue-full'
  | 'closed';

/** What the service says of a user. The fields are those that route users; one without a value has the value ''. */
export type LookupAnswer =
  | Exclude<AuthAnswer, { kind: 'failed' }>
  | { readonly kind: 'failed'; readonly code: LookupFailure };

/** Times in milliseconds. */
export interface LookupLimits extends LinkLimits {
  /** From the question to its answer, the time in the queue and a second try included. */
  readonly questionTimeoutMs: number;
  /** Questions that wait for a link. */
  readonly queueMax: number;
  readonly inFlightMax: number;
  /** After so long new questions get a new link: an old one may be to a service that was reloaded or stopped. */
  readonly maxLifetimeMs: number;
  /** Between two dials after a failure: at first, and at most, doubled each time. */
  readonly redialMs: number;
  readonly redialMaxMs: number;
  /** How long an answer holds; 0: it is not remembered. */
  readonly foundTtlMs: number;
  readonly notFoundTtlMs: number;
  readonly rememberedMax: number;
  /** Of all remembered answers together. */
  readonly rememberedBytesMax: number;
  /** How long a question is not asked that the service died of. */
  readonly poisonTtlMs: number;
}

/** What a lookup needs. */
export interface LookupOptions {
  readonly address: Address;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly limits: LookupLimits;
  /** Told once per change: how the service fails, and undefined when it answers again. Never throws. */
  readonly tell: (failure: LinkFailure | undefined) => void;
}

/** Asks one auth service. A promise of it never rejects. */
export interface Lookup {
  /** Asks the userdb: who is this here. `user` of the answer is as the database wrote it, not normalised. */
  user(name: string): Promise<LookupAnswer>;
  /** Asks the passdb: where is this user served. */
  pass(name: string): Promise<LookupAnswer>;
  /**
   * Few will ask any more: each question is answered as before, but no transport stays open for the next one, and nothing holds the
   * lookup once all are answered.
   */
  retire(): void;
  /** Answers all questions with a failure. Resolves when the last transport is closed, after the linger time at most. */
  close(): Promise<void>;
}
