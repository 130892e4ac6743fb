// `npm run bench -- dovecot [ROUNDS] [SECONDS]`: a real Dovecot, asked by its own CLI, by clients that connect for every command, by the
// same clients with connections kept open, and by those through dovegate with 8 upstreams over STARTTLS. Directly, Dovecot is asked
// over its UNIX socket, the cheapest way there is; what TLS costs Dovecot shows beside HAProxy, which has a connection for each client.
// Prints ratios first; needs root, as every lab of a real Dovecot does.
import { readFileSync, writeFileSync } from 'node:fs';
import { type Lab, openLab } from '../kit/dovecot-lab.js';
import { type Bench, withBench } from './load/bench-processes.js';
import { runRounds, tellFloor, tellMachine, tellOver } from './load/rounds.js';

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 2);
const clients = 8;
const alice = 'alice@example.org';
const line = `\t${alice}\tmailbox status\tmessages\tINBOX`;

interface Round {
  readonly cli: number;
  readonly anew: number;
  readonly reused: number;
  readonly haproxy: number;
  readonly gate: number;
  readonly manyThroughGate: number;
}

/** `doveadm` on the machine itself, as many at a time as there are clients. */
async function runCli(lab: Lab): Promise<number> {
  let commands = 0;
  const began = performance.now();
  const isOver = (): boolean => performance.now() - began > seconds * 1000;
  const one = async (): Promise<void> => {
    while (!isOver()) {
      const { exit, text } = await lab.doveadm(['mailbox', 'status', '-u', alice, 'messages', 'INBOX']);
      if (exit !== 0) throw new Error(text);
      commands += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, one));
  return (commands / (performance.now() - began)) * 1000;
}

async function measure(bench: Bench, lab: Lab, gate: string, haproxy: string): Promise<readonly Round[]> {
  const load = async (target: string, count: number, reconnects: boolean): Promise<number> => {
    const { password } = lab;
    const options = { target, line, clients: count, seconds, reconnects, password };
    const { commands, seconds: took } = await bench.load(options);
    return commands / took;
  };
  return runRounds(rounds, 1, async () => ({
    cli: await runCli(lab),
    anew: await load(lab.unixPreauth, clients, true),
    reused: await load(lab.unixPreauth, clients, false),
    haproxy: await load(haproxy, clients, false),
    gate: await load(gate, clients, false),
    manyThroughGate: await load(gate, 64, false),
  }));
}

await withBench(async (bench) => {
  const lab = await openLab(bench, 'native');
  if ('skip' in lab) return console.log(`not measured: ${lab.skip}`);
  writeFileSync(bench.path('dovecot-ca.pem'), readFileSync(lab.caFile));
  const { socket } = await bench.startDaemon({
    name: 'gate',
    backend: `    address: localhost:${lab.port}\n    tls: starttls\n    ca: dovecot-ca.pem\n    connections: 8`,
    password: lab.password,
    more: 'audit: { directory: gate-audit }',
  });
  const haproxy = await bench.startHaproxy(lab.tlsPort, lab.caFile);
  // A daemon that has run for a while is compiled; at Dovecot's pace that takes some thousand commands.
  await bench.load({ target: socket, line, clients: 64, seconds: 10 });
  tellMachine('before');
  const measured = await measure(bench, lab, socket, haproxy.socket);
  tellMachine('after');
  console.log(`Dovecot ${lab.version}, ${clients} clients; ${rounds} rounds of ${seconds} s each\n`);
  const beside = (other: keyof Round) => tellOver(measured, (round) => round.gate / round[other]);
  tellFloor('dovegate beside the same clients, connections reused', beside('reused'), {
    floor: 0.9,
    unit: 'x',
  });
  tellFloor('dovegate beside a new connection for each command', beside('anew'), { floor: 5, unit: 'x' });
  const of = (key: keyof Round): number => Math.round(tellOver(measured, (round) => round[key]).middle);
  console.log(`\n        commands/s: doveadm itself ${of('cli')}, a new connection for each ${of('anew')}`);
  console.log(
    `        reused ${of('reused')}, through HAProxy and TLS ${of('haproxy')}, dovegate ${of('gate')}, dovegate with 64 clients ${of('manyThroughGate')}`,
  );
});
