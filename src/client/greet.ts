// From an address to a session's transport: connect, TLS, handshake, PLAIN. A script; its state is the program counter.
// It knows neither commands nor replies. The rules: every phase has a time limit, because a server at its process limit accepts
// and says nothing; a password leaves through TLS only, but for UNIX sockets, loopback and who allows it in so many words.

import type { Clock } from '../ports/clock.js';
import type { Transport } from '../ports/transport.js';
import { TransportFault } from '../ports/transport-fault.js';
import { UpstreamFault } from '../ports/upstream-fault.js';
import { faultOfFailure, type HandshakeOptions, shakeHands } from '../protocol/shake-hands.js';
import { SessionFault } from './client-fault.js';

/** Opens a transport. */
export type OpenTransport = (signal: AbortSignal) => Promise<Transport>;

/** What is demanded of the server, and what it is told. */
export interface GreetOptions extends HandshakeOptions {
  readonly open: OpenTransport;
  readonly connectTimeoutMs: number;
  /** From the connection to the end of the authentication. */
  readonly greetingTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A transport on which the next byte of ours is a command line. */
export interface Greeted {
  readonly transport: Transport;
  /** The lower of both minors. */
  readonly minor: number;
  /** Undefined: the server announced none. */
  readonly serverMinor: number | undefined;
}

/** Dials and greets. Rejects with a SessionFault, or with the signal's reason; nothing stays open then. */
export async function greet(options: GreetOptions, clock: Clock): Promise<Greeted> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  let timer = clock.setTimer(options.connectTimeoutMs, () =>
    controller.abort(new SessionFault('dial-timeout', `no connection within ${options.connectTimeoutMs} ms`)),
  );
  let transport: Transport | undefined;
  try {
    controller.signal.throwIfAborted();
    transport = await options.open(controller.signal);
    const opened = transport;
    timer.cancel();
    timer = clock.setTimer(options.greetingTimeoutMs, () =>
      controller.abort(
        new SessionFault('dial-timeout', `no greeting within ${options.greetingTimeoutMs} ms`),
      ),
    );
    controller.signal.addEventListener('abort', () => opened.close('dial-failed', true), { once: true });
    controller.signal.throwIfAborted();
    return await greetOpened(opened, options);
  } catch (cause) {
    transport?.close('dial-failed', true);
    throw controller.signal.aborted ? controller.signal.reason : asSessionFault(cause);
  } finally {
    timer.cancel();
    options.signal?.removeEventListener('abort', onAbort);
  }
}

async function greetOpened(transport: Transport, options: GreetOptions): Promise<Greeted> {
  const shaken = await shakeHands(transport, options);
  if (shaken.kind === 'failed') throw new SessionFault(faultOfFailure[shaken.code], shaken.message);
  if (shaken.rest.length > 0) throw new SessionFault('wire-fault', 'the server said more than its greeting');
  return { transport, minor: shaken.minor, serverMinor: shaken.serverMinor };
}

/** What the way to the server threw, in the words of this library. */
export function asSessionFault(cause: unknown): unknown {
  if (cause instanceof UpstreamFault) return new SessionFault(cause.code, cause.message, cause);
  if (cause instanceof TransportFault)
    return new SessionFault('closed-early', 'the server ended the session', cause);
  return cause;
}
