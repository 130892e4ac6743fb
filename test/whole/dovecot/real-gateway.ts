// The setting of the tests here: a real Dovecot with a password of its own, the built daemon in front of it over STARTTLS and PLAIN,
// and that release's real doveadm as the client. What holds after every run is asserted in one place, `finish`.
// The daemon's folder lies in the instance's, so that a doveadm that lives in a root of its own reaches the socket.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { type Lab, openLab, type Release, releases } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import type { ProgramOptions, ProgramResult } from '../../kit/plain/program.js';
import {
  openRawClient,
  type RawClient,
  type RawClientOptions,
  type RawReply,
} from '../../kit/plain/raw-client.js';
import type { Skipped } from '../../kit/plain/skipped.js';
import type { AuditLine } from '../../kit/plain/traces.js';

export const alice = 'alice@example.org';
export const bob = 'bob@example.org';
export const victim = 'victim@example.org';

/** What Dovecot wants of the daemon; a text that stands nowhere by chance. */
export const backendPassword = 'Quail7+Tundra/xylem9';
/** That it does, as a setting. */
export const passwordSetting = `doveadm_password = ${backendPassword}\n`;
/** A socket for questions about users, as README has people set it up. */
export const userdbListener = `service auth {
  unix_listener dovegate-userdb {
    mode = 0600
  }
}
`;
/** The realm of names without one. */
export const realmSettings = {
  '2.3': 'auth_default_realm = example.org\n',
  '2.4': 'auth_default_domain = example.org\n',
} as const;

/** The releases to test: DOVEGATE_RELEASES holds names with blanks between them; else the machine's own only. */
export function releasesAsked(): readonly Release[] {
  const names = (process.env['DOVEGATE_RELEASES'] ?? '').split(/\s+/).filter((name) => name !== '');
  if (names.length === 0) return ['native'];
  return names.map((name) => {
    const release = releases.find((each) => each === name);
    if (release === undefined) throw new Error(`DOVEGATE_RELEASES: ${name} is none of ${releases.join(' ')}`);
    return release;
  });
}

/** How long a test may take whose Dovecot may have to be installed. */
export const labTestMs = 20 * 60_000;

/** A filled instance that wants {@link backendPassword}. */
export function openRealDovecot(owner: Owner, release: Release): Promise<Lab | Skipped> {
  return openLab(owner, release, { extraConf: passwordSetting });
}

/** An instance without users. */
export function openBareDovecot(owner: Owner, release: Release): Promise<Lab | Skipped> {
  return openLab(owner, release, { users: false });
}

/** A test for each release that is asked for, with what `open` makes of it; skipped where that cannot be. */
export function onDovecot<T extends { readonly version: string }>(
  name: string,
  open: (owner: TestContext, release: Release) => Promise<T | Skipped>,
  run: (t: TestContext, opened: T) => Promise<void>,
  timeout = labTestMs,
): void {
  for (const release of releasesAsked()) {
    void test(`Dovecot ${release}: ${name}`, { timeout }, async (t) => {
      const opened = await open(t, release);
      if ('skip' in opened) return t.skip(opened.skip);
      t.diagnostic(`Dovecot ${opened.version}`);
      await run(t, opened);
    });
  }
}

/** Settings of the backend, one line of YAML each. */
const ways = {
  starttls: (_lab: Lab, port: number) => `address: localhost:${port}\n    tls: starttls\n    ca: ca.pem`,
  unix: (lab: Lab) => `address: unix:${lab.unixAuth}\n    tls: off`,
  tcp: (_lab: Lab, port: number) => `address: 127.0.0.1:${port}\n    tls: off`,
} as const;

export interface RealGatewayOptions {
  /** Where the daemon finds Dovecot; default: at its own port. */
  readonly port?: number;
  /** How it goes there; default `starttls`. */
  readonly way?: keyof typeof ways;
  /** Commands that are allowed beside the usual ones. */
  readonly allow?: readonly string[];
  /** Lines of the policy instead of the usual ones, as YAML. */
  readonly policy?: string;
  /** What the backend says of its shared namespaces, as YAML; default: that there are none; empty: nothing. */
  readonly sharedNamespaces?: string;
  /** More lines of the backend, as YAML. */
  readonly backend?: string;
  /** All of its namespaces instead, as YAML. */
  readonly namespaces?: string;
  /** More lines of `listeners`, as YAML. */
  readonly listeners?: string;
  /** More lines of `policies`, as YAML. */
  readonly policies?: string;
  /** More top-level YAML. */
  readonly more?: string;
  /** Default trace. */
  readonly logLevel?: string;
  readonly password?: string;
  /** PEM of the authority that the daemon trusts; default: the one that signed Dovecot's certificate. */
  readonly ca?: string;
  /** Upstreams at most; default 4. */
  readonly connections?: number;
  /** Upstreams that are kept open; default 0, so that Dovecot sees no connection that no command caused. */
  readonly idle?: number;
  /** More files for the daemon's folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** A folder of an earlier gateway, to start again on what it left. */
  readonly folder?: string;
}

export interface RealGateway {
  readonly daemon: Daemon;
  /** The real doveadm at the daemon's socket. `args` begin with the command. What it says holds no password. */
  doveadm(args: readonly string[], options?: ProgramOptions & { format?: string }): Promise<ProgramResult>;
  /** The same daemon with a configuration made of other options; its files stay. */
  reload(changed: RealGatewayOptions): Promise<void>;
  /** A client written by hand at the same socket. */
  client(options: Omit<RawClientOptions, 'path'>): Promise<RawClient>;
  /**
   * Ends the daemon, which must end well, and looks at what it left: no password anywhere; a chain of records without a gap; for each
   * admission one completion. Gives the records, or those of an event.
   */
  finish(event?: string): Promise<readonly AuditLine['record'][]>;
}

