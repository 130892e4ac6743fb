// The dials of one pool, and the health of its backend that follows from them. Health is a circuit breaker: up (closed); pausing and
// retrying (a dial failed while other upstreams are open: only dials wait); down (open: there is no upstream, and commands fail at once
// with the reason, except one now and then that dials); probing (half-open: one handshake decides). Only a dial that fails while nothing
// else is open or dialled opens the breaker, never the end of a command. Of connections that the backend ended, the second in a row opens
// it. A dial is counted from its call to its end, and its end is reported exactly once, unless it was canceled. Health has at most one
// timer.

import { bounds } from '../../host/bounds/bounds.js';
import { backOffMs } from '../../host/concurrency/back-off.js';
import { UpstreamFault, type UpstreamPhase } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { CloseReason } from '../../host/ports/transport.js';
import { type Observe, toMicroseconds } from '../outcome/events.js';
import { type DialOptions, dialUpstream, probeBackend, sharingReads } from './dial.js';
import type { Upstream, UpstreamOwner } from './upstream.js';

export interface DialsOwner extends UpstreamOwner {
  /** A greeted upstream, which the owner owns from now on. */
  opened(upstream: Upstream): void;
  /** A dial failed; health is updated already. */
  dialFailed(fault: UpstreamFault): void;
  /** Dials are allowed again, or there is room for another one. */
  match(): void;
  readonly openCount: number;
  readonly hasRoom: boolean;
}

export type Dials = ReturnType<typeof createDials>;

/**
 * A connection that closes within this time without serving a command counts as a failed dial. The first in a row that the backend ended,
 * before or after its greeting, does not open the breaker: a Dovecot that is reloaded or restarted ends new connections too, and serves
 * the next one.
 */
const newMs = 1_000;
const unneeded = new Error('the backend is dialled anyway');
const gone = 'it did not keep a connection that nobody had used yet';

export interface DialsOptions extends DialOptions {
  readonly limits: DialOptions['limits'] & HealthLimits;
  readonly observe: Observe;
  readonly past?: Past | undefined;
}

/** What a pool hands on to the pool that replaces it after a reload. */
export interface Past {
  /** The number of upstreams so far. Their ids count on, because upstreams of the pool before may still run. */
  opened: number;
  /** Since when it is reported as down; undefined: it is not. The first dial that succeeds ends it, also after a drain or a reload. */
  downSinceMs: number | undefined;
}

