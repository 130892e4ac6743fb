// `npm run bench -- dovecot [ROUNDS] [SECONDS]`: a real Dovecot, asked by its own CLI, by clients that connect for every command, by the
// same clients with connections kept open, and by those through dovegate with 8 upstreams. Like is put beside like: directly and through
// a dovegate on the same machine everything goes over UNIX sockets, the cheapest way there is; over TLS dovegate stands beside HAProxy,
// which has a connection for each client. 64 clients are what the upstreams are for; 8 have an upstream each, and every command stands
// alone in the gate. Prints ratios first; needs root, as every lab of a real Dovecot does.
import { readFileSync, writeFileSync } from 'node:fs';
import { type Lab, openLab } from '../kit/dovecot-lab.js';
import { type Bench, withBench } from './load/bench-processes.js';
import { runRounds, tellFloor, tellMachine, tellOver } from './load/rounds.js';

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 2);
const many = 64;
const few = 8;
const warmingSeconds = 10;
const alice = 'alice@example.org';
const line = `\t${alice}\tmailbox status\tmessages\tINBOX`;

/** Commands per second. */
interface Round {
  readonly cli: number;
  readonly anew: number;
  readonly direct: number;
  readonly gate: number;
  readonly fewDirect: number;
  readonly fewGate: number;
  readonly tlsHaproxy: number;
  readonly tlsGate: number;
}

/** `doveadm` on the machine itself, as many at a time as there are upstreams. */
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
  await Promise.all(Array.from({ length: few }, one));
  return (commands / (performance.now() - began)) * 1000;
}

/** Sockets of what stands before the Dovecot. */
interface Ways {
  readonly gate: string;
  readonly tlsGate: string;
  readonly tlsHaproxy: string;
}

async function measure(bench: Bench, lab: Lab, ways: Ways): Promise<readonly Round[]> {
  const load = async (target: string, clients: number, reconnects = false): Promise<number> => {
    const { password } = lab;
    const options = { target, line, clients, seconds, reconnects, password };
    const { commands, seconds: took } = await bench.load(options);
    return commands / took;
  };
  return runRounds(rounds, 1, async () => ({
    cli: await runCli(lab),
    anew: await load(lab.unixPreauth, few, true),
    direct: await load(lab.unixPreauth, many),
    gate: await load(ways.gate, many),
    fewDirect: await load(lab.unixPreauth, few),
    fewGate: await load(ways.gate, few),
    tlsHaproxy: await load(ways.tlsHaproxy, many),
    tlsGate: await load(ways.tlsGate, many),
  }));
}

await withBench(async (bench) => {
  const lab = await openLab(bench, 'native');
  if ('skip' in lab) return console.log(`not measured: ${lab.skip}`);
  writeFileSync(bench.path('dovecot-ca.pem'), readFileSync(lab.caFile));
  const start = async (name: string, address: string): Promise<string> => {
    const more = `audit: { directory: ${name}-audit }`;
    const backend = `    ${address}\n    connections: ${few}`;
    const { socket } = await bench.startDaemon({ name, backend, password: lab.password, more });
    // A daemon that has run for a while is compiled; at Dovecot's pace that takes some thousand commands.
    await bench.load({ target: socket, line, clients: many, seconds: warmingSeconds });
    return socket;
  };
  const ways = {
    gate: await start('unix', `address: unix:${lab.unixPreauth}`),
    tlsGate: await start('tls', `address: localhost:${lab.port}\n    tls: starttls\n    ca: dovecot-ca.pem`),
    tlsHaproxy: (await bench.startHaproxy(lab.tlsPort, lab.caFile)).socket,
  };
  tellMachine('before');
  const measured = await measure(bench, lab, ways);
  tellMachine('after');
  console.log(`Dovecot ${lab.version}, ${few} upstreams; ${rounds} rounds of ${seconds} s each\n`);
  const tell = (what: string, one: keyof Round, other: keyof Round, floor: number): void =>
    tellFloor(
      what,
      tellOver(measured, (round) => round[one] / round[other]),
      { floor, unit: 'x' },
    );
  tell(`${many} clients beside the same without dovegate`, 'gate', 'direct', 0.9);
  tell(`${few} clients beside the same without dovegate`, 'fewGate', 'fewDirect', 0.9);
  tell(`${few} clients beside a new connection for each command`, 'fewGate', 'anew', 5);
  const of = (key: keyof Round): number => Math.round(tellOver(measured, (round) => round[key]).middle);
  console.log(
    `\n        commands/s: doveadm itself ${of('cli')}, a new connection for each ${of('anew')}; UNIX sockets: ` +
      `${many} clients directly ${of('direct')}, dovegate ${of('gate')}; ${few} clients directly ${of('fewDirect')}, ` +
      `dovegate ${of('fewGate')}`,
  );
  const besideHaproxy = tellOver(measured, (round) => round.tlsGate / round.tlsHaproxy).middle;
  console.log(
    `        TLS, ${many} clients: HAProxy ${of('tlsHaproxy')}, dovegate ${of('tlsGate')} (${besideHaproxy.toFixed(2)} x)`,
  );
});
