// Opens sessions for `send` and the drop-in doveadm: where the server is, who we are there, and why it cannot be reached in words of
// doveadm. It does not know what is asked.

import type { LogLine } from '../client/connect.js';
import { type ConnectOptions, connect, type Session } from '../client/connect.js';
import type { ClientSettings } from '../config/client-settings.js';
import { readSecretFile, readText } from '../host/files.js';
import { CommandFault } from '../terminal/command-fault.js';
import { exitCodes } from '../terminal/exit-codes.js';

/** A way to a server; sessions are opened one after another. */
export interface ServerDoor {
  /** As doveadm names it in messages: the path, or HOST:PORT. */
  readonly name: string;
  /** Rejects with a SessionFault, or with the signal's reason. */
  open(onLog: (line: LogLine) => void, signal: AbortSignal): Promise<Session>;
}

/** The settings of `path`; undefined when there is no such file. Rejects with a CommandFault for one that is wrong. */
export async function readClientSettings(path: string): Promise<ClientSettings | undefined> {
  let content: string;
  try {
    content = readText(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new CommandFault(exitCodes.configuration, `${path}: cannot be read`, cause);
  }
  // Whoever names a socket needs no reader of YAML, and scripts call this often.
  const { parseClientSettings } = await import('../config/client-settings.js');
  const { settings, problems } = parseClientSettings(path, content);
  if (settings === undefined) throw new CommandFault(exitCodes.configuration, problems.join('\n'));
  return settings;
}

/**
 * The way to `at`. Of the settings, what concerns TLS and accounts holds for TCP only. Throws a CommandFault for a place that is none,
 * and for files that cannot be read.
 */
export async function createServerDoor(
  at: string,
  settings: ClientSettings | undefined,
): Promise<ServerDoor> {
  const address = parseServerAddress(at);
  if (address === undefined)
    throw new CommandFault(exitCodes.usage, `${at}: neither the path of a socket nor HOST:PORT`);
  const options: ConnectOptions =
    'socket' in address ? address : { ...address, ...(await tcpOptions(settings)) };
  return {
    name: at,
    open: (onLog, signal) => connect({ ...options, onLog, signal }),
  };
}

async function tcpOptions(settings: ClientSettings | undefined): Promise<Partial<ConnectOptions>> {
  if (settings === undefined) return {};
  const { tls, caFile, serverName, account, passwordFile, certificateFile, keyFile } = settings;
  try {
    return {
      tls,
      ...(caFile !== undefined && { ca: readText(caFile) }),
      ...(serverName !== undefined && { serverName }),
      ...(account !== undefined && { account }),
      ...(passwordFile !== undefined && { password: await readSecretFile(passwordFile) }),
      ...(certificateFile !== undefined &&
        keyFile !== undefined && {
          certificate: { certificate: readText(certificateFile), key: readText(keyFile) },
        }),
    };
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFault(
      exitCodes.configuration,
      `client.yaml names a file that cannot be read: ${text}`,
      cause,
    );
  }
}

/** A socket path or HOST:PORT as an address; undefined for a text that is neither. A path has a slash. */
export function parseServerAddress(
  at: string,
): { readonly socket: string } | { readonly host: string; readonly port: number } | undefined {
  if (at.includes('/')) return { socket: at };
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(at) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