export function createDials(options: DialsOptions, owner: DialsOwner) {
  const { clock, observe } = options;
  const backend = options.target.name;
  const own = { ...options, target: sharingReads(options.target, tellUnread) };
  const dialing = new Set<AbortController>();
  const looking = new Set<AbortController>();
  const past: Past = options.past ?? { opened: 0, downSinceMs: undefined };
  const health = new Health({ ...options, past, backend, retry, look: () => void look() });

  function tellUnread(text: string): void {
    observe({ kind: 'password-unread', level: 'warn', text, backend });
  }

  function nextId(): string {
    past.opened += 1;
    return `${backend}-${past.opened}`;
  }

  async function open(controller: AbortController): Promise<void> {
    const startMs = clock.now();
    let upstream: Upstream;
    try {
      upstream = await dialUpstream(own, nextId, owner, controller.signal);
    } catch (fault) {
      dialing.delete(controller);
      return failed(fault);
    }
    dialing.delete(controller);
    health.dialled();
    const { id, server, serverMinor: minor } = upstream;
    const line = { backend, upstream: id, series: server.series, minor };
    const duration_ms = toMicroseconds(clock.now() - startMs);
    observe({ kind: 'upstream-opened', level: 'debug', ...line, duration_ms });
    owner.opened(upstream);
  }

  /** Probes a backend without demand: an idle upstream does not show whether it still greets. */
  async function look(): Promise<void> {
    if (owner.openCount === 0 || !owner.hasRoom || looking.size > 0) return;
    const controller = new AbortController();
    looking.add(controller);
    try {
      await probeBackend(own, controller.signal);
    } catch (fault) {
      looking.delete(controller);
      return failed(fault);
    }
    looking.delete(controller);
    health.dialled();
    owner.match();
  }

  /** `wasOpen`: the connection was greeted before. The backend may end several of those at once; they are forgiven together. */
  function failed(fault: unknown, wasOpen = false): void {
    if (!(fault instanceof UpstreamFault)) return owner.match(); // canceled
    const isFirst = !health.hasFailedBefore && (wasOpen || health.state.at === 'up');
    const isForgiven = fault.code === 'closed-early' && isFirst;
    health.dialFailed(fault, !isForgiven && owner.openCount + dialing.size === 0);
    owner.dialFailed(fault);
  }

  /** The backend ended an idle upstream. */
  function lost({ exchanges, openedMs }: Upstream): void {
    if (exchanges > 0 || clock.now() - openedMs >= newMs) return;
    failed(new UpstreamFault('closed-early', gone, undefined, 'greeting'), true);
  }

  /** Begins a dial; its result comes in a later microtask. */
  function dial(): void {
    // This dial replaces any probe.
    for (const controller of looking) controller.abort(unneeded);
    const controller = new AbortController();
    dialing.add(controller);
    void open(controller);
  }

  function retry(): boolean {
    if (health.state.at !== 'probing') owner.match();
    if (dialing.size === 0) {
      // No demand: find out all the same. Upstreams that were open when the dial failed may be gone.
      if (health.state.at === 'probing' || owner.openCount === 0) dial();
      else void look();
    }
    return dialing.size + looking.size > 0;
  }

  return {
    health,
    past,
    /** Dials a backend that was down and has not been dialled since a reload or a drain. */
    findOut(): void {
      if (past.downSinceMs !== undefined && health.state.at === 'up' && dialing.size === 0) dial();
    },
    /** Dials under way that become upstreams; probes do not count. */
    get count(): number {
      return dialing.size;
    },
    get isAllowed(): boolean {
      const isAlone = owner.openCount + dialing.size === 0;
      // A backend that just came back is not flooded.
      return dialing.size < bounds.dialsPerBackend && health.mayDial(isAlone, dialing.size > 0);
    },
    dial,
    /** For a command at a backend that is down: dials before the pause is over. Returns false if it may not dial now. */
    dialEarly(): boolean {
      const mayDial = health.endPause();
      if (mayDial) dial();
      return mayDial;
    },
    lost,
    /** Cancels all dials without a report. */
    abort(reason: unknown): void {
      for (const controller of [...dialing, ...looking]) controller.abort(reason);
    },
  };
}

/** `failures`: dials that failed in a row. */
export type HealthState =
  /** `timer`: for the next probe while there is no demand. */
  | { readonly at: 'up'; readonly timer: Timer | undefined }
  | {
      readonly at: 'pausing';
      readonly fault: UpstreamFault;
      readonly failures: number;
      readonly timer: Timer;
    }
  | { readonly at: 'retrying'; readonly fault: UpstreamFault; readonly failures: number }
  | {
      readonly at: 'down';
      readonly fault: UpstreamFault;
      readonly failures: number;
      readonly timer: Timer;
      readonly sinceMs: number;
    }
  | { readonly at: 'probing'; readonly fault: UpstreamFault; readonly failures: number };

export interface HealthLimits {
  /** Pause after the first failed dial; doubled after each further one, up to the maximum. */
  readonly redialMs: number;
  readonly redialMaxMs: number;
  /** How old the last sign of life may be before the backend is probed. */
  readonly lookEveryMs: number;
}

