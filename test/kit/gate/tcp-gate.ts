// The setting of scenarios about listeners by TCP: a scripted Dovecot, the built daemon in front of it, one listener with TLS and one
// account. Everything ends with the test that asked for it.
import type { TestContext } from 'node:test';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { freePorts } from '../plain/free-ports.js';
import { openRawClient, type RawClient, type RawClientOptions } from '../plain/raw-client.js';
import { type Authority, makeAuthority } from './certificates.js';
import { type Gateway, openGateway } from './gateway.js';

export const password = 'Otter4+Lichen/basalt';
/** Of {@link password}; the cheapest that there is: what a hash costs is tested elsewhere. */
export const hash = await hashPassword(Buffer.from(password), 10);
/** Signs the first certificate of the listener. */
export const authority = makeAuthority({ name: 'authority of the gate' });

/** A daemon with one listener `jobs` by TCP. */
export interface Gate extends Gateway {
  readonly port: number;
  /** Its configuration with other keys of the listener. */
  readonly listenersWith: (keys: Readonly<Record<string, string>>) => string;
  /** Logged in at the listener. */
  readonly login: (options?: RawClientOptions) => Promise<RawClient>;
}

/** The files `gate.crt` and `gate.key`. */
export function filesOf(by: Authority): Readonly<Record<string, string>> {
  const { certificatePem, keyPem } = by.issue({ names: ['localhost', '127.0.0.1'] });
  return { 'gate.crt': certificatePem, 'gate.key': keyPem };
}

/** Starts it. `keys` are those of the listener, `PORT` in them its port; `more` is top-level YAML, `files` are beside it. */
export async function openGate(
  t: TestContext,
  keys: Readonly<Record<string, string>> = {},
  more = '',
  files: Readonly<Record<string, string>> = {},
): Promise<Gate> {
  const [port = 0] = await freePorts(1);
  const listenersWith = (changed: Readonly<Record<string, string>>): string => {
    const all = {
      tcp: `"127.0.0.1:${port}"`,
      tls: '{ certificate: gate.crt, key: gate.key }',
      accounts: `{ migrator: { password_hash: "${hash}", policy: support } }`,
      ...keys,
      ...changed,
    };
    return `\n  jobs:${Object.entries(all)
      .map(([key, value]) => `\n    ${key}: ${value.replace('PORT', String(port))}`)
      .join('')}`;
  };
  const gateway = await openGateway(t, {
    listeners: listenersWith({}),
    files: { ...filesOf(authority), ...files },
    more,
    backend: { script: (_command, connection) => connection.status('+') },
  });
  return {
    ...gateway,
    port,
    listenersWith,
    login: (options = {}) =>
      openRawClient({
        port,
        minor: 2,
        tls: 'starttls',
        ca: authority.certificatePem,
        auth: { user: 'migrator', password },
        ...options,
        owner: t,
      }),
  };
}

/** Logged in with {@link password} as an account of a listener with implicit TLS, whose certificate is of {@link authority}. */
export function openAccount(port: number, user: string): Promise<RawClient> {
  return openRawClient({
    host: '127.0.0.1',
    port,
    minor: 2,
    tls: 'implicit',
    ca: authority.certificatePem,
    serverName: 'localhost',
    auth: { user, password },
  });
}

/** Allowed. */
export const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** Whether a command is. */
export async function isServed(client: RawClient): Promise<boolean> {
  client.sendCommand(quota);
  return (await client.readReply()).status === '+';
}
