// A real Dovecot for a test: a private instance of the release that was asked for, on free ports, with users and mails, gone with the test.
// The work is done by the scripts in test/whole/dovecot/lab, which also say what an instance is; this file owns its folder and its
// processes.

import { appendFileSync, chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWriters, type Owner } from './folder.js';
import { freePorts } from './free-ports.js';
import { type ProgramOptions, type ProgramResult, runProgram } from './program.js';
import { openRawClient } from './raw-client.js';
import { projectRoot } from './root.js';
import { type Skipped, skipped } from './skipped.js';
import { until } from './until.js';

export const releases = ['native', 'bullseye', 'bookworm', 'bookworm-backports', 'trixie', 'sid'] as const;
export type Release = (typeof releases)[number];

export interface Lab {
  readonly release: Release;
  /** For example 2.3.19.1. */
  readonly version: string;
  readonly series: '2.3' | '2.4';
  /** The instance's folder as the machine sees it; a socket that this release's doveadm shall reach must lie in it. */
  readonly folder: string;
  /** Socket of mode 0600: greets `+`. */
  readonly unixPreauth: string;
  /** Socket of mode 0666: wants PLAIN. */
  readonly unixAuth: string;
  readonly host: '127.0.0.1';
  /** Plain with STARTTLS. */
  readonly port: number;
  /** TLS from the first byte. */
  readonly tlsPort: number;
  /** The HTTP API, in clear: Basic with the password; with a key when extra.conf sets `doveadm_api_key`. */
  readonly httpPort: number;
  /** PEM of the authority that signed the server's certificate, for localhost and 127.0.0.1. */
  readonly caFile: string;
  readonly password: string;
  /** This release's own doveadm with the instance's configuration. Paths in the arguments must be as `inRoot` gives them. */
  doveadm(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
  /** A path as the programs of this release see it; throws when it is outside their root. */
  inRoot(path: string): string;
  /** More lines of the passwd-file. Resolves when they are known: Dovecot looks at the file at most once in a second. */
  addUsers(lines: readonly string[]): Promise<void>;
  /** More settings (the whole text of extra.conf); Dovecot is stopped and started. */
  writeExtraConf(text: string): Promise<void>;
  start(): Promise<void>;
  /** Ends Dovecot; processes with an open connection live until that is closed. */
  stop(): Promise<void>;
}

export interface LabOptions {
  /** Whether to fill the mailboxes; default true. */
  users?: boolean;
  /** More settings, the whole text of extra.conf, that Dovecot starts with. */
  extraConf?: string;
}

const scripts = fileURLToPath(new URL('test/whole/dovecot/lab/', projectRoot));
const labsFolder = process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs');
/** Making a root takes a minute; on a slow archive several. */
const setupMs = 15 * 60_000;

/**
 * Installs what is missing, starts an instance, fills it. Where this machine cannot have one (not root, no apt): the reason, for
 * `t.skip`; with DOVEGATE_NO_SKIP=1 in the environment a rejection instead. Rejects when Dovecot does not come up.
 */
export async function openLab(
  owner: Owner,
  release: Release,
  options: LabOptions = {},
): Promise<Lab | Skipped> {
  const why = whyNot();
  if (why !== undefined) return skipped(why);
  const facts = factsOf(await runScript('setup', [release], setupMs));
  const root = facts.get('root') ?? '';
  const version = facts.get('version') ?? '';
  const parent = root === '' ? passableFolder() : join(root, 'lab');
  const folder = mkdtempSync(join(parent, 'dg-'));
  chmodSync(folder, 0o755);

  let isStarted = false;
  const start = async (): Promise<void> => {
    await runScript('start', [folder]);
    isStarted = true;
    const client = await openRawClient({ path: join(folder, 'run', 'doveadm-server'), minor: 2 });
    client.close();
  };
  const stop = async (): Promise<void> => {
    if (!isStarted) return;
    await runScript('stop', [folder]);
    isStarted = false;
  };
  owner.after(async () => {
    await stop();
    // A folder that is written to cannot be removed. The hook would fail, later hooks would not run, and the run would hang.
    await endWriters(folder);
    rmSync(folder, { recursive: true, force: true });
  });

  if (options.extraConf !== undefined) writeFileSync(join(folder, 'extra.conf'), options.extraConf);
  const ports = await startOnFreePorts(release, folder, start);
  if (options.users ?? true) await runScript('users', [folder]);
  const inRoot = (path: string): string => {
    if (root === '') return path;
    if (!path.startsWith(`${root}/`)) throw new Error(`${path} is outside the root of ${release}`);
    return path.slice(root.length);
  };
  const doveadm = async (args: readonly string[], programOptions: ProgramOptions = {}) => {
    const own = ['doveadm', '-c', inRoot(join(folder, 'dovecot.conf')), ...args];
    const [file = '', ...rest] = root === '' ? own : ['chroot', root, ...own];
    const env = { LC_ALL: 'C.UTF-8', TMPDIR: undefined, ...programOptions.env };
    return runProgram(file, rest, { ...programOptions, env });
  };
  return {
    release,
    version,
    series: version.startsWith('2.3.') ? '2.3' : '2.4',
    folder,
    unixPreauth: join(folder, 'run', 'doveadm-server'),
    unixAuth: join(folder, 'run', 'doveadm-auth'),
    host: '127.0.0.1',
    ...ports,
    caFile: join(folder, 'tls', 'ca.crt'),
    password: 'secret',
    inRoot,
    doveadm,
    async addUsers(lines) {
      appendFileSync(join(folder, 'passwd'), lines.map((line) => `${line}\n`).join(''));
      const [last = ''] = lines.at(-1)?.split(':') ?? [];
      await until(async () => (await doveadm(['user', last])).exit === 0, `Dovecot knows ${last}`);
    },
    async writeExtraConf(text) {
      writeFileSync(join(folder, 'extra.conf'), text);
      await stop();
      await start();
    },
    start,
    stop,
  };
}

/** Another process may take a port between our asking and Dovecot's binding: then other ports are tried. */
async function startOnFreePorts(
  release: Release,
  folder: string,
  start: () => Promise<void>,
): Promise<{ port: number; tlsPort: number; httpPort: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const [port = 0, tlsPort = 0, httpPort = 0] = await freePorts(3);
    await runScript('instance', [release, folder, ...[port, tlsPort, httpPort].map(String)]);
    try {
      await start();
      return { port, tlsPort, httpPort };
    } catch (error) {
      if (attempt === 3 || !String(error).includes('Address already in use')) throw error;
    }
  }
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'a real Dovecot is tested on Linux only';
  if (process.getuid?.() !== 0) return 'making a Dovecot instance needs root';
  if (!existsSync('/usr/bin/apt-get')) return 'this machine has no apt to install Dovecot with';
  return undefined;
}

/** A folder for temporary files that Dovecot's mail processes, which are not root, can reach into. */
function passableFolder(): string {
  for (const folder of [tmpdir(), '/tmp', '/var/tmp']) {
    let isPassable = existsSync(folder);
    for (let path = folder; isPassable && path !== dirname(path); path = dirname(path)) {
      isPassable = (statSync(path).mode & 0o001) !== 0;
    }
    if (isPassable) return folder;
  }
  throw new Error('no folder for temporary files can be passed by every user');
}

async function runScript(name: string, args: readonly string[], timeoutMs = 60_000): Promise<string> {
  const env = { DOVEGATE_LABS: labsFolder };
  const result = await runProgram('bash', [join(scripts, name), ...args], { env, timeoutMs });
  if (result.exit !== 0) throw new Error(`${name} ${args.join(' ')}: exit ${result.exit}: ${result.text}`);
  return result.stdout.toString();
}

function factsOf(text: string): Map<string, string> {
  const lines = text.trim().split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
