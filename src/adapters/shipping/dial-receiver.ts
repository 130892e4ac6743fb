// Opens a transport to a receiver: connect, then TLS at once (RFC 5425 has no greeting). It does not know what is sent there.
// The rule: each phase has a time limit, and nothing stays open when it fails.

import type { Address, Connect } from '../../gateway/outcome/ports.js';
import type { Clock } from '../../ports/clock.js';
import type { TlsDemand, Transport } from '../../ports/transport.js';
import { UpstreamFault } from '../../ports/upstream-fault.js';

/** Where records are sent to. */
export interface Receiver {
  readonly address: Address;
  /** Asked at each dial, so that new files are found. Throws what the system says of a file. */
  readonly demand: () => TlsDemand;
}

const connectTimeoutMs = 5_000;
const handshakeTimeoutMs = 5_000;

/** Rejects with an UpstreamFault, or with the signal's reason. Whoever gets the transport closes it. */
export async function dialReceiver(
  { address, demand }: Receiver,
  connect: Connect,
  clock: Clock,
  signal: AbortSignal,
): Promise<Transport> {
  const demanded = readDemand(demand);
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

function readDemand(demand: () => TlsDemand): TlsDemand {
  try {
    return demand();
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new UpstreamFault('tls-failed', `a file for TLS cannot be read: ${text}`, cause);
  }
}

/** Whatever the work rejects with after it was aborted, the reason of that counts. */
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
