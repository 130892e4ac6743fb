// The processes of a measurement, each on its own: the load generator and the backend in C (load.c, backend.c), HAProxy, the built
// daemon. It knows how each is started and ended, not what is measured. The rule: nothing of a measurement runs in this process, which
// has only to wait; the daemon's log goes to a file, as it would to a service manager.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeAuthority } from '../../../kit/gate/certificates.js';
import { builtProgram } from '../../../kit/gate/daemon.js';
import { askHttp } from '../../../kit/plain/ask-http.js';
import { memoryPlace } from '../../../kit/plain/folder.js';
import { type ProgramResult, runProgram } from '../../../kit/plain/program.js';
import { projectRoot } from '../../../kit/plain/root.js';
import { costOf, type Probe, type Usage } from './usage.js';

/** This folder in the sources, where its scripts and C programs are. */
const here = fileURLToPath(new URL('test/whole/bench/load/', projectRoot));

/** What one run of the load generator found; times in microseconds. */
export interface Load {
  readonly commands: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly p50: number;
  readonly p99: number;
  /** What a command cost, by the names of the probe: from two fifths of the time, when every connection is open, to almost its end. */
  readonly costs: Readonly<Record<string, Usage>>;
}

export interface LoadOptions {
  /** A socket's path, or a port of 127.0.0.1. */
  readonly target: string;
  readonly line: string;
  /** `line` is a whole request of HTTP, and the answers are those of the HTTP API. */
  readonly isHttp?: boolean;
  readonly clients: number;
  readonly seconds: number;
  /** A new connection for each command. */
  readonly reconnects?: boolean;
  /** For a server that wants PLAIN as `doveadm`. */
  readonly password?: string;
  /** Of all clients together, each at its time; absent: a client sends the next command when it has the reply. */
  readonly perSecond?: number;
}

interface RepeatOptions {
  readonly program: readonly string[];
  readonly clients: number;
  readonly seconds: number;
  readonly sudo: boolean;
}

/** The folder of a measurement, its tools, and all that was started for it. */
export interface Bench {
  readonly folder: string;
  readonly haproxyVersion: string;
  path(name: string): string;
  after(end: () => void | Promise<void>): void;
  /** Rejects when a command failed or a connection was lost: such a figure says nothing. */
  load(options: LoadOptions, probe?: Probe): Promise<Load>;
  /** A program again and again, several at once; with `sudo` as somebody whom sudo permits it, in a folder of its own (repeat-sudo). */
  repeat(options: RepeatOptions): Promise<{ readonly commands: number; readonly seconds: number }>;
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
  /** Everything: every record is synced before its command is sent. Default: what changes something is, as without the setting. */
  readonly synced?: boolean;
  /** More of `listeners` and `policies`, as YAML. */
  readonly listeners?: string;
  readonly policies?: string;
  /** More of `audit` and of `admin`, as YAML on the line: `, sign_key: key.pem`. */
  readonly audit?: string;
  readonly admin?: string;
  /** The built program; default: this tree's. */
  readonly program?: string;
}

/** What stands between clients and a backend. */
export interface Gate {
  readonly pid: number;
  readonly socket: string;
}

export interface BenchDaemon extends Gate {
  /** Starts `dovegate page`, where the configuration has `admin.page`; it was started once already. */
  startPage(): number;
  /** The last page that was started; 0: none. */
  readonly pagePid: number;
  /** How often its journal was synced so far. */
  syncs(): Promise<number>;
  stop(): Promise<void>;
}

