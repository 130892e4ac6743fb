// `npm run bench -- fleet-idle [HOSTS] [SECONDS] [OTHER]`: what `audit fleet watch` costs while nothing happens: HOSTS (default 1,000)
// streams on a real nats-server, for SECONDS (default 60) each without any record, and with a checkpoint of each gate a minute. Prints the
// messages a second between both, and the share of one processor that each takes. OTHER: the folder of another build, to compare with.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { builtProgram } from '../../kit/gate/daemon.js';
import { until } from '../../kit/plain/until.js';
import { statusOf } from '../fleet/fleet-lab.js';
import { openQuietFleet } from '../fleet/quiet-fleet.js';
import { say } from './load/simulated-fleet.js';
import { processSnapshot, residentKiB } from './load/usage.js';

const count = Number(process.argv[2] ?? 1_000);
const seconds = Number(process.argv[3] ?? 60);
const other = process.argv[4];
const program = other === undefined ? builtProgram : join(resolve(other), 'dist', 'main.js');

const usOf = (pid: number): number =>
  [...processSnapshot(pid).threads.values()].reduce((sum, usage) => sum + usage.us, 0);

/** The one child of this process with that name. */
function childOf(name: string): number {
  const found = readdirSync('/proc').find((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return (
        stat.includes(`(${name})`) && stat.slice(stat.lastIndexOf(')')).split(' ')[2] === String(process.pid)
      );
    } catch {
      return false;
    }
  });
  return Number(found);
}

const closers: (() => void | Promise<void>)[] = [];
const owner = { after: (run: () => void | Promise<void>) => void closers.push(run) };
try {
  let startMs = performance.now();
  const fleet = await openQuietFleet(owner, count);
  if ('skip' in fleet) throw new Error(fleet.skip);
  const { nats, verifier, hosts } = fleet;
  say(
    `${count} streams`,
    `made in ${((performance.now() - startMs) / 1000).toFixed(0)} s; nats-server ${nats.version}`,
  );
  const server = childOf('nats-server');
  startMs = performance.now();
  const child = spawn(process.execPath, [program, 'audit', 'fleet', 'watch', '--config', verifier.config], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  owner.after(() => void child.kill('SIGKILL'));
  const pid = child.pid ?? 0;
  const status = () => statusOf({ state: join(verifier.folder, 'state') });
  const isRead = (): boolean => {
    try {
      return status().gates.filter(({ seq }) => seq !== undefined).length === count;
    } catch {
      return false;
    }
  };
  await until(isRead, 'everything is read', 300_000);
  say('the first round', `${((performance.now() - startMs) / 1000).toFixed(1)} s with start`);
  await pause(15_000);

  const measure = async (what: string, isSending: boolean): Promise<void> => {
    const before = {
      messages: await fleet.messages(),
      watch: usOf(pid),
      server: usOf(server),
      ms: performance.now(),
    };
    const end = before.ms + seconds * 1000;
    for (let at = 0; performance.now() < end; at += 1) {
      const host = hosts[at % hosts.length];
      const due = before.ms + ((at + 1) * 60_000) / count;
      if (isSending && host !== undefined) await fleet.checkpoint(host);
      await pause(Math.max(0, (isSending ? Math.min(due, end) : end) - performance.now()));
    }
    const ms = performance.now() - before.ms;
    const share = (now: number, then: number): string => `${((now - then) / ms / 10).toFixed(2)} %`;
    say(
      what,
      `${(((await fleet.messages()) - before.messages) / (ms / 1000)).toFixed(1)} messages/s, watch ${share(usOf(pid), before.watch)}, nats-server ${share(usOf(server), before.server)} of a processor`,
    );
  };
  await measure('nothing happens', false);
  await measure('a checkpoint a minute each', true);
  say(
    'memory',
    `watch ${(residentKiB(pid) / 1024).toFixed(0)} MiB, nats-server ${(residentKiB(server) / 1024).toFixed(0)} MiB`,
  );
} finally {
  for (const close of closers.toReversed()) await close();
}
