// From an address to a greeted transport: connect, handshake, TLS, PLAIN. A script; its state is the program counter.
// It does not know pools or exchanges. The rules: nothing secret before TLS except to loopback and UNIX sockets; every
// phase has a time limit, because a backend at its process limit accepts and says nothing.

import type { Secret } from '../../domain/identity/credentials.js';
import type { Clock } from '../../ports/clock.js';
import type { TlsDemand, Transport } from '../../ports/transport.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { UpstreamFault, type UpstreamPhase } from '../../ports/upstream-fault.js';
import { faultOfFailure, type HandshakePhase, shakeHands } from '../../protocol/shake-hands.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { Address, Connect } from '../outcome/ports.js';

/** A backend as far as dialling needs to know it. */
export interface DialTarget {
  readonly name: string;
  readonly address: Address;
  readonly tls: 'starttls' | 'implicit' | 'off';
  readonly demand: TlsDemand;
  readonly username: string;
  /** Read anew at each dial, so that a rotated password is found; tried in order when one is refused. */
  readonly passwords: () => Promise<readonly Secret[]>;
  /** True for loopback, UNIX sockets and `allow_plaintext`: PLAIN may go without TLS. */
  readonly mayAuthenticateInClear: boolean;
  readonly connectTimeoutMs: number;
  /** From the connection to the end of the authentication. */
  readonly greetingTimeoutMs: number;
}

/** A transport on which the next byte of ours is a command line. */
export interface Greeted {
  readonly transport: Transport;
  /** What holds on this transport: the lower of ours and theirs. */
  readonly minor: number;
  /** What the backend announced; undefined: it sent no VERSION line. */
  readonly serverMinor: number | undefined;
  /** Bytes that came behind the last plain line. */
  readonly rest: Buffer;
}

/** We announce 2: PACKET framing and log lines unasked from every release (measured on 2.3.13 to 2.4.5). */
const announcedMinor = 2;

/** What is waited for, in words. */
const phases: Readonly<Record<HandshakePhase, string>> = {
  greeting: 'its greeting',
  tls: 'the TLS handshake',
  authentication: 'the answer to PLAIN',
};

/** Dials and greets. Rejects with an UpstreamFault, or with the signal's reason; nothing stays open then. */
export async function greet(
  target: DialTarget,
  connect: Connect,
  clock: Clock,
  signal: AbortSignal,
): Promise<Greeted> {
  const passwords = await readInTime(target, clock, signal);
  const tries: readonly (Secret | undefined)[] = passwords.length > 0 ? passwords : [undefined];
  for (const [index, password] of tries.entries()) {
    try {
      return await greetOnce(target, password, connect, clock, signal);
    } catch (fault) {
      // One wrong PLAIN ends the connection, so the next password of a rotation needs one of its own.
      const isRefused = fault instanceof UpstreamFault && fault.code === 'auth-rejected';
      if (!isRefused || index === tries.length - 1) throw fault;
    }
  }
  throw new Error('no password was tried');
}

async function greetOnce(
  target: DialTarget,
  password: Secret | undefined,
  connect: Connect,
  clock: Clock,
  signal: AbortSignal,
): Promise<Greeted> {
  const transport = await connectInTime(target, connect, clock, signal);
  let phase: HandshakePhase = 'greeting';
  let fault: unknown;
  const stop = (reason: unknown): void => {
    fault ??= reason;
    transport.close('dial-failed', true);
  };
  const timer = clock.setTimer(target.greetingTimeoutMs, () =>
    stop(
      new UpstreamFault(
        'dial-timeout',
        `nothing came within ${target.greetingTimeoutMs} ms where ${phases[phase]} should`,
        undefined,
        phase,
      ),
    ),
  );
  const onAbort = (): void => stop(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) throw signal.reason;
    const shaken = await shakeHands(
      transport,
      {
        minor: announcedMinor,
        tls: target.tls,
        demand: target.demand,
        credentials:
          password === undefined ? undefined : { user: target.username, password: password.reveal() },
        mayAuthenticateInClear: target.mayAuthenticateInClear,
      },
      (next) => {
        phase = next;
      },
    );
    if (shaken.kind === 'failed') throw failed(shaken.code, shaken.message, phase);
    const { minor, serverMinor, rest } = shaken;
    return { transport, minor, serverMinor, rest };
  } catch (cause) {
    transport.close('dial-failed', true);
    throw asUpstreamFault(fault ?? cause, phase);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

function failed(code: keyof typeof faultOfFailure, message: string, phase: UpstreamPhase): UpstreamFault {
  const fault = faultOfFailure[code];
  return fault === 'closed-early'
    ? new UpstreamFault(fault, message, undefined, phase)
    : new UpstreamFault(fault, message);
}

/** The passwords, within the connect timeout: their file may lie on a mount that hangs. */
async function readInTime(target: DialTarget, clock: Clock, signal: AbortSignal): Promise<readonly Secret[]> {
  if (signal.aborted) throw signal.reason;
  const { connectTimeoutMs } = target;
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (text: string, cause?: unknown): void => {
      settle();
      reject(new UpstreamFault('auth-rejected', `the password cannot be read: ${text}`, cause));
    };
    const onAbort = (): void => {
      settle();
      reject(signal.reason);
    };
    const timer = clock.setTimer(connectTimeoutMs, () => fail(`not within ${connectTimeoutMs} ms`));
    signal.addEventListener('abort', onAbort, { once: true });
    target.passwords().then(
      (passwords) => {
        settle();
        resolve(passwords);
      },
      (cause: unknown) => fail(cause instanceof Error ? cause.message : String(cause), cause),
    );
  });
}

/** Connects within the connect timeout. */
async function connectInTime(
  target: DialTarget,
  connect: Connect,
  clock: Clock,
  signal: AbortSignal,
): Promise<Transport> {
  if (signal.aborted) throw signal.reason;
  const controller = new AbortController();
  const timer = clock.setTimer(target.connectTimeoutMs, () =>
    controller.abort(new UpstreamFault('dial-timeout', `no connection within ${target.connectTimeoutMs} ms`)),
  );
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await connect(target.address, controller.signal);
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

function asUpstreamFault(cause: unknown, phase: HandshakePhase): unknown {
  if (cause instanceof WireFault) {
    return new UpstreamFault(
      'version-unsupported',
      `what came is no doveadm greeting (${cause.code})`,
      cause,
    );
  }
  if (cause instanceof TransportFault) {
    const text = `it ended the connection where ${phases[phase]} should come`;
    return new UpstreamFault('closed-early', text, cause, phase);
  }
  return cause;
}
