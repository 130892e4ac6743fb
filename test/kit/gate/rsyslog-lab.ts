// A real rsyslog for a test: the receiver's configuration that is shipped, with the test's own certificates, port and files. It
// runs in the foreground as a child of the test. test/whole/rsyslog/setup installs it from the machine's package sources.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endBefore, type Owner, openFolder } from '../plain/folder.js';
import { runProgram } from '../plain/program.js';
import { projectRoot } from '../plain/root.js';
import { type Skipped, skipped } from '../plain/skipped.js';
import { until } from '../plain/until.js';
import type { Authority } from './certificates.js';

export interface Rsyslog {
  /** For example 8.2302.0. */
  readonly version: string;
  readonly port: number;
  /** Where it keeps what this machine sent. */
  readonly file: string;
  /** The same as whole messages in the form of RFC 5424, one a line, as rsyslog understood them. */
  readonly messages: string;
  /** What it said of itself. */
  output(): string;
  start(): Promise<void>;
  /** An orderly end, awaited. */
  stop(): Promise<void>;
}

const setup = fileURLToPath(new URL('test/whole/rsyslog/setup', projectRoot));
const shipped = fileURLToPath(new URL('config/rsyslog-receiver.conf', projectRoot));
const program = '/usr/sbin/rsyslogd';

/**
 * Installs what is missing and starts it; it ends with the test. `peers`: names of client certificates that it lets in. Where
 * this machine cannot have one: the reason, for `t.skip`; with DOVEGATE_NO_SKIP=1 in the environment a rejection instead.
 */
export async function openRsyslog(
  owner: Owner,
  authority: Authority,
  peers: readonly string[],
): Promise<Rsyslog | Skipped> {
  const why = whyNot();
  if (why !== undefined) return skipped(why);
  const env = { DOVEGATE_LABS: process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs') };
  const installed = await runProgram('bash', [setup], { env, timeoutMs: 10 * 60_000 });
  if (installed.exit !== 0) throw new Error(installed.text);

  const folder = openFolder(owner);
  mkdirSync(join(folder, 'tls'));
  const { certificatePem, keyPem } = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const files = { 'ca.pem': authority.certificatePem, 'logs.pem': certificatePem, 'logs.key': keyPem };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'tls', name), text);
  const configuration = join(folder, 'rsyslog.conf');
  const portFile = join(folder, 'port');
  let port = 0;
  let child: ChildProcess | undefined;
  let output = '';

  const rsyslog: Rsyslog = {
    version: installed.stdout.toString().trim().replace('version=', ''),
    get port() {
      return port;
    },
    file: join(folder, 'received', `${hostname()}.jsonl`),
    messages: join(folder, 'messages.log'),
    output: () => output,
    async start() {
      const text = replaceAll(readFileSync(shipped, 'utf8'), {
        '/etc/rsyslog.d/tls/': `${join(folder, 'tls')}/`,
        '/var/log/dovegate/': `${join(folder, 'received')}/`,
        '  action(type="omfile" dynaFile': `  action(type="omfile" file="${rsyslog.messages}" template="RSYSLOG_SyslogProtocol23Format")
  action(type="omfile" dynaFile`,
        '"gate1.example.com"': peers.map((name) => `"${name}"`).join(', '),
        'port="6514"': `address="127.0.0.1" port="${port}" listenPortFileName="${portFile}"`,
      });
      writeFileSync(configuration, `global(workDirectory="${folder}")\n${text}`);
      const own = spawn(program, ['-n', '-f', configuration, '-i', join(folder, 'pid')], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = own;
      for (const stream of [own.stdout, own.stderr]) {
        stream.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      }
      // It says nothing when it is ready: the first time the file with its port tells, later that somebody listens there.
      await until(
        async () => own.exitCode !== null || (await isReady()),
        () => `rsyslogd is ready:\n${output}`,
      );
      if (own.exitCode !== null) throw new Error(`rsyslogd did not start:\n${output}`);
    },
    async stop() {
      await end(child, 'SIGTERM');
      child = undefined;
    },
  };
  async function isReady(): Promise<boolean> {
    if (port === 0 && existsSync(portFile)) port = Number(readFileSync(portFile, 'utf8'));
    return port !== 0 && (await isListening(port));
  }
  // Before its folder goes: it writes there.
  endBefore(folder, () => end(child, 'SIGKILL'));
  await rsyslog.start();
  return rsyslog;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'a real rsyslog is tested on Linux only';
  if (existsSync(program) && existsSync(driverAt())) return undefined;
  if (process.getuid?.() !== 0) return 'installing rsyslog needs root';
  if (!existsSync('/usr/bin/apt-get')) return 'this machine has no apt to install rsyslog with';
  return undefined;
}

function driverAt(): string {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return `/usr/lib/${machine}-linux-gnu/rsyslog/lmnsd_gtls.so`;
}

function replaceAll(text: string, places: Readonly<Record<string, string>>): string {
  let changed = text;
  for (const [from, to] of Object.entries(places)) {
    if (!changed.includes(from)) throw new Error(`the shipped configuration has no ${from}`);
    changed = changed.replaceAll(from, to);
  }
  return changed;
}

function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}
