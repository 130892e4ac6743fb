// Opens sessions for `send`, the drop-in doveadm and dovegate's own commands: the server's address, our account there, and the exit
// codes of doveadm 2.4 for the server's answers, which scripts depend on (measured on 2.4.1 and 2.4.5; 2.3 differs for a bare `-` and
// for three rare codes).

import { isDeepStrictEqual } from 'node:util';
import { exitCodeOf as statusExitCode } from '../../doveadm/reply/reply.js';
import { systemClock } from '../../host/machine/clock.js';
import { ownSockets, readSecretFile, readText } from '../../host/machine/files.js';
import { packaged } from '../../host/machine/packaged.js';
import { CommandFault, wrongUsage } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import type { ClientSettings } from '../../rules/config/parse-client.js';
import { isKey, keyPrefix } from '../../rules/keys/key.js';
import { type ConnectOptions, connect, type LogLine, type Session, SessionFault } from '../connect.js';

export interface ServerDoor {
  /** As doveadm names it in messages: the path, or HOST:PORT. */
  readonly name: string;
  /** Rejects with a SessionFault, or with the signal's reason. */
  open(onLog: (line: LogLine) => void, signal: AbortSignal): Promise<Session>;
  /** The sessions use the HTTP API, which doveadm does not speak. */
  readonly isHttp?: true;
  /** The end of "the server accepts no login": which login was offered, from where, and what to do; never the secret. */
  readonly login?: string;
}

/** Exit code for temporary failures, and for all that prevents the command from being sent. */
export const tempFail = 75;

/** Exit code of a failed session: 75 as doveadm has it; over HTTP a key or a certificate that stays wrong is not temporary. */
export function exitCodeOfFault({ code, mayHaveRun }: SessionFault, { isHttp }: ServerDoor): number {
  if (code === 'unsendable') return exitCodes.usage;
  if (isHttp !== true || mayHaveRun) return tempFail;
  if (code === 'auth-rejected') return exitCodes.notPermitted;
  return code === 'tls-failed' ? exitCodes.configuration : tempFail;
}

export function messageOfFault({ code, message }: SessionFault, { login = '' }: ServerDoor): string {
  return code === 'auth-rejected' ? message + login : message;
}

/** Only the server's operators get the reason: a client must not learn whether a name or a key is known. */
const whoKnows = 'ask the operators of the server, whose log says why (login-failed)';

/** The exit code of a process has eight bits. */
export function exitCodeOf(code: string): number {
  return statusExitCode(code) & 0xff;
}

/** Names the server if neither the command line nor DOVEADM_SOCKET does. */
export const clientSettingsFile = '/etc/dovegate/client.yaml';

/** TLS and account from the command line; each option overrides client.yaml. */
export interface DoorOptions {
  readonly account?: string;
  readonly passwordFile?: string;
  readonly ca?: string | undefined;
  readonly certificate?: string;
  readonly key?: string;
  readonly tls?: ClientSettings['tls'];
  /** The HTTP API instead: its URL, and the file of the key. */
  readonly http?: string;
  readonly keyFile?: string | undefined;
}

function onlyOwnSocket(): string | undefined {
  const [first, ...others] = ownSockets(packaged.run);
  return others.length === 0 ? first : undefined;
}

/**
 * The server at `named`, DOVEADM_SOCKET, or in client.yaml (DOVEGATE_CLIENT_CONFIG), in this order; else the only socket of a gate here
 * that the caller may open. Rejects with a CommandFault.
 */
