// One live, greeted transport to a backend: `greeted -> idle <-> leased -> closed`. It turns chunks into events of the reply and of the log
// channel, and watches its input while it is not leased. Anything unexpected ends it. An upstream is used again only after a clean end.

import assert from 'node:assert';
import { encodeOption } from '../../doveadm/protocol/command.js';
import { ofMinor } from '../../doveadm/protocol/minors.js';
import type { Server } from '../../doveadm/protocol/releases.js';
import {
  type ChannelBytes,
  createMultiplexDecoder,
  logChannel,
  outputChannel,
} from '../../doveadm/reply/multiplex.js';
import { LogDecoder, type LogLine, ReplyDecoder, type Status } from '../../doveadm/reply/reply.js';
import { Deadline } from '../../host/concurrency/limits.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { UpstreamFault, WireFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { CloseReason, Transport } from '../../host/ports/transport.js';
import type { Claimant } from './fair-share.js';
import { ClientPace } from './lease.js';

const greetedState = { at: 'greeted' } as const;
const idleState = { at: 'idle' } as const;
const leasedState = { at: 'leased' } as const;

export interface UpstreamNames {
  readonly id: string;
  readonly backend: string;
  readonly server: Server;
  readonly endsMs: number;
}

function earlyAnswer(): WireFault {
  return new WireFault('unexpected-input', 'an answer came before any command');
}

/** Owned by its pool; each lease uses it for one exchange. A call in the wrong state is a bug and asserts. */
export class Upstream {
  readonly id: string;
  readonly backend: string;
  readonly server: Server;
  readonly serverMinor: number;
  readonly openedMs: number;
  readonly endsMs: number;
  holder: Claimant | undefined = undefined;
  readonly pace = new ClientPace();
  exchanges = 0;
  /** The time limit of its state: for idling, or for the next bytes of a reply. */
  readonly limit: Deadline;
  /** Called once the limit of a reply is over, in place of a close; set by the exchange, for the time of its lease. */
  onOverdue: (() => void) | undefined = undefined;
  /** Changed in `#become` only. */
  state: UpstreamState = greetedState;
  readonly #transport: Transport;
  readonly #owner: UpstreamOwner;
  readonly #demux;
  readonly #reply;
  readonly #logs;
  #watch: Promise<Buffer | null> | undefined;
  #fault: unknown;
  #isRaw = false;
  /** Asks for log lines, before the first command; there is no answer to it. */
  #preface: Buffer | undefined;

