// Relays one reply from an upstream to a client, chunk by chunk, in constant memory. A script. The rules: slices of what was read
// are written, not copies; no more is read while the client's side is full; a broken reply is never made to look complete; a client
// that does not read is disconnected before the backend gives up (it silently drops the rest of a reply that stays unread for
// 60 s: measured on 2.3.19.1 and newer).

import type { Clock, Timer } from '../../ports/clock.js';
import type { LogLine } from '../../protocol/log-line.js';
import { createCellCounter } from '../../protocol/reply.js';
import type { Status } from '../../protocol/status.js';
import type { ClientPace, SlowClient } from '../pool/lease.js';
import type { Upstream, UpstreamEvent } from '../pool/upstream.js';
import type { RelayTarget } from './reply-writer.js';

export interface RelayLimits {
  /** From the first byte sent to the first byte of the reply. */
  readonly deadlineMs: number;
  /** Between two chunks of the reply. */
  readonly replyIdleMs: number;
  /** How long one write may wait for the client. */
  readonly clientStallMs: number;
  /** Log lines of one command that are forwarded; more are only counted. */
  readonly logLinesMax: number;
}

/** What was relayed, also of a reply that broke off. */
export interface RelayCount {
  cells: number;
  bytesIn: number;
  firstByteMs: number | undefined;
  readonly logs: Map<LogLine['type'], number>;
  readonly hasLogs: boolean;
}

export type PeerState = 'ready' | 'client-gone' | SlowClient;

export type RelayEnd =
  | {
      readonly kind: 'status';
      readonly status: Status;
      /** Unexpected bytes came after the status. */
      readonly hasTrailing: boolean;
      /** Whether the client got the whole reply; if not, why. */
      readonly peer: PeerState;
    }
  | { readonly kind: 'reply-timeout' }
  | { readonly kind: Exclude<PeerState, 'ready'> }
  | { readonly kind: 'fault'; readonly fault: unknown };

/** An upstream, or what has begun to read it. */
export type ReplySource = Pick<Upstream, 'next' | 'close' | 'pace'>;

export interface RelayOptions {
  readonly upstream: ReplySource;
  readonly writer: RelayTarget;
  readonly clock: Clock;
  readonly limits: RelayLimits;
  /** For a change: when the client is gone it is left to finish, and its reply is dropped. */
  readonly goesOnWithoutPeer: boolean;
  /** Whether the status line goes to the client as the backend sent it. */
  readonly passesStatus: (status: Status) => boolean;
  /** Changes the rows on their way; undefined: they go as they came. */
  readonly reshape: ((body: Buffer) => readonly Buffer[]) | undefined;
  readonly onLog: (line: LogLine) => void;
  /** Called before a status that passes is written; log lines of ours go here. */
  readonly beforeStatus: (status: Status) => void;
  readonly count: RelayCount;
}

/**
 * How much of a reply may wait for the client before no more is read upstream: most replies are smaller, so a client that
 * does not read holds no upstream.
 */
const relayedBytesMax = 128 * 1024;

/** Relays until the status line. Never rejects; the upstream is closed for everything but kind `status`. */
export function relay(options: RelayOptions): Promise<RelayEnd> {
  return new RelayRun(options).run();
}

