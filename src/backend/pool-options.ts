// What a pool is made from and what it offers; types only.

import type { Series } from '../catalog/series.js';
import type { Connect, Observe } from '../engine/ports.js';
import type { Clock } from '../ports/clock.js';
import type { DialTarget } from './greet.js';
import type { LeaseEnd } from './lease.js';
import type { Upstream, UpstreamLimits } from './upstream.js';

/** How many, how long. */
export interface PoolLimits extends UpstreamLimits {
  /** Upstreams at most, dialled ones included. */
  readonly connections: number;
  /** Exchanges that may wait. */
  readonly queue: number;
  readonly queueTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxLifetimeMs: number;
  /** After a failed dial, while other upstreams live: how long no new one is dialled. */
  readonly redialMs: number;
}

/** Sizes of the sets at one moment. */
export interface PoolSnapshot {
  readonly dialing: number;
  readonly idle: number;
  readonly leased: number;
  readonly waiters: number;
}

/** All upstreams of one backend. */
export interface Pool {
  readonly backend: string;
  /** The series that the configuration says, or that the last upstream announced; undefined: not known yet. */
  readonly series: Series | undefined;
  /**
   * Leases an upstream for the time of `use`. Rejects with a LeaseRefusal, an UpstreamFault, the signal's reason (while
   * waiting), or with what `use` threw; the upstream is closed then. `isFresh`: only one on which nothing ran before.
   */
  withLease<T>(
    signal: () => AbortSignal,
    use: (upstream: Upstream) => Promise<LeaseEnd<T>>,
    isFresh?: boolean,
  ): Promise<T>;
  /** Closes idle upstreams and refuses new leases; leased ones close as their exchanges end. */
  drain(): void;
  snapshot(): PoolSnapshot;
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
}
