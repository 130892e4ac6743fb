// `npm run bench -- sizing [SECONDS]`: what a million commands cost a gate in front of a real Dovecot: bytes of its journal as they are
// written and as they are kept (compressed), processor time of the gate and of Dovecot, and its memory. 8 clients that keep their
// connections, and 8 that connect for each command. Needs root, as every lab of a real Dovecot does.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { withBench } from './load/bench-processes.js';
import { daemonProbe, type Probe, residentKiB, treeSnapshot } from './load/usage.js';

const seconds = Number(process.argv[2] ?? 5);
const alice = 'alice@example.org';
const kinds = [
  ['quota get', `\t${alice}\tquota get`, false],
  ['quota get, a new connection each', `\t${alice}\tquota get`, true],
  ['mailbox status', `\t${alice}\tmailbox status\tmessages\tINBOX`, false],
  ['fetch', `\t${alice}\tfetch\tuid hdr.subject\tmailbox\tINBOX\tall`, false],
] as const;

const columns = ['command', 'journal', 'compressed', 'gate', 'Dovecot', 'commands/s', 'memory'];
const rows: string[][] = [];
await withBench(async (bench) => {
  const lab = await openLab(bench, 'native');
  if ('skip' in lab) return console.log(`not measured: ${lab.skip}`);
  const master = Number(readFileSync(join(lab.folder, 'run', 'master.pid'), 'utf8'));
  for (const [at, [name, line, reconnects]] of kinds.entries()) {
    const gate = await bench.startDaemon({
      name: `sizing${at}`,
      backend: `    address: unix:${lab.unixPreauth}\n    connections: 8`,
      password: lab.password,
    });
    const load = { target: gate.socket, line, clients: 8, reconnects };
    // A daemon that has run for a while is compiled.
    const warm = await bench.load({ ...load, seconds });
    const ofGate = daemonProbe(gate.pid);
    const probe: Probe = () => ({ Dovecot: treeSnapshot(master), ...ofGate() });
    const { commands, costs, seconds: took } = await bench.load({ ...load, seconds }, probe);
    const us = (names: readonly string[]): number =>
      names.reduce((sum, each) => sum + (costs[each]?.us ?? 0), 0);
    const memory = residentKiB(gate.pid);
    await gate.stop();
    const folder = bench.path(`sizing${at}-audit`);
    const files = readdirSync(folder).filter((file) => file.endsWith('.jsonl'));
    const bytes = Buffer.concat(files.map((file) => readFileSync(join(folder, file))));
    // Of all commands; each has its records, and those of a session are few.
    const all = commands + warm.commands;
    rows.push([
      name,
      `${(bytes.length / all / 1000).toFixed(2)} GB`,
      `${(gzipSync(bytes).length / all / 1000).toFixed(2)} GB`,
      `${us(['main', 'journal', 'others']).toFixed(0)} s`,
      `${us(['Dovecot']).toFixed(0)} s`,
      (commands / took).toFixed(0),
      `${(memory / 1024).toFixed(0)} MiB`,
    ]);
  }
});
console.log('of a million commands:');
for (const row of [columns, ...rows])
  console.log(row.map((cell, at) => (at === 0 ? cell.padEnd(34) : cell.padStart(11))).join(''));
