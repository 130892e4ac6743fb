// `npm run bench -- start [ROUNDS]`: what a start costs, in processor time of `node -e 0`: the daemon until it serves, `--help`, and `send`
// with one command; and the memory of a gate that has nothing to do. On the Node that runs this, and on those that `npm run package` and
// `npm run test:matrix` have brought here.
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

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The Node of the packages lies in .runtime/VERSION-x64, those of the matrix in .matrix/VERSION. */
function nodes(): readonly string[] {
  const ours = process.arch;
  const kept = [
    [join(root, '.runtime'), 'node'],
    [join(root, '.matrix'), `node_modules/node-linux-${ours}/bin/node`],
  ].flatMap(([folder = '', path = '']) =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, path)) : [],
  );
  const others = kept.filter(
    (path) => existsSync(path) && !path.includes(`-${ours === 'x64' ? 'arm64' : 'x64'}/`),
  );
  return [process.execPath, ...others];
}

/** The program as it is built for tests, as it is released, and with the code that Node has compiled before. */
const forms = [
  { name: 'modules', program: join(root, 'build/src/main.js'), env: {} },
  { name: 'bundle', program: builtProgram, env: {} },
  { name: 'bundle, with cache', program: builtProgram, env: { NODE_COMPILE_CACHE: makeFolder() } },
];

/** In milliseconds; the kernel counts the time of what has ended in steps of 10. */
async function costOf(node: string, env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<number> {
  const before = endedPrograms().us;
  const done = await runProgram(node, args, { env: { ...env, NODE_OPTIONS: '' } });
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
  let zero = 0;
  const memory: number[] = [];
  const sums = forms.map(() => ({ serve: 0, help: 0, send: 0 }));
  for (let round = 0; round < rounds; round += 1) {
    zero += await costOf(node, {}, '-e', '0');
    for (const [at, { program, env }] of forms.entries()) {
      const sum = sums[at];
      if (sum === undefined) continue;
      const daemon = await startDaemon(owner, {
        config,
        program,
        env,
        // In place of the Node that runs this.
        launcher: ['sh', '-c', 'shift; exec "$0" "$@"', node],
      });
      sum.serve += sampleOf(daemon.pid)?.cpu ?? Number.NaN;
      if (round < 3 && program === builtProgram && Object.keys(env).length === 0) {
        await pause(idleMs);
        memory.push((sampleOf(daemon.pid)?.anonymous ?? Number.NaN) / 1024 ** 2);
      }
      const user = ['--socket', daemon.path('support.sock'), '--user', 'alice@example.org'];
      sum.send += await costOf(node, env, program, 'send', ...user, '--', 'quota', 'get');
      await daemon.stop();
      sum.help += await costOf(node, env, program, '--help');
    }
  }
  const version = (await runProgram(node, ['--version'])).text.trim();
  const times = (sum: number): string => `${(sum / zero).toFixed(1)} x`.padEnd(8);
  console.log(`Node ${version}: node -e 0 takes ${(zero / rounds).toFixed(0)} ms of processor time; of that`);
  console.log(`  ${'form'.padEnd(18)}  serve   --help  send`);
  for (const [at, { name }] of forms.entries()) {
    const { serve, help, send } = sums[at] ?? { serve: 0, help: 0, send: 0 };
    console.log(`  ${name.padEnd(18)}  ${times(serve)}${times(help)}${times(send)}`);
  }
  console.log(`  an idle gate holds ${spreadOf(memory).median.toFixed(1)} MiB of anonymous memory`);
}
for (const close of closings.toReversed()) await close();
await backend.close();
