// Opens one connection to one server, by the library.
// The rules: TLS or nothing; the certificate is for the name or address that is dialled; nothing is tried again behind our back. The
// library leaves a socket open for ever when a server accepts and says nothing, so a plain look comes first, which is ended in time.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect as connectSocket, isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls';
import type * as Library from '@nats-io/transport-node';
import { bounds } from '../../bounds/bounds.js';
import { isObject } from '../../domain/audit/record.js';
import { messageOf, UpstreamFault } from '../../ports/faults.js';
import { systemClock } from '../host/clock.js';
import { systemContext } from '../host/system-trust.js';
import { NatsFault } from './fault.js';
import { howToInstall } from './installed.js';

/** Where, and as whom. Files are read at each opening, so that new ones are found. */
export interface NatsSettings {
  /** At least one; tried in their order. */
  readonly servers: readonly NatsServer[];
  /** The system's list of authorities when absent. */
  readonly caFile?: string | undefined;
  /** A `.creds` file: a JWT and the seed of its key. */
  readonly credentialsFile?: string | undefined;
  /** Both or none. */
  readonly client?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
  /** Shown by the server's own tools. */
  readonly name: string;
  /**
   * Answers come to subjects below it; default `_INBOX`. One of its own for each gate (`_INBOX.HOST`) lets the server's rights keep the answers
   * for one gate, which may hold its records, from all others.
   */
  readonly inbox?: string | undefined;
}

export interface NatsServer {
  readonly host: string;
  readonly port: number;
}

export type NatsLibrary = typeof Library;

/** For a TCP connection and the server's first line; then again for TLS and the login. */
const dialMs = bounds.natsDialMs;
/** A dead connection is noticed within three of them, where no answer is awaited. */
const pingMs = 5_000;
/** Of the server's first line; a real one has some hundreds. */
const infoBytesMax = bounds.natsInfoBytes;

/** Rejects with a NatsFault `library-missing`. */
export async function loadLibrary(): Promise<NatsLibrary> {
  try {
    return await import('@nats-io/transport-node');
  } catch (cause) {
    const text = `the package for NATS is not installed: ${howToInstall}, and start again`;
    throw new NatsFault('library-missing', text, cause);
  }
}

export function placeOf({ host, port }: NatsServer): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

interface OwnFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly credentials?: Uint8Array | undefined;
}

function readOwn(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new NatsFault('tls-failed', `cannot read ${path}: ${messageOf(cause)}`, cause);
  }
}

/** Throws a NatsFault `tls-failed`. */
export function readFiles(settings: NatsSettings): OwnFiles {
  return {
    ca: readOwn(settings.caFile)?.toString(),
    cert: readOwn(settings.client?.certificateFile)?.toString(),
    key: readOwn(settings.client?.keyFile)?.toString(),
    credentials: readOwn(settings.credentialsFile),
  };
}

const unknownAuthority = 'its certificate comes from an authority that is not in `ca`';

/** Sentences for what OpenSSL, Node and the system call by code. */
const causes: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is signed by itself and not in `ca`'],
  ['SELF_SIGNED_CERT_IN_CHAIN', unknownAuthority],
  ['UNABLE_TO_GET_ISSUER_CERT', unknownAuthority],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', unknownAuthority],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', unknownAuthority],
  ['CERT_SIGNATURE_FAILURE', 'its certificate is not signed by the authority that it names'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'what came is not TLS'],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'it demands a client certificate: set `certificate` and `key`',
  ],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'it does not accept our client certificate'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'it does not know the authority of our client certificate'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'our client certificate has expired'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', 'it does not accept our client certificate'],
]);
const refusals: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nobody listens there'],
  ['ENOTFOUND', 'the name cannot be resolved'],
  ['EAI_AGAIN', 'the name cannot be resolved at the moment'],
  ['EHOSTUNREACH', 'no route'],
  ['ENETUNREACH', 'no route'],
  ['ECONNRESET', 'it ended the connection'],
]);
/** The alert that says why may be lost when the server closes. */
const ended = 'it ended the handshake, as a server does that does not accept our client certificate';

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

