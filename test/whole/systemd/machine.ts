// A booted systemd for a test: a Debian root of the release that was asked for, in a container without a network, with what was
// changed in it gone at the end. The root is made once by lab/setup. This file owns the container's process and its folder.

import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openScriptedDovecot, type ScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { makeFolder, type Owner, removeAfter } from '../../kit/plain/folder.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { projectRoot } from '../../kit/plain/root.js';
import { type Skipped, skipped } from '../../kit/plain/skipped.js';

export interface Machine {
  /** Version of its systemd. */
  readonly systemd: number;
  /** Its process 1, as this machine counts it. */
  readonly leader: number;
  /** A folder that is `/mnt/test` inside. */
  readonly folder: string;
  /** A path of the machine as this process reaches it; sockets too. */
  path(inside: string): string;
  /** Runs a program inside as root; rejects when it ends with another code than 0. */
  run(...command: readonly string[]): Promise<string>;
  /** A line for a shell instead. */
  sh(line: string): Promise<string>;
  /** As `run`, without looking at the code. */
  try(...command: readonly string[]): Promise<ProgramResult>;
  /** Writes a file inside, with the folders above it. */
  write(inside: string, text: string): void;
  /** One property of a unit, as `systemctl show` gives it. */
  property(unit: string, name: string): Promise<string>;
  /** Resolves when a property has a value that `isIt` accepts; rejects after `ms` (30 s) with what it was. */
  waitFor(unit: string, name: string, isIt: (value: string) => boolean, ms?: number): Promise<string>;
}

const setup = fileURLToPath(new URL('test/whole/systemd/lab/setup', projectRoot));
const setupMs = 15 * 60_000;

/** Why nothing can be booted or built here; undefined: it can. */
export function whyNoMachine(): string | undefined {
  if (process.platform !== 'linux') return 'systemd is of Linux only';
  if (process.getuid?.() !== 0) return 'booting a container needs root';
  if (!existsSync('/usr/bin/apt-get')) return 'this machine has no apt to make a Debian root with';
  return undefined;
}

