// `npm run bench -- fleet-away [SECONDS] [RECORDS]`: what commands notice of a nats-server that is away, and how long a gate takes to catch
// up. A daemon ships to a real nats-server while clients send 500 commands a second. In each of nine rounds the 50th and 99th percentile
// and the daemon's processor time for a command are taken for SECONDS (default 5) with the server there, killed, and hanging (it takes
// connections and says nothing); the ratios are taken within a round. Then a daemon is started on a journal with RECORDS records (default
// 100,000; 0: not at all) of which the stream has none, under the same load, and the time is taken until less than a second of records is
// missing. 3,600,000 records are an hour of it. At the end `audit fleet verify` must pass.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { openAdministrator } from '../fleet/administrator.js';
import { openVerifier } from '../fleet/verifier.js';
import { askHttp } from '../kit/ask-http.js';
import { type Nats, openNatsServer } from '../kit/nats.js';
import { openRawClient } from '../kit/raw-client.js';
import { until } from '../kit/until.js';
import { type Bench, type BenchDaemon, withBench } from './load/bench-processes.js';
import { makeJournal } from './load/journal.js';
import { printMachine } from './load/report.js';
import { type Spread, spreadOf } from './load/rounds.js';
import { processSnapshot } from './load/usage.js';

const seconds = Number(process.argv[2] ?? 5);
const records = Number(process.argv[3] ?? 100_000);
const rounds = 9;
const commandsPerSecond = 500;
const clients = 20;
const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** Until `isOver`; microseconds of each command. Each client keeps to its times, however long a command takes. */
async function load(socket: string, isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  const paceMs = (1000 * clients) / commandsPerSecond;
  const one = async (at: number): Promise<void> => {
    const client = await openRawClient({ path: socket, minor: 2, timeoutMs: 60_000 });
    const beganMs = performance.now() + (paceMs * at) / clients;
    for (let count = 0; !isOver(); count += 1) {
      const dueMs = beganMs + count * paceMs;
      await pause(Math.max(0, dueMs - performance.now()));
      const startMs = performance.now();
      client.sendCommand(quota);
      const { status } = await client.readReply();
      if (status !== '+') throw new Error(`a command was answered ${status}`);
      times.push((performance.now() - startMs) * 1000);
    }
    client.close();
  };
  await Promise.all(Array.from({ length: clients }, (_, at) => one(at)));
  return times;
}

function loadFor(socket: string, forSeconds: number): Promise<number[]> {
  const endMs = performance.now() + forSeconds * 1000;
  return load(socket, () => performance.now() >= endMs);
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((one, other) => one - other);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
}

function say(what: string, figures: string): void {
  console.log(`${what.padEnd(48)} ${figures}`);
}

const shown = ({ median, from, to }: Spread, digits = 0): string =>
  `${median.toFixed(digits)} (${from.toFixed(digits)} to ${to.toFixed(digits)})`;

interface Setting {
  readonly bench: Bench;
  readonly nats: Nats;
  readonly host: string;
  readonly tls: number;
  readonly signKey?: string;
}

async function startGate({ bench, nats, host, tls, signKey }: Setting): Promise<BenchDaemon> {
  const { servers } = nats.settingsOf(host);
  const login = Object.entries(nats.loginOf(host));
  for (const [key, file] of login)
    writeFileSync(bench.path(`${host}.${key}`), readFileSync(file), { mode: 0o600 });
  const urls = servers.map((server) => `tls://${server.host}:${server.port}`).join(',');
  const files = login.map(([key]) => `${key}: ${host}.${key}`).join(', ');
  const sink = `{ nats: "${urls}", host: ${host}, ${files}, settle: 1m }`;
  if (signKey !== undefined) writeFileSync(bench.path(`${host}.sign`), signKey, { mode: 0o600 });
  const sign = signKey === undefined ? '' : `, sign_key: ${host}.sign`;
  return bench.startDaemon({
    name: host,
    backend: `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem`,
    password: 'secret',
    audit: `, ship: [${sink}]${sign}`,
  });
}

/** Records that the stream does not have yet. */
async function lagOf(bench: Bench, host: string): Promise<number> {
  const { body } = await askHttp({ socketPath: bench.path(`${host}-admin.sock`) }, '/metrics');
  return Number(/^dovegate_audit_ship_lag_records\{[^}]*\} (\d+)$/m.exec(body)?.[1]);
}

/** Milliseconds until nothing is behind, without load. */
async function catchUp(bench: Bench, host: string): Promise<number> {
  const beganMs = performance.now();
  await until(async () => (await lagOf(bench, host)) === 0, 'the gate catches up', 120_000);
  return performance.now() - beganMs;
}

interface Measured {
  /** Of each command, in microseconds. */
  readonly times: readonly number[];
  readonly p50: number;
  readonly p99: number;
  /** Of the daemon, for a command. */
  readonly processor: number;
}

const columns = ['p50', 'p99', 'processor'] as const;
const phases = ['there', 'killed', 'hanging'] as const;
type Phase = (typeof phases)[number];

