// The usual setting of a scenario: one scripted Dovecot behind STARTTLS and PLAIN, the built daemon in front of it, one listener.
// Everything ends with the test that asked for it.

import type { Owner } from '../plain/folder.js';
import { openRawClient, type RawClient, type RawClientOptions } from '../plain/raw-client.js';
import type { Authority, Issued } from './certificates.js';
import { makeAuthority } from './certificates.js';
import { type Daemon, startDaemon, startPage } from './daemon.js';
import {
  openScriptedDovecot,
  type ScriptedDovecot,
  type ScriptedDovecotOptions,
} from './scripted-dovecot.js';

export const backendPassword = 'correct-horse-battery';

export interface Gateway {
  readonly daemon: Daemon;
  /** `dovegate page`; where the configuration has `admin.page`. */
  readonly page: Daemon | undefined;
  readonly backend: ScriptedDovecot;
  readonly authority: Authority;
  /** The text of a configuration for the same folder, with other options; for a reload. */
  readonly configuration: (changed: GatewayOptions) => string;
  /** A client at the listener `support`, of minor 2 unless said otherwise. */
  readonly client: (options?: Omit<RawClientOptions, 'path'>) => Promise<RawClient>;
}

export interface GatewayOptions {
  readonly backend?: Partial<ScriptedDovecotOptions>;
  /** Issues the backend's certificate; default: a good one. */
  readonly certificate?: (authority: Authority) => Issued;
  /** Lines of `backends.mail1` behind the usual ones, or instead of those with the same key; an empty one takes a line out. */
  readonly mail1?: Readonly<Record<string, string>>;
  /** Lines of the policy `support`, as YAML. */
  readonly policy?: string;
  /** The settings `audit`, as YAML in one line; default: a directory `audit`, a small ring, a small reserve. */
  readonly audit?: string;
  /** Listeners instead of `support` alone, as YAML. */
  readonly listeners?: string;
  /** The settings `routes`, as YAML in one line; default: everybody lives on mail1. */
  readonly routes?: string;
  /** More top-level YAML. */
  readonly more?: string;
  readonly password?: string;
  /** Who signs the backend's certificate; default: a new one. */
  readonly authority?: Authority;
  /** More files for the daemon's folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** What starts the daemon and the page, as for `startDaemon`. */
  readonly launcher?: readonly string[];
  /** More variables of the daemon's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another program than dist/main.js. */
  readonly program?: string;
}

const usualPolicy = `
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow: [quota get, mailbox list, mailbox status, search, { command: fetch, content: true }]`;

/** The text of the configuration, for a backend at this address. */
export function configurationOf(address: string, options: GatewayOptions): string {
  const mail1 = {
    address,
    tls: 'starttls',
    ca: 'ca.pem',
    server_name: 'localhost',
    password_file: 'mail1.password',
    shared_namespaces: '[]',
    // So that every connection that a backend sees was caused by a command.
    idle: '0',
    ...options.mail1,
  };
  const lines = Object.entries(mail1).map(([key, value]) => (value === '' ? '' : `\n    ${key}: ${value}`));
  return `version: 1
listeners:${options.listeners ?? '\n  support: { unix: support.sock, mode: "0600", policy: support }'}
backends:
  mail1:${lines.join('')}
routes: ${options.routes ?? '[{ users: ["*"], backend: mail1 }]'}
policies:
  support:${options.policy ?? usualPolicy}
state: state
audit: ${options.audit ?? '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB }'}
${options.more ?? ''}`;
}

/** Starts all of it. */
export async function openGateway(owner: Owner, options: GatewayOptions = {}): Promise<Gateway> {
  const authority = options.authority ?? makeAuthority({ name: 'scenario authority' });
  const certificate =
    options.certificate?.(authority) ?? authority.issue({ names: ['localhost', '127.0.0.1'] });
  const backend = await openScriptedDovecot({
    tls: 'starttls',
    certificate,
    password: backendPassword,
    ...options.backend,
  });
  const launcher = options.launcher && { launcher: options.launcher };
  // Ends after the daemon, which is the one who is asked to end in order.
  const daemon = await startDaemon(owner, {
    config: configurationOf(backend.address, options),
    files: {
      'ca.pem': authority.certificatePem,
      'mail1.password': `${options.password ?? backendPassword}\n`,
      ...options.files,
    },
    ...(options.env && { env: options.env }),
    ...(options.program !== undefined && { program: options.program }),
    ...launcher,
  }).catch(async (fault: unknown) => {
    await backend.close();
    throw fault;
  });
  owner.after(() => backend.close());
  const page = /^ {2}page:/m.test(options.more ?? '') ? await startPage(owner, daemon, launcher) : undefined;
  return {
    daemon,
    page,
    backend,
    authority,
    configuration: (changed) => configurationOf(backend.address, { ...options, ...changed }),
    client: (asked = {}) => openRawClient({ path: daemon.path('support.sock'), minor: 2, ...asked, owner }),
  };
}

/** The records of a daemon's journal, in order. */
export function auditRecords(daemon: Daemon): Readonly<Record<string, unknown>>[] {
  return daemon.audit().map((line) => line.record);
}

/** Those of one event. */
export function recordsOf(daemon: Daemon, event: string): Readonly<Record<string, unknown>>[] {
  return auditRecords(daemon).filter((record) => record['event'] === event);
}
