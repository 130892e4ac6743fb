// A network of two: this process and what it starts on one side, a network namespace on the other, and a cable between them that can be
// pulled out, so that packets are lost and nobody is told. The namespace has no name: it goes with its last process. Needs root, and `ip`.

import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import type { Owner } from './folder.js';
import { runProgram } from './program.js';
import { type Skipped, skipped } from './skipped.js';

export interface Cable {
  /** What starts a program on the other side: put in front of its command line. It becomes that program, so its id is the program's. */
  readonly launcher: readonly string[];
  /** IPv4 address of the other side. */
  readonly address: string;
  pullOut(): Promise<void>;
  plugIn(): Promise<void>;
}

/** Ends with the test. Where this machine has none: the reason, for `t.skip`; with DOVEGATE_NO_SKIP=1 a rejection instead. */
export async function openCable(owner: Owner): Promise<Cable | Skipped> {
  const why = await whyNot();
  if (why !== undefined) return skipped(why);
  // It ends with its stdin, however this process ends.
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise((resolve, reject) => {
    holder.stdout.once('data', resolve);
    holder.once('error', reject);
    holder.once('close', () => reject(new Error('unshare --net ended')));
  });
  owner.after(() => void holder.stdin.end());
  // Other tests do the same at this moment: names and addresses are by what the kernel calls this network.
  const network = Number(/\d+/.exec(readlinkSync(`/proc/${holder.pid}/ns/net`))?.[0]);
  const number = network % 16_384;
  const subnet = `10.213.${number >> 6}`;
  const [ours, address] = [1, 2].map((end) => `${subnet}.${(number % 64) * 4 + end}`);
  const name = `dg${network}`;
  const launcher = ['nsenter', '--net', '--target', String(holder.pid)];
  const there = (...args: string[]) => mustRun([...launcher, 'ip', ...args]);
  await mustRun([
    'ip',
    'link',
    'add',
    name,
    'type',
    'veth',
    'peer',
    'name',
    'gate',
    'netns',
    `${holder.pid}`,
  ]);
  await mustRun(['ip', 'address', 'add', `${ours}/30`, 'dev', name]);
  await mustRun(['ip', 'link', 'set', name, 'up']);
  await there('address', 'add', `${address}/30`, 'dev', 'gate');
  await there('link', 'set', 'lo', 'up');
  const plugIn = () => there('link', 'set', 'gate', 'up');
  await plugIn();
  return {
    launcher,
    address: address ?? '',
    plugIn,
    pullOut: () => there('link', 'set', 'gate', 'down'),
  };
}

async function mustRun([file = '', ...args]: readonly string[]): Promise<void> {
  const { exit, text } = await runProgram(file, args);
  if (exit !== 0) throw new Error(`${file} ${args.join(' ')}: exit ${exit}: ${text}`);
}

async function whyNot(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'network namespaces are of Linux';
  if (process.getuid?.() !== 0) return 'a network namespace needs root';
  const tried = await runProgram('unshare', ['--net', 'ip', 'link', 'show']).catch(() => undefined);
  return tried?.exit === 0 ? undefined : 'unshare --net or ip does not work here';
}