/** A class, so that it holds little memory while it waits: there is one for every reply. */
class RelayRun {
  readonly #options: RelayOptions;
  readonly #startMs: number;
  readonly #cells = createCellCounter();
  #peer: PeerState = 'ready';
  #hasTimedOut = false;
  #timer: Timer;
  #dueMs = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#startMs = options.clock.now();
    this.#timer = this.#startTimer(options.limits.deadlineMs);
  }

  async run(): Promise<RelayEnd> {
    try {
      for (;;) {
        const taken = this.#take(await this.#options.upstream.next());
        if (typeof taken !== 'string') return taken;
        let leftMs = taken === 'reply' ? this.#options.limits.replyIdleMs : undefined;
        const drained = this.#peer === 'ready' ? this.#options.writer.flush(relayedBytesMax) : undefined;
        if (drained !== undefined) {
          // The time of the backend does not run while we wait for the client.
          leftMs ??= Math.max(0, this.#dueMs - this.#options.clock.now());
          this.#timer.cancel();
          const gone = await this.#waitForPeer(drained);
          if (gone !== undefined) return gone;
        }
        if (leftMs === undefined) continue;
        this.#timer.cancel();
        this.#timer = this.#startTimer(leftMs);
      }
    } catch (fault) {
      this.#options.upstream.close('aborted', true);
      return this.#hasTimedOut ? { kind: 'reply-timeout' } : { kind: 'fault', fault };
    } finally {
      this.#timer.cancel();
    }
  }

  #startTimer(ms: number): Timer {
    this.#dueMs = this.#options.clock.now() + ms;
    return this.#options.clock.setTimer(ms, () => {
      this.#hasTimedOut = true;
      this.#options.upstream.close('reply-timeout', true);
    });
  }

  /**
   * One chunk. Without a status: whether bytes of the reply came. Log lines do not count, or a backend that writes some now and
   * then could hold its upstream forever.
   */
  #take(events: readonly UpstreamEvent[]): RelayEnd | 'reply' | 'nothing' {
    const { count, clock } = this.#options;
    let status: Status | undefined;
    let hasTrailing = false;
    const bytesBefore = count.bytesIn;
    for (const event of events) {
      switch (event.kind) {
        case 'body':
          count.firstByteMs ??= clock.now() - this.#startMs;
          if (status === undefined) this.#takeBody(event.bytes);
          else hasTrailing = true;
          break;
        case 'log':
          countLog(count, event.line);
          this.#options.onLog(event.line);
          break;
        case 'status':
          count.firstByteMs ??= clock.now() - this.#startMs;
          if (status === undefined) ({ status } = event);
          else hasTrailing = true;
          break;
        default:
          return event satisfies never;
      }
    }
    count.cells = this.#cells.cells;
    if (status === undefined) return count.bytesIn > bytesBefore ? 'reply' : 'nothing';
    this.#passStatus(status);
    return { kind: 'status', status, hasTrailing, peer: this.#peer };
  }

  #takeBody(bytes: Buffer): void {
    const { count, writer, reshape } = this.#options;
    count.bytesIn += bytes.length;
    this.#cells.push(bytes);
    if (this.#peer !== 'ready') return;
    if (reshape === undefined) writer.addBody(bytes);
    else for (const part of reshape(bytes)) writer.addBody(part);
  }

  #passStatus(status: Status): void {
    const { writer } = this.#options;
    if (this.#peer !== 'ready' || !this.#options.passesStatus(status)) return;
    this.#options.beforeStatus(status);
    writer.addRawStatus(status.raw);
    // At once, before records are written or the upstream is returned: the client waits for this. Not awaited: the backend is
    // done, and its upstream may serve another client.
    void writer.flush(Number.POSITIVE_INFINITY);
  }

  /** The end, if the client did not take the reply and the command is not left to finish. */
  async #waitForPeer(drained: Promise<void>): Promise<RelayEnd | undefined> {
    const { clock, limits, goesOnWithoutPeer, upstream, writer } = this.#options;
    const lease = { pace: upstream.pace, writer, isRated: true };
    this.#peer = await waitForPeer(drained, clock, limits.clientStallMs, lease);
    if (this.#peer === 'ready' || goesOnWithoutPeer) return undefined;
    upstream.close('aborted', true);
    return { kind: this.#peer };
  }
}

export function countLog(count: RelayCount, line: LogLine): void {
  count.logs.set(line.type, (count.logs.get(line.type) ?? 0) + 1);
}

/** The lease that waits while its client does not read. */
export interface HeldLease {
  readonly pace: ClientPace;
  readonly writer: Pick<RelayTarget, 'takenBytes'>;
  /** Whether the minimum rate applies. */
  readonly isRated: boolean;
}

/** Waits until what was written has left. */
export function waitForPeer(
  drained: Promise<void>,
  clock: Clock,
  stallMs: number,
  lease?: HeldLease,
): Promise<PeerState> {
  return new Promise((resolve) => {
    let isOver = false;
    const settle = (how: PeerState): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      lease?.pace.end(clock.now());
      resolve(how);
    };
    const timer = clock.setTimer(stallMs, () => settle('client-stall'));
    lease?.pace.begin(
      {
        get movedBytes() {
          return lease.writer.takenBytes;
        },
        isRated: lease.isRated,
        giveUp: settle,
      },
      clock.now(),
    );
    drained.then(
      () => settle('ready'),
      () => settle('client-gone'),
    );
  });
}
