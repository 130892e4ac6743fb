// A real nats-server for a test, as docs/audit-fleet has it: TLS, an account for each gate with rights for its own subjects only, and a
// store that can be killed, copied and put back. It runs in the foreground as a child of the test. test/whole/fleet/setup installs it.

import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect as connectNats, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { gateSubjectsOf, verifierQuestions, verifierSubjects } from '../../../src/evidence/fleet/block.js';
import type { Rights } from '../../../src/evidence/fleet-cli/fleet-trust.js';
import type { NatsSettings } from '../../../src/evidence/nats/dial.js';
import { endBefore, type Owner, openFolder } from '../plain/folder.js';
import { freePorts } from '../plain/free-ports.js';
import { runProgram } from '../plain/program.js';
import { projectRoot } from '../plain/root.js';
import { type Skipped, skipped } from '../plain/skipped.js';
import { until } from '../plain/until.js';
import { type Authority, makeAuthority } from './certificates.js';
import { makeTestTrust, type TestTrust } from './nats-trust.js';

export interface Nats {
  /** For example 2.9.10. */
  readonly version: string;
  readonly port: number;
  /** Of its process; undefined: it does not run. */
  readonly pid: number | undefined;
  /** Of the server, and of users by certificate. */
  readonly authority: Authority;
  /** Holds credentials, or certificates and keys, of users as files. */
  readonly folder: string;
  /** Where it is and who asks: a gate's host, `verifier` or `admin`. */
  settingsOf(user: string): NatsSettings;
  readonly gates: readonly string[];
  /** Undefined: users are known by certificates. */
  readonly trust: TestTrust | undefined;
  /** The keys of that as `fleet.yaml` and `audit.ship` have them, with absolute paths. */
  loginOf(user: string): Readonly<Record<string, string>>;
  /** A connection of the library; its user closes it. */
  connect(user: string): Promise<NatsConnection>;
  /** A question of an administrator: to `$JS.API.` and this subject; the answer as it is. */
  api(subject: string, body?: unknown): Promise<Readonly<Record<string, unknown>>>;
  /** What it said of itself. */
  output(): string;
  /** Resolves when it takes connections. */
  start(): Promise<void>;
  /** An orderly end, awaited. */
  stop(): Promise<void>;
  /** SIGKILL, awaited. */
  kill(): Promise<void>;
  /** SIGSTOP, awaited: the kernel takes connections for it, and it says nothing. */
  freeze(): Promise<void>;
  thaw(): void;
  /** Of a server that is stopped: a copy of its store under a name, and back. */
  copyStore(name: string): void;
  restoreStore(name: string): void;
}

export interface NatsOptions {
  /** Hosts of gates; each has a user. */
  readonly gates: readonly string[];
  /** Users prove themselves by a JWT in a file of credentials (default), or by certificates, as servers of other people know them. */
  readonly users?: 'certificates' | 'credentials';
  /** Names in its certificate; default: localhost and 127.0.0.1. */
  readonly names?: readonly string[];
  /** When the certificates of the server and of all users end; default: in 30 days. */
  readonly notAfter?: Date;
  /** More users. */
  readonly others?: Readonly<Record<string, Rights>>;
  /** Acknowledged means synced, where the server can be told so (from 2.10 on). */
  readonly syncAlways?: boolean;
  readonly stream?: string;
  /** Gates may ask the stream of `stream` itself, and not their own: for tests of the link with one stream of many subjects. */
  readonly hasOneStream?: boolean;
  /** More of its configuration. */
  readonly more?: string;
  /** All of its configuration, instead. */
  readonly configuration?: (folder: string, port: number) => string;
  /** Default: {@link natsReleases}. */
  readonly release?: string;
  /** Where it listens; default 127.0.0.1. With a launcher in front of its command line, for a network of its own (cable.ts). */
  readonly address?: string;
  readonly launcher?: readonly string[];
}

/** Debian releases whose server is tested; `native` is this machine's. */
export const natsReleases: readonly string[] = (process.env['DOVEGATE_NATS'] ?? 'native').split(' ');

const setup = fileURLToPath(new URL('test/whole/fleet/setup', projectRoot));

function whyNot(release: string): string | undefined {
  if (process.platform !== 'linux') return 'a real nats-server is tested on Linux only';
  if (release === 'native' && existsSync('/usr/sbin/nats-server')) return undefined;
  if (process.getuid?.() !== 0) return 'installing nats-server needs root';
  if (!existsSync('/usr/bin/apt-get')) return 'this machine has no apt to install nats-server with';
  return undefined;
}