/** Installs what packages.sh has for it; what stands in the way, if anything. */
export async function missingPackages(stage: string): Promise<string | undefined> {
  const script = fileURLToPath(new URL('scripts/packages.sh', projectRoot));
  const { exit, text } = await runProgram('bash', [script, stage], { timeoutMs: 5 * 60_000 });
  return exit === 0 ? undefined : text.trim();
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
      load: (options, probe) => runLoad(path('load'), options, probe),
      repeat: (options) => repeat(folder, options),
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

function argumentsOf({
  target,
  line,
  isHttp,
  clients,
  seconds,
  reconnects,
  password,
  perSecond,
}: LoadOptions): string[] {
  const flags = [...(reconnects === true ? ['-r'] : []), ...(isHttp === true ? ['-h'] : [])];
  const login = password === undefined ? [] : ['-a', tokenOf(password)];
  const pace = perSecond === undefined ? [] : ['-p', String(perSecond)];
  return ['-c', String(clients), '-s', String(seconds), ...flags, ...login, ...pace, target, line];
}

async function runLoad(program: string, options: LoadOptions, probe: Probe = () => ({})): Promise<Load> {
  const marks: ReturnType<Probe>[] = [];
  // Each mark comes as a line, written at once; the result is the last line.
  const onOutput = (): void => void marks.push(probe());
  const result = await runProgram(program, argumentsOf(options), { onOutput });
  return loadOf(result, options, marks);
}

async function repeat(folder: string, { program, clients, seconds, sudo }: RepeatOptions) {
  const args = [String(clients), String(seconds * 1000), ...program];
  const script = sudo ? [join(here, 'repeat-sudo'), folder] : [join(here, 'repeat')];
  const { exit, stdout, text } = await runProgram('bash', [...script, ...args]);
  if (exit !== 0) throw new Error(`${program.join(' ')}: exit ${exit}: ${text}`);
  const told: unknown = JSON.parse(stdout.toString());
  return { commands: numberIn(told, 'commands'), seconds: numberIn(told, 'seconds') };
}

function loadOf(
  { stdout, exit, text }: ProgramResult,
  { target }: LoadOptions,
  [before, after]: readonly ReturnType<Probe>[],
): Load {
  if (exit !== 0) throw new Error(`load ${target}: exit ${exit}: ${text}`);
  const lines: unknown[] = stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const told = lines.at(-1);
  const of = (key: string): number => numberIn(told, key);
  const failed = of('failed') + of('lost');
  const load = {
    commands: of('commands'),
    seconds: of('seconds'),
    bytes: of('bytes'),
    p50: of('p50'),
    p99: of('p99'),
  };
  if (failed > 0 || load.commands === 0) throw new Error(`load ${target}: ${text}`);
  const costs: Record<string, Usage> = {};
  // A load of a moment has one mark only.
  if (lines.length < 3) return { ...load, costs };
  const between = numberIn(lines[1], 'commands') - numberIn(lines[0], 'commands');
  for (const [name, snapshot] of Object.entries(after ?? {})) {
    const first = before?.[name];
    if (first !== undefined) costs[name] = costOf(first, snapshot, between);
  }
  return { ...load, costs };
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
    synced = false,
    listeners = '',
    policies = '',
    audit = '',
    admin = '',
    program = builtProgram,
  }: BenchDaemonOptions,
): Promise<BenchDaemon> {
  const path = (file: string): string => join(folder, `${name}-${file}`);
  // As on a host: on a file system in memory, where there is one.
  const shared = memoryPlace() === tmpdir() ? undefined : mkdtempSync(join(memoryPlace(), 'dovegate-bench-'));
  const ring = join(shared ?? folder, `${name}.ring`);
  if (shared !== undefined) after(() => rmSync(shared, { recursive: true, force: true }));
  writeFileSync(path('password'), password, { mode: 0o600 });
  const hasPage = /\bpage:/.test(admin);
  writeFileSync(
    path('dovegate.yaml'),
    `version: 1
listeners:
  support: { unix: ${name}.sock, mode: "0600", policy: support, sessions: 12000, sessions_per_peer: 12000 }
${listeners}
backends:
  mail1:
    password_file: ${name}-password
    shared_namespaces: []
${backend}
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow: [mailbox list, mailbox status, mailbox subscribe, quota get, { command: fetch, content: true }]
${policies}
state: ${name}-state
audit: { directory: ${name}-audit, strict: [${synced ? 'read, ' : ''}write, destroy, session, admin], memory: ${ring}${audit} }
admin: { unix: ${name}-admin.sock${hasPage ? `, door: ${name}-door.sock` : ''}${admin} }
`,
  );
  const run = (command: string): ChildProcess => {
    const log = openSync(path('log'), 'a');
    const args = [program, command, '--config', path('dovegate.yaml')];
    const child = start(process.execPath, args, log, folder);
    closeSync(log);
    after(() => endProcess(child));
    return child;
  };
  const child = run('serve');
  const socket = join(folder, `${name}.sock`);
  await untilReachable(socket, child);
  let pagePid = 0;
  const startPage = (): number => {
    pagePid = run('page').pid ?? 0;
    return pagePid;
  };
  if (hasPage) startPage();
  const syncs = async (): Promise<number> => {
    const { body } = await askHttp({ socketPath: path('admin.sock') }, '/metrics');
    return Number(/^dovegate_audit_sync_seconds_count (\d+)$/m.exec(body)?.[1]);
  };
  return {
    pid: child.pid ?? 0,
    startPage,
    get pagePid() {
      return pagePid;
    },
    socket,
    syncs,
    stop: () => endProcess(child),
  };
}

function start(file: string, args: readonly string[], stdout: 'pipe' | 'ignore' | number, cwd?: string) {
  const env = { ...process.env, NODE_OPTIONS: '' };
  return spawn(file, args, { stdio: ['ignore', stdout, 'inherit'], env, cwd });
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
