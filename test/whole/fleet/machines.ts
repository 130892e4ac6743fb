// Some machines on this one: each has an /etc, a /run and a /var/lib of its own, and all are in one network of their own, where every name
// of them is 127.0.0.1. So commands of the documentation run as they stand. `ssh`, `apt-get` and `systemctl` are stand-ins; all else is
// real. Needs root and namespaces.

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtProgram } from '../../kit/gate/daemon.js';
import { endBefore, type Owner, openFolder } from '../../kit/plain/folder.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { type Skipped, skipped } from '../../kit/plain/skipped.js';

export interface Machine {
  /** What starts a program there: put in front of its command line. It becomes that program, so its id is the program's. */
  readonly launcher: readonly string[];
  /** A path as it is seen from outside. */
  path(inside: string): string;
  /** A command line of a shell, as root. */
  run(command: string, stdin?: string): Promise<ProgramResult>;
}

const own = ['/etc', '/run', '/var/lib'] as const;

/** What programs need of /etc: libraries, and users with PAM. */
const needed = 'passwd group shadow nsswitch.conf pam.d security login.defs ld.so.cache'.split(' ');

/** The users that packages make: nobody logs in as them. */
const users = [
  ['nats', 60_001],
  ['dovegate', 60_002],
] as const;

/** By name. `server`: words that start a nats-server, which `systemctl restart nats-server` uses. End with the test. */
export async function openMachines(
  owner: Owner,
  names: readonly string[],
  server: readonly string[],
): Promise<{ readonly of: (name: string) => Machine } | Skipped> {
  const tried = await runProgram('unshare', ['--net', '--mount', 'true']).catch(() => undefined);
  if (tried?.exit !== 0) {
    return skipped('no namespaces: it needs root, and a kernel that permits them');
  }
  const folder = openFolder(owner);
  chmodSync(folder, 0o755);
  const programs = writePrograms(folder, server);
  const environment = { PATH: `${programs}:${process.env['PATH']}`, DOVEGATE_CONFIG: undefined };
  const holders: ChildProcess[] = [];
  endBefore(folder, async () => {
    for (const holder of holders) holder.stdin?.end();
    await Promise.all(holders.map((holder) => ended(holder)));
  });
  const hold = async (args: readonly string[]): Promise<number> => {
    const [program = '', ...rest] = args;
    // It ends with its stdin, however this process ends.
    const holder = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    holders.push(holder);
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve);
      holder.once('error', reject);
      holder.once('close', () => reject(new Error(`${args.join(' ')} ended`)));
    });
    return holder.pid ?? 0;
  };
  const network = await hold(['unshare', '--net', 'sh', '-c', 'ip link set lo up; echo; exec cat']);
  const hosts = `127.0.0.1 localhost ${names.join(' ')}\n`;
  const open = async (name: string): Promise<Machine> => {
    const root = join(folder, name);
    for (const place of own) mkdirSync(join(root, place), { recursive: true });
    for (const each of needed)
      if (existsSync(`/etc/${each}`)) cpSync(`/etc/${each}`, join(root, 'etc', each), { recursive: true });
    writeFileSync(join(root, 'etc/hosts'), hosts);
    addUsers(root);
    const script = [
      ...own.map((place) => `mount --bind ${root}${place} ${place}`),
      'echo',
      'cat',
      // What `systemctl` started there.
      'if [ -e /run/nats.pid ]; then kill -9 "$(cat /run/nats.pid)"; fi',
    ].join('\n');
    const inNetwork = ['nsenter', '--net', '--target', String(network)];
    const holder = await hold([...inNetwork, 'unshare', '--mount', 'sh', '-e', '-c', script]);
    writeFileSync(join(programs, `${name}.pid`), String(holder));
    const launcher = ['nsenter', '--net', '--mount', '--target', String(holder)];
    return {
      launcher,
      path: (inside) => join(root, inside),
      run: (command, stdin = '') => {
        const [program, ...rest] = [...launcher, 'bash', '-c', command];
        return runProgram(program ?? '', rest, { env: environment, cwd: '/', stdin });
      },
    };
  };
  const opened = new Map(await Promise.all(names.map(async (name) => [name, await open(name)] as const)));
  return {
    of(name) {
      const machine = opened.get(name);
      if (machine === undefined) throw new Error(`no machine ${name}`);
      return machine;
    },
  };
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

function addUsers(root: string): void {
  for (const [file, line] of [
    ['passwd', (name: string, id: number) => `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin`],
    ['group', (name: string, id: number) => `${name}:x:${id}:`],
  ] as const) {
    const path = join(root, 'etc', file);
    const known = readFileSync(path, 'utf8')
      .split('\n')
      .filter((each) => !/^(?:nats|dovegate):/.test(each));
    writeFileSync(path, [...users.map(([name, id]) => line(name, id)), ...known].join('\n'));
  }
}

/** Returns their folder. */
function writePrograms(folder: string, server: readonly string[]): string {
  const programs = join(folder, 'bin');
  mkdirSync(programs);
  const write = (name: string, ...lines: readonly string[]): void => {
    writeFileSync(join(programs, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
  };
  write('dovegate', `exec ${process.execPath} ${builtProgram} "$@"`);
  // As the real one, it hands its words on as one line of a shell.
  write(
    'ssh',
    'name=${1#root@}; shift',
    `exec nsenter --net --mount --target "$(cat ${programs}/$name.pid)" sh -c "$*"`,
  );
  write('apt-get', 'exit 0');
  write('nats-server', `exec ${server.join(' ')} "$@"`);
  write(
    'systemctl',
    'case "$*" in',
    '  "enable nats-server" | "is-active nats-server") ;;',
    '  "restart nats-server")',
    '    if [ -e /run/nats.pid ]; then kill "$(cat /run/nats.pid)"; fi',
    // Its own session and files: whoever started it may go.
    `    setsid setpriv --reuid nats --regid nats --clear-groups ${server.join(' ')} -c /etc/nats-server.conf < /dev/null > /run/nats.log 2>&1 &`,
    '    echo "$!" > /run/nats.pid ;;',
    '  *) echo "systemctl $*: not here" >&2; exit 1 ;;',
    'esac',
  );
  return programs;
}
