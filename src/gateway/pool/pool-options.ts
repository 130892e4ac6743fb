// What a pool is made from and what it offers; types only.

import type { Abortable } from '../../concurrency/abortable.js';
import type { Series } from '../../domain/commands/series.js';
import type { Clock } from '../../ports/clock.js';
import type { UpstreamPhase } from '../../ports/upstream-fault.js';
import type { Connect, Observe } from '../outcome/ports.js';
import type { DialTarget } from './greet.js';
import type { HealthLimits, HealthState } from './health.js';
import type { LeaseOptions, UseLease } from './lease.js';
import type { UpstreamLimits } from './upstream-options.js';

/** How many, how long. */
export interface PoolLimits extends UpstreamLimits, HealthLimits {
  /** Upstreams at most, dialled ones included. */
  readonly connections: number;
  /** Kept open from `start` on, also while nobody asks. */
  readonly idle: number;
  /** Exchanges that may wait. */
  readonly queue: number;
  readonly queueTimeoutMs: number;
  /** Bytes a second that a client must move while it holds up an upstream that other principals wait for. */
  readonly minRateBytes: number;
  readonly idleTimeoutMs: number;
  readonly maxLifetimeMs: number;
}

/** A pool at one moment. */
export interface PoolSnapshot {
  readonly dialing: number;
  readonly idle: number;
  readonly leased: number;
  readonly waiters: number;
  /** `drained`: an operator took it out of service; else what is known of its health. */
  readonly health: HealthState['at'] | 'drained';
  /** Why it does not serve, as a sentence; undefined: it does, as far as anybody knows. */
  readonly text: string | undefined;
  /** Failures so far, by the step that failed. */
  readonly failed: Readonly<Record<UpstreamPhase, number>>;
}

/** All upstreams of one backend. */
export interface Pool {
  readonly backend: string;
  /** The series that the configuration says, or that the last upstream announced; undefined: not known yet. */
  readonly series: Series | undefined;
  /**
   * Leases an upstream for the time of `use`. Rejects with a LeaseRefusal, an UpstreamFault, the reason of the abort (while
   * waiting), or with what `use` threw; the upstream is closed then.
   */
  withLease<T>(abortable: Abortable, use: UseLease<T>, options: LeaseOptions): Promise<T>;
  /** From now on `idle` upstreams are kept open, and the backend is looked after while nobody asks. */
  start(): void;
  /**
   * Drained: idle upstreams are closed, who waits and who comes is refused, what runs ends by itself. Undone by false.
   * Nothing is kept of it here: whoever calls it remembers it over restarts.
   */
  setDrained(isDrained: boolean): void;
  /** For ever, at the end of the daemon: as drained, and refused with `draining`. */
  drain(): void;
  snapshot(): PoolSnapshot;
  /**
   * So many of this principal wait already, for a fresh upstream or for any, that one more has no turn soon. If so, `onShort` is
   * called, once, when so few are left that it would have one; it must not call back.
   */
  isBacklogged(principal: string, isFresh: boolean, onShort: () => void): boolean;
}

/** What a pool needs. */
export interface PoolOptions {
  readonly target: DialTarget;
  /** What the configuration says; `auto`: by the minor that the backend announces. */
  readonly series: Series | 'auto';
  readonly limits: PoolLimits;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly observe: Observe;
  /** A number from 0 to below 1, another one each time. */
  readonly chance: () => number;
}
