// `npm run bench -- victims [ROUNDS [PART]]`: how long one principal waits while others hold every upstream, with 1, 2, 4 and 8 upstreams,
// for each way of holding them. The clients that hold come again at once when they are ended. By default they are one principal, with four
// clients for each upstream; else four accounts of one address for each upstream, or one account of an address of its own for each
// upstream, all of them over TCP. The victim asks ROUNDS times (default 3), one command after the other. PART: only rows whose name holds
// it. Prints its longest wait and how many of its commands were refused. Then one principal alone: what a large reply costs the daemon,
// without and with commands of the same principal that wait. Exits with 1 where a wait is 15 s or more, or where the one that is alone is
// ended.
import net from 'node:net';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { openGateway } from '../../kit/gate/gateway.js';
import {
  type HogKind,
  type HogPlace,
  hogGateway,
  hogKinds,
  isHogKind,
  openHog,
} from '../../kit/gate/lease-hogs.js';
import { type Owner, withOwner } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { costOf, processSnapshot } from './load/usage.js';

const rounds = Number(process.argv[2] ?? 3);
const part = process.argv[3] ?? '';
const longestMs = 15_000;
const upstreamCounts = [1, 2, 4, 8];
const password = 'correct-horse';
const hash = await hashPassword(Buffer.from(password), 10);
type Crowd = 'one principal' | 'accounts of one address' | 'many addresses';
const mixture: readonly HogKind[] = [
  'reads 90 KB/s',
  'save goes on with 100 KB/s',
  'reads 1 MB/s',
  'reads 10 MB/s',
];

interface Row {
  readonly name: string;
  readonly kinds: readonly HogKind[];
  readonly crowd: Crowd;
}

const allRows: readonly Row[] = [
  ...Object.keys(hogKinds)
    .filter(isHogKind)
    .map((kind): Row => ({ name: kind, kinds: [kind], crowd: 'one principal' })),
  { name: 'a mixture', kinds: mixture, crowd: 'one principal' },
  ...(['accounts of one address', 'many addresses'] as const).flatMap((crowd): Row[] => [
    { name: `${crowd}, 90 KB/s`, kinds: ['reads 90 KB/s'], crowd },
    { name: `${crowd}, save`, kinds: ['save goes on with 100 KB/s'], crowd },
    { name: `${crowd}, mixture`, kinds: mixture, crowd },
  ]),
];
const rows = allRows.filter(({ name }) => name.includes(part));

interface Result {
  readonly waitMs: number;
  readonly refused: number;
  readonly ended: number;
}

/** One daemon starts after the other: their waits are what may go on at the same time. */
let opening: Promise<unknown> = Promise.resolve();

/** A daemon with so many upstreams, and how many accounts at its port. */
function open(owner: Owner, connections: number, accounts: readonly string[], port: number) {
  const named = accounts.map((name) => `${name}: { password_hash: "${hash}", policy: support }`);
  const opened = opening.then(() =>
    openGateway(owner, {
      ...hogGateway,
      listeners: `${hogGateway.listeners}
  jobs: { tcp: "127.0.0.1:${port}", tls: { mode: off }, accounts: { ${named.join(', ')} } }`,
      mail1: { connections: String(connections) },
      more: 'limits: { drain: 100ms }',
    }),
  );
  opening = opened.catch(() => undefined);
  return opened;
}

