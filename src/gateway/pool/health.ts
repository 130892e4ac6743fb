// Whether a backend can be reached, and when it may be dialled: a circuit breaker, as a machine. Up (the breaker is closed),
// pausing and retrying (a dial failed while other upstreams live: only dials wait), down (open: nothing lives, whoever asks
// hears why at once), probing (half-open: one handshake decides). It does not dial and does not know upstreams; its owner
// tells it what became of dials and is told when one is due.
// The rules: an end of a command never opens it, only a dial that failed while nothing else lived; each change is told
// once; it has at most one timer.

import type { Clock, Timer } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { UpstreamFault, UpstreamPhase } from '../../ports/upstream-fault.js';
import type { Observe } from '../outcome/ports.js';

/** What is known of a backend. `failures`: dials that failed in a row. */
export type HealthState =
  /** `timer`: for the next look while nobody asks it anything; undefined: nobody looks. */
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
      readonly sinceMs: number;
      readonly timer: Timer;
    }
  | {
      readonly at: 'probing';
      readonly fault: UpstreamFault;
      readonly failures: number;
      readonly sinceMs: number;
    };

/** Times of the machine. */
export interface HealthLimits {
  /** After the first failed dial; twice as long after each further one, up to the maximum. */
  readonly redialMs: number;
  readonly redialMaxMs: number;
  /** How old the last sign of life may be before somebody looks. */
  readonly lookEveryMs: number;
}

/** What a health machine needs. */
export interface HealthParts {
  readonly backend: string;
  readonly limits: HealthLimits;
  readonly clock: Clock;
  /** A number from 0 to below 1. */
  readonly chance: () => number;
  readonly observe: Observe;
  /** A pause is over: it may be dialled again; in state `probing` it must be. */
  readonly retry: () => void;
  /** It gave no sign of life for a while; whoever looks tells what came of it. */
  readonly look: () => void;
}

/** The health of one backend. */
export interface Health {
  readonly state: HealthState;
  /** Why it is down; undefined: it is not. */
  readonly fault: UpstreamFault | undefined;
  /** Failures so far, by the step that failed. */
  readonly failed: Readonly<Record<UpstreamPhase, number>>;
  /** Dials failed again and again while others live: where they were refused, its master has stopped, whatever idle ones look like. */
  readonly isRefusing: boolean;
  /** Whether a dial may begin. `isAlone`: nothing else lives or is dialled; `isDialing`: another dial is under way. */
  mayDial(isAlone: boolean, isDialing: boolean): boolean;
  /** From now on it is looked after while nobody asks. */
  watch(): void;
  /** It greeted. */
  dialled(): void;
  /** `isAlone`: nothing else lives or is dialled. */
  dialFailed(fault: UpstreamFault, isAlone: boolean): void;
  /** A command ended: why its upstream was closed, if it was, and what status it got, as a lease tells it. */
  leaseEnded(closeFor: CloseReason | undefined, answer: 'tempfail' | 'other' | undefined): void;
  /** Ends the timer and forgets what was wrong: nobody dials any more. */
  rest(): void;
}

/** The backend gave no reply, or none that could be read. */
const replyFailures: ReadonlySet<CloseReason> = new Set(['reply-timeout', 'wire-fault', 'peer-gone']);

/** How long a good dial must have been good to make those before it forgotten. */
const rememberedMs = 2_000;
/** So many dials that failed in a row, while others live, are no accident. */
const refusalsMax = 2;

/** Nothing is known, so it counts as up: a daemon that just started does not turn its first clients away. */
export function createHealth(parts: HealthParts): Health {
  return new BackendHealth(parts);
}

class BackendHealth implements Health {
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
  #aliveMs: number;
  /** How many dials had failed before the last good one, and when that was. */
  #before = { failures: 0, upMs: 0 };

  constructor(parts: HealthParts) {
    this.#parts = parts;
    this.#aliveMs = parts.clock.now();
  }

  get state(): HealthState {
    return this.#state;
  }

  get fault(): UpstreamFault | undefined {
    const state = this.#state;
    return state.at === 'down' || state.at === 'probing' ? state.fault : undefined;
  }

  get isRefusing(): boolean {
    return this.#state.at === 'pausing' && this.#state.failures >= refusalsMax;
  }

  mayDial(isAlone: boolean, isDialing: boolean): boolean {
    switch (this.#state.at) {
      case 'up':
        return true;
      case 'pausing':
        // What served meanwhile has gone: whoever waits must not wait for a pause.
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
    const { clock, backend, observe } = this.#parts;
    const was = this.#state;
    this.#aliveMs = clock.now();
    if (was.at === 'up') return;
    this.#before = { failures: was.failures, upMs: this.#aliveMs };
    this.#becomeUp();
    if (was.at === 'down' || was.at === 'probing') {
      observe({ kind: 'backend-up', backend, downMs: clock.now() - was.sinceMs });
    }
  }

  dialFailed(fault: UpstreamFault, isAlone: boolean): void {
    const { clock, backend, observe, retry } = this.#parts;
    const was = this.#state;
    const { code, phase, message: text } = fault;
    this.failed[phase] += 1;
    observe({ kind: 'dial-failed', backend, code, phase, text, isFirst: was.at === 'up' });
    // While it pauses only those fail that were under way: one failure, told several times.
    if (was.at === 'pausing' && !isAlone) return;
    const before = was.at === 'up' ? this.#remembered : was.failures;
    const failures = was.at === 'pausing' ? before : before + 1;
    const pauseMs = this.#pauseMs(failures);
    if (!isAlone) {
      const timer = clock.setTimer(pauseMs, () => {
        this.#become({ at: 'retrying', fault, failures });
        retry();
      });
      this.#become({ at: 'pausing', fault, failures, timer });
      return;
    }
    const isNew = was.at !== 'down' && was.at !== 'probing';
    const sinceMs = isNew ? clock.now() : was.sinceMs;
    const timer = clock.setTimer(pauseMs, () => {
      this.#become({ at: 'probing', fault, failures, sinceMs });
      retry();
    });
    this.#become({ at: 'down', fault, failures, sinceMs, timer });
    if (isNew) observe({ kind: 'backend-down', backend, code, text });
  }

  leaseEnded(closeFor: CloseReason | undefined, answer: 'tempfail' | 'other' | undefined): void {
    // TEMPFAIL is what processes say whose Dovecot has stopped.
    if (answer === 'other') this.#aliveMs = this.#parts.clock.now();
    if (answer === undefined && closeFor !== undefined && replyFailures.has(closeFor)) this.failed.reply += 1;
  }

  rest(): void {
    this.#isWatched = false;
    this.#becomeUp();
  }

  /** What was good for a moment only ends no row of failures. */
  get #remembered(): number {
    const { failures, upMs } = this.#before;
    return this.#parts.clock.now() - upMs < rememberedMs ? failures : 0;
  }

  /** Half of it is chance, so that many gates do not dial in step. */
  #pauseMs(failures: number): number {
    const { limits, chance } = this.#parts;
    const fullMs = Math.min(limits.redialMaxMs, limits.redialMs * 2 ** Math.min(failures - 1, 30));
    return fullMs * (1 - chance() / 2);
  }

  #becomeUp(): void {
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

  /** The only place where a state is left and entered. */
  #become(next: HealthState): void {
    const state = this.#state;
    if (state.at === 'up' || state.at === 'pausing' || state.at === 'down') state.timer?.cancel();
    this.#state = next;
  }
}
