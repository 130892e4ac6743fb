// One live, greeted transport to a backend: `idle <-> leased -> closed`. It turns chunks into events of the reply and of
// the log channel, and watches its input while nobody leases it. It does not know what is asked over it.
// The rule: whatever is odd ends it; an upstream is only handed on after a clean end.

import assert from 'node:assert';
import type { Series } from '../catalog/series.js';
import type { Clock, Timer } from '../ports/clock.js';
import type { CloseReason } from '../ports/close-reason.js';
import type { Transport } from '../ports/transport.js';
import { UpstreamFault } from '../ports/upstream-fault.js';
import { createLogDecoder, type LogLine } from '../wire/log-line.js';
import {
  type ChannelBytes,
  createMultiplexDecoder,
  framingOf,
  logChannel,
  outputChannel,
} from '../wire/multiplex-decode.js';
import { createReplyDecoder } from '../wire/reply.js';
import type { Status } from '../wire/status.js';
import { WireFault } from '../wire/wire-fault.js';
import type { Greeted } from './greet.js';

/** What one backend may make us hold, in bytes; above each the upstream faults, but a log line is cut. */
export interface UpstreamLimits {
  /** A status line has a code, or a host in a referral. */
  readonly statusBytesMax: number;
  readonly frameBytesMax: number;
  readonly logLineBytesMax: number;
}

/** What came from the backend, in the order in which it came. `bytes` are slices of the chunk that was read. */
export type UpstreamEvent =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'log'; readonly line: LogLine };

/**
 * `dialing` is before this: an upstream begins greeted. `closed` is final. Timer and watch live as long as `idle`.
 */
export type UpstreamState =
  | { readonly at: 'idle'; readonly sinceMs: number; readonly timer: Timer }
  | { readonly at: 'leased' }
  | { readonly at: 'closed'; readonly reason: CloseReason };

/** Told by the upstream to its pool. */
export interface UpstreamOwner {
  /** Closed, whoever closed it; told once. */
  closed(upstream: Upstream, reason: CloseReason): void;
  /** A log line that no command caused. */
  straySpoke(upstream: Upstream, line: LogLine): void;
}

/** Owned by its pool; whoever leases it uses it for one exchange. A call in the wrong state is a bug and asserts. */
export interface Upstream {
  readonly id: string;
  readonly backend: string;
  readonly series: Series;
  readonly serverMinor: number;
  readonly openedMs: number;
  readonly state: UpstreamState;
  /** Exchanges that it has served or serves. */
  readonly exchanges: number;
  /** Writes bytes of a command; only while leased. */
  write(bytes: readonly Buffer[]): Promise<void> | undefined;
  /**
   * The events of the next chunk (maybe none); only while leased. Rejects with a WireFault where bytes are not of the
   * protocol, with an UpstreamFault `closed-early` where the backend ended, with a TransportFault where it is gone.
   */
  next(): Promise<readonly UpstreamEvent[]>;
  lease(): void;
  /** After a clean end: idle again, for at most `idleMs`. */
  release(idleMs: number): void;
  close(reason: CloseReason, isAbrupt?: boolean): void;
}

interface UpstreamNames {
  readonly id: string;
  readonly backend: string;
  readonly series: Series;
}

function earlyAnswer(): WireFault {
  return new WireFault('unexpected-input', 'an answer came before any command');
}

/**
 * An upstream in state `leased`: the one that had it dialled takes it first.
 * Throws a WireFault when an answer came behind the greeting already; the transport is the caller's then.
 */
export function createUpstream(
  greeted: Greeted,
  names: UpstreamNames,
  limits: UpstreamLimits,
  clock: Clock,
  owner: UpstreamOwner,
): Upstream {
  return new LiveUpstream(greeted, names, limits, clock, owner);
}

class LiveUpstream implements Upstream {
  readonly id: string;
  readonly backend: string;
  readonly series: Series;
  readonly serverMinor: number;
  readonly openedMs: number;
  exchanges = 1;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #owner: UpstreamOwner;
  readonly #demux;
  readonly #reply;
  readonly #logs;
  #state: UpstreamState = { at: 'leased' };
  #watch: Promise<Buffer | null> | undefined;
  #fault: unknown;

  constructor(
    greeted: Greeted,
    names: UpstreamNames,
    limits: UpstreamLimits,
    clock: Clock,
    owner: UpstreamOwner,
  ) {
    this.id = names.id;
    this.backend = names.backend;
    this.series = names.series;
    this.serverMinor = greeted.serverMinor ?? 0;
    this.openedMs = clock.now();
    this.#transport = greeted.transport;
    this.#clock = clock;
    this.#owner = owner;
    this.#demux = createMultiplexDecoder(framingOf(greeted.minor), { frameBytesMax: limits.frameBytesMax });
    this.#reply = createReplyDecoder({ statusBytesMax: limits.statusBytesMax });
    this.#logs = createLogDecoder({ lineBytesMax: limits.logLineBytesMax });
    if (greeted.rest.length > 0) this.#takeEarly(greeted.rest);
  }

