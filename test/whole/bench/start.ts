// `npm run bench -- start [ROUNDS]`: what a start costs, in processor time of `node -e 0`: the daemon until it serves, for the first time
// and later, `--help`, and `send` with one command; and the memory of a gate that has nothing to do. On the Node that runs this, and on
// those that `npm run package` and `npm run lab -- matrix` have brought here.

import { chmodSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { builtProgram, startDaemon } from '../../kit/gate/daemon.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { makeFolder, openFolder, withOwner } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { sampleOf } from '../chaos/processes.js';
import { spreadOf } from './load/rounds.js';
import { endedPrograms, flagsOfUnit } from './load/usage.js';

const rounds = Number(process.argv[2] ?? 10);
/** The garbage of a start is collected after a second; Node 24 keeps the memory of a thread for 8 s after its end. */
const idleMs = 12_000;

const root = fileURLToPath(projectRoot);

/** Where `npm run package` and `npm run lab -- matrix` keep a Node: the folder, the names in it, and the program below such a name. */
const kept = [
  ['.runtime', new RegExp(`-${process.arch}$`), 'node'],
  ['.matrix', /^[\d.]+$/, `node_modules/node-linux-${process.arch}/bin/node`],
] as const;

function nodes(): readonly string[] {
  const others = kept.flatMap(([folder, wanted, program]) => {
    const names = existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [];
    return names.filter((name) => wanted.test(name)).map((name) => join(root, folder, name, program));
  });
  const there = others.filter((path) => existsSync(path));
  // A package gives it its mode.
  for (const path of there) chmodSync(path, 0o755);
  return [process.execPath, ...there];
}

/** What the unit of systemd gives Node for the daemon. */
const flags = flagsOfUnit('dovegate');

/** The program as it is built for tests, as it is released, and with the code that Node has compiled before. */
const forms = [
  { name: 'modules', program: join(root, 'build/src/main.js'), env: {} },
  { name: 'bundle', program: builtProgram, env: {} },
  { name: 'bundle, with cache', program: builtProgram, env: { NODE_COMPILE_CACHE: makeFolder() } },
];

/** Processor time in milliseconds. The kernel counts it in steps of 10 ms for a program that has ended. */
async function costOf(node: string, env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<number> {
  const before = endedPrograms().us;
  const done = await runProgram(node, args, { env: { ...env, NODE_OPTIONS: '' } });
  if (done.exit !== 0) throw new Error(`${args.join(' ')}: exit ${done.exit}: ${done.text}`);
  return (endedPrograms().us - before) / 1000;
}

await withOwner(async (owner) => {
  const backend = await openScriptedDovecot({ unix: join(openFolder(owner), 'backend.sock'), owner });
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
    let zero = 0;
    const startOf = ({ program, env }: Pick<(typeof forms)[number], 'program' | 'env'>, folder?: string) =>
      startDaemon(owner, {
        config,
        ...(folder !== undefined && { folder }),
        program,
        env,
        node,
        nodeFlags: flags,
      });
    const costs = forms.map((form) => ({ ...form, first: 0, serve: 0, help: 0, send: 0 }));
    for (let round = 0; round < rounds; round += 1) {
      zero += await costOf(node, {}, '-e', '0');
      for (const cost of costs) {
        const { program, env } = cost;
        // It makes keys and fills the reserve, which later ones find.
        const first = await startOf(cost);
        cost.first += sampleOf(first.pid)?.cpu ?? Number.NaN;
        await first.stop();
        const daemon = await startOf(cost, first.folder);
        cost.serve += sampleOf(daemon.pid)?.cpu ?? Number.NaN;
        const user = ['--socket', daemon.path('support.sock'), '--user', 'alice@example.org'];
        cost.send += await costOf(node, env, program, 'send', ...user, '--', 'quota', 'get');
        await daemon.stop();
        cost.help += await costOf(node, env, program, '--help');
      }
    }
    // Apart: what begins after such a pause costs more than what begins at once.
    const memory: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      const daemon = await startOf({ program: builtProgram, env: {} });
      await pause(idleMs);
      memory.push((sampleOf(daemon.pid)?.anonymous ?? Number.NaN) / 1024 ** 2);
      await daemon.stop();
    }
    const version = (await runProgram(node, ['--version'])).text.trim();
    const times = (sum: number): string => `${(sum / zero).toFixed(1)} x`.padEnd(8);
    console.log(
      `Node ${version}: node -e 0 takes ${(zero / rounds).toFixed(0)} ms of processor time; of that`,
    );
    console.log(`  ${'form'.padEnd(18)}  first   serve   --help  send`);
    for (const { name, first, serve, help, send } of costs)
      console.log(`  ${name.padEnd(18)}  ${[first, serve, help, send].map(times).join('')}`);
    console.log(`  an idle gate holds ${spreadOf(memory).median.toFixed(1)} MiB of anonymous memory`);
  }
});
