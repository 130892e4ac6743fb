// `npm run bench -- against ROUNDS SECONDS FOLDER [--json]`: this build beside that of another folder of the project, where
// `npm run build` was run, for example a worktree of the release before. Two runs of `compare` one after the other measure also what
// the machine did in between; here each round starts a daemon of both, loads them in turns, and takes the ratio within the round.
// The figures of a daemon also depend on what its compiler found first, so every round has new ones.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type BenchDaemon, withBench } from './load/bench-processes.js';
import { idleKiB, type Kind, kinds } from './load/kinds.js';
import { openReport } from './load/report.js';
import { type Measured, type Round, ratioOf } from './load/rounds.js';
import { daemonProbe } from './load/usage.js';

const warmingSeconds = 4;
const turns = 2;

const report = openReport('against', { rounds: 7, seconds: 1 });
const { rounds, seconds, operand } = report;
// npm runs scripts in the project's folder.
const folder = resolve(process.env['INIT_CWD'] ?? '.', operand ?? '');
const program = join(folder, 'dist', 'main.js');
if (operand === undefined || !existsSync(program))
  throw new Error(`npm run bench -- against ROUNDS SECONDS FOLDER: no ${program}; run npm run build there`);

type Side = 'this' | 'other';

await withBench(async (bench) => {
  const { tls } = await bench.startBackend();
  const backend = `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem`;
  const optionsOf = (side: Side, name: string, synced = false) => ({
    name: `${side}-${name}`,
    backend,
    password: 'secret',
    synced,
    ...(side === 'other' && { program }),
  });
  const measure = async (kind: Kind, gate: BenchDaemon): Promise<Measured> => {
    const load = await bench.load(
      { ...kind.load, target: gate.socket, seconds, password: 'secret' },
      daemonProbe(gate.pid),
    );
    return { figure: kind.figure(load), costs: load.costs };
  };

  const found = new Map<string, { readonly kind: Kind; readonly rounds: Round[] }>();
  const idle: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const synced of [false, true]) {
      const name = `${round}${synced ? 's' : ''}`;
      const gates = {
        this: await bench.startDaemon(optionsOf('this', name, synced)),
        other: await bench.startDaemon(optionsOf('other', name, synced)),
      };
      for (const kind of [kinds.kept, kinds.short])
        for (const { socket } of Object.values(gates))
          await bench.load({ ...kind.load, target: socket, seconds: warmingSeconds / 2 });
      for (const kind of Object.values<Kind>(synced ? { kept: kinds.kept, short: kinds.short } : kinds)) {
        for (let turn = 0; turn < turns; turn += 1) {
          const sides: readonly Side[] = (round + turn) % 2 === 0 ? ['this', 'other'] : ['other', 'this'];
          const measured: Record<string, Measured> = {};
          for (const side of sides) measured[side] = await measure(kind, gates[side]);
          const title = `${synced ? 'synced' : 'default'}: ${kind.name}`;
          const entry = found.get(title) ?? { kind, rounds: [] };
          entry.rounds.push({ this: measured['this'] ?? never(), other: measured['other'] ?? never() });
          found.set(title, entry);
        }
      }
      for (const gate of Object.values(gates)) await gate.stop();
    }
    const kib = async (side: Side): Promise<Measured> => ({
      figure: await idleKiB(bench, optionsOf(side, `idle${round}`)),
      costs: {},
    });
    idle.push({ this: await kib('this'), other: await kib('other') });
  }

  for (const [title, { kind, rounds: all }] of found) {
    const isMost = kind.unit === 'us';
    report.row(title, ratioOf(all, 'this', 'other'), { isMost, floor: isMost ? 1.05 : 0.95 });
    report.table(title, kind.unit, all);
  }
  report.row('default: memory of an idle client', ratioOf(idle, 'this', 'other'), {
    isMost: true,
    floor: 1.05,
  });
});
report.finish();

function never(): never {
  throw new Error('a side was not measured');
}
