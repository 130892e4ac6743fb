// All upstreams of one backend, with the waiters for them: a machine. It leases an upstream to one exchange at a time,
// first come first served, dials when nobody is idle and fewer than `connections` are open, and takes an upstream back
// only when the exchange says that it ended cleanly. It does not know commands, policy or records.
// The rules: counts are sizes of the sets below; every change ends in `#match`, the only place that joins a waiter and
// an upstream; whatever fails while it is dialled or leased is closed.

import assert from 'node:assert';
import type { Series } from '../catalog/series.js';
import type { Timer } from '../ports/clock.js';
import type { CloseReason } from '../ports/close-reason.js';
import { UpstreamFault } from '../ports/upstream-fault.js';
import type { LogLine } from '../wire/log-line.js';
import { WireFault } from '../wire/wire-fault.js';
import { seriesOfBackend } from './backend-series.js';
import { type Greeted, greet } from './greet.js';
import { type LeaseEnd, LeaseRefusal } from './lease.js';
import type { Pool, PoolOptions, PoolSnapshot } from './pool-options.js';
import { createUpstream, type Upstream, type UpstreamOwner } from './upstream.js';
import { createWaiter, type Waiter } from './waiter.js';

/** A pool without upstreams; it dials when the first exchange comes. */
export function createPool(options: PoolOptions): Pool {
  return new UpstreamPool(options);
}