/** Resolves when a server has said its first line and has TLS. Rejects with a NatsFault, or with the signal's reason. */
function look(server: NatsServer, signal: AbortSignal): Promise<void> {
  const place = placeOf(server);
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = connectSocket({ host: server.host, port: server.port, noDelay: true });
    let isThere = false;
    let text = '';
    const settle = (fault?: unknown): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      // A second error of a socket that ends must not end the process: its listener stays.
      socket.destroy();
      if (fault === undefined) resolve();
      else reject(fault);
    };
    const onAbort = (): void => settle(signal.reason);
    const timer = systemClock.setTimer(dialMs, () => {
      const why = isThere ? 'it accepts connections and says nothing' : 'no connection';
      settle(new NatsFault('dial-timeout', `${place} does not answer: ${why} within ${dialMs / 1000} s`));
    });
    signal.addEventListener('abort', onAbort);
    socket.once('connect', () => {
      isThere = true;
    });
    socket.on('error', (cause) => {
      const why = refusals.get(codeOf(cause)) ?? codeOf(cause);
      settle(new NatsFault('dial-refused', `cannot connect to ${place}: ${why}`, cause));
    });
    socket.on('close', () => {
      settle(new NatsFault('dial-refused', `cannot connect to ${place}: it ended the connection`));
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n');
      if (end < 0 && text.length <= infoBytesMax) return;
      const info = readInfo(text.slice(0, Math.max(end, 0)));
      if (info === undefined) {
        return settle(new NatsFault('dial-refused', `${place} is not a NATS server: check host and port`));
      }
      if (info['tls_required'] !== true && info['tls_available'] !== true) {
        const what = `${place} has no TLS, and nothing is sent without: give it a \`tls\` block`;
        return settle(new NatsFault('tls-failed', what));
      }
      settle();
    });
  });
}

function readInfo(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const info: unknown = line.startsWith('INFO ') ? JSON.parse(line.slice(5)) : undefined;
    return isObject(info) ? info : undefined;
  } catch {
    return undefined;
  }
}

/** Of an address, which Node compares with "localhost" otherwise, or not at all. */
function checkIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(host) === 0) return checkServerIdentity(host, certificate);
  if (new X509Certificate(certificate.raw).checkIP(host) !== undefined) return undefined;
  return Object.assign(new Error('another address'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

/** What is trusted, and what is shown. Throws a NatsFault where the system has no list of authorities, or a file cannot be used. */
function contextOf({ ca, cert, key }: OwnFiles): SecureContext {
  const certificate = cert === undefined || key === undefined ? undefined : { chain: cert, key };
  try {
    if (ca === undefined) return systemContext(certificate);
    // In a list: for an empty text alone Node would take its own authorities.
    return createSecureContext({ ca: [ca], minVersion: 'TLSv1.2', ...(certificate && { cert, key }) });
  } catch (cause) {
    const why = cause instanceof UpstreamFault ? cause.message : `a file cannot be used: ${messageOf(cause)}`;
    throw new NatsFault('tls-failed', why, cause);
  }
}

/** Rejects with a NatsFault, or with the signal's reason. */
export async function dial(
  library: NatsLibrary,
  server: NatsServer,
  settings: NatsSettings,
  files: OwnFiles,
  signal: AbortSignal,
): Promise<Library.NatsConnection> {
  await look(server, signal);
  const { credentials } = files;
  // The library hands what it does not know on to Node.
  const tls: NonNullable<Library.NodeConnectionOptions['tls']> & ConnectionOptions = {
    secureContext: contextOf(files),
    servername: isIP(server.host) === 0 ? server.host : '',
    checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
      checkIdentity(server.host, certificate),
    minVersion: 'TLSv1.2',
  };
  const options: Library.NodeConnectionOptions = {
    servers: [placeOf(server)],
    name: settings.name,
    inboxPrefix: settings.inbox ?? '_INBOX',
    reconnect: false,
    resolve: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: dialMs,
    pingInterval: pingMs,
    maxPingOut: 2,
    tls,
  };
  if (credentials !== undefined) options.authenticator = library.credsAuthenticator(credentials);
  let connection: Library.NatsConnection;
  try {
    connection = await library.connect(options);
  } catch (cause) {
    throw faultOfDial(cause, placeOf(server), files.ca);
  }
  if (signal.aborted) {
    await connection.close();
    throw signal.reason;
  }
  return connection;
}

function faultOfDial(thrown: unknown, place: string, ca: string | undefined): NatsFault {
  const name = thrown instanceof Error ? thrown.name : '';
  const code = codeOf(thrown) || codeOf(thrown instanceof Error ? thrown.cause : undefined);
  if (name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError') {
    const text = `${place} does not know us: check \`credentials\` or \`certificate\`, and its list of users`;
    return new NatsFault('auth-rejected', text, thrown);
  }
  if (name === 'TimeoutError') {
    const text = `${place} does not answer: no handshake and login within ${dialMs / 1000} s`;
    return new NatsFault('dial-timeout', text, thrown);
  }
  if (messageOf(thrown).includes('parse credentials')) {
    return new NatsFault('tls-failed', '`credentials` is not a file with a JWT and a seed', thrown);
  }
  if (code === 'ECONNREFUSED') {
    return new NatsFault('dial-refused', `cannot connect to ${place}: nobody listens there`, thrown);
  }
  const isEnd = code === '' || code === 'ECONNRESET' || code === 'EPIPE';
  const why = isEnd ? ended : (causes.get(code) ?? `the handshake failed (${code})`);
  const said = ca === undefined ? why.replace('in `ca`', "in the system's list of authorities") : why;
  return new NatsFault('tls-failed', `no TLS with ${place}: ${said}`, thrown);
}