export interface HealthParts {
  readonly backend: string;
  readonly past: Past;
  readonly limits: HealthLimits;
  readonly clock: Clock;
  readonly chance: () => number;
  readonly observe: Observe;
  /** The pause is over: dialling is allowed, and in state `probing` required. Returns false if there is no room for a dial. */
  readonly retry: () => boolean;
  /** No sign of life for a while: probe it. */
  readonly look: () => void;
}

const replyFailures: ReadonlySet<CloseReason> = new Set(['reply-timeout', 'wire-fault', 'peer-gone']);

/** A success shorter than this does not reset the failure count. */
const rememberedMs = 2_000;
const refusalsMax = 2;

export class Health {
  readonly failed: Record<UpstreamPhase, number> = {
    dial: 0,
    tls: 0,
    greeting: 0,
    authentication: 0,
    reply: 0,
  };
  readonly #parts: HealthParts;
  #state: HealthState = { at: 'up', timer: undefined };
  #isWatched = false;
  /** Since when `failed` counts, on the wall clock. */
  readonly countedMs: number;
  #aliveMs: number;
  #changedMs: number;
  #hasBeenUp = false;
  #hasBeenDown = false;
  /** Failures before the last successful dial, and when that was. */
  #before = { failures: 0, upMs: 0 };

  constructor(parts: HealthParts) {
    this.#parts = parts;
    this.#aliveMs = parts.clock.now();
    this.countedMs = parts.clock.wallMs();
    this.#changedMs = this.countedMs;
  }

  get state(): HealthState {
    return this.#state;
  }

  get fault(): UpstreamFault | undefined {
    const state = this.#state;
    return state.at === 'down' || state.at === 'probing' ? state.fault : undefined;
  }

  /** When it last became up or down. The wall clock's time is stored, so that repeated calls give the same value. */
  get changedMs(): number {
    return this.#changedMs;
  }

  /** The state may be older than `changedMs`: it was the same when dovegate first looked. */
  get mayBeLonger(): boolean {
    return this.fault === undefined ? !this.#hasBeenDown : !this.#hasBeenUp;
  }

  get hasFailedBefore(): boolean {
    const state = this.#state;
    return state.at === 'up' ? this.#remembered > 0 : state.failures > 1;
  }

  /** Several dials in a row failed while upstreams live: if they were refused, Dovecot's master has stopped. */
  get isRefusing(): boolean {
    return this.#state.at === 'pausing' && this.#state.failures >= refusalsMax;
  }

  /** `isAlone`: nothing else lives or is dialled; `isDialing`: another dial is under way. */
  mayDial(isAlone: boolean, isDialing: boolean): boolean {
    switch (this.#state.at) {
      case 'up':
        return true;
      case 'pausing':
        // The upstreams that served meanwhile are gone: waiting clients must not wait for the pause too.
        return isAlone;
      case 'retrying':
        return !isDialing;
      case 'down':
      case 'probing':
        return false;
      default:
        return this.#state satisfies never;
    }
  }