  /** In state `greeted`. Throws a WireFault if an answer follows the greeting already; the caller still owns the transport then. */
  constructor(
    greeted: Greeted,
    names: UpstreamNames,
    limits: UpstreamLimits,
    clock: Clock,
    owner: UpstreamOwner,
  ) {
    this.id = names.id;
    this.backend = names.backend;
    this.server = names.server;
    this.serverMinor = greeted.serverMinor ?? 0;
    this.openedMs = clock.now();
    this.endsMs = names.endsMs;
    const { logs } = ofMinor(greeted.minor);
    this.#preface = logs === 'asked' && names.server.hasOptions ? encodeOption('log-passthrough') : undefined;
    this.#transport = greeted.transport;
    this.#owner = owner;
    this.limit = new Deadline(clock, () => this.#late());
    this.#demux = createMultiplexDecoder(ofMinor(greeted.minor).framing, {
      frameBytesMax: limits.frameBytesMax,
    });
    this.#reply = new ReplyDecoder({ statusBytesMax: limits.statusBytesMax });
    this.#logs = new LogDecoder({ lineBytesMax: limits.logLineBytesMax });
    this.#takeEarly(greeted.rest);
  }

  /** Writes a part of a command; only while leased. */
  write(bytes: readonly Buffer[]): Promise<void> | undefined {
    assert(this.state.at === 'leased', 'written without a lease');
    return this.#transport.write(this.#withPreface(bytes));
  }

  /** As `writeWhole` of its transport; only while leased. */
  writeWhole(bytes: Buffer): Promise<void> {
    assert(this.state.at === 'leased', 'written without a lease');
    return this.#transport.writeWhole(Buffer.concat(this.#withPreface([bytes])));
  }

  #withPreface(bytes: readonly Buffer[]): readonly Buffer[] {
    if (this.#preface === undefined) return bytes;
    const all = [this.#preface, ...bytes];
    this.#preface = undefined;
    return all;
  }

  get keepsWhole(): boolean {
    return this.#transport.keepsWhole;
  }

  /**
   * The events of the next chunk, possibly none; only while leased. Rejects with a WireFault for bytes outside of the protocol, with an
   * UpstreamFault `closed-early` where the backend ended, with a TransportFault where the connection is gone.
   */
  next(): Promise<readonly UpstreamEvent[]> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    const pending = this.#watch ?? this.#transport.read();
    this.#watch = undefined;
    return pending.then(this.#read);
  }

  /** A field, to avoid a closure for each chunk. */
  readonly #read = (chunk: Buffer | null): readonly UpstreamEvent[] => {
    if (chunk !== null) return this.#decode(chunk);
    // The last line of a dying process often says why.
    const lines = this.#ownLines(this.#logs.end());
    this.#fault = new UpstreamFault('closed-early', 'the backend ended where a status line should come');
    if (lines.length === 0) throw this.#fault;
    return lines.map((line) => ({ kind: 'log', line }));
  };

  /**
   * For a command that streams both ways until the connection ends, before its line is written: from here on everything on the output
   * channel is `body`, a status line too. The upstream is never released after that.
   */
  goRaw(): void {
    assert(this.state.at === 'leased' && !this.#reply.isStarted, 'made raw within a reply');
    this.#isRaw = true;
  }

  /** Ends our sending side after the written bytes; only while leased, and raw. */
  endWriting(): void {
    assert(this.state.at === 'leased' && this.#isRaw, 'ended without a raw lease');
    this.#transport.endWriting();
  }

  lease(): void {
    assert(this.state.at === 'idle', 'leased twice');
    this.#become(leasedState);
    this.limit.clear();
    this.pace.reset();
    this.exchanges += 1;
  }

  /** Goes from one lease to the next at once, after a clean end: only while leased, and clean. */
  handOver(): void {
    assert(this.state.at === 'leased' && !this.#isRaw && this.isClean, 'handed over in doubt');
    this.pace.reset();
    this.exchanges += 1;
  }

  /** After the greeting or a clean end: idle; the owner's `rested` is called after `restMs`. */
  release(restMs: number): void {
    assert(this.state.at === 'leased' || this.state.at === 'greeted', 'released without a lease');
    assert(!this.#isRaw, 'released though it is raw');
    if (!this.isClean) return this.close('spoke-while-idle');
    this.#become(idleState);
    this.limit.set(restMs);
    this.#listen(this.#watch ?? this.#transport.read());
  }

  #listen(watch: Promise<Buffer | null>): void {
    this.#watch = watch;
    watch.then(
      (chunk) => this.#heard(watch, chunk),
      () => this.#heard(watch, null),
    );
  }

  /** While idle: the owner's `rested` is called after this time from now. */
  restOn(restMs: number): void {
    assert(this.state.at === 'idle', 'it does not rest');
    this.limit.set(restMs);
  }

  close(reason: CloseReason, isAbrupt = false): void {
    if (this.state.at === 'closed') return;
    this.#become({ at: 'closed', reason });
    this.limit.end();
    try {
      this.#transport.close(reason, isAbrupt);
    } finally {
      for (const line of this.#logs.end()) this.#owner.straySpoke(this, line);
      this.#owner.closed(this, reason);
    }
  }

  /** Leaves out the line in which Dovecot reports a signal before it ends a process at a reload: the running command did not cause it. */
  #ownLines(lines: readonly LogLine[]): readonly LogLine[] {
    return lines.filter((line) => {
      if (!line.text.includes('Killed with signal')) return true;
      this.#owner.straySpoke(this, line);
      return false;
    });
  }

  #become(next: UpstreamState): void {
    assert(this.state.at !== 'closed', 'a closed upstream was used');
    this.state = next;
  }

  #late(): void {
    if (this.state.at === 'idle') this.#owner.rested(this);
    else if (this.onOverdue !== undefined) this.onOverdue();
    else this.close('reply-timeout', true);
  }

  /** A chunk or the end arrived during `watch`. If a lease took the promise over, the chunk is the lease's. */
  #heard(watch: Promise<Buffer | null>, chunk: Buffer | null): void {
    if (this.#watch !== watch || this.state.at !== 'idle') return;
    if (chunk === null) return this.close('peer-ended');
    const wasBegun = this.#demux.isBegun;
    try {
      const events = this.#decode(chunk);
      // 2.4.5 sends the header of its stream soon after the greeting, or with the first reply.
      if (!wasBegun && events.length === 0 && this.isClean) return this.#listen(this.#transport.read());
      for (const event of events) if (event.kind === 'log') this.#owner.straySpoke(this, event.line);
    } catch {
      // The content does not matter: the backend sent without a request, so the upstream is closed.
    }
    this.close('spoke-while-idle');
  }

  /** Bytes after the greeting, before any command: log lines are reported, anything else is a fault. */
  #takeEarly(rest: Buffer): void {
    for (const event of this.#decode(rest)) {
      if (event.kind !== 'log') throw earlyAnswer();
      this.#owner.straySpoke(this, event.line);
    }
    if (this.#fault !== undefined) throw this.#fault;
    if (!this.isClean) throw earlyAnswer();
  }

  get isReplaced(): boolean {
    return this.#transport.isReplaced;
  }

  /** Bytes that came already, or that are missing of a frame, would be taken for the next command's answer. */
  get isClean(): boolean {
    const isMidFrame = this.#demux.isMidFrame && this.#demux.isBegun;
    if (this.#reply.isStarted || isMidFrame || this.#transport.heldBytes > 0) return false;
    return this.#fault === undefined && this.#logs.pendingBytes === 0;
  }

  /** Returns the events before a fault; the next call of `next` rejects with the fault. */
  #decode(chunk: Buffer): readonly UpstreamEvent[] {
    const events: UpstreamEvent[] = [];
    try {
      const slices = this.#demux.push(chunk);
      const [only] = slices;
      // The usual case: one slice of the output channel is the whole chunk.
      if (only !== undefined && slices.length === 1 && only.channel === outputChannel && !this.#isRaw) {
        return this.#reply.push(only.bytes);
      }
      for (const slice of slices) this.#decodeSlice(slice, events);
    } catch (fault) {
      this.#fault = fault;
      if (events.length === 0) throw fault;
    }
    return events;
  }

  #decodeSlice(slice: ChannelBytes, events: UpstreamEvent[]): void {
    // Other channels do not exist yet; real clients ignore them too.
    if (slice.channel === outputChannel && this.#isRaw) {
      events.push({ kind: 'body', bytes: slice.bytes });
    } else if (slice.channel === outputChannel) {
      for (const event of this.#reply.push(slice.bytes)) events.push(event);
    } else if (slice.channel === logChannel) {
      const lines = this.#ownLines(this.#logs.push(slice.bytes));
      for (const line of lines) events.push({ kind: 'log', line });
    }
  }
}

