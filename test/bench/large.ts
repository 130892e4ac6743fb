// `npm run bench -- large [SECONDS]`: what large replies and clients that do not read cost those who do. A reply of 256 MiB (of 1 GiB with
// DOVEGATE_ROUNDS=4) through the daemon, and how much its memory grows by it; then 16 clients with short commands, alone and beside 20
// that asked for 64 MiB each and never read. Prints the growth, and the 99th percentile of the 16 with the ratio of the two.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type Bench, type BenchDaemon, withBench } from './load/bench-processes.js';
import { runRounds, tellFloor, tellMachine, tellOver } from './load/rounds.js';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const replyMiB = 256 * rounds;
const readers = 16;
const stalled = 20;
const growthMaxMiB = 48;
const quota = '\talice@example.org\tquota get';
const fetchOf = (mib: number): string => `\talice@example.org\tfetch\ttext\tuid\t${mib * 1024 * 1024}`;

/** Resident memory of a process now, in MiB. */
function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** The most that it grew while one client read a reply, from what it has after short commands and a first reply of 16 MiB. */
async function growthOf(bench: Bench, { pid, socket }: BenchDaemon): Promise<number> {
  const load = (line: string, clients: number, time: number) =>
    bench.load({ target: socket, line, clients, seconds: time });
  await load(quota, readers, seconds);
  await load(fetchOf(16), 1, 0.01);
  const before = residentMiB(pid);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, residentMiB(pid));
  }, 20);
  // The load generator ends after the first reply that comes behind its time.
  const { commands, bytes, seconds: took } = await load(fetchOf(replyMiB), 1, 0.01);
  clearInterval(watch);
  console.log(
    `        ${commands} reply of ${replyMiB} MiB in ${took.toFixed(1)} s (${Math.round(bytes / took / 1e6)} MB/s), ` +
      `memory ${before.toFixed(0)} MiB before, ${most.toFixed(0)} MiB at most`,
  );
  return most - before;
}

/** Clients that ask and never read, once the daemon has written to each what its socket takes. */
async function openStalled(socket: string): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: stalled }, async () => {
      const one = connect(socket);
      await new Promise((resolve) => one.once('connect', resolve));
      one.pause();
      one.on('error', () => undefined);
      one.write(`VERSION\tdoveadm-server\t1\t0\n${fetchOf(64)}\n`);
      return one;
    }),
  );
}

async function p99Beside(bench: Bench, daemon: BenchDaemon): Promise<{ alone: number; beside: number }> {
  const p99 = async (): Promise<number> =>
    (await bench.load({ target: daemon.socket, line: quota, clients: readers, seconds })).p99;
  const alone = await p99();
  const clients = await openStalled(daemon.socket);
  await new Promise((resolve) => setTimeout(resolve, 500));
  try {
    return { alone, beside: await p99() };
  } finally {
    for (const client of clients) client.destroy();
  }
}

await withBench(async (bench) => {
  const { tls } = await bench.startBackend();
  // Each client that does not read holds an upstream until `client_stall`: there must be some left for the others.
  const daemon = await bench.startDaemon({
    name: 'large',
    backend: `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem\n    connections: ${stalled + 12}`,
    password: 'secret',
    more: 'audit: { directory: large-audit }',
  });
  tellMachine('before');
  const growth = await growthOf(bench, daemon);
  tellFloor(
    `how much memory grows by a reply of ${replyMiB} MiB`,
    { middle: growth, range: [growth, growth] },
    { floor: growthMaxMiB, unit: 'MiB', most: true },
  );
  const measured = await runRounds(3, 1, () => p99Beside(bench, daemon));
  tellFloor(
    `p99 of ${readers} clients beside ${stalled} that do not read`,
    tellOver(measured, ({ alone, beside }) => beside / alone),
    { floor: 1.5, unit: 'x', most: true },
  );
  const middle = (key: 'alone' | 'beside'): string =>
    String(Math.round(tellOver(measured, (round) => round[key]).middle));
  console.log(`        p99 alone ${middle('alone')} us, beside them ${middle('beside')} us`);
  tellMachine('after');
});
