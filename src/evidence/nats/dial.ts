// Opens one connection to one server: the library speaks the protocol, over a transport of ours. It is always TLS, and the certificate must
// be valid for the dialed name or address. Nothing is retried in the background.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls';
import type * as Library from '@nats-io/transport-node';
import { howToInstall } from '../../host/machine/optional-packages.js';
import { systemContext } from '../../host/machine/system-trust.js';
import { messageOf, UpstreamFault } from '../../host/ports/faults.js';
import { faultOfHandshake } from './dial-faults.js';
import { NatsFault } from './fault.js';
import type { Intake } from './intake.js';
import { type NatsServer, placeOf } from './servers.js';
import { BoundedTransport } from './transport.js';

/** The servers and our credentials. Files are read at each connect, so that new ones are found. */
export interface NatsSettings {
  /** At least one; tried in their order. */
  readonly servers: readonly NatsServer[];
  /** Absent: the system's list of authorities. */
  readonly caFile?: string | undefined;
  /** A `.creds` file: a JWT and the seed of its key. */
  readonly credentialsFile?: string | undefined;
  /** Both or none. */
  readonly client?: { readonly certificateFile: string; readonly keyFile: string } | undefined;
  /** The name of the connection in the server's own tools. */
  readonly name: string;
  /** Default `_INBOX`. With one for each gate (`_INBOX.HOST`), rights hide a gate's answers, and so its records, from others. */
  readonly inbox?: string | undefined;
}

export type NatsLibrary = typeof Library;

/** While no answer is awaited, a dead connection is noticed within three intervals. */
const pingMs = 5_000;
/** The transport has time limits of its own, which end before it. */
const backstopMs = 15_000;

/** Rejects with a NatsFault `library-missing`. */
export async function loadLibrary(): Promise<NatsLibrary> {
  try {
    return await import('@nats-io/transport-node');
  } catch (cause) {
    const text = `the package for NATS is not installed: ${howToInstall('@nats-io/transport-node')}, and start again`;
    throw new NatsFault('library-missing', text, cause);
  }
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

/** Checks an address, which Node compares with "localhost" otherwise, or not at all. */
function checkIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(host) === 0) return checkServerIdentity(host, certificate);
  if (new X509Certificate(certificate.raw).checkIP(host) !== undefined) return undefined;
  return Object.assign(new Error('another address'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

/** The trusted authorities, and our certificate. Throws a NatsFault if the system has no list of authorities, or a file is unusable. */
function contextOf({ ca, cert, key }: OwnFiles, { caFile, client }: NatsSettings): SecureContext {
  const certificate = cert === undefined || key === undefined ? undefined : { chain: cert, key };
  try {
    if (ca === undefined) return systemContext(certificate);
    // In a list: for an empty text alone, Node would use its own authorities.
    return createSecureContext({ ca: [ca], minVersion: 'TLSv1.2', ...(certificate && { cert, key }) });
  } catch (cause) {
    if (cause instanceof UpstreamFault) throw new NatsFault('tls-failed', cause.message, cause);
    const why = client && certificate && whyUnusable(certificate, client);
    throw new NatsFault(
      'tls-failed',
      why ?? `${caFile ?? "the system's list"} holds no certificate in PEM`,
      cause,
    );
  }
}

/** Which of the two files is unusable, and why; undefined: none. */
function whyUnusable(
  { chain, key }: { readonly chain: string; readonly key: string },
  { certificateFile, keyFile }: NonNullable<NatsSettings['client']>,
): string | undefined {
  const canUse = (use: () => unknown): boolean => {
    try {
      use();
      return true;
    } catch {
      return false;
    }
  };
  if (!canUse(() => createSecureContext({ cert: chain })))
    return `${certificateFile} holds no certificate in PEM`;
  if (!canUse(() => createSecureContext({ key })))
    return `${keyFile} holds no private key in PEM without a password`;
  if (canUse(() => createSecureContext({ cert: chain, key }))) return undefined;
  return `${keyFile} is not the key of the certificate in ${certificateFile}: put both files of one certificate there`;
}

export interface Dialled {
  readonly connection: Library.NatsConnection;
  readonly intake: Intake;
  readonly serverValidTo: string;
  readonly whyEnded: () => NatsFault | undefined;
}

/** Rejects with a NatsFault, or with the signal's reason. */
export async function dial(
  library: NatsLibrary,
  server: NatsServer,
  settings: NatsSettings,
  files: OwnFiles,
  signal: AbortSignal,
): Promise<Dialled> {
  const { credentials } = files;
  const tls: ConnectionOptions = {
    secureContext: contextOf(files, settings),
    servername: isIP(server.host) === 0 ? server.host : '',
    checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
      checkIdentity(server.host, certificate),
  };
  const options: Library.ConnectionOptions = {
    servers: [placeOf(server)],
    name: settings.name,
    inboxPrefix: settings.inbox ?? '_INBOX',
    reconnect: false,
    resolve: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: backstopMs,
    pingInterval: pingMs,
    maxPingOut: 2,
    // The transport does TLS; this makes the library require it of the server.
    tls: {},
  };
  const place = placeOf(server);
  const transport = new BoundedTransport({ server, tls, isOwnCa: files.ca !== undefined, signal });
  try {
    if (credentials !== undefined) options.authenticator = library.credsAuthenticator(credentials);
    const connection = await connectBy(library, transport, options);
    transport.opened();
    signal.throwIfAborted();
    const whyEnded = (): NatsFault | undefined =>
      transport.closeError instanceof NatsFault ? transport.closeError : undefined;
    const { intake, serverValidTo } = transport;
    return { connection, intake, serverValidTo, whyEnded };
  } catch (cause) {
    await transport.close();
    throw signal.aborted ? signal.reason : faultOfDial(cause, place, files.ca !== undefined);
  }
}

/** The dial in progress: the library takes the factory of transports from a variable of its module, several turns after the call. */
let dialling: Promise<unknown> = Promise.resolve();

/** Dials one after the other, until the library has its transport. */
async function connectBy(
  library: NatsLibrary,
  transport: BoundedTransport,
  options: Library.ConnectionOptions,
): Promise<Library.NatsConnection> {
  const before = dialling;
  let taken: () => void = () => undefined;
  dialling = new Promise<void>((resolve) => {
    taken = resolve;
  });
  await before;
  let isTaken = false;
  library.setTransportFactory({
    factory: () => {
      isTaken = true;
      taken();
      return transport;
    },
  });
  try {
    const connection = await library.NatsConnectionImpl.connect(options);
    if (isTaken) return connection;
    await connection.close();
    throw new Error('the library took another transport');
  } finally {
    taken();
  }
}

function faultOfDial(thrown: unknown, place: string, isOwnCa: boolean): NatsFault {
  if (thrown instanceof NatsFault) return thrown;
  const name = thrown instanceof Error ? thrown.name : '';
  if (name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError') {
    const text = `${place} does not know us: check \`credentials\` or \`certificate\`, and its list of users`;
    return new NatsFault('auth-rejected', text, thrown);
  }
  if (messageOf(thrown).includes('maximum account active connections')) {
    const text = `${place} takes no more connections by these credentials: somebody else may have them`;
    return new NatsFault('auth-rejected', text, thrown);
  }
  if (messageOf(thrown).includes('parse credentials')) {
    return new NatsFault('tls-failed', '`credentials` is not a file with a JWT and a seed', thrown);
  }
  return faultOfHandshake(thrown, place, isOwnCa);
}
