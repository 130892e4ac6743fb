// Sends a journal to one receiver: a script that connects, sends the durable records, waits for more, and starts again when the connection
// ends. It owns the connection and the position in the journal. Records go in their order, and only those on disk. The carrier decides
// where to continue after each connect. A receiver that is down, slow or misbehaving never affects others.

import type { DaemonEvent, Log } from '../../gate/telemetry/log.js';
import { backOffMs } from '../../host/concurrency/back-off.js';
import { pause, Wakes } from '../../host/concurrency/waiting.js';
import { messageOf, UpstreamFault } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import { forkedTodo } from '../../rules/config/fault.js';
import type { SinkReport } from '../../rules/config/receiver.js';
import { type Carrier, ForkedFault, type Line } from './carrier.js';
import { beginning, createFollower, type FollowFault, type Position } from './follow.js';
import type { PositionFile } from './position.js';
import { asShown, type ShipFault, shipFaultOf } from './receiver.js';

export interface ShipperParts {
  readonly directory: string;
  readonly clock: Clock;
  /** From 0 up to 1, without 1. */
  readonly chance: () => number;
  readonly log: Pick<Log, 'report'>;
  readonly sink: string;
  readonly carrier: Carrier;
  readonly journal: string;
  /** The last record that is certainly on disk; later ones may be cut off and written again. */
  readonly untilSeq: () => number;
  /** After the last record that the receiver certainly has, with the file that stores it. */
  readonly position: Position;
  readonly file: PositionFile;
}

export type Shipper = ReturnType<typeof startShipper>;

/** Single records are gathered for so long: a read and a write for each would be expensive. */
const gatherMs = 20;
/** A connection that lasted so long resets the pauses of earlier failures. */
const steadyMs = 10_000;
const keepIntervalMs = 1_000;
/** The time for remaining records at a stop: long enough for a reachable receiver. */
const endMs = 5_000;
/** In addition to the receiver's time: a hanging disk must not delay the stop. */
const diskMs = 1_000;

const delayMsMin = 500;

