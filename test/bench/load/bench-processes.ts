// The processes of a measurement, each on its own: the load generator and the backend in C (load.c, backend.c), HAProxy, the built
// daemon. It knows how each is started and ended, not what is measured. The rule: nothing of a measurement runs in this process, which
// has only to wait; the daemon's log goes to a file, as it would to a service manager.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeAuthority } from '../../kit/certificates.js';
import { builtProgram } from '../../kit/daemon.js';
import { type ProgramResult, runProgram } from '../../kit/program.js';

const here = fileURLToPath(new URL('../../../../test/bench/load/', import.meta.url));

/** What one run of the load generator found; times in microseconds. */
export interface Load {
  readonly commands: number;
  readonly failed: number;
  readonly lost: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly longest: number;
}

export interface LoadOptions {
  /** A socket's path, or a port of 127.0.0.1. */
  readonly target: string;
  readonly line: string;
  readonly clients: number;
  readonly seconds: number;
  /** A new connection for each command. */
  readonly reconnects?: boolean;
  /** For a server that wants PLAIN as `doveadm`. */
  readonly password?: string;
}

/** The folder of a measurement, its tools, and all that was started for it. */
export interface Bench {
  readonly folder: string;
  readonly haproxyVersion: string;
  path(name: string): string;
  after(end: () => void | Promise<void>): void;
  /** Rejects when a command failed or a connection was lost: such a figure says nothing. */
  load(options: LoadOptions): Promise<Load>;
  /** Ports of a new backend. `ca.pem` in the folder is who signed its certificate, for localhost. */
  startBackend(): Promise<{ readonly pid: number; readonly plain: number; readonly tls: number }>;
  /** HAProxy in TCP mode: a UNIX socket in, verified TLS to a port out, by default that of our backend. */
  startHaproxy(tlsPort: number, caFile?: string): Promise<Gate>;
  /** A proxy of Node's sockets and TLS alone, to the same port (bare-proxy.ts). */
  startBareProxy(tlsPort: number): Promise<Gate>;
  startDaemon(options: BenchDaemonOptions): Promise<BenchDaemon>;
}

export interface BenchDaemonOptions {
  /** Of its folder. */
  readonly name: string;
  /** Lines of `backends.mail1`, as YAML. */
  readonly backend: string;
  readonly password: string;
  /** Lines of the settings, as YAML. */
  readonly more?: string;
  /** More of `listeners` and `policies`, as YAML. */
  readonly listeners?: string;
  readonly policies?: string;
  /** Whose users have upstreams of their own, to the same backend. */
  readonly otherUsers?: string;
  readonly nodeArgs?: readonly string[];
}

/** What stands between clients and a backend. */
export interface Gate {
  readonly pid: number;
  readonly socket: string;
}

export interface BenchDaemon extends Gate {
  stop(): Promise<void>;
}

/** PLAIN of Dovecot's `doveadm` user. */
const tokenOf = (password: string): string => Buffer.from(`\0doveadm\0${password}`).toString('base64');

/** Makes the folder, installs and builds what is missing, calls `use`, and ends everything that it started. */
export async function withBench(use: (bench: Bench) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dovegate-bench-'));
  const ends: (() => void | Promise<void>)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const path = (name: string): string => join(folder, name);
    const after = (end: () => void | Promise<void>): void => void ends.unshift(end);
    const setup = await runProgram('bash', [join(here, 'setup'), folder], { timeoutMs: 15 * 60_000 });
    if (setup.exit !== 0) throw new Error(setup.text);
    const authority = makeAuthority({ name: 'bench authority' });
    const { certificatePem, keyPem } = authority.issue({ names: ['localhost', '127.0.0.1'] });
    writeFileSync(path('ca.pem'), authority.certificatePem);
    writeFileSync(path('server.crt'), certificatePem);
    writeFileSync(path('server.key'), keyPem);
    await use({
      folder,
      path,
      after,
      haproxyVersion: /^haproxy=(.*)$/m.exec(setup.text)?.[1] ?? 'unknown',
      load: async (options) => loadOf(await runProgram(path('load'), argumentsOf(options)), options),
      async startBackend() {
        const child = start(path('backend'), [path('server.crt'), path('server.key')], 'pipe');
        after(() => endProcess(child));
        const told: unknown = JSON.parse(await firstLine(child));
        return { pid: child.pid ?? 0, plain: numberIn(told, 'plain'), tls: numberIn(told, 'tls') };
      },
      async startHaproxy(tlsPort, caFile = path('ca.pem')) {
        const socket = path('haproxy.sock');
        writeFileSync(path('haproxy.cfg'), haproxyConfiguration(socket, tlsPort, caFile));
        const child = start('/usr/sbin/haproxy', ['-db', '-f', path('haproxy.cfg')], 'ignore');
        after(() => endProcess(child));
        await untilReachable(socket, child);
        return { socket, pid: child.pid ?? 0 };
      },
      async startBareProxy(tlsPort) {
        const socket = path('bare.sock');
        const program = fileURLToPath(new URL('./bare-proxy.js', import.meta.url));
        const child = start(process.execPath, [program, socket, String(tlsPort), path('ca.pem')], 'ignore');
        after(() => endProcess(child));
        await untilReachable(socket, child);
        return { socket, pid: child.pid ?? 0 };
      },
      startDaemon: (options) => startDaemon(folder, after, options),
    });
  } finally {
    for (const each of ends) await each();
  }
}