async function measure({ pid, socket }: BenchDaemon): Promise<Measured> {
  const used = (): number =>
    [...processSnapshot(pid).threads.values()].reduce((sum, usage) => sum + usage.us, 0);
  const before = used();
  const times = await loadFor(socket, seconds);
  return {
    times,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    processor: (used() - before) / times.length,
  };
}

async function compareAway(bench: Bench, nats: Nats, tls: number): Promise<void> {
  const host = 'steady';
  const gate = await startGate({ bench, nats, host, tls });
  const all: Record<Phase, Measured[]> = { there: [], killed: [], hanging: [] };
  const caughtUp: Record<Phase, number[]> = { there: [], killed: [], hanging: [] };
  const run = async (phase: Phase): Promise<Measured> => {
    if (phase === 'killed') await nats.kill();
    if (phase === 'hanging') await nats.freeze();
    await pause(500);
    const measured = await measure(gate);
    if (phase === 'killed') await nats.start();
    if (phase === 'hanging') nats.thaw();
    return measured;
  };
  // The first round is for compilers and pools. The order turns: what a phase leaves behind meets each of the others.
  for (let round = 0; round <= rounds; round += 1) {
    for (const phase of round % 2 === 0 ? phases : phases.toReversed()) {
      const measured = await run(phase);
      const tookMs = await catchUp(bench, host);
      if (round === 0) continue;
      all[phase].push(measured);
      caughtUp[phase].push(tookMs);
    }
  }
  say(
    `${commandsPerSecond} commands a second, in us`,
    `the median of ${rounds} rounds of ${seconds} s (least to most); in brackets all of them together`,
  );
  const together = (phase: Phase, column: (typeof columns)[number]): string => {
    const share = column === 'p50' ? 0.5 : 0.99;
    const times = all[phase].flatMap((round) => round.times);
    return column === 'processor' ? '' : ` [${percentile(times, share).toFixed(0)}]`;
  };
  for (const column of columns) {
    for (const phase of phases) {
      const figures = all[phase].map((round) => round[column]);
      const ratios = figures.map((figure, at) => figure / (all.there[at]?.[column] ?? Number.NaN));
      const ratio = phase === 'there' ? '' : `: ${shown(spreadOf(ratios), 2)} x`;
      say(`  ${column}, server ${phase}`, `${shown(spreadOf(figures))}${together(phase, column)}${ratio}`);
    }
  }
  for (const phase of ['killed', 'hanging'] as const)
    say(`  caught up after ${seconds} s ${phase}`, `in ${shown(spreadOf(caughtUp[phase]))} ms`);
  await gate.stop();
}

async function catchUpLong(bench: Bench, nats: Nats, tls: number): Promise<void> {
  const host = 'late';
  const directory = bench.path(`${host}-audit`);
  mkdirSync(directory, { mode: 0o700 });
  const made = makeJournal(directory, { records });
  const gate = await startGate({ bench, nats, host, tls, signKey: made.key.secretPem });
  const startMs = performance.now();
  // Its own door opens a moment after that of its clients.
  await until(() => existsSync(bench.path(`${host}-admin.sock`)), 'the admin socket');
  const left = await lagOf(bench, host);
  let isCaughtUp = false;
  const loaded = load(gate.socket, () => isCaughtUp);
  const secondOfRecords = 2 * commandsPerSecond;
  await until(async () => (await lagOf(bench, host)) < secondOfRecords, 'the gate catches up', 3_600_000);
  const tookSeconds = (performance.now() - startMs) / 1000;
  isCaughtUp = true;
  const during = await loaded;
  const after = await loadFor(gate.socket, seconds);
  say(
    `${made.records} records (${(made.bytes / 2 ** 20).toFixed(0)} MiB) that the stream has not`,
    `caught up in ${tookSeconds.toFixed(1)} s: ${Math.round(made.records / tookSeconds)} records/s, under load ` +
      `(${left} were left at the first look)`,
  );
  say(
    'p99 of commands meanwhile',
    `${percentile(during, 0.99).toFixed(0)} us of ${during.length}; afterwards ${percentile(after, 0.99).toFixed(0)} us`,
  );
  await catchUp(bench, host);
  await gate.stop();
  const verifier = openVerifier(bench, {
    nats,
    hosts: { [host]: `{ key: "${made.key.key}" }`, steady: '{}' },
    more: 'drift: 365d\nopen_after: 365d',
  });
  const { exit, document, text } = await verifier.verify();
  if (exit !== 0) throw new Error(text);
  say('audit fleet verify', `passed, ${String(document['records'])} records of both gates`);
}

printMachine('before');
await withBench(async (bench) => {
  const { tls } = await bench.startBackend();
  const nats = await openNatsServer(bench, { gates: ['steady', 'late'] });
  if ('skip' in nats) throw new Error(nats.skip);
  const administrator = await openAdministrator(bench, nats);
  await administrator.createStreams();
  await administrator.close();
  await compareAway(bench, nats, tls);
  if (records > 0) await catchUpLong(bench, nats, tls);
});
printMachine('after');
