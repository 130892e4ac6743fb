// The transport to a receiver: connect, then TLS at once (RFC 5425 has no greeting); the sending end, which disconnects a receiver that
// takes nothing; and faults in the words of events. Each phase has a time limit, and nothing stays open after a failure. Input from a
// receiver is read and dropped, and its rate is limited.

import type { ShipFaultCode } from '../../gate/telemetry/codes.js';
import { bounds } from '../../host/bounds/bounds.js';
import { messageOf, TransportFault, UpstreamFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { Address, Connect, TlsDemand, Transport } from '../../host/ports/transport.js';
import { printable } from '../../host/words/text.js';
import type { SinkReport } from '../../rules/config/receiver.js';

export interface Receiver {
  readonly address: Address;
  /** Called at each dial, so that new files are found. Throws the system's error for a file. */
  readonly demand: () => TlsDemand;
}

const connectTimeoutMs = 5_000;
const handshakeTimeoutMs = 5_000;

/** Rejects with an UpstreamFault, or with the signal's reason. The caller closes the transport. */
export async function dialReceiver(
  { address, demand }: Receiver,
  connect: Connect,
  clock: Clock,
  signal: AbortSignal,
): Promise<Transport> {
  let demanded: TlsDemand;
  try {
    demanded = demand();
  } catch (cause) {
    throw new UpstreamFault('tls-failed', `a file for TLS cannot be read: ${messageOf(cause)}`, cause);
  }
  const transport = await within(clock, connectTimeoutMs, 'no connection', signal, (inTime) =>
    connect(address, inTime),
  );
  try {
    await within(clock, handshakeTimeoutMs, 'no TLS handshake', signal, (inTime) => {
      inTime.addEventListener('abort', () => transport.close('dial-failed', true), { once: true });
      return transport.startTls(demanded);
    });
    return transport;
  } catch (fault) {
    transport.close('dial-failed', true);
    throw fault;
  }
}

/** After an abort its reason counts, whatever the work rejects with. */
async function within<Value>(
  clock: Clock,
  ms: number,
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const late = new UpstreamFault('dial-timeout', `${what} within ${ms} ms`);
  const timer = clock.setTimer(ms, () => controller.abort(late));
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work(controller.signal);
  } catch (fault) {
    throw controller.signal.aborted ? controller.signal.reason : fault;
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

/** A receiver is disconnected if it takes less than one send in this time. */
export const stallMs = bounds.receiverStallMs;

/** RFC 5425 has no data from receivers; some send a word for each message. A flood would cost the thread that serves commands. */
export const received = { burstBytes: 1024 ** 2, bytesPerSecond: 256 * 1024 };
/** The least that a piece counts for: a TLS record of one byte costs as much as one of a sentence. */
const pieceBytesMin = 256;

/** The sending end of a transport that the caller closes. Calls `over` once, when `fault` is set. */
export function createOutlet(transport: Transport, clock: Clock, over: () => void) {
  let fault: TransportFault | undefined;
  const ended = watch().then((end) => {
    fault = end;
    over();
  });
  return {
    /** Resolves when `fault` is set. */
    ended,
    /** Defined: the receiver has ended, or is gone. */
    get fault(): TransportFault | undefined {
      return fault;
    },
    /** Resolves when the bytes have left; rejects with a TransportFault. */
    async send(frames: Buffer): Promise<void> {
      const left = transport.write([frames]);
      if (left === undefined) return;
      const timer = clock.setTimer(stallMs, () => transport.close('receiver-stall', true));
      try {
        await left;
      } finally {
        timer.cancel();
      }
    },
  };

  async function watch(): Promise<TransportFault> {
    try {
      let left: number = received.burstBytes;
      for (let atMs = clock.now(); left >= 0; ) {
        const chunk = await transport.read();
        if (chunk === null) return new TransportFault('peer-gone', 'it ended the connection');
        const nowMs = clock.now();
        left += ((nowMs - atMs) * received.bytesPerSecond) / 1000;
        left = Math.min(left, received.burstBytes) - Math.max(chunk.length, pieceBytesMin);
        atMs = nowMs;
      }
      return new TransportFault('peer-gone', 'it sent more than a receiver does, and was closed here');
    } catch (cause) {
      return cause instanceof TransportFault ? cause : new TransportFault('peer-gone', String(cause), cause);
    }
  }
}

/** A fault of a receiver that is not of its connection: an answer, or a file. Its text is cut and made printable. */
export class ReceiverFault extends Error {
  override readonly name = 'ReceiverFault';
  readonly code: ShipFaultCode;
  constructor(code: ShipFaultCode, message: string, cause?: unknown) {
    super(
      printable(message.slice(0, bounds.receiverFaultChars)),
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
  }
}

export type ShipFault = NonNullable<SinkReport['fault']>;

/** A text of the system may be long. */
export function asShown(text: string): string {
  return text.slice(0, 1_000);
}

/** Total: accepts any error from shipping. */
export function shipFaultOf(cause: unknown): ShipFault {
  if (cause instanceof ReceiverFault) return { code: cause.code, text: cause.message };
  if (cause instanceof UpstreamFault) {
    const { code, message } = cause;
    const isDial = code === 'dial-refused' || code === 'dial-timeout' || code === 'tls-failed';
    return { code: isDial ? code : 'closed-early', text: asShown(message) };
  }
  if (cause instanceof TransportFault) {
    // Only a stall makes us close a transport with a pending write.
    if (cause.code === 'closed') return { code: 'stalled', text: `it took nothing for ${stallMs} ms` };
    const { cause: system } = cause;
    const why = system instanceof Error && 'code' in system ? ` (${String(system.code)})` : '';
    return { code: 'closed-early', text: asShown(`${cause.message}${why}`) };
  }
  // Other system errors come only from reading the journal.
  const isSystem = cause instanceof Error && 'code' in cause;
  return { code: isSystem ? 'journal-unreadable' : 'internal', text: asShown(messageOf(cause)) };
}