/** Makes the root of a release if it is not there; its path, and the version of its systemd. `dovecot`: with one, and without any Node. */
export async function makeRoot(
  release: string,
  ...parts: readonly 'dovecot'[]
): Promise<{ readonly root: string; readonly systemd: number }> {
  const env = { DOVEGATE_LABS: process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs') };
  const made = await runProgram('bash', [setup, release, ...parts], { env, timeoutMs: setupMs });
  if (made.exit !== 0) throw new Error(`setup ${release}: exit ${made.exit}: ${made.text}`);
  const fact = (name: string): string => new RegExp(`^${name}=(.+)$`, 'm').exec(made.text)?.[1] ?? '';
  return { root: fact('root'), systemd: Number(fact('systemd')) };
}

/**
 * Boots one, with our Node as its /usr/bin/node unless it is to have what its own packages bring. Where this machine cannot: the reason,
 * for `t.skip`; with DOVEGATE_NO_SKIP=1 in the environment a rejection instead. Rejects when it does not come up.
 */
export async function openMachine(
  owner: Owner,
  release: string,
  { ownNode = false, hasDovecot = false }: { readonly ownNode?: boolean; readonly hasDovecot?: boolean } = {},
): Promise<Machine | Skipped> {
  const why = whyNoMachine();
  if (why !== undefined) return skipped(why);
  const { root, systemd } = await makeRoot(release, ...(hasDovecot ? (['dovecot'] as const) : []));
  const folder = makeFolder();
  const work = join(folder, 'work');
  mkdirSync(work);
  const group = makeGroup(basename(folder));
  const container = spawn(
    'sh',
    [
      '-c',
      'echo $$ > "$0/cgroup.procs"; exec systemd-nspawn "$@"',
      group,
      '--quiet',
      '--boot',
      '--register=no',
      '--keep-unit',
      '--private-network',
      // Several may be booted from one root at once: it is locked for all of them, and the overlay takes what they write.
      '--read-only',
      '--volatile=overlay',
      '--link-journal=no',
      '--console=pipe',
      `--machine=${basename(folder)}`,
      `--directory=${root}`,
      ...(ownNode ? [] : [`--bind-ro=${process.execPath}:/usr/bin/node`]),
      `--bind=${work}:/mnt/test`,
    ],
    {
      // Releases from 256 on do not boot below control groups of version 1.
      env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [container.stdout, container.stderr])
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-10_000);
    });
  owner.after(async () => {
    await stop(container);
    removeGroup(group);
  });
  removeAfter(owner, folder);

  let isSecond = false;
  const isUp = async (leader: number): Promise<boolean> => {
    const state = await inside(leader, ['systemctl', 'is-system-running']);
    if (!/^(degraded|maintenance)/.test(state.text)) return state.text.startsWith('running');
    const list = ['--failed', '--plain', '--no-legend', '--no-pager'];
    const failed = (await inside(leader, ['systemctl', ...list])).text;
    const said = await inside(leader, ['journalctl', '-b', '-p', 'notice', '-n', '40', '--no-pager']);
    const cause = `it boots as ${state.text.trim()}: ${failed}${said.text}${output}`;
    if (isSecond) throw new Error(cause);
    // A unit of the release that this machine had no time for, when several booted at once, gets one more start.
    isSecond = true;
    process.stderr.write(`${cause}\n`);
    const units = failed.split('\n').flatMap((line) => line.split(' ').slice(0, 1));
    await inside(leader, ['systemctl', 'restart', ...units.filter((unit) => unit !== '')]);
    return false;
  };
  const leader = await poll('the container boots', 300_000, async () => {
    if (container.exitCode !== null) throw new Error(`the container ended: ${output}`);
    const pid = leaderOf(container.pid ?? 0);
    return pid !== undefined && (await isUp(pid)) ? pid : undefined;
  });

  const tried = (command: readonly string[]): Promise<ProgramResult> => inside(leader, command);
  const run = async (...command: readonly string[]): Promise<string> => {
    const result = await tried(command);
    if (result.exit === 0) return result.text;
    // systemctl names its journal for the cause, and that is gone with the machine.
    const { text } = command[0] === 'systemctl' ? await tried(['journalctl', '-n', '60']) : { text: '' };
    throw new Error(`${command.join(' ')}: exit ${result.exit}: ${result.text}${text}`);
  };
  const path = (inner: string): string => `/proc/${leader}/root${inner}`;
  const property = async (unit: string, name: string): Promise<string> =>
    (await run('systemctl', 'show', '--value', '-p', name, unit)).trim();
  return {
    systemd,
    leader,
    folder: work,
    path,
    run,
    sh: (line) => run('sh', '-c', line),
    try: (...command) => tried(command),
    write(inner, text) {
      mkdirSync(dirname(path(inner)), { recursive: true });
      writeFileSync(path(inner), text);
    },
    property,
    async waitFor(unit, name, isIt, ms = 120_000) {
      let last = '';
      return poll(
        () => `${name} of ${unit}, which is ${last}`,
        ms,
        async () => {
          last = await property(unit, name);
          return isIt(last) ? last : undefined;
        },
      );
    },
  };
}

/** The releases that are asked for by DOVEGATE_SYSTEMD, or the usual ones. */
export function releasesOr(usual: string): readonly string[] {
  return (process.env['DOVEGATE_SYSTEMD'] ?? usual).split(' ');
}

/** A test on a booted machine of each release; skipped where none can be booted. */
export function onMachines(
  name: string,
  releases: readonly string[],
  options: Parameters<typeof openMachine>[2],
  run: (t: TestContext, machine: Machine, release: string) => Promise<void>,
): void {
  for (const release of releases)
    void test(`${name} on ${release}`, { timeout: 1_800_000 }, async (t) => {
      const machine = await openMachine(t, release, options);
      if ('skip' in machine) return t.skip(machine.skip);
      await run(t, machine, release);
    });
}