  watch(): void {
    this.#isWatched = true;
    this.#aliveMs = this.#parts.clock.now();
    if (this.#state.at === 'up') this.#becomeUp();
  }

  dialled(): void {
    const { clock, backend, observe, past } = this.#parts;
    const was = this.#state;
    this.#aliveMs = clock.now();
    this.#hasBeenUp = true;
    if (was.at !== 'up') {
      this.#before = { failures: was.failures, upMs: this.#aliveMs };
      this.#becomeUp();
    }
    if (past.downSinceMs === undefined) return;
    const duration_ms = Math.round(clock.now() - past.downSinceMs);
    past.downSinceMs = undefined;
    observe({
      kind: 'backend-up',
      level: 'warn',
      text: `backend ${backend} is back`,
      backend,
      duration_ms,
    });
  }

  dialFailed(fault: UpstreamFault, isAlone: boolean): void {
    const { clock, backend, observe, past, retry } = this.#parts;
    const was = this.#state;
    const { code: type, phase, message } = fault;
    this.failed[phase] += 1;
    // Dials are repeated; only the first failure and the recovery are reported.
    const level = was.at === 'up' ? 'error' : 'debug';
    observe({ kind: 'dial-failed', level, text: `backend ${backend}: ${message}`, backend, type });
    // While pausing, only dials that were under way fail: one failure, reported several times.
    if (was.at === 'pausing' && !isAlone) return;
    const before = was.at === 'up' ? this.#remembered : was.failures;
    const failures = was.at === 'pausing' ? before : before + 1;
    if (!isAlone) return this.#pause(fault, failures);
    const isNew = was.at !== 'down' && was.at !== 'probing';
    past.downSinceMs ??= clock.now();
    this.#hasBeenDown = true;
    if (isNew) this.#changedMs = clock.wallMs();
    const timer = clock.setTimer(this.#pauseMs(failures), () => {
      this.#become({ at: 'probing', fault, failures });
      retry();
    });
    this.#become({ at: 'down', fault, failures, timer, sinceMs: clock.now() });
    const text = `backend ${backend} is down: ${message}`;
    if (isNew) observe({ kind: 'backend-down', level: 'error', text, backend, type });
  }

  #pauseMs(failures: number): number {
    const { limits, chance } = this.#parts;
    return backOffMs(failures, limits.redialMs, limits.redialMaxMs, chance());
  }

  /** Pauses again as long as nothing can be dialled after it: without a dial or a timer the state would never change. */
  #pause(fault: UpstreamFault, failures: number): void {
    const { clock, retry } = this.#parts;
    const timer = clock.setTimer(this.#pauseMs(failures), () => {
      this.#become({ at: 'retrying', fault, failures });
      if (!retry()) this.#pause(fault, failures);
    });
    this.#become({ at: 'pausing', fault, failures, timer });
  }

  /**
   * Ends the pause of a backend that is down, for a command: after an outage its pauses are long, and it may be back. Returns false if the
   * last dial was just before, or the backend refused the password, which a restart does not fix.
   */
  endPause(): boolean {
    const state = this.#state;
    if (state.at !== 'down' || state.fault.phase === 'authentication') return false;
    if (this.#parts.clock.now() - state.sinceMs < this.#parts.limits.redialMs) return false;
    const { fault, failures } = state;
    this.#become({ at: 'probing', fault, failures });
    return true;
  }

  leaseEnded(closeFor: CloseReason | undefined, answer: 'tempfail' | 'other' | undefined): void {
    // Processes of a stopped Dovecot answer TEMPFAIL, so that is no sign of life.
    if (answer === 'other') this.#aliveMs = this.#parts.clock.now();
    if (answer === undefined && closeFor !== undefined && replyFailures.has(closeFor)) this.failed.reply += 1;
  }

  /** Ends the timer and resets to `up`: there will be no more dials. */
  rest(): void {
    this.#isWatched = false;
    this.#becomeUp();
  }

  get #remembered(): number {
    const { failures, upMs } = this.#before;
    return this.#parts.clock.now() - upMs < rememberedMs ? failures : 0;
  }

  #becomeUp(): void {
    if (this.fault !== undefined) this.#changedMs = this.#parts.clock.wallMs();
    this.#become({ at: 'up', timer: this.#isWatched ? this.#lookLater() : undefined });
  }

  #lookLater(): Timer {
    const { clock, limits, look } = this.#parts;
    const leftMs = this.#aliveMs + limits.lookEveryMs - clock.now();
    return clock.setTimer(leftMs > 0 ? leftMs : limits.lookEveryMs, () => {
      const isSilent = clock.now() - this.#aliveMs >= limits.lookEveryMs;
      this.#becomeUp();
      if (isSilent) look();
    });
  }

  #become(next: HealthState): void {
    const state = this.#state;
    if (state.at === 'up' || state.at === 'pausing' || state.at === 'down') state.timer?.cancel();
    this.#state = next;
  }
}
