// Dials a backend: connect, handshake, TLS, PLAIN, series. A dial resolves to an upstream or leaves nothing open. Nothing secret is sent
// before TLS except to loopback and UNIX sockets. Every phase has a time limit, because a backend at its process limit accepts and says
// nothing.

import type { Series } from '../../doveadm/commands/catalog.js';
import { type HandshakePhase, shakeHands } from '../../doveadm/handshake/dial.js';
import { minorForBackends, newestMinor } from '../../doveadm/protocol/minors.js';
import { minorOfRelease, type Server, serverOf, serverOfRelease } from '../../doveadm/protocol/releases.js';
import { unlessAborted } from '../../host/concurrency/abortable.js';
import { messageOf, TransportFault, UpstreamFault, WireFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { Connect, Transport } from '../../host/ports/transport.js';
import type { Secret } from '../../rules/identity/credentials.js';
import type { dialTargetOf } from '../../rules/setup/dial-target.js';

import { type Greeted, Upstream, type UpstreamLimits, type UpstreamOwner } from './upstream.js';

export interface DialOptions {
  readonly target: DialTarget;
  readonly configured: ConfiguredServer;
  readonly limits: UpstreamLimits & { readonly maxLifetimeMs: number };
  readonly connect: Connect;
  readonly clock: Clock;
  /** A random number from 0 to below 1. */
  readonly chance: () => number;
}

/** Share of the lifetime that is random, so that upstreams opened together do not end together. */
const lifetimeJitter = 0.1;

/** Resolves to a greeted upstream. Rejects with an UpstreamFault, or with the signal's reason. */
export async function dialUpstream(
  options: DialOptions,
  nextId: () => string,
  owner: UpstreamOwner,
  signal: AbortSignal,
): Promise<Upstream> {
  const { target, connect, clock, limits, chance } = options;
  try {
    const greeted = await greet(target, connect, clock, signal);
    try {
      if (signal.aborted) throw signal.reason;
      const server = serverOfBackend(options.configured, greeted.serverMinor);
      const lifetimeMs = limits.maxLifetimeMs * (1 - lifetimeJitter * chance());
      const names = { id: nextId(), backend: target.name, server, endsMs: clock.now() + lifetimeMs };
      return new Upstream(greeted, names, limits, clock, owner);
    } catch (fault) {
      greeted.transport.close('dial-failed', true);
      if (!(fault instanceof WireFault)) throw fault;
      const text = `what came behind its greeting is no answer (${fault.code})`;
      throw new UpstreamFault('version-unsupported', text, fault);
    }
  } catch (fault) {
    throw signal.aborted ? signal.reason : asFault(fault);
  }
}

/** Checks that a backend greets: a handshake that is closed again. Rejects as `dialUpstream` does. */
export async function probeBackend(options: DialOptions, signal: AbortSignal): Promise<void> {
  const { target, connect, clock } = options;
  try {
    const greeted = await greet(target, connect, clock, signal);
    greeted.transport.close('probed');
  } catch (fault) {
    throw signal.aborted ? signal.reason : asFault(fault);
  }
}

function asFault(fault: unknown): UpstreamFault {
  if (fault instanceof UpstreamFault) return fault;
  return new UpstreamFault('dial-refused', `dialling failed: ${messageOf(fault)}`, fault);
}

/**
 * The target with shared password reads: a read that hangs would hold one of the few threads for all files of the daemon, so there is at
 * most one. `tellUnread`: called when other files than before cannot be read while one can, with the reasons; no dial fails for that.
 */
export function sharingReads(target: DialTarget, tellUnread: (text: string) => void): DialTarget {
  let reading: Promise<readonly PasswordRead[]> | undefined;
  let told = '';
  const read = async (): Promise<readonly PasswordRead[]> => {
    const passwords = await target.passwords();
    const unread = passwords.filter((each) => each instanceof Error);
    const text = unread.map(({ message }) => message).join('; ');
    if (text !== told && text !== '' && unread.length < passwords.length) tellUnread(text);
    told = text;
    return passwords;
  };
  return {
    ...target,
    passwords() {
      reading ??= read().finally(() => {
        reading = undefined;
      });
      return reading;
    },
  };
}

/** A backend, ready to dial. Its passwords are read at each dial, and tried in order when one is refused. */
export type DialTarget = ReturnType<typeof dialTargetOf>;
/** A password, or why its file cannot be read: a file is empty for a moment while it is written, and another one may serve. */
export type PasswordRead = Awaited<ReturnType<DialTarget['passwords']>>[number];

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
  let unread: UpstreamFault | undefined;
  let refused: unknown;
  for (const password of passwords.length > 0 ? passwords : [undefined]) {
    if (password instanceof Error) {
      unread ??= notReadable(password.message, password);
      continue;
    }
    try {
      return await greetOnce(target, password, connect, clock, signal);
    } catch (fault) {
      // A wrong PLAIN ends the connection, so the next password of a rotation needs a new one.
      if (!(fault instanceof UpstreamFault) || fault.code !== 'auth-rejected') throw fault;
      refused = fault;
    }
  }
  throw unread ?? refused;
}

