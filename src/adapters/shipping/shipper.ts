// Sends a journal to one receiver: a script that dials, sends what is on disk, waits for more, and starts again when the
// transport ends. It owns the transport and the place in the journal.
// The rules: records go in their order, and only those that are on disk; after each dial the last ones are sent again; a
// receiver that is down, slow or misbehaving never affects others.

import type { Observe } from '../../gateway/outcome/events.js';
import { messageOf, UpstreamFault } from '../../ports/faults.js';
import type { Clock, Timer } from '../../ports/machine.js';
import type { Connect, Transport } from '../../ports/transport.js';
import { beginning, createFollower, type FollowFault, type Position } from './follow.js';
import { createOverlap, type PositionFile } from './position.js';
import {
  createOutlet,
  dialReceiver,
  type Outlet,
  type Receiver,
  type ShipFault,
  shipFaultOf,
} from './receiver.js';
import { encodeFrames, type Sender } from './syslog.js';

/** What all shippers of a journal have. */
export interface ShipperParts {
  /** Of the journal. */
  readonly directory: string;
  readonly sender: Sender;
  readonly connect: Connect;
  readonly clock: Clock;
  /** From 0 up to 1, without 1. */
  readonly chance: () => number;
  readonly observe: Observe;
}

export interface ShipperOptions extends ShipperParts {
  /** Its name in events and metrics. */
  readonly sink: string;
  readonly receiver: Receiver;
  /** The journal's id. */
  readonly journal: string;
  /** Seq of the last record that is on disk. */
  readonly untilSeq: () => number;
  /** Behind the last record that the receiver certainly has, and where that is kept. */
  readonly position: Position;
  readonly file: PositionFile;
}

export type ShipperState =
  | { readonly at: 'connecting' }
  | { readonly at: 'connected' }
  | ({ readonly at: 'away' } & ShipFault);

export type Shipper = ReturnType<typeof startShipper>;

/** What syslog's missing acknowledgement is met with: so much is sent again, whichever is more. */
const overlapLimits = { ms: 60_000, bytes: 1 << 20 };
/** Records that come one by one are gathered for so long: a read and a write for each would be dear. */
const gatherMs = 20;
/** Between two batches, each of which takes about as long: a long backlog leaves half of the processor to commands. */
const restMs = 1;
/** A receiver that refuses our certificate says so only after its handshake: until then it is not reported as connected. */
const provenMs = 1_000;
/** A transport that lived so long was a good one: the next dial is not held back by failures before it. */
const steadyMs = 10_000;
const keepIntervalMs = 1_000;
/** At the end, beyond the time for the receiver: a hanging disk must not delay the stop. */
const diskMs = 1_000;

const delayMsMin = 500;
const delayMsMax = 30_000;

/**
 * Milliseconds after so many failures in a row (from 1 on); `chance` is from 0 up to 1, without 1. Jitter, so that gateways that
 * lost the same receiver do not come back in lockstep.
 */
export function backOffMs(failures: number, chance: number): number {
  const delayMs = Math.min(delayMsMin * 2 ** (failures - 1), delayMsMax);
  return Math.round(delayMs * (0.5 + chance / 2));
}

