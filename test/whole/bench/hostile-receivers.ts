// `npm run bench -- hostile-receivers [SECONDS] [ROUNDS] [NAME]`: what commands notice of a hostile receiver of the journal. For each way
// to be hostile (test/kit/gate/hostile-syslog; `NAME`: only those whose name contains it), the process that
// ships has such a receiver while clients send 500 commands a second; in turn with it, nobody listens at the receiver. Each daemon is new
// and warmed up first. Printed: commands a second, the 99th percentile and the peaks of memory of the gate and of the process that ships,
// medians, each beside that of the harmless runs. The first row compares two harmless receivers: so much differs by chance.

import { copyFileSync } from 'node:fs';
import { openHostileSyslog, syslogMisdeeds } from '../../kit/gate/hostile-syslog.js';
import { type Bench, withBench } from './load/bench-processes.js';
import { printMachine } from './load/report.js';
import { spreadOf } from './load/rounds.js';
import { memoryMiB } from './load/usage.js';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 5);
const wanted = process.argv[4] ?? '';
const commandsPerSecond = 500;
const clients = 20;
const line = '\talice@example.org\tquota get';
const warmingSeconds = 2;

interface Measured {
  readonly perSecond: number;
  readonly p99: number;
  readonly peakMiB: number;
  readonly shipMiB: number;
}

let daemons = 0;

async function measure(bench: Bench, tls: number, sink: string): Promise<Measured> {
  daemons += 1;
  const daemon = await bench.startDaemon({
    name: `gate${daemons}`,
    backend: `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem`,
    password: 'secret',
    audit: `, ship: [${sink}]`,
  });
  const paced = { target: daemon.socket, line, clients, perSecond: commandsPerSecond };
  await bench.load({ ...paced, seconds: warmingSeconds });
  const { commands, seconds: took, p99 } = await bench.load({ ...paced, seconds });
  const peaks = { peakMiB: memoryMiB(daemon.pid).peak, shipMiB: memoryMiB(daemon.shipPid).peak };
  await daemon.stop();
  return { perSecond: commands / took, p99, ...peaks };
}

async function compare(
  bench: Bench,
  tls: number,
  name: string,
  hostile: string,
  harmless: string,
): Promise<void> {
  const pairs: { readonly bad: Measured; readonly good: Measured }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const good = await measure(bench, tls, harmless);
    pairs.push({ good, bad: await measure(bench, tls, hostile) });
  }
  const shown = (column: keyof Measured): string => {
    const [bad, good] = (['bad', 'good'] as const).map((side) =>
      spreadOf(pairs.map((pair) => pair[side][column]))
        .median.toFixed(0)
        .padStart(6),
    );
    return `${bad} beside ${good}`;
  };
  console.log(
    `${name.padEnd(48)} commands/s ${shown('perSecond')}   p99 us ${shown('p99')}   peak MiB ${shown('peakMiB')}   of ship ${shown('shipMiB')}`,
  );
}

printMachine('before');
await withBench(async (bench) => {
  const { tls } = await bench.startBackend();
  const away = `{ syslog: "localhost:1", ca: ca.pem }`;
  await compare(bench, tls, 'nothing hostile', away, away);
  for (const [at, [name, misdeed]] of Object.entries(syslogMisdeeds).entries()) {
    if (!`syslog: ${name}`.includes(wanted)) continue;
    const { port, caFile } = await openHostileSyslog(bench, misdeed);
    copyFileSync(caFile, bench.path(`syslog${at}.pem`));
    const sink = `{ syslog: "localhost:${port}", ca: syslog${at}.pem }`;
    await compare(bench, tls, `syslog: ${name}`, sink, `{ syslog: "localhost:1", ca: syslog${at}.pem }`);
  }
});
printMachine('after');
process.exit(0);