export async function findServerDoor(
  named: string | undefined,
  environment: NodeJS.ProcessEnv,
  options: DoorOptions = {},
): Promise<ServerDoor | undefined> {
  if (options.http !== undefined) return findHttpDoor(options.http, named, options);
  if (options.keyFile !== undefined) throw wrongUsage('--key-file is for --http only');
  const given = named ?? environment['DOVEADM_SOCKET'];
  // A socket needs nothing but its path.
  const written = given?.includes('/') === true ? undefined : await readClientSettings(environment);
  const at = given ?? written?.at ?? onlyOwnSocket();
  if (at === undefined) return undefined;
  const address = parseServerAddress(at);
  if (address === undefined)
    throw wrongUsage(`${at}: neither HOST:PORT nor the path of a socket, which has a slash, as ./NAME`);
  let session: ConnectOptions = address;
  let login = '';
  let otherWays: ((fault: unknown) => unknown) | undefined;
  if ('host' in address) {
    // If client.yaml names a server, only that gets its password and is trusted under its name: any local user can take a free port.
    const isFor = written?.at === undefined || isDeepStrictEqual(parseServerAddress(written.at), address);
    const caFile = written?.caFile;
    const settings = isFor ? written : { ...(caFile !== undefined && { caFile }) };
    const tcp = await tcpOptions(address.host, settings, options);
    session = { ...address, ...tcp.session };
    login = tcp.login;
    otherWays = (fault) => withOtherWays(fault, at, tcp.session.tls);
  } else {
    const { account, passwordFile, ca, certificate, key, tls } = options;
    const text = `${at} is the path of a UNIX socket: TLS and accounts are for HOST:PORT only`;
    if ([account, passwordFile, ca, certificate, key, tls].some((option) => option !== undefined))
      throw wrongUsage(text);
  }
  const open: ServerDoor['open'] = async (onLog, signal) => {
    try {
      return await connect({ ...session, onLog, signal });
    } catch (fault) {
      throw otherWays?.(fault) ?? fault;
    }
  };
  return { name: at, login, open };
}

/** Completes the fault of a server that did not greet: it may expect another TLS mode, or be an HTTP listener. */
function withOtherWays(fault: unknown, at: string, tls: ConnectOptions['tls']): unknown {
  const isImplicit = tls === 'implicit';
  const isMute = isImplicit
    ? / (?:is not TLS|ended within the handshake)$/
    : / before the handshake was over$/;
  if (!(fault instanceof SessionFault) || !isMute.test(fault.message)) return fault;
  const [other, scheme] = isImplicit ? ['starttls', 'http'] : ['implicit', 'https'];
  const text = `${fault.message}; try --tls ${other}, or --http ${scheme}://${at} for an HTTP listener`;
  return new SessionFault(fault.code, text, fault);
}

/** Neither DOVEADM_SOCKET nor client.yaml count: a key is sent only to the URL beside it. */
export async function findHttpDoor(
  url: string,
  socket: string | undefined,
  { account, passwordFile, ca, certificate, key, tls, keyFile }: DoorOptions,
): Promise<ServerDoor> {
  if ([socket, account, passwordFile, tls].some((option) => option !== undefined))
    throw wrongUsage('--http takes a key, no socket, account or --tls: the URL says https or http');
  const keyText = keyFile === undefined ? undefined : await readPassword(keyFile, 'the key file');
  const session: ConnectOptions = {
    url,
    ...certificateOptions(certificate, key),
    ...(ca !== undefined && { ca: readNamed('the file of authorities', ca) }),
    ...(keyText !== undefined && { key: keyText }),
  };
  // Keys of a Dovecot do not have our form.
  const isBroken = keyText?.toString().startsWith(keyPrefix) === true && !isKey(keyText.toString());
  const login =
    keyFile === undefined
      ? ' (--key-file FILE)'
      : isBroken
        ? ` in ${keyFile}, which is not whole: it was cut or mistyped; put it there as it was given to you`
        : ` in ${keyFile}: it is wrong, has expired, or is not for this address; ${whoKnows}`;
  try {
    // Nothing is sent: this only checks the URL.
    await (await connect(session)).close();
  } catch (fault) {
    if (!(fault instanceof SessionFault)) throw fault;
    throw wrongUsage(`--http: ${fault.message}`);
  }
  return { name: url, isHttp: true, login, open: (onLog, signal) => connect({ ...session, onLog, signal }) };
}

