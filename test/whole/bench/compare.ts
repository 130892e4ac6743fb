// `npm run bench -- compare [ROUNDS] [SECONDS] [--json] [--check FILE]`: dovegate beside what one would use without it. A cheap backend
// behind TLS is asked directly (in clear: the least that there can be), through HAProxy, through a daemon with the effects of
// `audit.strict` as by default (changes are synced, reads are not), and through one that syncs every record, by clients of four kinds.
// Then what an idle client takes of memory, and a short-lived one of the journal. Load, proxy and backend are processes of their own that
// share this machine's processors: ratios say more than figures. Two yardsticks stand beside: a bare proxy of Node's own sockets and
// TLS, and a bare write and fdatasync of a record.
import { closeSync, fdatasyncSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { type Bench, type BenchDaemon, type Load, withBench } from './load/bench-processes.js';
import { idleKiB, type Kind, kinds } from './load/kinds.js';
import { openReport } from './load/report.js';
import { differenceOf, type Measured, measureRounds, type Round, ratioOf, spreadOf } from './load/rounds.js';
import { daemonProbe, type Probe, processSnapshot } from './load/usage.js';

const warmingSeconds = 8;
/** A session of one `quota get` in this journal while it had four records: session-open, admission, completion, session-close. */
const fourRecordsBytes = 2020;
/** An admission, and the completion before it. */
const recordBytes = 1270;

const report = openReport('compare', { rounds: 7, seconds: 2 });
const { rounds, seconds } = report;

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
  return spreadOf(times).median;
}

/** Bytes of the journal for a session of one command, against what four records took. */
async function journalRatio(bench: Bench, backend: string): Promise<number> {
  const daemon = await bench.startDaemon({ name: 'records', backend, password: 'secret' });
  const client = await openRawClient({ path: daemon.socket, minor: 2 });
  client.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  await client.readReply();
  client.close();
  await daemon.stop();
  const folder = bench.path('records-audit');
  const files = readdirSync(folder).filter((file) => file.endsWith('.jsonl'));
  const lines = files.flatMap((file) => readFileSync(join(folder, file), 'utf8').split(/(?<=\n)/));
  const ofSessions = lines.filter((line) => line.includes('"session":'));
  return ofSessions.join('').length / fourRecordsBytes;
}

await withBench(async (bench) => {
  const { plain, tls } = await bench.startBackend();
  const backend = `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem`;
  const haproxy = await bench.startHaproxy(tls);
  const bare = await bench.startBareProxy(tls);
  const daemon = async (name: string, synced: boolean): Promise<BenchDaemon> => {
    const gate = await bench.startDaemon({ name, backend, password: 'secret', synced });
    // A daemon that has run for a while is compiled.
    await bench.load({ ...kinds.kept.load, target: gate.socket, seconds: warmingSeconds });
    return gate;
  };
  const byDefault = await daemon('default', false);
  const synced = await daemon('synced', true);
  const measure = async (kind: Kind): Promise<readonly Round[]> => {
    const ask = (target: string, probe?: Probe): Promise<Load> =>
      bench.load({ ...kind.load, target, seconds, password: 'secret' }, probe);
    const through = (target: string, probe?: Probe) => async (): Promise<Measured> => {
      const load = await ask(target, probe);
      return { figure: kind.figure(load), costs: load.costs };
    };
    const throughDaemon = (gate: BenchDaemon) => async (): Promise<Measured> => {
      const before = await gate.syncs();
      const load = await ask(gate.socket, daemonProbe(gate.pid));
      const perThousand = (((await gate.syncs()) - before) / load.commands) * 1000;
      return { figure: kind.figure(load), costs: { ...load.costs, 'syncs of 1000': perThousand } };
    };
    const measured = await measureRounds(rounds, 2, {
      direct: through(String(plain)),
      HAProxy: through(haproxy.socket, () => ({ gate: processSnapshot(haproxy.pid) })),
      bare: through(bare.socket, () => ({ gate: processSnapshot(bare.pid) })),
      default: throughDaemon(byDefault),
      synced: throughDaemon(synced),
    });
    report.table(kind.name, kind.unit, measured);
    return measured;
  };
  const short = await measure(kinds.short);
  const kept = await measure(kinds.kept);
  const one = await measure(kinds.one);
  const streaming = await measure(kinds.streaming);
  const idle: number[] = [];
  for (let n = 0; n < rounds; n += 1)
    idle.push(await idleKiB(bench, { name: `idle${n}`, backend, password: 'secret' }));

  const against = (what: string, measured: readonly Round[], way: string, floor: number): void =>
    report.row(`${way}: ${what}, against HAProxy`, ratioOf(measured, way, 'HAProxy'), { floor });
  against('16 short-lived clients', short, 'default', 3.5);
  against('16 short-lived clients', short, 'synced', 2.6);
  against('64 kept-open clients', kept, 'default', 0.45);
  against('64 kept-open clients', kept, 'synced', 0.35);
  const added = { unit: 'us', isMost: true } as const;
  report.row('default: one client, added p50', differenceOf(one, 'default', 'direct'), {
    ...added,
    floor: 70,
  });
  report.row('synced: one client, added p50', differenceOf(one, 'synced', 'direct'), {
    ...added,
    floor: 280,
  });
  against('streaming', streaming, 'default', 0.95);
  report.row('default: an idle client', spreadOf(idle), { unit: 'KiB', isMost: true, floor: 6 });
  const journal = spreadOf([await journalRatio(bench, backend)]);
  report.row('journal bytes of a short-lived command, against four records', journal, {
    isMost: true,
    floor: 0.5,
  });
  const shortBare = ratioOf(short, 'bare', 'HAProxy').median.toFixed(2);
  const keptBare = ratioOf(kept, 'bare', 'HAProxy').median.toFixed(2);
  const oneBare = differenceOf(one, 'bare', 'direct').median.toFixed(0);
  report.note(
    `HAProxy ${bench.haproxyVersion}. What Node alone takes, a proxy that judges nothing and records nothing: short-lived ${shortBare} x, ` +
      `kept-open ${keptBare} x HAProxy, one client ${oneBare} us more; a write and a sync of this disk at that pace: ${syncUs(bench.folder).toFixed(0)} us.`,
  );
});
report.finish();
