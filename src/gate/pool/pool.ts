// All upstreams of one backend, with the waiters for them. It leases an upstream to one exchange at a time, in fair turns, dials when none
// is idle and fewer than `connections` are open, keeps some ready, and takes an upstream back only when the exchange ended cleanly. Counts
// are sizes of sets. Every change ends in `match`, the only place that joins a waiter and an upstream. Whatever fails while it is dialled
// or leased is closed. Calls that call back (closing an upstream does) are made only while the sets are consistent.

import assert from 'node:assert';
import type { Series } from '../../doveadm/commands/catalog.js';
import { type Server, serverOfRelease } from '../../doveadm/protocol/releases.js';
import type { LogLine } from '../../doveadm/reply/reply.js';
import type { UpstreamFault, UpstreamPhase } from '../../host/ports/faults.js';
import type { Timer } from '../../host/ports/machine.js';
import type { CloseReason } from '../../host/ports/transport.js';
import { backendLog } from '../outcome/events.js';
import {
  createDials,
  type Dials,
  type DialsOptions,
  type DialsOwner,
  type HealthLimits,
  type HealthState,
  type Past,
} from './dials.js';
import { FairQueue } from './fair-queue.js';
import { dueClaims } from './fair-share.js';
import { type Demand, type LeaseEnd, type LeaseOptions, LeaseRefusal } from './lease.js';
import { createTempfailWatch, OpenUpstreams } from './open-upstreams.js';
import type { Upstream, UpstreamLimits } from './upstream.js';
import { makeRoom, Waiter, type WaiterOwner, type WaitingRoom } from './waiter.js';

const readyDialsMax = 2;
const sweepMs = 500;