/** Resolves to undefined if there is no file at the usual place. A file that the environment names must exist. */
async function readClientSettings(environment: NodeJS.ProcessEnv): Promise<ClientSettings | undefined> {
  const asked = environment['DOVEGATE_CLIENT_CONFIG'];
  const path = asked ?? clientSettingsFile;
  let content: string;
  try {
    content = readText(path);
  } catch (cause) {
    if (asked === undefined && cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
      return undefined;
    const whence = asked === undefined ? '' : ' (named by DOVEGATE_CLIENT_CONFIG)';
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read${whence}`, cause);
  }
  // Imported on demand: with a socket no YAML is read, and scripts call this often.
  const { parseClientSettings } = await import('../../rules/config/parse-client.js');
  const { settings, problems } = parseClientSettings(path, content);
  if (settings === undefined) throw new CommandFault(exitCodes.configuration, problems.join('\n'));
  return settings;
}

async function tcpOptions(
  host: string,
  settings: Partial<ClientSettings> = {},
  options: DoorOptions = {},
): Promise<{ readonly session: Partial<ConnectOptions>; readonly login: string }> {
  const tls = options.tls ?? settings.tls ?? 'starttls';
  if (tls === 'off' && !isOfThisMachine(host)) {
    const text = `TLS may be off on loopback only, and ${host} is another machine; use starttls or implicit`;
    throw wrongUsage(text);
  }
  const ownCertificate = certificateOptions(options.certificate, options.key);
  const certificateFile = options.certificate;
  const account = options.account ?? settings.account;
  // The password of client.yaml belongs to its account only.
  const isItsAccount = options.account === undefined || options.account === settings.account;
  const passwordFile = options.passwordFile ?? (isItsAccount ? settings.passwordFile : undefined);
  if (options.account !== undefined && passwordFile === undefined && certificateFile === undefined)
    throw wrongUsage(`account ${options.account} needs a password file or a certificate`);
  const caFile = options.ca ?? settings.caFile;
  const serverName = settings.serverName;
  const session = {
    tls,
    ...(caFile !== undefined && { ca: readNamed('the file of authorities', caFile) }),
    ...(serverName !== undefined && { serverName }),
    ...(account !== undefined && { account }),
    ...(passwordFile !== undefined && { password: await readPassword(passwordFile) }),
    ...(ownCertificate.certificate === undefined
      ? certificateOptions(settings.certificateFile, settings.keyFile)
      : ownCertificate),
  };
  const proofs = [
    ...(passwordFile === undefined ? [] : [`password of ${passwordFile}`]),
    ...(session.certificate === undefined
      ? []
      : [`certificate ${certificateFile ?? settings.certificateFile}`]),
  ];
  // A password in clear is refused in the same words as a wrong one.
  const why = tls === 'off' ? ', or the server wants TLS first: try --tls starttls' : '';
  const login =
    proofs.length === 0
      ? ' (--account NAME --password-file FILE)'
      : ` (account ${account ?? 'doveadm'}, ${proofs.join(', ')}): it is wrong, or not for this address${why}; ${whoKnows}`;
  return { session, login };
}

function certificateOptions(
  certificateFile: string | undefined,
  keyFile: string | undefined,
): Pick<ConnectOptions, 'certificate'> {
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw wrongUsage('a certificate needs its key: give both, or none');
  if (certificateFile === undefined || keyFile === undefined) return {};
  return {
    certificate: {
      certificate: readNamed('the certificate', certificateFile),
      key: readNamed('the key of the certificate', keyFile),
    },
  };
}

function readNamed(what: string, path: string): string {
  try {
    return readText(path);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${what} cannot be read: ${path}`, cause);
  }
}

async function readPassword(path: string, what = 'the password file'): Promise<Buffer> {
  try {
    return await readSecretFile(path);
  } catch (cause) {
    // The message names the path.
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFault(exitCodes.configuration, `${what} cannot be read: ${text}`);
  }
}

type ServerAddress = { readonly socket: string } | { readonly host: string; readonly port: number };

/** A socket path or HOST:PORT as an address; undefined for a text that is neither. A path has a slash. */
export function parseServerAddress(at: string): ServerAddress | undefined {
  if (at.includes('/')) return { socket: at };
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(at) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

/** Opens a session for one question, whose whole time is limited. Rejects with CommandFailed or SessionFault. */
export async function askDoor<T>(
  door: ServerDoor,
  withinMs: number,
  run: (session: Session, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = systemClock.setTimer(withinMs, () =>
    controller.abort(new SessionFault('reply-timeout', `no answer within ${withinMs / 1000} s`)),
  );
  const { signal } = controller;
  try {
    await using session = await door.open(() => undefined, signal);
    return await run(session, signal);
  } catch (fault) {
    if (!(fault instanceof SessionFault) || fault.code !== 'auth-rejected') throw fault;
    throw new SessionFault(fault.code, messageOfFault(fault, door), fault);
  } finally {
    timer.cancel();
  }
}