/** A transport on which the next byte that we send begins a command line. */
export interface Greeted {
  readonly transport: Transport;
  /** The negotiated minor: the lower of ours and theirs. */
  readonly minor: number;
  readonly serverMinor: number | undefined;
  /** Bytes after the last plain line. */
  readonly rest: Buffer;
}

/** Limits in bytes for one backend's data: above them the upstream faults; a log line is cut instead. */
export interface UpstreamLimits {
  readonly statusBytesMax: number;
  readonly frameBytesMax: number;
  readonly logLineBytesMax: number;
}

/** An event from the backend, in the order of arrival. `bytes` are slices of the chunk that was read. */
export type UpstreamEvent =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'status'; readonly status: Status }
  | { readonly kind: 'log'; readonly line: LogLine };

export const isUpstreamEvent = predicateOf<UpstreamEvent>();

/** The dial comes before these states: an upstream begins greeted, and becomes idle before it is leased. `closed` is final. */
export type UpstreamState =
  | { readonly at: 'greeted' | 'idle' | 'leased' }
  | { readonly at: 'closed'; readonly reason: CloseReason };

export interface UpstreamOwner {
  /** Called once when it is closed, by either side. */
  closed(upstream: Upstream, reason: CloseReason): void;
  straySpoke(upstream: Upstream, line: LogLine): void;
  /** Its idle time is over: the owner closes it or calls `restOn`. */
  rested(upstream: Upstream): void;
}
