// What an upstream is made from, what it offers, and what it tells its owner; types only.

import type { Place } from '../../concurrency/ordered-set.js';
import type { Series } from '../../domain/commands/series.js';
import type { Timer } from '../../ports/clock.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { LogLine } from '../../protocol/log-line.js';
import type { Status } from '../../protocol/status.js';
import type { ClientPace } from './client-pace.js';

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
 * `dialing` is before this: an upstream begins greeted, and rests before it is leased. `closed` is final. Timer and watch
 * live as long as `idle`.
 */
export type UpstreamState =
  | { readonly at: 'greeted' }
  | { readonly at: 'idle'; readonly sinceMs: number; readonly timer: Timer }
  | { readonly at: 'leased' }
  | { readonly at: 'closed'; readonly reason: CloseReason };

/** Told by the upstream to its pool. */
export interface UpstreamOwner {
  /** Closed, whoever closed it; told once. */
  closed(upstream: Upstream, reason: CloseReason): void;
  /** A log line that no command caused. */
  straySpoke(upstream: Upstream, line: LogLine): void;
  /** It was idle for as long as it was told to be: the owner closes it, or lets it rest on. */
  rested(upstream: Upstream): void;
  /**
   * The backend ended it while it was leased, in order, as the kernel does for a process that dies. `isKilled`: a line on
   * the log channel said that a signal did it.
   */
  died(upstream: Upstream, isKilled: boolean): void;
  /** Whether its death looks as if the command on it killed the process behind it; asked after `died`. */
  isPoisoned(upstream: Upstream): boolean;
}

/** Owned by its pool; whoever leases it uses it for one exchange. A call in the wrong state is a bug and asserts. */
export interface Upstream {
  /** Among the idle or the leased ones; its pool's. */
  place: Place<Upstream> | undefined;
  readonly id: string;
  readonly backend: string;
  /** The principal whose exchange it is leased to; its pool's. */
  holder: string | undefined;
  /** Of the client of that exchange. */
  readonly pace: ClientPace;
  readonly series: Series;
  readonly serverMinor: number;
  readonly openedMs: number;
  /** When it is too old to be used again. */
  readonly endsMs: number;
  readonly state: UpstreamState;
  /** Exchanges that it has served or serves. */
  readonly exchanges: number;
  /** Whether its end, which `next` told, looks as if the command killed the process behind it. */
  readonly isPoisoned: boolean;
  /** Nothing came behind the last answer, and nothing of it is owed: what comes next answers what is asked next. */
  readonly isClean: boolean;
  /** Writes bytes of a command; only while leased. */
  write(bytes: readonly Buffer[]): Promise<void> | undefined;
  /** As that of its transport; only while leased. */
  writeWhole(bytes: Buffer): Promise<void>;
  readonly keepsWhole: boolean;
  /**
   * The events of the next chunk (maybe none); only while leased. Rejects with a WireFault where bytes are not of the
   * protocol, with an UpstreamFault `closed-early` where the backend ended, with a TransportFault where it is gone.
   */
  next(): Promise<readonly UpstreamEvent[]>;
  /**
   * For a command that speaks both ways until the connection ends, before its line is written: from here on all that
   * comes on the output channel is `body`, a status line too. It is never released after that.
   */
  goRaw(): void;
  /** Ends our sending side after what was written; only while leased, and raw. */
  endWriting(): void;
  lease(): void;
  /** From one lease to the next at once, after a clean end: only while leased, and clean. */
  handOver(): void;
  /** Greeted, or after a clean end: idle; its owner hears of it after `restMs`. */
  release(restMs: number): void;
  /** While it is idle: its owner hears of it after so long from now. */
  restOn(restMs: number): void;
  close(reason: CloseReason, isAbrupt?: boolean): void;
}