function measure({ kinds, crowd }: Row, connections: number): Promise<Result> {
  return withOwner(async (owner) => {
    const count = crowd === 'many addresses' ? connections : 4 * connections;
    const accounts = Array.from({ length: count }, (_, at) => `hog${at}`);
    const [port = 0] = await freePorts(1);
    const { daemon, backend } = await open(owner, connections, ['victim', ...accounts], port);
    const hogs = accounts.map((account, at) => {
      const localAddress = crowd === 'many addresses' ? `127.0.1.${at + 1}` : '127.0.1.1';
      const place: HogPlace =
        crowd === 'one principal' ? daemon.path('hogs.sock') : { port, localAddress, account, password };
      return openHog(owner, place, kinds[at % kinds.length] ?? 'reads nothing', true);
    });
    await backend.waitFor(({ commands }) => commands.length >= connections, 'all upstreams', 60_000);
    const victim = await openRawClient({
      ...(crowd === 'one principal'
        ? { path: daemon.path('victims.sock') }
        : { host: '127.0.0.1', port, auth: { user: 'victim', password } }),
      minor: 2,
      timeoutMs: 60_000,
      owner,
    });
    let waitMs = 0;
    let refused = 0;
    for (let n = 0; n < rounds; n += 1) {
      const startMs = performance.now();
      victim.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
      const { status } = await victim.readReply();
      waitMs = Math.max(waitMs, performance.now() - startMs);
      if (status !== '+') refused += 1;
    }
    return { waitMs, refused, ended: hogs.reduce((sum, hog) => sum + hog.ended, 0) };
  });
}

/** Processor time of the daemon for a MiB of a reply in ms; `waiting` commands of the same principal wait for the only upstream. */
function costAlone(waiting: number): Promise<{ readonly ms: number; readonly isEnded: boolean }> {
  const seconds = 20;
  return withOwner(async (owner) => {
    const [port = 0] = await freePorts(1);
    const { daemon, backend } = await open(owner, 1, ['hog'], port);
    const reader = net.connect(daemon.path('hogs.sock'));
    owner.after(() => void reader.destroy());
    let bytes = 0;
    let isEnded = false;
    reader.on('data', (chunk) => {
      bytes += chunk.length;
    });
    reader.once('close', () => {
      isEnded = true;
    });
    reader.write('VERSION\tdoveadm-server\t1\t0\n\talice@example.org\tfetch\ttext\tall\n');
    await backend.waitFor(({ commands }) => commands.length === 1, 'the command', 60_000);
    for (let n = 0; n < waiting; n += 1) {
      const other = await openRawClient({ path: daemon.path('hogs.sock'), minor: 2, owner });
      other.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
    }
    const before = { bytes, usage: processSnapshot(daemon.pid) };
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const mebibytes = (bytes - before.bytes) / 1024 / 1024;
    const { us } = costOf(before.usage, processSnapshot(daemon.pid), mebibytes);
    return { ms: us / 1000, isEnded };
  });
}

let isGood = true;
console.log(
  `longest of ${rounds} waits of the victim in seconds (its commands refused; sessions of the others ended)`,
);
console.log(`${''.padEnd(36)}${upstreamCounts.map((count) => `${count} upstreams`.padStart(16)).join('')}`);
for (const row of rows) {
  // Each pool waits for itself: all of them at once cost little, but for fast clients.
  const isFast = row.kinds.includes('reads 10 MB/s') || row.kinds.includes('save goes on with 1 MB/s');
  const results: Result[] = [];
  if (isFast) for (const count of upstreamCounts) results.push(await measure(row, count));
  else results.push(...(await Promise.all(upstreamCounts.map((count) => measure(row, count)))));
  const cells = results.map(
    ({ waitMs, refused, ended }) => `${(waitMs / 1000).toFixed(1)} (${refused}; ${ended})`,
  );
  console.log(`${row.name.padEnd(36)}${cells.map((cell) => cell.padStart(16)).join('')}`);
  for (const { waitMs, refused } of results) if (waitMs >= longestMs || refused > 0) isGood = false;
}
if ('alone'.includes(part)) {
  const calm = await costAlone(0);
  const waiting = await costAlone(16);
  if (calm.isEnded || waiting.isEnded) isGood = false;
  console.log(
    `alone, processor time of the daemon for a MiB: ${calm.ms.toFixed(2)} ms; with 16 commands of its own that wait: ` +
      `${waiting.ms.toFixed(2)} ms (${((100 * waiting.ms) / calm.ms).toFixed(0)} %)`,
  );
}
console.log(isGood ? 'good' : 'NOT good');
process.exitCode = isGood ? 0 : 1;