/** Of the backend. */
export const password = 'correct-horse-battery';

/** The backend of a machine: `/mnt/test/backend.sock` inside. */
export async function openBackend(owner: Owner, { folder }: Machine): Promise<ScriptedDovecot> {
  const unix = join(folder, 'backend.sock');
  const backend = await openScriptedDovecot({ unix, authenticate: true, password, owner });
  chmodSync(unix, 0o666);
  return backend;
}

/** Of a configuration: the backend of a machine, for all mail users. */
export const backends = `backends:
  mail1:
    address: unix:/mnt/test/backend.sock
    password_file: /run/credentials/dovegate.service/secret_mail1
    shared_namespaces: []
routes:
  - { users: ["*"], backend: mail1 }
`;

/** One team, with a socket of systemd. */
export const configuration = `version: 1
listeners:
  support: { systemd: support, policy: support }
${backends}policies:
  support: { users: ["*"], allow: [quota get] }
state: /var/lib/dovegate
audit: { directory: /var/lib/dovegate/audit, reserve: 4KiB }
admin: { unix: /run/dovegate/admin.sock }
`;

/** Writes it, and the password. */
export function configure(machine: Machine): void {
  machine.write('/etc/dovegate/dovegate.yaml', configuration);
  machine.write('/etc/dovegate/credentials/mail1', `${password}\n`);
  chmodSync(machine.path('/etc/dovegate/credentials/mail1'), 0o600);
}

/** One client that comes, asks and goes; the status that it got. */
export async function ask(machine: Machine, team: string, ...fields: string[]): Promise<string> {
  const client = await openRawClient({
    path: machine.path(`/run/dovegate/${team}.sock`),
    minor: 2,
    timeoutMs: 120_000,
  });
  try {
    client.sendCommand({ user: 'alice@example.org', fields });
    return (await client.readReply()).status;
  } finally {
    client.close();
  }
}

/** A program in all namespaces of the container. */
function inside(leader: number, command: readonly string[]): Promise<ProgramResult> {
  const env = { LC_ALL: 'C', TMPDIR: undefined, NODE_OPTIONS: undefined, NODE_EXTRA_CA_CERTS: undefined };
  return runProgram('nsenter', ['--target', String(leader), '--all', '--', ...command], { env });
}

/** The container's process 1 as this machine counts it: the child of systemd-nspawn that is in a PID namespace of its own. */
function leaderOf(pid: number): number | undefined {
  try {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    if (child === undefined || child === '') return undefined;
    const isOwn = readlinkSync(`/proc/${child}/ns/pid`) !== readlinkSync('/proc/self/ns/pid');
    return isOwn && existsSync(`/proc/${child}/root/run/systemd/private`) ? Number(child) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A control group for one machine: those that share their starter's share the groups of all units, too, and each removes what the other
 * is about to use.
 */
function makeGroup(name: string): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8');
  const [, hierarchy] = /^\S+ (\S+) cgroup2 /m.exec(mounts) ?? [];
  const [, own] = /^0::(\S+)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
  if (hierarchy === undefined || own === undefined)
    throw new Error('there are no control groups of version 2');
  const group = join(hierarchy, own, name);
  mkdirSync(group);
  return group;
}

/** With all below it, the deepest first; its processes have ended. */
function removeGroup(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroup(join(group, entry.name));
  rmdirSync(group);
}

/** Asks every 50 ms until there is an answer. */
export async function poll<Answer>(
  what: string | (() => string),
  ms: number,
  look: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await look();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === 'string' ? what : what()}`);
    await pause(50);
  }
}

/** As a power button does: SIGRTMIN+4 to its process 1, by way of systemd-nspawn's SIGTERM; killed when that takes too long. */
async function stop(container: ChildProcess): Promise<void> {
  if (container.exitCode !== null || container.signalCode !== null) return;
  const ended = new Promise((resolve) => {
    container.once('close', resolve);
  });
  container.kill('SIGTERM');
  const timer = setTimeout(() => container.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(timer);
}