/** All upstreams of one backend. Dials when it is started, or for the first exchange. */
export class Pool implements DialsOwner, WaiterOwner {
  readonly backend: string;
  /** The server of the last upstream, or that of the configured release; undefined until it is known. */
  server: Server | undefined;
  readonly #options: PoolOptions;
  readonly #dials: Dials;
  readonly #tempfails = createTempfailWatch();
  /** Every promised waiter has a dial under way; there may be more dials than promises. */
  readonly #queue = new FairQueue<Waiter>();
  readonly #open = new OpenUpstreams();
  readonly #room: WaitingRoom;
  /** Half of all at most are for commands that must be alone, so that the others always have some. */
  readonly #aloneMax: number;
  #mode: 'serving' | 'drained' | 'draining' = 'serving';
  #sweep: Timer | undefined;
  #kept = 0;
  #arrivals = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.backend = options.target.name;
    const { release } = options.configured;
    this.server = release === undefined ? undefined : serverOfRelease(release);
    this.#aloneMax = Math.max(1, Math.floor(options.limits.connections / 2));
    this.#dials = createDials(options, this);
    this.#room = { clock: options.clock, owner: this };
  }

  /** The configured series, or that of the last upstream; undefined: not known yet. */
  get series(): Series | undefined {
    const { series } = this.#options.configured;
    return this.server?.series ?? (series === 'auto' ? undefined : series);
  }

  /**
   * Leases an upstream for the time of `user.use`. Rejects with a LeaseRefusal, an UpstreamFault, the reason of the abort (while waiting),
   * or with what `use` threw; the upstream is closed then.
   */
  async withLease<T>(user: LeaseUser<T>): Promise<T> {
    const idle = user.abortable.isAborted ? undefined : this.#takeIdle(user);
    const upstream = idle ?? (await this.#wait(user));
    let end: LeaseEnd<T> | undefined;
    try {
      end = await user.use(upstream);
      return end.value;
    } finally {
      this.#takeBack(upstream, end);
    }
  }

  /** From now on `idle` upstreams are kept open, and the backend is probed while there is no demand. */
  start(): void {
    this.#kept = this.#options.limits.idle;
    if (this.#mode === 'serving') this.#serve();
  }

  /**
   * Drained: idle upstreams are closed, waiting and new exchanges are refused, running ones end by themselves. Undone by false. The pool
   * does not store this: the caller remembers it over restarts.
   */
  setDrained(isDrained: boolean): void {
    if (isDrained && this.#mode === 'serving') this.#leave('drained', 'backend-drained');
    else if (!isDrained && this.#mode === 'drained') this.#serve();
  }

  /** Final, at the end of the daemon: as drained, but refused with `draining`. */
  drain(): void {
    this.#leave('draining', 'draining');
  }

  snapshot(): PoolSnapshot {
    const { state, fault, failed, countedMs, changedMs: sinceMs, mayBeLonger } = this.#dials.health;
    const { idle, leased, overdue } = this.#open;
    const nowMs = this.#options.clock.now();
    const oldest = this.#queue.oldest;
    return {
      series: this.series,
      health: this.#mode === 'serving' ? state.at : 'drained',
      queue: this.#options.limits.queue,
      failed,
      countedMs,
      dialing: this.#dials.count,
      idle: idle.length,
      leased: leased.length,
      overdue: overdue.length,
      waiters: this.#queue.size,
      oldestWaitMs: oldest === undefined ? 0 : nowMs - oldest.sinceMs,
      isNewer: this.server?.isNewer === true,
      sinceMs,
      mayBeLonger,
      fault,
    };
  }

  opened(upstream: Upstream): void {
    const { server } = upstream;
    this.#open.setLeased(upstream, false);
    if (this.#mode !== 'serving') return upstream.close('draining');
    this.#rest(upstream, this.#restMs(upstream));
    const { series } = this;
    if (server.isNewer && this.server !== server) {
      const { newer } = this.#options.configured;
      const { backend } = this;
      const { serverMinor: minor } = upstream;
      this.#options.observe({ kind: 'backend-newer', level: 'warn', backend, minor, newer });
    }
    // Dovecot was upgraded, or several hosts share one name: from now on commands are judged for the latest one.
    this.server = server;
    if (series !== server.series)
      this.#open.closeIdle('series-changed', (other) => other.server.series !== server.series);
    this.match();
  }

  dialFailed({ code }: UpstreamFault): void {
    const { fault, isRefusing } = this.#dials.health;
    if (fault !== undefined) for (const waiter of this.#queue.clear()) waiter.reject(fault);
    if (code === 'dial-refused' && isRefusing) this.#open.closeIdle('stale', () => true);
    this.match();
  }

  closed(upstream: Upstream, reason: CloseReason): void {
    assert(this.#open.delete(upstream), 'an upstream of no state was closed');
    const { observe } = this.#options;
    const { id, exchanges } = upstream;
    const { backend } = this;
    observe({ kind: 'upstream-closed', level: 'debug', backend, upstream: id, reason, exchanges });
    // The backend closed it without a command.
    if (reason === 'peer-ended' || reason === 'spoke-while-idle') this.#dials.lost(upstream);
    this.match();
  }

  straySpoke({ backend, id }: Upstream, line: LogLine): void {
    this.#options.observe(backendLog(backend, id, line));
  }

  rested(upstream: Upstream): void {
    if (this.#restMs(upstream) === 0) upstream.close('lifetime');
    else if (this.#shared > this.#kept) upstream.close('idle-timeout');
    else upstream.restOn(this.#restMs(upstream));
  }

  left(waiter: Waiter): void {
    this.#queue.delete(waiter);
    this.match();
  }

  /** For the pool that replaces it. */
  get past(): Past {
    return this.#dials.past;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get hasRoom(): boolean {
    return this.openCount + this.#dials.count < this.#options.limits.connections;
  }

  /** Upstreams that serve, or will serve, one command that must be alone. */
  get #alone(): number {
    return this.#open.alone.size + this.#queue.promisedFreshCount;
  }

  get #shared(): number {
    return this.openCount + this.#dials.count - this.#alone;
  }

  #takeIdle(asked: LeaseOptions): Upstream | undefined {
    const { isFresh } = asked;
    if (this.#queue.size > 0) return undefined; // waiting clients are served first
    const take = (): Upstream | undefined =>
      isFresh && this.#alone >= this.#aloneMax ? undefined : this.#newestIdle(asked);
    let upstream = take();
    if (upstream?.isReplaced === true) {
      this.#open.closeIdle('stale', ({ isReplaced }) => isReplaced);
      upstream = take();
    }
    if (upstream !== undefined) this.#lease(upstream, asked);
    if (upstream !== undefined && isFresh) this.match(); // it does not come back
    return upstream;
  }

  #lease(upstream: Upstream, holder: LeaseOptions | Waiter): void {
    this.#open.setLeased(upstream, holder.isFresh);
    upstream.holder = holder;
    upstream.lease();
  }

  #wait(asked: LeaseOptions): Promise<Upstream> {
    const { abortable, principal } = asked;
    if (abortable.isAborted) return Promise.reject(abortable.reason);
    const refusal = this.#refusal(asked);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#arrivals += 1;
    const { limits } = this.#options;
    const waiter = new Waiter(asked, this.#arrivals, limits.queueTimeoutMs, this.#room);
    const isNew = !this.#queue.hasLine(principal);
    this.#queue.add(waiter);
    // A principal that holds or was promised the only upstream has had its first turn of this round.
    if (isNew && limits.connections === 1 && this.#isSated(principal)) this.#queue.spendTurn(principal);
    this.match();
    return waiter.upstream;
  }

  #refusal(asked: LeaseOptions): LeaseRefusal | UpstreamFault | undefined {
    if (this.#mode !== 'serving')
      return new LeaseRefusal(this.#mode === 'drained' ? 'backend-drained' : 'draining');
    const { fault } = this.#dials.health;
    if (fault !== undefined && !this.#dials.dialEarly()) return fault;
    return this.#queue.size < this.#options.limits.queue ? undefined : makeRoom(this.#queue, asked);
  }

  #takeBack<T>(upstream: Upstream, end: LeaseEnd<T> | undefined): void {
    const answer = end?.answer;
    upstream.holder = undefined;
    this.#dials.health.leaseEnded(end?.closeFor, answer);
    const doubtedMs =
      answer && this.#tempfails.answered(upstream.openedMs, answer, this.#options.clock.now());
    if (end?.late !== undefined && upstream.state.at !== 'closed') {
      this.#open.setOverdue(upstream);
      void end.late.then(() => upstream.close('not-reusable'));
    } else if (upstream.state.at !== 'closed') {
      const isOther = upstream.server.series !== this.server?.series;
      const restMs = this.#restMs(upstream);
      const reason =
        (end === undefined ? 'aborted' : end.closeFor) ??
        (this.#mode !== 'serving' ? 'draining' : isOther ? 'series-changed' : undefined) ??
        (this.#open.alone.has(upstream) ? 'not-reusable' : undefined) ??
        (restMs === 0 ? 'lifetime' : undefined);
      if (reason !== undefined) {
        upstream.close(reason, reason === 'aborted');
      } else if (doubtedMs !== undefined || !this.#handOver(upstream)) {
        this.#rest(upstream, restMs);
      } else {
        return;
      }
    }
    if (doubtedMs !== undefined) this.#open.closeIdle('stale', ({ openedMs }) => openedMs <= doubtedMs);
    // No waiters, and as many open upstreams as before.
    else if (this.#queue.size === 0 && upstream.state.at === 'idle') return;
    this.match();
  }

  /** Fast path: hands the upstream to the next waiter without a full `match`. Returns false if the slow path is needed. */
  #handOver(upstream: Upstream): boolean {
    if (this.#queue.size === 0 || this.#queue.promisedCount > 0 || this.#queue.hasFresh) return false;
    if ((this.#queue.hasYoung && upstream.openedMs <= this.#youngSinceMs) || upstream.isReplaced)
      return false;
    const waiter = upstream.isClean ? this.#queue.take(() => true, this.#isSated) : undefined;
    if (waiter === undefined) return false;
    upstream.handOver();
    upstream.holder = waiter;
    waiter.resolve(upstream);
    this.#watchClients();
    return true;
  }

  /** Makes it idle; if the backend sent something meanwhile, it is closed. With `idle: 0` it can only go to a client that waits already. */
  #rest(upstream: Upstream, restMs: number): void {
    upstream.release(this.#options.limits.idle === 0 ? 0 : restMs);
    if (upstream.state.at === 'idle') this.#open.setIdle(upstream);
  }

  /** How long it may stay idle; 0: it is too old. */
  #restMs(upstream: Upstream): number {
    const { clock, limits } = this.#options;
    return Math.min(limits.idleTimeoutMs, Math.max(0, upstream.endsMs - clock.now()));
  }

  /** Upstreams that were opened later are young. */
  get #youngSinceMs(): number {
    return this.#options.clock.now() - this.#options.limits.freshForMs;
  }

  #newestIdle(demand: Demand): Upstream | undefined {
    return this.#open.newestIdle(demand, demand.isYoung ? this.#youngSinceMs : 0);
  }

  /** Joins waiters and idle upstreams in turn; dials for the remaining waiters and for the ready ones. */
  match(): void {
    if (this.#mode !== 'serving') return;
    if (this.#queue.size > 0) this.#open.closeIdle('stale', ({ isReplaced }) => isReplaced);
    for (const waiter of this.#queue.promised) {
      const { principal } = waiter;
      // The promise was made before others came; without this it would stay valid.
      if (this.#open.heldBy(principal) >= this.#half && this.#queue.hasOther(principal)) {
        this.#queue.breakPromise(waiter);
        continue;
      }
      const upstream = this.#newestIdle(waiter);
      if (upstream !== undefined) this.#give(waiter, upstream);
    }
    while (this.#queue.promisedCount > this.#dials.count) this.#queue.breakPromise();
    for (;;) {
      const waiter = this.#queue.take(this.#mayServe, this.#isSated);
      if (waiter === undefined) break;
      const upstream = this.#newestIdle(waiter);
      if (upstream !== undefined) {
        this.#give(waiter, upstream);
        continue;
      }
      this.#queue.promise(waiter);
      if (this.#dials.count >= this.#queue.promisedCount) continue;
      const hasRoom = this.hasRoom;
      this.#dials.dial();
      // An idle upstream that this waiter cannot use is closed to make room; the dial begins after this. If only its age is wrong, it is
      // replaced even if there is room, because processes of Dovecot are scarce.
      const { isFresh } = waiter;
      if (!hasRoom || !isFresh) this.#open.idle[0]?.close(isFresh ? 'not-reusable' : 'renewed');
    }
    while (this.#shared < this.#kept && this.#dials.count < readyDialsMax) {
      if (!this.hasRoom || !this.#dials.isAllowed) break;
      this.#dials.dial();
    }
    this.#watchClients();
  }

  readonly #mayServe = (demand: Demand): boolean => {
    const { isFresh } = demand;
    if (isFresh && this.#alone >= this.#aloneMax) return false;
    if (this.#newestIdle(demand) !== undefined || this.#dials.count > this.#queue.promisedCount) return true;
    if (!this.#dials.isAllowed) return false;
    // An idle upstream that cannot be used is closed to make room.
    return this.#open.idle.length > 0 || (this.hasRoom && (isFresh || this.#mayShareMore));
  };

  /** Half of the upstreams is reserved for fresh leases while one waits: others there would be closed again soon. */
  get #mayShareMore(): boolean {
    const sharedMax = Math.max(1, this.#options.limits.connections - this.#aloneMax);
    return this.#shared < sharedMax || !this.#queue.hasFresh;
  }

  get #half(): number {
    return Math.max(1, Math.floor(this.#options.limits.connections / 2));
  }

  readonly #isSated = (principal: string): boolean => {
    let count = this.#open.heldBy(principal);
    for (const waiter of this.#queue.promised) if (waiter.principal === principal) count += 1;
    return count >= this.#half;
  };

  /** One timer for the pool, only while there are waiters: a lease needs no timer. */
  #watchClients(): void {
    const isNeeded = this.#queue.size > 0;
    if (isNeeded === (this.#sweep !== undefined)) return;
    this.#sweep?.cancel();
    this.#sweep = isNeeded ? this.#options.clock.setTimer(sweepMs, () => this.#lookAtClients()) : undefined;
  }

  #lookAtClients(): void {
    this.#sweep = undefined;
    this.#watchClients();
    // New upstreams are being dialled, and there is room for more: no need for leased ones.
    if (this.hasRoom && this.#dials.count > 0) return;
    const { clock, limits } = this.#options;
    const nowMs = clock.now();
    let ended = 0;
    for (const upstream of this.#open.leased.slice()) {
      const { holder, pace } = upstream;
      if (holder === undefined) continue;
      const accepts = ({ isFresh }: Demand): boolean => this.#isOfUse(upstream, isFresh);
      const isWanted = this.#queue.hasOtherFor(holder.principal, accepts, this.#isSated);
      if (!pace.check(nowMs, limits.minRateBytes, isWanted)) continue;
      // Otherwise the next client of the same principal could take it before others have a turn.
      this.#queue.postpone(holder.principal);
      ended += 1;
    }
    // An upstream taken from a slow client is on its way to a waiter.
    if (ended === 0) this.#shareOut(nowMs);
  }

  /** Gives long-waiting principals the next turns, and ends transfers above their share for them. */
  #shareOut(nowMs: number): void {
    // With room, or a dial without a promise, an upstream comes anyway; without permission to dial, the end of a lease brings none.
    if (this.hasRoom || !this.#dials.isAllowed || this.#dials.count > this.#queue.promisedCount) return;
    const { connections, minRateBytes } = this.#options.limits;
    const due = dueClaims({
      nowMs,
      connections,
      minRateBytes,
      leased: this.#open.leased,
      promised: this.#queue.promised,
      claims: this.#queue.firsts,
      isOfUse: (upstream, isFresh) => this.#isOfUse(upstream, isFresh),
    });
    for (const { held } of due) if (held?.holder !== undefined) this.#queue.postpone(held.holder.principal);
    // The next upstreams go to these, ahead of the turns: otherwise many accounts of one place would be served first.
    for (const { claim } of due.toReversed()) this.#queue.advance(claim.principal);
    for (const { held } of due) held?.pace.yieldLease(minRateBytes);
  }

  #isOfUse(upstream: Upstream, isFresh: boolean): boolean {
    const isAlone = this.#open.alone.has(upstream);
    // The upstream is closed then, and another one is dialed.
    if (isFresh) return isAlone || this.#alone < this.#aloneMax;
    return !isAlone || this.#mayShareMore;
  }

  #give(waiter: Waiter, upstream: Upstream): void {
    this.#queue.delete(waiter);
    this.#lease(upstream, waiter);
    waiter.resolve(upstream);
  }

  #serve(): void {
    this.#mode = 'serving';
    if (this.#kept > 0) this.#dials.health.watch();
    this.match();
    this.#dials.findOut();
  }

  #leave(mode: 'drained' | 'draining', why: LeaseRefusal['why']): void {
    this.#mode = mode;
    const refusal = new LeaseRefusal(why);
    this.#dials.health.rest();
    this.#dials.abort(refusal);
    for (const waiter of this.#queue.clear()) waiter.reject(refusal);
    this.#watchClients();
    this.#open.closeIdle('draining', () => true);
  }
}

export interface PoolLimits extends UpstreamLimits, HealthLimits {
  /** Upstreams at most, including those being dialed. */
  readonly connections: number;
  /** Kept open from `start` on, also without demand. */
  readonly idle: number;
  readonly queue: number;
  readonly queueTimeoutMs: number;
  /** Bytes a second that a client must move while it holds up an upstream that other principals wait for. */
  readonly minRateBytes: number;
  readonly idleTimeoutMs: number;
  readonly maxLifetimeMs: number;
  /** How long after its dial an upstream takes commands that change something; Infinity where `isReplaced` shows a restart. */
  readonly freshForMs: number;
}

/** The state of a backend, for everything that shows it; times by the wall clock. */
export interface PoolSnapshot {
  /** Undefined until it is known. */
  readonly series: Series | undefined;
  readonly isNewer: boolean;
  readonly dialing: number;
  readonly idle: number;
  readonly leased: number;
  /** Held for overdue commands, beside the others. */
  readonly overdue: number;
  readonly waiters: number;
  /** How long the first of them has waited; 0: none waits. */
  readonly oldestWaitMs: number;
  /** Since when it is up, or not; it may be longer where it was the same when dovegate first looked. */
  readonly sinceMs: number;
  readonly mayBeLonger: boolean;
  readonly fault: UpstreamFault | undefined;
  /** `drained`: it takes no commands; else what is known of its health. */
  readonly health: HealthState['at'] | 'drained';
  /** How many may wait. */
  readonly queue: number;
  /** Failed dials, by the step that failed. */
  readonly failed: Readonly<Record<UpstreamPhase, number>>;
  /** Since when these are counted: the start, or the reload that changed its settings. */
  readonly countedMs: number;
}

/** An exchange that requests an upstream. An object, so that a command needs no closures for it. */
export interface LeaseUser<T> extends LeaseOptions {
  /** Called once, with the upstream. Where it rejects, the upstream is closed. */
  use(upstream: Upstream): Promise<LeaseEnd<T>>;
}

export interface PoolOptions extends DialsOptions {
  readonly limits: PoolLimits;
}
