// Brings one reply from an upstream to a peer, chunk by chunk, in constant memory. A script. It does not know policy or
// records. The rules: slices of what was read are written, not copies; no more is read while the peer's side is full;
// a broken reply is never made to look complete; a peer that does not read is given up before the backend gives up
// (it silently drops the rest of a reply that stays unread for 60 s: measured on 2.3.19.1 and newer).

import type { Clock, Timer } from '../../ports/clock.js';
import type { LogLine } from '../../protocol/log-line.js';
import { createCellCounter } from '../../protocol/reply.js';
import type { Status } from '../../protocol/status.js';
import type { ClientPace, SlowClient } from '../pool/lease.js';
import type { Upstream, UpstreamEvent } from '../pool/upstream.js';
import type { RelayTarget } from './reply-writer.js';

/** Times of a relay. */
export interface RelayLimits {
  /** From the first byte sent to the first byte of the reply. */
  readonly deadlineMs: number;
  /** Between two chunks of the reply. */
  readonly replyIdleMs: number;
  /** How long one write may wait for the peer. */
  readonly clientStallMs: number;
  /** Log lines of one command that are handed on; more are only counted. */
  readonly logLinesMax: number;
}

/** What was relayed, also where it broke off. */
export interface RelayCount {
  cells: number;
  bytesIn: number;
  firstByteMs: number | undefined;
  readonly logs: Map<LogLine['type'], number>;
  /** Whether there are any of `logs`. */
  readonly hasLogs: boolean;
}

/** What became of a peer that was waited for. */
export type PeerState = 'ready' | 'client-gone' | SlowClient;

/** How it ended. */
export type RelayEnd =
  | {
      readonly kind: 'status';
      readonly status: Status;
      /** Bytes came behind the status that nobody asked for. */
      readonly hasTrailing: boolean;
      /** A peer that did not get the reply whole, because it was gone or did not read fast enough. */
      readonly peer: PeerState;
    }
  | { readonly kind: 'reply-timeout' }
  | { readonly kind: Exclude<PeerState, 'ready'> }
  | { readonly kind: 'fault'; readonly fault: unknown };

/** Where a reply comes from: an upstream, or whoever has begun to read it. */
export type ReplySource = Pick<Upstream, 'next' | 'close' | 'pace'>;

/** What a relay needs. */
export interface RelayOptions {
  readonly upstream: ReplySource;
  readonly writer: RelayTarget;
  readonly clock: Clock;
  readonly limits: RelayLimits;
  /** A peer that is gone ends a relay only when the command reads; a change is left to finish, its reply dropped. */
  readonly goesOnWithoutPeer: boolean;
  /** Whether the status line goes to the peer as the backend sent it. */
  readonly passesStatus: (status: Status) => boolean;
  /** What the rows are made into before the peer gets them; undefined: they go as they came. */
  readonly reshape: ((body: Buffer) => readonly Buffer[]) | undefined;
  readonly onLog: (line: LogLine) => void;
  /** Called before a status that passes is written: the last chance for log lines of our own. */
  readonly beforeStatus: (status: Status) => void;
  readonly count: RelayCount;
}

/**
 * How much of a reply may wait for a peer before no more is read upstream: most replies are smaller, so that a peer that
 * does not read costs no backend anything. Larger ones are held back by it.
 */
const relayedBytesMax = 128 * 1024;

/** Relays until the status line. Never rejects; the upstream is closed for everything but kind `status`. */
export function relay(options: RelayOptions): Promise<RelayEnd> {
  return new RelayRun(options).run();
}

/** A class, so that the script keeps little while it waits: there is one for every reply. */
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
          // The time of the backend does not run while the peer is the one that is waited for.
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
   * One chunk. Without its status, what came: bytes of the reply, or nothing that counts. Log lines do not: a backend that writes
   * some now and then would hold its upstream for ever.
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
    // At once, before anything is written down or given back: the client waits for nothing else. Whether it reads is not waited
    // for here: the backend has done its part, and its upstream may serve another meanwhile.
    void writer.flush(Number.POSITIVE_INFINITY);
  }

  /** The end, where it did not take what was written and nobody else waits for this reply. */
  async #waitForPeer(drained: Promise<void>): Promise<RelayEnd | undefined> {
    const { clock, limits, goesOnWithoutPeer, upstream, writer } = this.#options;
    const lease = { pace: upstream.pace, writer, isRated: true };
    this.#peer = await waitForPeer(drained, clock, limits.clientStallMs, lease);
    if (this.#peer === 'ready' || goesOnWithoutPeer) return undefined;
    upstream.close('aborted', true);
    return { kind: this.#peer };
  }
}

/** One more line of its level. */
export function countLog(count: RelayCount, line: LogLine): void {
  count.logs.set(line.type, (count.logs.get(line.type) ?? 0) + 1);
}

/** What a peer holds up that is waited for. */
export interface HeldLease {
  readonly pace: ClientPace;
  readonly writer: Pick<RelayTarget, 'takenBytes'>;
  /** Whether the least rate holds for it. */
  readonly isRated: boolean;
}

/** Waits until what was written has left; `lease`: what waits with it. */
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
