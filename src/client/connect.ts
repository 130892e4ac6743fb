// The public library, `dovegate/client`: opens a session with a doveadm server, dovegate or Dovecot itself.
// It loads neither policies nor foreign functions, and sends a password in clear only where the caller turned TLS off.

import { systemClock } from '../adapters/host/clock.js';
import { createConnect } from '../adapters/net/dial.js';
import { createSession, greet, type Session, type SessionOptions } from './session.js';

export type { LogLine, LogType } from '../protocol/log-line.js';
export type { Command, CommandInput } from './client-command.js';
export { CommandFailed, SessionFault, type SessionFaultCode } from './client-command.js';
export type { CellPiece, Row } from './exchange.js';
export type { Session, SessionOptions } from './session.js';

export type ServerAddress =
  /** A UNIX socket. Its owner and mode decide who may connect: most need no password. */
  { readonly socket: string } | { readonly host: string; readonly port: number };

/** The account, how the server authenticates, and how long to wait. */
export type ConnectOptions = ServerAddress &
  SessionOptions & {
    /** Default: `starttls` over TCP, `off` for a UNIX socket. A server without the TLS that is asked for is refused. */
    readonly tls?: 'starttls' | 'implicit' | 'off';
    /** PEM text of the authorities to trust. Default: the system's. */
    readonly ca?: string;
    /** The name that the server's certificate must carry. Default: the host. */
    readonly serverName?: string;
    /** Hex SHA-256 of the SubjectPublicKeyInfos to accept, in addition to chain and name. */
    readonly keyPins?: readonly string[];
    /** Our own certificate and key, in PEM, for servers that know us by it. */
    readonly certificate?: { readonly certificate: string; readonly key: string };
    /** The account, at Dovecot itself always `doveadm`, which is the default. */
    readonly account?: string;
    /** Its password; none for preauthenticated sockets. */
    readonly password?: string | Buffer;
    /** Lets the password go in clear over TCP with `tls: 'off'`, to other machines too. Default: to loopback only. */
    readonly allowPlaintext?: boolean;
    /** The newest minor of the protocol to speak, 0 to 4. Default 4. With 0 there are no log lines. */
    readonly minor?: 0 | 1 | 2 | 3 | 4;
    /** Default 5 s. */
    readonly connectTimeoutMs?: number;
    /** From the connection to the end of the authentication. Default 5 s: a busy server accepts and says nothing. */
    readonly greetingTimeoutMs?: number;
    /** Ends the attempt to connect; sessions and their commands are ended by `close` and by signals of their own. */
    readonly signal?: AbortSignal;
  };

/**
 * Opens a session: connects, checks the server's certificate, authenticates. Rejects with a SessionFault whose code says what failed,
 * or with the signal's reason; nothing stays open then.
 *
 * @example
 * await using session = await connect({ socket: '/run/dovegate/support.sock' });
 * for (const [root, type, value] of await session.run({ user: 'bob@example.com', name: 'quota get', columns: 5 })) {
 *   console.log(root, type, value);
 * }
 */
export async function connect(options: ConnectOptions): Promise<Session> {
  const isUnix = 'socket' in options;
  const { account = 'doveadm', password, certificate } = options;
  const open = createConnect(systemClock);
  const isKnown = password !== undefined || certificate !== undefined;
  const greeted = await greet(
    {
      open: (signal) =>
        'socket' in options
          ? open({ kind: 'unix', path: options.socket }, signal)
          : open({ kind: 'tcp', host: options.host, port: options.port }, signal),
      minor: options.minor ?? 4,
      tls: options.tls ?? (isUnix ? 'off' : 'starttls'),
      demand: {
        serverName: options.serverName ?? ('socket' in options ? 'localhost' : options.host),
        ca: options.ca,
        keyPins: (options.keyPins ?? []).map((pin) => pin.toLowerCase()),
        certificate:
          certificate === undefined ? undefined : { chain: certificate.certificate, key: certificate.key },
        protocols: ['doveadm'],
      },
      // A server that knows the certificate still asks for PLAIN behind STARTTLS, and looks at no password.
      credentials: isKnown ? { user: account, password: Buffer.from(password ?? '') } : undefined,
      mayAuthenticateInClear:
        'socket' in options || options.allowPlaintext === true || isLoopback(options.host),
      connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
      greetingTimeoutMs: options.greetingTimeoutMs ?? 5_000,
      signal: options.signal,
    },
    systemClock,
  );
  return createSession(greeted, options, systemClock);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