export function startShipper(options: ShipperParts) {
  const { sink, carrier, clock, untilSeq } = options;
  const wakes = new Wakes(true);
  const follower = createFollower(options.directory, tellFault, carrier.batches);
  /** First abort: send the remaining records and stop. Second abort: stop. */
  const ending = new AbortController();
  const hurry = new AbortController();
  let state: SinkReport['state'] = 'connecting';
  let shown: ShipFault | undefined;
  let line: Line | undefined;
  let kept = options.position;
  let keptAtMs = clock.now();
  let keepFault: string | undefined;
  const running = run();

  return {
    /** Call when there may be more on disk. */
    nudge(): void {
      if (line !== undefined) wakes.wake();
    },
    /** Sends the records on disk, if the receiver takes them in time; resolves when the shipper has ended. */
    async close(): Promise<void> {
      ending.abort();
      wakes.wake();
      const timers: Timer[] = [];
      const late = new Promise<void>((resolve) => {
        timers.push(clock.setTimer(endMs, stop), clock.setTimer(endMs + diskMs, resolve));
      });
      await Promise.race([running, late]);
      stop();
      for (const timer of timers) timer.cancel();
    },
    get report(): SinkReport {
      const { sentSeq, refused } = carrier;
      const safe = kept.seq < carrier.safe.seq ? kept : carrier.safe;
      return {
        name: sink,
        state,
        fault: shown,
        sentSeq,
        refused,
        // A position from before a restart counts, too.
        safe: safe.seq > 0 ? safe : undefined,
      };
    },
  };

  function stop(): void {
    hurry.abort(new UpstreamFault('dial-timeout', 'it took too long for the end'));
    wakes.wake();
  }

  async function run(): Promise<void> {
    let failures = 0;
    for (;;) {
      const { fault, connectedMs } = await attempt();
      await follower.close();
      await keep();
      const isForked = fault instanceof ForkedFault;
      if (isForked) become('forked', { code: 'audit-forked', text: asShown(fault.message) });
      if (fault === undefined || isForked || ending.signal.aborted) return;
      become('away', shipFaultOf(fault));
      failures = connectedMs >= steadyMs ? 1 : failures + 1;
      const dueMs = clock.now() + backOffMs(failures, delayMsMin, 10_000, options.chance());
      // Other events wake it too, such as the end of the last connection.
      for (let leftMs = 1; leftMs > 0; leftMs = dueMs - clock.now()) {
        if (ending.signal.aborted) return;
        await wakes.next(undefined, { clock, ms: dueMs - clock.now() });
      }
      if (ending.signal.aborted) return;
    }
  }

  /** One connection from its opening to its end; without a fault: everything was sent, and the shipper stops. */
  async function attempt(): Promise<{ readonly fault?: unknown; readonly connectedMs: number }> {
    let openedMs: number | undefined;
    const connectedMs = (): number => clock.now() - (openedMs ?? clock.now());
    let isOrderly = false;
    try {
      line = await carrier.open(follower, hurry.signal, {
        proven: () => become('connected'),
        over: () => wakes.wake(),
      });
      openedMs = clock.now();
      await sendAll(line);
      await line.finish?.();
      isOrderly = true;
      return { connectedMs: connectedMs() };
    } catch (fault) {
      return { fault: fault ?? new Error('no reason was given'), connectedMs: connectedMs() };
    } finally {
      line?.close(isOrderly);
      line = undefined;
    }
  }

  /** Runs until the shipper stops and everything is sent; rejects when the receiver ends before. */
  async function sendAll(open: Line): Promise<void> {
    for (;;) {
      if (open.fault !== undefined) throw open.fault;
      // Read before the loop: records that reach the disk later need another one.
      const isLastLook = ending.signal.aborted;
      const batch = await follower.next(Math.min(untilSeq(), carrier.batchUntil ?? Infinity));
      if (batch !== undefined) {
        await open.send(batch);
        if (clock.now() - keptAtMs >= keepIntervalMs) await keep();
        continue;
      }
      if (isLastLook) return;
      const idleMs = (await open.idle?.()) ?? Infinity;
      if (clock.now() - keptAtMs >= keepIntervalMs) await keep();
      const waitMs = Math.min(idleMs, carrier.safe === kept ? Infinity : keepIntervalMs);
      await wakes.next(undefined, waitMs === Infinity ? undefined : { clock, ms: waitMs });
      if (!ending.signal.aborted && open.fault === undefined) await pause(clock, gatherMs);
    }
  }

  async function keep(): Promise<void> {
    keptAtMs = clock.now();
    const position = carrier.safe;
    if (position === kept) return;
    try {
      if (position === beginning) await options.file.clear();
      else await options.file.save({ journal: options.journal, position });
      kept = position;
      keepFault = undefined;
    } catch (cause) {
      const text = messageOf(cause);
      if (keepFault !== text) tell('ship-position-failed', `the position of ${sink} is not on disk: ${text}`);
      keepFault = text;
    }
  }

  /** Reports each change once; during an outage, each new cause. */
  function become(next: SinkReport['state'], fault?: ShipFault): void {
    if (state === 'forked') return;
    const isSame = next === state && fault?.code === shown?.code;
    state = next;
    shown = fault;
    if (isSame) return;
    const unsent = Math.max(untilSeq() - carrier.sentSeq, 0);
    if (fault === undefined) {
      const text = `records go to ${sink}; ${unsent} were not sent yet`;
      options.log.report({ event: 'ship-connected', level: 'info', text, sink, lag: unsent });
    } else if (next === 'forked')
      tell('audit-forked', `${sink} gets no more of this journal: ${fault.text}; ${forkedTodo}`);
    else tell('ship-away', `no records go to ${sink}: ${fault.text}`, { type: fault.code, lag: unsent });
  }

  function tell(
    event: DaemonEvent['event'],
    text: string,
    keys: Readonly<Record<string, string | number>> = {},
  ): void {
    options.log.report({ event, level: 'error', text, sink, ...keys });
  }

  function tellFault(fault: FollowFault): void {
    switch (fault.kind) {
      case 'missing': {
        const { from, to } = fault;
        const text = `${sink} will never get the records ${from} to ${to}: they were removed before, or are damaged`;
        return tell('ship-missing', text, { from, to });
      }
      case 'damaged':
        return tell('ship-damaged', `not sent to ${sink}: ${fault.text}`);
      case 'not-continued':
        return carrier.doubt(fault.text);
      default:
        return fault satisfies never;
    }
  }
}