/** The program and its first words, with what runs it. Rejects as {@link openNatsServer}. */
export async function installNats(
  release: string,
): Promise<
  { readonly program: string; readonly words: readonly string[]; readonly version: string } | Skipped
> {
  const why = whyNot(release);
  if (why !== undefined) return skipped(why);
  const env = { DOVEGATE_LABS: process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs') };
  const installed = await runProgram('bash', [setup, release], { env, timeoutMs: 10 * 60_000 });
  if (installed.exit !== 0) throw new Error(installed.text);
  const said = new Map(
    installed.stdout
      .toString()
      .split('\n')
      .map((line) => splitOnce(line)),
  );
  const [program = '', ...words] = said.get('program')?.split(' ') ?? [];
  return { program, words, version: said.get('version') ?? '' };
}

/**
 * Installs what is missing and starts it; it ends with the test. Where this machine cannot have one: the reason, for `t.skip`; with
 * DOVEGATE_NO_SKIP=1 in the environment a rejection instead.
 */
export async function openNatsServer(owner: Owner, options: NatsOptions): Promise<Nats | Skipped> {
  const {
    gates,
    stream = 'DOVEGATE_AUDIT',
    hasOneStream = false,
    release = natsReleases[0] ?? 'native',
  } = options;
  const { address = '127.0.0.1', launcher = [] } = options;
  const server = await installNats(release);
  if ('skip' in server) return server;
  const { program, words, version } = server;

  const isSynced = options.syncAlways === true && !/^2\.\d\./.test(version);
  const folder = openFolder(owner);
  const [port = 0] = await freePorts(1);
  const authority = makeAuthority({ name: 'authority of the fleet' });
  // Keys and credentials are secrets, and are refused where others can read them.
  const file = (name: string, text: string): void => writeFileSync(join(folder, name), text, { mode: 0o600 });
  const lasting = options.notAfter === undefined ? {} : { notAfter: options.notAfter };
  const { certificatePem, keyPem } = authority.issue({
    names: options.names ?? ['localhost', address],
    ...lasting,
  });
  file('ca.pem', authority.certificatePem);
  file('server.pem', certificatePem);
  file('server.key', keyPem);
  const users = new Map(
    [...gates, 'verifier', 'admin'].map((name) => [name, rightsOf(name, stream, hasOneStream)]),
  );
  for (const [name, rights] of Object.entries(options.others ?? {})) users.set(name, rights);
  const byCertificate = options.users === 'certificates';
  let access: string;
  let trust: TestTrust | undefined;
  if (byCertificate) {
    for (const name of users.keys()) {
      const own = authority.issue({ names: [`${name}.fleet.test`], client: true, ...lasting });
      file(`${name}.pem`, own.certificatePem);
      file(`${name}.key`, own.keyPem);
    }
    access = accountsOf(users, gates);
  } else {
    const subjects = new Map(gates.map((gate) => [gate, ownOfGate(gate, users)]));
    trust = makeTestTrust(subjects, new Map(Object.entries(options.others ?? {})));
    for (const [name, text] of trust.credentials) file(`${name}.creds`, text);
    access = trust.configurationIn(folder);
  }
  const store = join(folder, 'store');
  file(
    'nats.conf',
    options.configuration?.(folder, port) ??
      `server_name: fleet
listen: "${address}:${port}"
jetstream: { store_dir: "${store}", max_file: 64GB, max_mem: 64MB ${isSynced ? ', sync_interval: always' : ''} }
tls: { cert_file: "${join(folder, 'server.pem')}", key_file: "${join(folder, 'server.key')}", timeout: 5
  ${byCertificate ? `ca_file: "${join(folder, 'ca.pem')}", verify_and_map: true` : ''} }
${access}
${options.more ?? ''}
`,
  );

  let child: ChildProcess | undefined;
  let output = '';
  const end = (signal: NodeJS.Signals): Promise<void> => {
    const own = child;
    child = undefined;
    if (own === undefined || own.exitCode !== null || own.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      own.once('exit', () => resolve());
      own.kill(signal);
    });
  };
  const nats: Nats = {
    version,
    port,
    get pid() {
      return child?.pid;
    },
    authority,
    folder,
    gates,
    trust,
    settingsOf: (user) => ({
      servers: [{ host: address, port }],
      caFile: join(folder, 'ca.pem'),
      name: `test ${user}`,
      inbox: `_INBOX.${user}`,
      ...(byCertificate
        ? { client: { certificateFile: join(folder, `${user}.pem`), keyFile: join(folder, `${user}.key`) } }
        : { credentialsFile: join(folder, `${user}.creds`) }),
    }),
    loginOf: (user) => loginOf(nats.settingsOf(user)),
    connect: (user) =>
      connectNats({
        servers: [`${address}:${port}`],
        reconnect: false,
        inboxPrefix: `_INBOX.${user}`,
        tls: {
          ca: readFileSync(join(folder, 'ca.pem'), 'utf8'),
          ...(byCertificate && {
            certFile: join(folder, `${user}.pem`),
            keyFile: join(folder, `${user}.key`),
          }),
        },
        ...(!byCertificate && {
          authenticator: credsAuthenticator(readFileSync(join(folder, `${user}.creds`))),
        }),
      }),
    async api(subject, body) {
      const connection = await nats.connect('admin');
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const answer = await connection.request(`$JS.API.${subject}`, payload, { timeout: 60_000 });
      await connection.close();
      return answer.json();
    },
    output: () => output,
    async start() {
      const [first, ...args] = [...launcher, program, ...words, '-c', join(folder, 'nats.conf')];
      const own = spawn(first, args, {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child = own;
      let isReady = false;
      own.stderr.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (chunk.includes('Server is ready')) isReady = true;
      });
      await until(() => isReady || own.exitCode !== null, 'nats-server is ready');
      if (own.exitCode !== null) throw new Error(`nats-server did not start:\n${output}`);
      await until(() => isListening(address, port), 'nats-server listens');
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    async freeze() {
      child?.kill('SIGSTOP');
      const status = `/proc/${child?.pid}/status`;
      await until(() => /^State:\s+T/m.test(readFileSync(status, 'utf8')), 'nats-server stands still');
    },
    thaw: () => void child?.kill('SIGCONT'),
    copyStore: (name) => cpSync(store, join(folder, `store-${name}`), { recursive: true }),
    restoreStore(name) {
      rmSync(store, { recursive: true, force: true });
      cpSync(join(folder, `store-${name}`), store, { recursive: true });
    },
  };
  endBefore(folder, () => end('SIGKILL'));
  mkdirSync(store);
  await nats.start();
  return nats;
}

/** The subjects that a gate writes to and asks at. */
function ownOfGate(gate: string, users: ReadonlyMap<string, Rights>): readonly string[] {
  return users.get(gate)?.publish?.allow ?? [];
}

/** As the documentation gives them. */
export function rightsOf(user: string, stream: string, hasOneStream = false): Rights {
  const api = '$JS.API';
  if (user === 'admin') return {};
  const subscribe = { allow: [`_INBOX.${user}.>`] };
  if (user !== 'verifier') {
    const own = `dovegate.audit.${user}.*`;
    const allow = hasOneStream ? [own, `${api}.DIRECT.GET.${stream}.${own}`] : gateSubjectsOf(stream, user);
    return { publish: { allow }, subscribe };
  }
  const asked = verifierQuestions.map((subject) => `${api}.${subject}`);
  return { publish: { allow: [...verifierSubjects, ...asked] }, subscribe };
}

/**
 * Each gate in an account of its own, which imports its own subjects only. In one account with the stream, a user could name any subject of
 * JetStream's API as the one that an answer goes to, and the server, which may do everything, would send it there.
 */
export function accountsOf(users: ReadonlyMap<string, Rights>, gates: readonly string[]): string {
  const userOf = (name: string): unknown => ({ user: `${name}.fleet.test`, permissions: users.get(name) });
  const ownOf = (gate: string): readonly string[] => ownOfGate(gate, users);
  const accounts = {
    AUDIT: {
      jetstream: 'enabled',
      users: [...users.keys()].filter((name) => !gates.includes(name)).map(userOf),
      exports: gates.flatMap((gate) =>
        ownOf(gate).map((service) => ({ service, accounts: [`GATE_${gate}`] })),
      ),
    },
    ...Object.fromEntries(
      gates.map((gate) => [
        `GATE_${gate}`,
        {
          users: [userOf(gate)],
          imports: ownOf(gate).map((service) => ({ service: { account: 'AUDIT', subject: service } })),
        },
      ]),
    ),
  };
  return `accounts: ${JSON.stringify(accounts)}`;
}

/** As `fleet.yaml` and `audit.ship` have it. */
export function loginOf({
  caFile = '',
  credentialsFile,
  client,
}: NatsSettings): Readonly<Record<string, string>> {
  if (client !== undefined) return { ca: caFile, certificate: client.certificateFile, key: client.keyFile };
  return { ca: caFile, credentials: credentialsFile ?? '' };
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}

export function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
