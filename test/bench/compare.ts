// `npm run bench -- compare [ROUNDS] [SECONDS]`: dovegate beside what one would use without it. A cheap backend behind TLS is asked
// directly (in clear: the least that there can be), through HAProxy, through a daemon that waits for no record (`strict: []`), and through
// one with every setting at its default, by clients of four kinds. Load, proxy and backend are processes of their own that share this
// machine's processors: ratios say more than figures. Prints ratios first, each beside what is asked of it. The processor time that a
// command costs in the gate itself is told too: what else the machine does changes it least. Two yardsticks stand beside: a bare proxy of
// Node's own sockets and TLS, and a bare write and fdatasync of a record.
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Bench,
  type Gate,
  type Load,
  type LoadOptions,
  processorUs,
  withBench,
} from './load/bench-processes.js';
import { runRounds, type Told, tellFloor, tellMachine, tellOver } from './load/rounds.js';

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 2);
const warmingSeconds = 8;
/** An admission, and the completion before it. */
const recordBytes = 1270;
const quota = '\talice@example.org\tquota get';
const replyBytes = 64 * 1024 * 1024;
const long = `\talice@example.org\tfetch\ttext\tuid\t${replyBytes}`;

type Way = 'direct' | 'HAProxy' | 'bare' | 'strict: []' | 'default';
const ways = ['direct', 'HAProxy', 'bare', 'strict: []', 'default'] as const;

/** What a kind of client does, and the figure that counts. */
interface Kind {
  readonly name: string;
  readonly unit: string;
  readonly load: Pick<LoadOptions, 'clients' | 'line' | 'reconnects'>;
  readonly figure: (load: Load) => number;
}

const perSecond = ({ commands, seconds: took }: Load): number => commands / took;
const kinds = {
  short: {
    name: '16 clients, each command on a new connection',
    unit: 'commands/s',
    load: { clients: 16, line: quota, reconnects: true },
    figure: perSecond,
  },
  kept: {
    name: '64 clients, connections kept open',
    unit: 'commands/s',
    load: { clients: 64, line: quota },
    figure: perSecond,
  },
  one: {
    name: 'one client, time of a command (p50)',
    unit: 'us',
    load: { clients: 1, line: quota },
    figure: ({ p50 }: Load) => p50,
  },
  streaming: {
    name: `one client, replies of ${replyBytes / 1024 ** 2} MiB`,
    unit: 'MB/s',
    load: { clients: 1, line: long },
    figure: ({ bytes, seconds: took }: Load) => bytes / took / 1e6,
  },
} as const satisfies Record<string, Kind>;

interface Figures {
  readonly figure: number;
  /** Processor time of the gate for one command, in microseconds; directly it is the backend's. */
  readonly processorUs: number;
}

type Measured = readonly Readonly<Record<Way, Figures>>[];

async function measure(bench: Bench, kind: Kind, gates: Readonly<Record<Way, Gate>>): Promise<Measured> {
  const one = async (way: Way): Promise<Figures> => {
    const { socket: target, pid } = gates[way];
    const before = processorUs(pid);
    const load = await bench.load({ ...kind.load, target, seconds, password: 'secret' });
    return { figure: kind.figure(load), processorUs: (processorUs(pid) - before) / load.commands };
  };
  return runRounds(rounds, 2, async () => ({
    direct: await one('direct'),
    HAProxy: await one('HAProxy'),
    bare: await one('bare'),
    'strict: []': await one('strict: []'),
    default: await one('default'),
  }));
}

/** The median of a write and its sync, microseconds, with the pause of one client's command before each: a disk that rests is slower. */
function syncUs(folder: string): number {
  const descriptor = openSync(join(folder, 'sync'), 'w');
  const record = Buffer.alloc(recordBytes, 'x');
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const times: number[] = [];
  for (let n = 0; n < 500; n += 1) {
    Atomics.wait(pause, 0, 0, 0.3);
    const began = performance.now();
    writeSync(descriptor, record);
    fdatasyncSync(descriptor);
    times.push((performance.now() - began) * 1000);
  }
  closeSync(descriptor);
  return times.toSorted((one, other) => one - other)[times.length >> 1] ?? Number.NaN;
}

function tellFigures(kind: Kind, measured: Measured): void {
  const of = (way: Way, key: keyof Figures): string =>
    String(Math.round(tellOver(measured, (round) => round[way][key]).middle));
  console.log(`        ${kind.name}`);
  console.log(`          ${kind.unit}: ${ways.map((way) => `${way} ${of(way, 'figure')}`).join(', ')}`);
  const gates = ways.slice(1).map((way) => `${way} ${of(way, 'processorUs')}`);
  console.log(`          processor time of the gate for a command, us: ${gates.join(', ')}`);
}

await withBench(async (bench) => {
  const { plain, tls, pid } = await bench.startBackend();
  const backend = `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem`;
  const daemon = (name: string, more: string): Promise<Gate> =>
    bench.startDaemon({ name, backend, password: 'secret', more });
  const gates = {
    direct: { socket: String(plain), pid },
    HAProxy: await bench.startHaproxy(tls),
    bare: await bench.startBareProxy(tls),
    'strict: []': await daemon('lax', 'audit: { directory: lax-audit, strict: [] }'),
    default: await daemon('default', 'audit: { directory: default-audit }'),
  };
  // A daemon that has run for a while is compiled.
  for (const { socket: target } of [gates['strict: []'], gates.default])
    await bench.load({ ...kinds.kept.load, target, seconds: warmingSeconds });
  tellMachine('before');
  const short = await measure(bench, kinds.short, gates);
  const kept = await measure(bench, kinds.kept, gates);
  const one = await measure(bench, kinds.one, gates);
  const streaming = await measure(bench, kinds.streaming, gates);
  tellMachine('after');
  console.log(
    `HAProxy ${bench.haproxyVersion}; ${rounds} rounds of ${seconds} s each, the middle of them (from least to most)\n`,
  );

  const beside = (measured: Measured, way: Way): Told =>
    tellOver(measured, (round) => round[way].figure / round.HAProxy.figure);
  const added = (way: Way): Told => tellOver(one, (round) => round[way].figure - round.direct.figure);
  for (const way of ['strict: []', 'default'] as const) {
    const isLax = way === 'strict: []';
    tellFloor(`${way}: short-lived clients beside HAProxy`, beside(short, way), { floor: 5, unit: 'x' });
    const floor = isLax ? 0.4 : 0.3;
    tellFloor(`${way}: 64 kept-open clients beside HAProxy`, beside(kept, way), { floor, unit: 'x' });
    const most = { floor: isLax ? 150 : 400, unit: 'us', most: true };
    tellFloor(`${way}: what one client's command takes more (p50)`, added(way), most);
    tellFloor(`${way}: streaming beside HAProxy`, beside(streaming, way), { floor: 0.8, unit: 'x' });
  }
  const shortBare = beside(short, 'bare').middle.toFixed(2);
  const keptBare = beside(kept, 'bare').middle.toFixed(2);
  console.log(
    `\n        what Node alone takes, a proxy that judges nothing and records nothing: short-lived ${shortBare} x, kept-open ${keptBare} x HAProxy, ` +
      `one client ${added('bare').middle.toFixed(0)} us more; a write and a sync of this disk, at that pace: ${syncUs(bench.folder).toFixed(0)} us\n`,
  );
  tellFigures(kinds.short, short);
  tellFigures(kinds.kept, kept);
  tellFigures(kinds.one, one);
  tellFigures(kinds.streaming, streaming);
});