function notReadable(why: string, cause?: unknown): UpstreamFault {
  return new UpstreamFault('auth-rejected', `the password cannot be read: ${why}`, cause);
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
  const ms = target.greetingTimeoutMs;
  const limit = limitTime(clock, ms, signal, () => {
    const text = `nothing came within ${ms} ms where ${phases[phase]} should`;
    return new UpstreamFault('dial-timeout', text, undefined, phase);
  });
  limit.signal.addEventListener('abort', () => transport.close('dial-failed', true));
  try {
    limit.signal.throwIfAborted();
    const shaken = await shakeHands(
      transport,
      {
        minor: minorForBackends,
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
    const { minor, serverMinor, rest } = shaken;
    return { transport, minor, serverMinor, rest };
  } catch (cause) {
    transport.close('dial-failed', true);
    throw asUpstreamFault(limit.signal.aborted ? limit.signal.reason : cause, phase);
  } finally {
    limit.end();
  }
}

/** Reads the passwords within the connect timeout: their file may be on a mount that hangs. */
async function readInTime(
  target: DialTarget,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly PasswordRead[]> {
  const ms = target.connectTimeoutMs;
  const limit = limitTime(clock, ms, signal, () => notReadable(`not within ${ms} ms`));
  try {
    limit.signal.throwIfAborted();
    const passwords = await unlessAborted(target.passwords(), limit.signal);
    if (passwords === undefined) throw limit.signal.reason;
    return passwords;
  } catch (cause) {
    throw limit.signal.aborted ? limit.signal.reason : notReadable(messageOf(cause), cause);
  } finally {
    limit.end();
  }
}

async function connectInTime(
  target: DialTarget,
  connect: Connect,
  clock: Clock,
  signal: AbortSignal,
): Promise<Transport> {
  const ms = target.connectTimeoutMs;
  const late = (): UpstreamFault => new UpstreamFault('dial-timeout', `no connection within ${ms} ms`);
  const limit = limitTime(clock, ms, signal, late);
  try {
    limit.signal.throwIfAborted();
    return await connect(target.address, limit.signal);
  } finally {
    limit.end();
  }
}

/** A signal that is aborted as `given` is, or with the fault of `late` after that time. `end` clears both. */
function limitTime(clock: Clock, ms: number, given: AbortSignal, late: () => UpstreamFault) {
  const controller = new AbortController();
  const { signal } = controller;
  const timer = clock.setTimer(ms, () => controller.abort(late()));
  const onAbort = (): void => controller.abort(given.reason);
  given.addEventListener('abort', onAbort, { once: true });
  if (given.aborted) onAbort();
  const end = (): void => {
    timer.cancel();
    given.removeEventListener('abort', onAbort);
  };
  return { signal, end };
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

export interface ConfiguredServer {
  /** `auto`: by the minor that it announces. */
  readonly series: Series | 'auto';
  /** Undefined: the release is derived from the minor, as far as possible. */
  readonly release?: string | undefined;
  readonly newer: 'serve' | 'reads' | 'refuse';
}

/**
 * The server that announced `serverMinor` (undefined: no VERSION line). Throws an UpstreamFault `version-unsupported` where neither the
 * configuration nor the backend names its series, or where they differ: a command that is parsed for the wrong series would bypass policy.
 */
export function serverOfBackend(
  { series, release, newer }: ConfiguredServer,
  serverMinor: number | undefined,
): Server {
  const named = release === undefined ? undefined : serverOfRelease(release);
  const configured = series === 'auto' ? named?.series : series;
  if (serverMinor === undefined) {
    const server = serverOf(undefined);
    if (configured === server.series) return server;
    throw unsupported('it names no version: if it is a Dovecot 2.3, set `series`');
  }
  const server = serverOf(serverMinor, release);
  if (server.isNewer && newer === 'refuse')
    throw unsupported(
      `it announces minor ${serverMinor}, newer than this dovegate knows (${newestMinor}), and \`newer\` is refuse`,
    );
  if (configured !== undefined && configured !== server.series)
    throw unsupported(
      `it is Dovecot ${server.series}, but \`${series === 'auto' ? 'release' : 'series'}\` says ${configured}`,
    );
  if (named !== undefined && named !== server && !server.isNewer) {
    throw unsupported(
      `it announces minor ${serverMinor}, but \`release\` says ${release}, which announces ${minorOfRelease(release ?? '')}`,
    );
  }
  return server;
}

function unsupported(text: string): UpstreamFault {
  return new UpstreamFault('version-unsupported', text);
}