class UpstreamPool implements Pool, UpstreamOwner {
  readonly backend: string;
  readonly #options: PoolOptions;
  readonly #waiters = new Set<Waiter>();
  readonly #dialing = new Set<AbortController>();
  /** Oldest first; taken from the end, so that the ones that are not needed age out. */
  readonly #idle = new Set<Upstream>();
  readonly #leased = new Set<Upstream>();
  #series: Series | undefined;
  #opened = 0;
  #redialAtMs = 0;
  #redial: Timer | undefined;
  #failure: UpstreamFault | undefined;
  #isDraining = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.backend = options.target.name;
    this.#series = options.series === 'auto' ? undefined : options.series;
  }

  get series(): Series | undefined {
    return this.#series;
  }

  async withLease<T>(
    signal: () => AbortSignal,
    use: (upstream: Upstream) => Promise<LeaseEnd<T>>,
    isFresh = false,
  ): Promise<T> {
    const upstream = (isFresh ? undefined : this.#takeIdle()) ?? (await this.#wait(signal(), isFresh));
    let closeFor: CloseReason | undefined = 'aborted';
    try {
      const end = await use(upstream);
      closeFor = end.closeFor;
      return end.value;
    } finally {
      this.#takeBack(upstream, closeFor);
    }
  }

  drain(): void {
    this.#isDraining = true;
    this.#redial?.cancel();
    for (const waiter of this.#waiters) waiter.reject(new LeaseRefusal('draining'));
    for (const controller of this.#dialing) controller.abort(new LeaseRefusal('draining'));
    for (const upstream of this.#idle) upstream.close('draining');
  }

  snapshot(): PoolSnapshot {
    return {
      dialing: this.#dialing.size,
      idle: this.#idle.size,
      leased: this.#leased.size,
      waiters: this.#waiters.size,
    };
  }

  closed(upstream: Upstream, reason: CloseReason): void {
    const was = this.#idle.delete(upstream) || this.#leased.delete(upstream);
    assert(was, 'an upstream of no state was closed');
    const { id, exchanges } = upstream;
    this.#options.observe({
      kind: 'upstream-closed',
      backend: this.backend,
      upstream: id,
      reason,
      exchanges,
    });
    this.#match();
  }

  straySpoke(upstream: Upstream, line: LogLine): void {
    const { type, text } = line;
    this.#options.observe({
      kind: 'backend-log',
      backend: this.backend,
      upstream: upstream.id,
      exchange: undefined,
      type,
      text,
    });
  }

  /** The newest idle upstream, when nobody waits before us. */
  #takeIdle(): Upstream | undefined {
    if (this.#isDraining || this.#waiters.size > 0) return undefined;
    const upstream = [...this.#idle].pop();
    if (upstream !== undefined) this.#lease(upstream);
    return upstream;
  }

  #lease(upstream: Upstream): void {
    this.#idle.delete(upstream);
    this.#leased.add(upstream);
    upstream.lease();
  }

  #takeBack(upstream: Upstream, closeFor: CloseReason | undefined): void {
    if (upstream.state.at === 'closed') return;
    const { maxLifetimeMs, idleTimeoutMs } = this.#options.limits;
    const isOld = this.#options.clock.now() - upstream.openedMs >= maxLifetimeMs;
    const isOther = upstream.series !== this.#series;
    const reason =
      closeFor ??
      (this.#isDraining ? 'draining' : isOther ? 'series-changed' : isOld ? 'lifetime' : undefined);
    if (reason !== undefined) return upstream.close(reason, reason === 'aborted');
    upstream.release(idleTimeoutMs);
    if (upstream.state.at !== 'idle') return;
    this.#leased.delete(upstream);
    this.#idle.add(upstream);
    this.#match();
  }

  #wait(signal: AbortSignal, isFresh: boolean): Promise<Upstream> {
    const { clock, limits } = this.#options;
    if (this.#isDraining) return Promise.reject(new LeaseRefusal('draining'));
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#waiters.size >= limits.queue) return Promise.reject(new LeaseRefusal('queue-full'));
    const fresh = this.#freshFailure();
    if (fresh !== undefined) return Promise.reject(fresh);
    const waiter = createWaiter(signal, limits.queueTimeoutMs, clock, isFresh, () =>
      this.#waiters.delete(waiter),
    );
    this.#waiters.add(waiter);
    this.#match();
    return waiter.upstream;
  }

  /** Joins waiters and idle upstreams; dials where waiters are left over. */
  #match(): void {
    if (this.#isDraining) return;
    for (const waiter of this.#waiters) {
      if (waiter.isFresh) continue;
      const upstream = [...this.#idle].pop();
      if (upstream === undefined) break;
      this.#lease(upstream);
      waiter.resolve(upstream);
    }
    const { connections } = this.#options.limits;
    const [oldest] = this.#idle;
    const isFull = this.#dialing.size + this.#idle.size + this.#leased.size >= connections;
    if (oldest !== undefined && isFull && this.#dialing.size < this.#waiters.size) {
      // Who still waits beside an idle upstream wants a fresh one; this makes room, and matches again.
      return oldest.close('not-reusable');
    }
    while (
      this.#dialing.size < this.#waiters.size &&
      this.#dialing.size + this.#idle.size + this.#leased.size < connections &&
      this.#mayDial()
    ) {
      void this.#dial();
    }
  }

  /**
   * The fault of a dial that failed a moment ago for a reason that does not pass by itself (a password, a certificate),
   * when nobody else could serve: a thousand clients must not make a thousand logins with a wrong password.
   */
  #freshFailure(): UpstreamFault | undefined {
    if (this.#options.clock.now() >= this.#redialAtMs || this.#failure === undefined) return undefined;
    if (this.#idle.size + this.#leased.size + this.#dialing.size > 0) return undefined;
    const { code } = this.#failure;
    return code === 'auth-rejected' || code === 'tls-failed' ? this.#failure : undefined;
  }

  /** False while a failed dial is fresh and others live; the timer matches again when that is over. */
  #mayDial(): boolean {
    const { clock } = this.#options;
    const leftMs = this.#redialAtMs - clock.now();
    if (leftMs <= 0 || this.#idle.size + this.#leased.size + this.#dialing.size === 0) return true;
    this.#redial ??= clock.setTimer(leftMs, () => {
      this.#redial = undefined;
      this.#match();
    });
    return false;
  }

  /** Dials one upstream for the waiter who comes first when it is there. Never rejects. */
  async #dial(): Promise<void> {
    const { target, connect, clock, observe, limits } = this.#options;
    const controller = new AbortController();
    this.#dialing.add(controller);
    const startMs = clock.now();
    try {
      const greeted = await greet(target, connect, clock, controller.signal);
      this.#dialing.delete(controller);
      const upstream = this.#admit(greeted);
      this.#failure = undefined;
      const durationMs = clock.now() - startMs;
      const { id, series, serverMinor } = upstream;
      observe({
        kind: 'upstream-opened',
        backend: this.backend,
        upstream: id,
        series,
        serverMinor,
        durationMs,
      });
      const [waiter] = this.#waiters;
      if (waiter !== undefined) {
        waiter.resolve(upstream);
      } else {
        this.#leased.delete(upstream);
        this.#idle.add(upstream);
        upstream.release(limits.idleTimeoutMs);
      }
    } catch (fault) {
      this.#dialing.delete(controller);
      if (!(fault instanceof LeaseRefusal)) this.#dialFailed(fault);
    }
    this.#match();
  }

  /** Makes an upstream of a greeted transport, or throws an UpstreamFault and closes it. */
  #admit(greeted: Greeted): Upstream {
    const { series, clock, limits } = this.#options;
    try {
      if (this.#isDraining) throw new LeaseRefusal('draining');
      const known = seriesOfBackend(series, greeted.serverMinor);
      this.#opened += 1;
      const names = { id: `${this.backend}-${this.#opened}`, backend: this.backend, series: known };
      const upstream = createUpstream(greeted, names, limits, clock, this);
      this.#leased.add(upstream);
      if (this.#series !== known) {
        // Upgraded, or several hosts behind one name: from now on commands are judged for what was seen last.
        this.#series = known;
        for (const other of this.#idle) if (other.series !== known) other.close('series-changed');
      }
      return upstream;
    } catch (fault) {
      greeted.transport.close('dial-failed', true);
      if (!(fault instanceof WireFault)) throw fault;
      const text = `what came behind its greeting is no answer (${fault.code})`;
      throw new UpstreamFault('version-unsupported', text, fault);
    }
  }

  #dialFailed(fault: unknown): void {
    const { clock, observe, limits } = this.#options;
    const cause =
      fault instanceof UpstreamFault
        ? fault
        : new UpstreamFault(
            'dial-refused',
            `dialling failed: ${fault instanceof Error ? fault.message : String(fault)}`,
            fault,
          );
    observe({ kind: 'dial-failed', backend: this.backend, code: cause.code, text: cause.message });
    this.#redialAtMs = clock.now() + limits.redialMs;
    this.#failure = cause;
    // Nobody is left who could serve those who wait: they hear of it now, not after the queue timeout.
    if (this.#idle.size + this.#leased.size + this.#dialing.size > 0) return;
    for (const waiter of this.#waiters) waiter.reject(cause);
  }
}
