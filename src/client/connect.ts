// The public library, `dovegate/client`: opens a session with a doveadm server, dovegate or Dovecot itself.
// It loads neither policies nor foreign functions, and sends a password in clear only where the caller turned TLS off.

import { shakeHands } from '../doveadm/handshake/dial.js';
import { type KnownMinor, newestMinor } from '../doveadm/protocol/minors.js';
import { systemClock } from '../host/machine/clock.js';
import { createConnect } from '../host/net/dial.js';
import type { Timer } from '../host/ports/machine.js';
import { isOfThisMachine } from '../host/ports/peer.js';
import type { Transport } from '../host/ports/transport.js';
import { asSessionFault, SessionFault, unsendable } from './client-command.js';
import { createSession, type Session, type SessionOptions } from './session.js';

export type { Code as FailureReason } from '../doveadm/codes/codes.js';
export type { LogLine, LogType } from '../doveadm/reply/reply.js';
export type { AccessStep } from '../doveadm/verbs/verbs.js';
export type { AccessItem, AccessState } from '../gate/access/access-item.js';
export type { Access, AccessGrant, AccessOptions, AccessRequest, AccessTerms } from './access.js';
export type { Command, CommandInput } from './client-command.js';
export {
  CommandFailed,
  type FailureKind,
  SessionFault,
  type SessionFaultCode,
} from './client-command.js';
export type { CellPiece, NamedRow, Row } from './exchange.js';
export type { Session, SessionOptions } from './session.js';

/** Where Dovecot's HTTP API is. */
export interface HttpAddress {
  /** `https://HOST:PORT`, `http://` to this machine, `unix:PATH`. */
  readonly url: string;
  /** The key; none if a socket identifies the client. */
  readonly key?: string | Buffer;
}

export type ServerAddress =
  /** A UNIX socket. Its owner and mode decide who may connect: most need no password. */
  | { readonly socket: string }
  | { readonly host: string; readonly port: number }
  /**
   * Dovecot's HTTP API, of dovegate or Dovecot. Answers are read whole (`replyBytesMax`), inputs must be UTF-8, and nothing is sent
   * before the first command.
   */
  | HttpAddress;

/** The account, how the server authenticates, and how long to wait. */
export type ConnectOptions = ServerAddress &
  SessionOptions & {
    /** Default: `starttls` over TCP, `off` for a UNIX socket. A server without the requested TLS is refused. */
    readonly tls?: 'starttls' | 'implicit' | 'off';
    /** The authorities to trust as PEM: the text or the bytes of a file, never its path. Default: the system's. */
    readonly ca?: string | Buffer;
    /** The name that the server's certificate must carry. Default: the host. */
    readonly serverName?: string;
    /** Hex SHA-256 of the SubjectPublicKeyInfos to accept, in addition to chain and name. */
    readonly keyPins?: readonly string[];
    /** Our own certificate and key, in PEM, for servers that authenticate clients by it. */
    readonly certificate?: { readonly certificate: string; readonly key: string };
    /** The account. Default: `doveadm`, the only one of Dovecot itself. */
    readonly account?: string;
    /** Its password; none for preauthenticated sockets. */
    readonly password?: string | Buffer;
    /** Lets the password go in clear over TCP with `tls: 'off'`, to other machines too. Default: to loopback only. */
    readonly allowPlaintext?: boolean;
    /** The newest minor of the protocol to speak. Default: the newest known. With 0 there are no log lines. */
    readonly minor?: KnownMinor;
    /** Default 5 s. */
    readonly connectTimeoutMs?: number;
    /** From the connection to the end of the authentication. Default 5 s: a busy server accepts and sends nothing. */
    readonly greetingTimeoutMs?: number;
    /** Ends the attempt to connect; `close` ends sessions, and signals of their own end commands. */
    readonly signal?: AbortSignal;
  };

/**
 * Opens a session: connects, checks the server's certificate, authenticates. Rejects with a SessionFault whose code names the failure, or
 * with the signal's reason; nothing stays open then.
 * @example
 * await using session = await connect({ socket: '/run/dovegate/support.sock' });
 * for (const [root, type, value] of await session.run({ user: 'bob@example.com', name: 'quota get', columns: 5 })) {
 *   console.log(root, type, value);
 * }
 */
export async function connect(options: ConnectOptions): Promise<Session> {
  const ca = options.ca === undefined ? undefined : pemOf(options.ca);
  if ('url' in options) {
    const { openHttpSession } = await import('./http-session.js');
    options.signal?.throwIfAborted();
    refuseUnused(options);
    const { ca: _, ...others } = options;
    return openHttpSession(ca === undefined ? others : { ...others, ca }, systemClock);
  }
  const { signal, password, certificate, connectTimeoutMs = 5_000, greetingTimeoutMs = 5_000 } = options;
  const isUnix = 'socket' in options;
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  const expect = (what: string, ms: number): Timer =>
    systemClock.setTimer(ms, () =>
      controller.abort(new SessionFault('dial-timeout', `no ${what} within ${ms} ms`)),
    );
  let timer = expect('connection', connectTimeoutMs);
  let transport: Transport | undefined;
  try {
    controller.signal.throwIfAborted();
    const opened = await createConnect(systemClock)(
      isUnix
        ? { kind: 'unix', path: options.socket }
        : { kind: 'tcp', host: options.host, port: options.port },
      controller.signal,
    );
    transport = opened;
    timer.cancel();
    timer = expect('greeting', greetingTimeoutMs);
    controller.signal.addEventListener('abort', () => opened.close('dial-failed', true), { once: true });
    controller.signal.throwIfAborted();
    const shaken = await shakeHands(opened, {
      minor: options.minor ?? newestMinor,
      tls: options.tls ?? (isUnix ? 'off' : 'starttls'),
      demand: {
        serverName: options.serverName ?? (isUnix ? 'localhost' : options.host),
        ca,
        keyPins: (options.keyPins ?? []).map((pin) => pin.toLowerCase()),
        certificate: certificate && { chain: certificate.certificate, key: certificate.key },
        protocols: ['doveadm'],
      },
      // A server that matches the certificate still requires PLAIN after STARTTLS, and ignores the password.
      credentials:
        password === undefined && certificate === undefined
          ? undefined
          : { user: options.account ?? 'doveadm', password: Buffer.from(password ?? '') },
      mayAuthenticateInClear: isUnix || options.allowPlaintext === true || isOfThisMachine(options.host),
    });
    if (shaken.rest.length > 0)
      throw new SessionFault('wire-fault', 'the server sent data after its greeting');
    return createSession({ transport, ...shaken }, options, systemClock);
  } catch (cause) {
    transport?.close('dial-failed', true);
    throw controller.signal.aborted ? controller.signal.reason : asSessionFault(cause);
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Throws a SessionFault for a file's path: nothing would be trusted then, and the TLS error would not show why. */
function pemOf(ca: string | Buffer): string {
  if (typeof ca !== 'string' && !Buffer.isBuffer(ca))
    throw new TypeError(`ca must be a string or a Buffer, not a value of type ${typeof ca}`);
  const text = ca.toString();
  if (text === '' || text.includes('-----BEGIN ')) return text;
  throw unsendable('ca has no certificate in PEM: give the text of the file, not its path');
}

/** Refuses an unused pin or password, which would otherwise go unnoticed. */
function refuseUnused({ keyPins, account, password, tls, minor }: ConnectOptions): void {
  const given = { keyPins, account, password, tls, minor };
  const unused = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (unused.length > 0)
    throw unsendable(`over HTTP there is no ${unused.join(', ')}: the URL and the key count`);
}
