// `npm run bench -- fleet [GATES] [RECORDS]`: how fast the trail of many gates is verified, mirrored and compressed, and with how much
// memory. It makes the journals of GATES hosts (default 10) with RECORDS records together (default 200,000), puts them into a
// folder as blocks, and runs `dovegate audit fleet verify` over all of them, first with a tenth of the records, to see whether memory
// is flat; then a search of the mirror. Prints records a second, also for a second of processor time, and the memory at ten points of
// the way. Exits with 1 where a run finds anything. The figures of the documentation: 50 gates and 10,000,000 records, which need 5 GB
// below the folder for temporary files.

import { spawn } from 'node:child_process';
import { cpus } from 'node:os';
import { builtProgram } from '../../kit/gate/daemon.js';
import { say } from './load/report.js';
import { withFleet } from './load/simulated-fleet.js';
import { processSnapshot, residentKiB } from './load/usage.js';

const gates = Number(process.argv[2] ?? 10);
const records = Number(process.argv[3] ?? 200_000);

interface Sample {
  readonly atMs: number;
  readonly mib: number;
  /** Processor time so far. */
  readonly us: number;
}

const perSecond = (count: number): string => `${Math.round(count / 1000)},000 records/s`;

/** Runs it to its end, and looks at it every 50 ms. */
async function run(
  ...words: readonly string[]
): Promise<{ samples: Sample[]; exit: number; output: string }> {
  const args = [builtProgram, 'audit', ...words];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const samples: Sample[] = [];
  const pid = child.pid ?? 0;
  const beganMs = performance.now();
  const look = (): void => {
    const mib = residentKiB(pid) / 1024;
    const us = [...processSnapshot(pid).threads.values()].reduce((sum, usage) => sum + usage.us, 0);
    // Its last moments have no memory any more.
    if (Number.isFinite(mib)) samples.push({ atMs: performance.now() - beganMs, mib, us });
  };
  const timer = setInterval(look, 50);
  const exit = await new Promise<number>((resolve) => {
    child.once('close', (code) => resolve(code ?? 137));
  });
  clearInterval(timer);
  return { samples, exit, output };
}

async function measure(count: number): Promise<void> {
  await withFleet({ gates, records: count }, async ({ records: made, config }) => {
    const { samples, exit, output } = await run('fleet', 'verify', '--config', config);
    const last = samples.at(-1);
    if (exit !== 0 || last === undefined) throw new Error(`exit ${exit}: ${output}`);
    const seconds = last.atMs / 1000;
    say(
      'audit fleet verify',
      `${perSecond(made / seconds)} (${perSecond(made / (last.us / 1e6))} of processor time), ${seconds.toFixed(1)} s with start`,
    );
    const points = Array.from({ length: 10 }, (_, at) => {
      const index = Math.ceil(((at + 1) / 10) * samples.length) - 1;
      return samples[index]?.mib.toFixed(0);
    });
    const peak = samples.reduce((most, { mib }) => Math.max(most, mib), 0);
    say('memory at each tenth of its time', `${points.join(' ')} MiB, ${peak.toFixed(0)} MiB at most`);
    // A second run has only the end to look at.
    const again = await run('fleet', 'verify', '--config', config);
    if (again.exit !== 0) throw new Error(`exit ${again.exit}: ${again.output}`);
    say('again, with nothing new', `${((again.samples.at(-1)?.atMs ?? 0) / 1000).toFixed(1)} s`);
    const search = await run('search', '--fleet', config, '--user', 'nobody@example.org');
    if (search.exit !== 0) throw new Error(`exit ${search.exit}: ${search.output}`);
    say('search for a user in the mirror', `${((search.samples.at(-1)?.atMs ?? 0) / 1000).toFixed(1)} s`);
  });
}

say('Node, processors', `${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`);
for (const count of [records / 10, records]) await measure(count);