export function startShipper(options: ShipperOptions) {
  const { sink, clock, observe, untilSeq } = options;
  const bell = new WakeSignal(clock);
  const overlap = createOverlap(overlapLimits, options.position);
  const follower = createFollower(options.directory, tellFault);
  /** Aborted first: send what is there and stop. Aborted second: stop. */
  const ending = new AbortController();
  const hurry = new AbortController();
  let state: ShipperState = { at: 'connecting' };
  let connectedMs = 0;
  let connectedSince: number | undefined;
  let kept = options.position;
  let keptAtMs = clock.now();
  let keepFault: string | undefined;
  const running = run();

  return {
    /** There may be more on disk. */
    nudge(): void {
      if (connectedSince !== undefined) bell.ring();
    },
    /** Sends what is on disk now, if the receiver is there and takes it in time; resolves when nothing of it is left. */
    async end(ms: number): Promise<void> {
      ending.abort();
      bell.ring();
      const timers: Timer[] = [];
      const late = new Promise<void>((resolve) => {
        timers.push(clock.setTimer(ms, stop), clock.setTimer(ms + diskMs, resolve));
      });
      await Promise.race([running, late]);
      stop();
      for (const timer of timers) timer.cancel();
    },
    get state(): ShipperState {
      return state;
    },
    /** The last record that the receiver certainly has, also after a restart. */
    get safeSeq(): number {
      return kept.seq;
    },
    /** Records on disk that were not sent yet. */
    get lagRecords(): number {
      return Math.max(untilSeq() - overlap.sentSeq, 0);
    },
  };

  function stop(): void {
    hurry.abort(new UpstreamFault('dial-timeout', 'it took too long for the end'));
    bell.ring();
  }

  async function run(): Promise<void> {
    let failures = 0;
    for (;;) {
      const before = connectedMs;
      const fault = await attempt();
      await follower.close();
      await keep();
      if (fault === undefined || ending.signal.aborted) return;
      become({ at: 'away', ...fault });
      failures = connectedMs - before >= steadyMs ? 1 : failures + 1;
      const dueMs = clock.now() + backOffMs(failures, options.chance());
      // The bell rings for other things too, such as the end of the transport that was.
      for (let leftMs = 1; leftMs > 0; leftMs = dueMs - clock.now()) {
        if (ending.signal.aborted) return;
        await bell.wait(dueMs - clock.now());
      }
      if (ending.signal.aborted) return;
    }
  }

  /** One transport from its dial to its end; undefined: everything was sent, and no more is wanted. */
  async function attempt(): Promise<ShipFault | undefined> {
    let transport: Transport | undefined;
    const giveUp = (): void => transport?.close('draining', true);
    try {
      transport = await dialReceiver(options.receiver, options.connect, clock, hurry.signal);
      hurry.signal.addEventListener('abort', giveUp, { once: true });
      connectedSince = clock.now();
      await ship(transport);
      transport.close('draining');
      return undefined;
    } catch (cause) {
      transport?.close('peer-gone', true);
      return shipFaultOf(cause);
    } finally {
      hurry.signal.removeEventListener('abort', giveUp);
      connectedMs = connectedTime();
      connectedSince = undefined;
    }
  }

  async function ship(transport: Transport): Promise<void> {
    const outlet = createOutlet(transport, clock, () => bell.ring());
    const proof = clock.setTimer(provenMs, () => {
      if (outlet.fault === undefined) become({ at: 'connected' });
    });
    try {
      await sendAll(outlet);
      // A receiver that answers our end with its own has read everything: the only acknowledgement that there is.
      transport.endWriting();
      while (outlet.fault === undefined && !hurry.signal.aborted) await bell.wait();
    } finally {
      proof.cancel();
    }
  }

  /** Until nothing more is wanted and everything is sent; rejects when the receiver ends before. */
  async function sendAll(outlet: Outlet): Promise<void> {
    await follower.seek(overlap.safe(connectedTime()));
    for (;;) {
      if (outlet.fault !== undefined) throw outlet.fault;
      // Asked before the look: what reached the disk since is not among what that look found to be all.
      const isLastLook = ending.signal.aborted;
      const batch = await follower.next(untilSeq());
      if (batch === undefined) {
        if (isLastLook) return;
        await bell.wait();
        if (!ending.signal.aborted && outlet.fault === undefined) await pause(gatherMs);
        continue;
      }
      const frames = encodeFrames(batch.lines, options.sender);
      await outlet.send(frames);
      overlap.note(batch.position, frames.length, connectedTime());
      if (clock.now() - keptAtMs >= keepIntervalMs) await keep();
      await pause(restMs);
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      clock.setTimer(ms, resolve);
    });
  }

  function connectedTime(): number {
    return connectedMs + (connectedSince === undefined ? 0 : clock.now() - connectedSince);
  }

  async function keep(): Promise<void> {
    keptAtMs = clock.now();
    const position = overlap.safe(connectedTime());
    if (position === kept || position === beginning) return;
    try {
      await options.file.save({ journal: options.journal, position });
      kept = position;
      keepFault = undefined;
    } catch (cause) {
      const text = messageOf(cause);
      if (keepFault !== text) observe({ kind: 'ship-position-failed', sink, text });
      keepFault = text;
    }
  }

  /** Reports each change once; while it is away, each other cause. */
  function become(next: ShipperState): void {
    const isSame =
      next.at === state.at && (next.at !== 'away' || state.at !== 'away' || next.code === state.code);
    state = next;
    if (isSame) return;
    const lagRecords = Math.max(untilSeq() - overlap.sentSeq, 0);
    if (next.at === 'connected') observe({ kind: 'ship-connected', sink, lagRecords });
    if (next.at === 'away')
      observe({ kind: 'ship-away', sink, code: next.code, text: next.text, lagRecords });
  }

  function tellFault(fault: FollowFault): void {
    switch (fault.kind) {
      case 'missing':
        return observe({ kind: 'ship-missing', sink, from: fault.from, to: fault.to });
      case 'damaged':
        return observe({ kind: 'ship-damaged', sink, text: fault.text });
      case 'not-continued':
        kept = beginning;
        overlap.reset(beginning);
        return observe({ kind: 'ship-restarted', sink, text: fault.text });
      default:
        return fault satisfies never;
    }
  }
}

/** Wakes the one script that waits. A signal is not lost when nothing waits yet. */
export class WakeSignal {
  readonly #clock: Clock;
  #heard: (() => void) | undefined;
  #isRung = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ring(): void {
    if (this.#heard === undefined) this.#isRung = true;
    else this.#heard();
  }

  /** Resolves with the next ring, or at once with one that came before; with a time: then at the latest. */
  wait(ms?: number): Promise<void> {
    if (this.#isRung) {
      this.#isRung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const heard = (): void => {
        this.#heard = undefined;
        timer?.cancel();
        resolve();
      };
      this.#heard = heard;
      if (ms !== undefined) timer = this.#clock.setTimer(ms, heard);
    });
  }
}
