// `npm run bench -- start [ROUNDS]`: what a start costs, in processor time of `node -e 0`: the daemon until it serves, `--help`, and `send`
// with one command; and the memory of a gate that has nothing to do. On the Node that runs this, and on that of the packages where
// `npm run package` has brought it here.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sampleOf } from '../chaos/processes.js';
import { builtProgram, startDaemon } from '../kit/daemon.js';
import { makeFolder, type Owner } from '../kit/folder.js';
import { runProgram } from '../kit/program.js';
import { openScriptedDovecot } from '../kit/scripted-dovecot.js';
import { spreadOf } from './load/rounds.js';
import { endedPrograms } from './load/usage.js';

const rounds = Number(process.argv[2] ?? 10);
const idleMs = 4_000;

/** The Node of the packages lies in .runtime/VERSION-x64. */
function nodes(): readonly string[] {
  const kept = fileURLToPath(new URL('../../../.runtime', import.meta.url));
  const folders = existsSync(kept)
    ? readdirSync(kept).filter((name) => name.endsWith(`-${process.arch}`))
    : [];
  const packaged = folders.map((name) => join(kept, name, 'node')).filter((path) => existsSync(path));
  return [process.execPath, ...packaged];
}

/** In milliseconds; the kernel counts the time of what has ended in steps of 10. */
async function costOf(node: string, ...args: readonly string[]): Promise<number> {
  const before = endedPrograms().us;
  const done = await runProgram(node, args, { env: { NODE_OPTIONS: '' } });
  if (done.exit !== 0) throw new Error(`${args.join(' ')}: exit ${done.exit}: ${done.text}`);
  return (endedPrograms().us - before) / 1000;
}

const closings: (() => void | Promise<void>)[] = [];
const owner: Owner = { after: (run) => void closings.push(run) };
const backend = await openScriptedDovecot({ unix: join(makeFolder(), 'backend.sock') });
const config = `
version: 1
listeners: { support: { unix: support.sock, mode: "0600", policy: support } }
backends: { mail1: { address: "${backend.address}" } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*@example.org"], allow: [quota get] } }
state: state
audit: { directory: audit, memory: shm/audit.ring }
`;
for (const node of nodes()) {
  const sums = { zero: 0, serve: 0, help: 0, send: 0 };
  const memory: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    sums.zero += await costOf(node, '-e', '0');
    const daemon = await startDaemon(owner, {
      config,
      // In place of the Node that runs this.
      launcher: ['sh', '-c', 'shift; exec "$0" "$@"', node],
    });
    sums.serve += sampleOf(daemon.pid)?.cpu ?? Number.NaN;
    if (round < 3) {
      await pause(idleMs);
      memory.push((sampleOf(daemon.pid)?.anonymous ?? Number.NaN) / 1024 ** 2);
    }
    const user = ['--socket', daemon.path('support.sock'), '--user', 'alice@example.org'];
    sums.send += await costOf(node, builtProgram, 'send', ...user, '--', 'quota', 'get');
    await daemon.stop();
    sums.help += await costOf(node, builtProgram, '--help');
  }
  const version = (await runProgram(node, ['--version'])).text.trim();
  const times = (sum: number): string => `${(sum / sums.zero).toFixed(1)} x`;
  console.log(
    `Node ${version}: node -e 0 takes ${(sums.zero / rounds).toFixed(0)} ms of processor time; of that`,
  );
  console.log(`  serve, until it serves  ${times(sums.serve)}`);
  console.log(`  --help                  ${times(sums.help)}`);
  console.log(`  send, one command       ${times(sums.send)}`);
  console.log(`  an idle gate holds ${spreadOf(memory).median.toFixed(1)} MiB of anonymous memory`);
}
for (const close of closings.toReversed()) await close();
await backend.close();