/** The text of its configuration. */
function configurationOf(lab: Lab, options: RealGatewayOptions): string {
  const content = ['{ command: search, content: true }', '{ command: fetch, content: true }'];
  const allow = ['quota get', 'mailbox list', 'mailbox status', ...content, ...(options.allow ?? [])];
  const { namespaces, sharedNamespaces = '[]' } = options;
  const shared = sharedNamespaces === '' ? '' : `shared_namespaces: ${sharedNamespaces}`;
  const usual = `\n    users: ["*@example.org"]\n    allow: [${allow.join(', ')}]`;
  return `version: 1
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
${options.listeners ?? ''}
backends:
  mail1:
    ${ways[options.way ?? 'starttls'](lab, options.port ?? lab.port)}
    password_file: mail1.password
    ${namespaces === undefined ? shared : `namespaces: ${namespaces}`}
    ${options.backend ?? ''}
    connections: ${options.connections ?? 4}
    idle: ${options.idle ?? 0}
routes:
  - { users: ["*"], backend: mail1 }
policies:
  support:${options.policy ?? usual}
${options.policies ?? ''}
${options.more ?? ''}
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
log: { level: ${options.logLevel ?? 'trace'} }
`;
}

/** Everything ends with the test that asked for it. */
export async function openRealGateway(
  owner: Owner,
  lab: Lab,
  options: RealGatewayOptions = {},
): Promise<RealGateway> {
  const folder = options.folder ?? mkdtempSync(join(lab.folder, 'gate-'));
  const password = options.password ?? backendPassword;
  const daemon = await startDaemon(owner, {
    folder,
    config: configurationOf(lab, options),
    files: {
      'ca.pem': options.ca ?? readFileSync(lab.caFile, 'utf8'),
      'mail1.password': `${password}\n`,
      ...options.files,
    },
  });
  const socket = daemon.path('support.sock');
  return {
    daemon,
    async doveadm(args, { format, ...programOptions } = {}) {
      const result = await runAt(lab, socket, args, format, programOptions);
      for (const secret of [password, tokenOf(password)]) {
        assert.ok(!result.stdout.includes(secret) && !result.stderr.includes(secret));
      }
      return result;
    },
    async reload(changed) {
      await daemon.reload(configurationOf(lab, changed));
    },
    client: async (clientOptions) => {
      const client = await openRawClient({ path: socket, ...clientOptions, owner });
      return client;
    },
    async finish(event) {
      assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
      assertNoSecret(daemon, password);
      const lines = daemon.audit();
      assert.ok(lines.length > 0);
      assertChained(lines);
      assert.deepEqual(idsOf(lines, 'admission').toSorted(), idsOf(lines, 'completion').toSorted());
      const records = lines.map(({ record }) => record);
      return event === undefined ? records : records.filter((record) => record['event'] === event);
    },
  };
}

/** This release's doveadm at a socket. */
export function runAt(
  lab: Lab,
  socket: string,
  args: readonly string[],
  format?: string,
  options?: ProgramOptions,
): Promise<ProgramResult> {
  // -S belongs to the command, and must stand before its positionals: before -u, which all have.
  const at = args.indexOf('-u');
  const ahead = format === undefined ? [] : ['-f', format];
  return lab.doveadm([...ahead, ...args.slice(0, at), '-S', lab.inRoot(socket), ...args.slice(at)], options);
}

/** One command, and the text behind it, on a connection of its own. */
export async function askOnce(
  path: string,
  { user, fields, input }: { user: string; fields: readonly string[]; input?: string | Buffer },
  minor = 2,
): Promise<RawReply> {
  const client = await openRawClient({ path, minor, timeoutMs: 120_000 });
  try {
    client.sendCommand({ user, fields });
    if (input !== undefined) await client.write(input);
    return await client.readReply();
  } finally {
    client.close();
  }
}

/** How many mails of alice Dovecot's own doveadm finds. */
export async function mailsFound(lab: Lab, query: readonly string[], user = alice): Promise<number> {
  const { exit, stdout, text } = await lab.doveadm(['search', '-u', user, ...query]);
  assert.equal(exit, 0, text);
  return stdout.toString().split('\n').filter(Boolean).length;
}

/** Exchange ids of the records of one kind. */
export function idsOf(lines: readonly AuditLine[], event: 'admission' | 'completion'): string[] {
  return lines.filter(({ record }) => record['event'] === event).map(({ record }) => String(record['id']));
}

/** What a PLAIN line is made of. */
function tokenOf(password: string): string {
  return Buffer.from(`\0doveadm\0${password}`).toString('base64');
}

/** Nothing that the daemon wrote holds the password; a word that must be found shows that the search can find. */
export function assertNoSecret(daemon: Daemon, password: string): void {
  const found = daemon.grepSecrets([password, tokenOf(password), 'support']);
  const isProof = (each: string): boolean => each.endsWith(': support');
  assert.deepEqual([found.some(isProof), found.filter((each) => !isProof(each))], [true, []]);
}

function assertChained(lines: readonly AuditLine[]): void {
  let before: unknown;
  for (const { record, text, file, line } of lines) {
    const where = `${file}:${line}`;
    const hashed = text.replace(/,"hash":"[0-9a-f]{64}"/, '');
    assert.equal(createHash('sha256').update(hashed).digest('hex'), record['hash'], where);
    if (before !== undefined) assert.equal(record['prev'], before, where);
    before = record['hash'];
  }
}
