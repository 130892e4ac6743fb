// `npm run bench -- large [ROUNDS] [SECONDS]`: what large replies and clients that do not read cost those who do. A reply of 256 MiB (of 1
// GiB with DOVEGATE_ROUNDS=4) through the daemon, and how much its memory grows by it; then 16 clients with short commands, alone and
// beside 20 that asked for 64 MiB each and never read. Prints the growth, and the 99th percentile of the 16 with the ratio of the two.
import { connect, type Socket } from 'node:net';
import { type Bench, type BenchDaemon, withBench } from './load/bench-processes.js';
import { openReport } from './load/report.js';
import { type Measured, measureRounds, ratioOf, spreadOf } from './load/rounds.js';
import { residentKiB } from './load/usage.js';

const report = openReport('large', { rounds: 7, seconds: 3 });
const { rounds, seconds } = report;
const replyMiB = 256 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const readers = 16;
const stalled = 20;
const growthMaxMiB = 48;
const quota = '\talice@example.org\tquota get';
const fetchOf = (mib: number): string => `\talice@example.org\tfetch\ttext\tuid\t${mib * 1024 * 1024}`;

/** The most that it grew while one client read a reply, from what it has after short commands and a first reply of 16 MiB. */
async function growthOf(bench: Bench, { pid, socket }: BenchDaemon): Promise<number> {
  const load = (line: string, clients: number, time: number) =>
    bench.load({ target: socket, line, clients, seconds: time });
  await load(quota, readers, seconds);
  await load(fetchOf(16), 1, 0.01);
  const before = residentKiB(pid) / 1024;
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, residentKiB(pid) / 1024);
  }, 20);
  // The load generator ends after the first reply that comes behind its time.
  const { commands, bytes, seconds: took } = await load(fetchOf(replyMiB), 1, 0.01);
  clearInterval(watch);
  report.note(
    `${commands} reply of ${replyMiB} MiB in ${took.toFixed(1)} s (${Math.round(bytes / took / 1e6)} MB/s), ` +
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

await withBench(async (bench) => {
  const { tls } = await bench.startBackend();
  // Each client that does not read holds an upstream until `client_stall`: there must be some left for the others.
  const daemon = await bench.startDaemon({
    name: 'large',
    backend: `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem\n    connections: ${stalled + 12}`,
    password: 'secret',
  });
  const growth = spreadOf([await growthOf(bench, daemon)]);
  report.row(`how much memory grows by a reply of ${replyMiB} MiB`, growth, {
    unit: 'MiB',
    isMost: true,
    floor: growthMaxMiB,
  });
  const p99 = async (): Promise<Measured> => {
    const { p99: figure } = await bench.load({
      target: daemon.socket,
      line: quota,
      clients: readers,
      seconds,
    });
    return { figure, costs: {} };
  };
  const measured = await measureRounds(rounds, 1, {
    alone: p99,
    beside: async () => {
      const clients = await openStalled(daemon.socket);
      await new Promise((resolve) => setTimeout(resolve, 500));
      try {
        return await p99();
      } finally {
        for (const client of clients) client.destroy();
      }
    },
  });
  const ratio = ratioOf(measured, 'beside', 'alone');
  report.row(`p99 of ${readers} clients beside ${stalled} that do not read`, ratio, {
    isMost: true,
    floor: 1.5,
  });
  report.table(`p99 of ${readers} clients`, 'us', measured);
});
report.finish();