  get state(): UpstreamState {
    return this.#state;
  }

  write(bytes: readonly Buffer[]): Promise<void> | undefined {
    assert(this.#state.at === 'leased', 'written without a lease');
    return this.#transport.write(bytes);
  }

  async next(): Promise<readonly UpstreamEvent[]> {
    if (this.#fault !== undefined) throw this.#fault;
    const pending = this.#watch ?? this.#transport.read();
    this.#watch = undefined;
    const chunk = await pending;
    if (chunk !== null) return this.#decode(chunk);
    // What a dying process wrote last is often the line that says why.
    const lines = this.#logs.end();
    this.#fault = new UpstreamFault('closed-early', 'the backend ended where a status line should come');
    if (lines.length === 0) throw this.#fault;
    return lines.map((line) => ({ kind: 'log', line }));
  }

  lease(): void {
    assert(this.#state.at === 'idle', 'leased twice');
    this.#become({ at: 'leased' });
    this.exchanges += 1;
  }

  release(idleMs: number): void {
    assert(this.#state.at === 'leased', 'released without a lease');
    // Bytes that came already, or that the backend still owes of a frame, would be the next command's answer.
    const isClean = !this.#reply.isStarted && !this.#demux.isMidFrame && this.#transport.heldBytes === 0;
    if (!isClean || this.#fault !== undefined || this.#logs.pendingBytes > 0) {
      return this.close('spoke-while-idle');
    }
    const timer = this.#clock.setTimer(idleMs, () => this.close('idle-timeout'));
    this.#become({ at: 'idle', sinceMs: this.#clock.now(), timer });
    const watch = this.#watch ?? this.#transport.read();
    this.#watch = watch;
    watch.then(
      (chunk) => this.#heard(watch, chunk),
      () => this.#heard(watch, null),
    );
  }

  close(reason: CloseReason, isAbrupt = false): void {
    if (this.#state.at === 'closed') return;
    this.#become({ at: 'closed', reason });
    try {
      this.#transport.close(reason, isAbrupt);
    } finally {
      for (const line of this.#logs.end()) this.#owner.straySpoke(this, line);
      this.#owner.closed(this, reason);
    }
  }

  /** The only place where a state is left and entered. */
  #become(next: UpstreamState): void {
    assert(this.#state.at !== 'closed', 'a closed upstream was used');
    if (this.#state.at === 'idle') this.#state.timer.cancel();
    this.#state = next;
  }

  /** Something came, or the end, while `watch` was out. If a lease took the promise over, that is its chunk. */
  #heard(watch: Promise<Buffer | null>, chunk: Buffer | null): void {
    if (this.#watch !== watch || this.#state.at !== 'idle') return;
    if (chunk === null) return this.close('peer-ended');
    try {
      for (const event of this.#decode(chunk))
        if (event.kind === 'log') this.#owner.straySpoke(this, event.line);
    } catch {
      // What it says is of no interest any more: it spoke without being asked, and goes.
    }
    this.close('spoke-while-idle');
  }

  /** Bytes behind the greeting, before anything was asked: log lines are told, an answer to nothing is a fault. */
  #takeEarly(rest: Buffer): void {
    for (const event of this.#decode(rest)) {
      if (event.kind !== 'log') throw earlyAnswer();
      this.#owner.straySpoke(this, event.line);
    }
    if (this.#fault !== undefined) throw this.#fault;
    // The end of no rows is no event yet, and would end the rows of the first command.
    if (this.#reply.isStarted) throw earlyAnswer();
  }

  /** What is decoded of a chunk before a fault in it is given out; the fault comes with the next call of `next`. */
  #decode(chunk: Buffer): UpstreamEvent[] {
    const events: UpstreamEvent[] = [];
    try {
      for (const slice of this.#demux.push(chunk)) this.#decodeSlice(slice, events);
    } catch (fault) {
      this.#fault = fault;
      if (events.length === 0) throw fault;
    }
    return events;
  }

  #decodeSlice(slice: ChannelBytes, events: UpstreamEvent[]): void {
    // Other channels do not exist yet; real clients ignore them too.
    if (slice.channel === outputChannel) {
      for (const event of this.#reply.push(slice.bytes)) {
        events.push(event.kind === 'body' ? event : { kind: 'status', status: event.status });
      }
    } else if (slice.channel === logChannel) {
      for (const line of this.#logs.push(slice.bytes)) events.push({ kind: 'log', line });
    }
  }
}
