// `npm run bench -- fleet-search [RECORDS] [GATES]`: how long it takes to find the commands for one user among the records of many gates.
// It makes the journals of GATES hosts (default 10) with RECORDS records together (default 1,000,000, of 5000 users), publishes them to a
// real nats-server over TLS, and lets `dovegate audit fleet verify` read them. Then it runs `fleet search` and `fleet report` for one user
// as whole commands, with the index and without it. Prints the seconds of each, with the start of the program, and the size of the index.
// Exits with 1 where the two searches differ.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { newNotes, openPlaces } from '../../src/cli/fleet/fleet-search.js';
import { natsOf, readFleetSettings } from '../../src/cli/fleet/open-settings.js';
import { findRows } from '../../src/cli/fleet/stream-rows.js';
import { openStreams } from '../../src/cli/fleet/streams.js';
import { builtProgram } from '../kit/daemon.js';
import { runProgram } from '../kit/program.js';
import { say, withFleet } from './load/simulated-fleet.js';

const records = Number(process.argv[2] ?? 1_000_000);
const gates = Number(process.argv[3] ?? 10);
const user = 'user1234@example.org';
const runs = 3;

/** The least of some runs: others use the machine too. */
async function timeOf(args: readonly string[]): Promise<{ seconds: number; lines: string[]; exit: number }> {
  let seconds = Infinity;
  let result = { lines: [''], exit: 0 };
  for (let run = 0; run < runs; run += 1) {
    const beganMs = performance.now();
    const { stdout, exit } = await runProgram(process.execPath, [builtProgram, ...args], {
      timeoutMs: 600_000,
    });
    seconds = Math.min(seconds, (performance.now() - beganMs) / 1000);
    result = { lines: stdout.toString().trimEnd().split('\n'), exit };
  }
  return { seconds, ...result };
}

/** The same in this process, whose modules are loaded: connecting, the index, the messages. */
async function searchHere(config: string): Promise<string> {
  const screen = { complain: (text: string) => console.error(text) };
  const settings = readFleetSettings(config, screen);
  const times = [performance.now()];
  const { signal } = new AbortController();
  const hosts = settings.hosts.keys();
  const { link, streams } = await openStreams(natsOf(settings, 'search'), settings.stream, hosts, signal);
  times.push(performance.now());
  const places = await openPlaces(settings, link, streams, { user });
  times.push(performance.now());
  let count = 0;
  const before = process.cpuUsage();
  for (const place of places)
    for await (const { rows } of findRows(place, { user }, undefined, newNotes(), signal))
      count += rows.length;
  const { user: spent, system } = process.cpuUsage(before);
  times.push(performance.now());
  await link.close();
  const [connect, index, rows] = times
    .slice(1)
    .map((at, each) => ((at - (times[each] ?? at)) / 1000).toFixed(2));
  return `connect ${connect} s, index ${index} s, messages ${rows} s (${((spent + system) / 1e6).toFixed(2)} s of processor), ${count} commands`;
}

say('Node, processors', `${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`);
await withFleet({ gates, records }, async ({ config, folder }) => {
  const fleet = (name: string, ...args: readonly string[]) => [
    'audit',
    'fleet',
    name,
    '--config',
    config,
    ...args,
  ];
  const beganMs = performance.now();
  const verified = await runProgram(process.execPath, [builtProgram, ...fleet('verify')], {
    timeoutMs: 600_000,
  });
  if (verified.exit !== 0) throw new Error(verified.text);
  say('audit fleet verify', `${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
  const index = join(folder, 'state', 'index');
  const sizes = readdirSync(index).map((name) => statSync(join(index, name)).size);
  const size = sizes.reduce((sum, each) => sum + each, 0);
  say('its index of users', `${(size / 2 ** 20).toFixed(1)} MiB in ${sizes.length} files`);
  const started = await timeOf(fleet('status'));
  say('audit fleet status: the start', `${started.seconds.toFixed(2)} s`);
  const search = fleet('search', '--user', user, '--json');
  const found = await timeOf(search);
  say('audit fleet search --user', `${found.seconds.toFixed(2)} s, ${found.lines.length} commands`);
  const parts = await searchHere(config);
  say('  of that, without the start', parts);
  const report = await timeOf(fleet('report', '--mailbox', user, '--json'));
  say('audit fleet report --mailbox', `${report.seconds.toFixed(2)} s, exit ${report.exit}`);
  rmSync(index, { recursive: true });
  const whole = await timeOf(search);
  say('the search without the index', `${whole.seconds.toFixed(1)} s, ${whole.lines.length} commands`);
  if (found.lines.join('\n') !== whole.lines.join('\n')) throw new Error('the index changes what is found');
});