/** Processor time of a process so far, in microseconds: all threads that live. Linux. */
export function processorUs(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
  }
  return sum;
}

function argumentsOf({ target, line, clients, seconds, reconnects, password }: LoadOptions): string[] {
  const flags = reconnects === true ? ['-r'] : [];
  const login = password === undefined ? [] : ['-a', tokenOf(password)];
  return ['-c', String(clients), '-s', String(seconds), ...flags, ...login, target, line];
}

function loadOf({ stdout, exit, text }: ProgramResult, { target }: LoadOptions): Load {
  if (exit !== 0) throw new Error(`load ${target}: exit ${exit}: ${text}`);
  const told: unknown = JSON.parse(stdout.toString());
  const of = (key: string): number => numberIn(told, key);
  const load: Load = {
    commands: of('commands'),
    failed: of('failed'),
    lost: of('lost'),
    seconds: of('seconds'),
    bytes: of('bytes'),
    p50: of('p50'),
    p90: of('p90'),
    p99: of('p99'),
    longest: of('longest'),
  };
  if (load.failed + load.lost > 0 || load.commands === 0) throw new Error(`load ${target}: ${text}`);
  return load;
}

function numberIn(value: unknown, key: string): number {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  if (typeof found !== 'number') throw new Error(`no number ${key}: ${JSON.stringify(value)}`);
  return found;
}

/** What one would use without us, as its manual says: the number of threads is left to it. */
function haproxyConfiguration(socket: string, port: number, ca: string): string {
  return `defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend doveadm
  bind unix@${socket} mode 600
  default_backend mail1
backend mail1
  server mail1 127.0.0.1:${port} ssl verify required ca-file ${ca} verifyhost localhost
`;
}

async function startDaemon(
  folder: string,
  after: Bench['after'],
  {
    name,
    backend,
    password,
    more = '',
    listeners = '',
    policies = '',
    otherUsers,
    nodeArgs = [],
  }: BenchDaemonOptions,
): Promise<BenchDaemon> {
  const path = (file: string): string => join(folder, `${name}-${file}`);
  writeFileSync(path('password'), password, { mode: 0o600 });
  writeFileSync(
    path('dovegate.yaml'),
    `version: 1
listeners:
  support: { unix: ${name}.sock, mode: "0600", policy: support, sessions: 300, sessions_per_peer: 300 }
${listeners}
backends:
  mail1:
    password_file: ${name}-password
    shared_namespaces: []
${backend}
${otherUsers === undefined ? '' : `  mail2:\n    password_file: ${name}-password\n    shared_namespaces: []\n${backend}`}
routes: [${otherUsers === undefined ? '' : `{ users: ["${otherUsers}"], backend: mail2 }, `}{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow: [mailbox list, mailbox status, quota get, { command: fetch, content: true }]
${policies}
state: ${name}-state
${more}
`,
  );
  const log = openSync(path('log'), 'a');
  const args = [...nodeArgs, builtProgram, 'serve', '--config', path('dovegate.yaml')];
  const child = start(process.execPath, args, log, folder);
  closeSync(log);
  after(() => endProcess(child));
  const socket = join(folder, `${name}.sock`);
  await untilReachable(socket, child);
  return { pid: child.pid ?? 0, socket, stop: () => endProcess(child) };
}

function start(file: string, args: readonly string[], stdout: 'pipe' | 'ignore' | number, cwd?: string) {
  const options = { stdio: ['ignore', stdout, 'inherit'] as const, ...(cwd !== undefined && { cwd }) };
  return spawn(file, args, {
    ...options,
    stdio: [...options.stdio],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await closed;
  clearTimeout(timer);
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').once('data', resolve);
    child.once('close', () => reject(new Error('it ended before it said anything')));
  });
}

/** Somebody accepts there; rejects when the process ends first. */
async function untilReachable(socket: string, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    const isThere = await new Promise<boolean>((resolve) => {
      const one = connect(socket, () => {
        one.destroy();
        resolve(true);
      }).once('error', () => resolve(false));
    });
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
