// `npm run bench -- review [RECORDS] [ROUNDS]`: what `dovegate suggest` and `dovegate test --replay` take for a journal of 81,000 records,
// in turns: elapsed time, the most memory, and the ratio to `audit verify` of the same journal, which reads all of it, too.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { projectRoot } from '../../kit/plain/root.js';
import { withBench } from './load/bench-processes.js';
import { exchange, makeJournal } from './load/journal.js';
import { spreadOf } from './load/rounds.js';

const [records = 81_000, rounds = 5] = process.argv.slice(2).map(Number);
const main = fileURLToPath(new URL('dist/main.js', projectRoot));

/** As a client of 2.4 asked for it: what is recorded can be read again. */
function judged(count: number, time: number, id: string): AuditRecord[] {
  return exchange(count, time, id).map((record) =>
    record.event !== 'admission'
      ? record
      : {
          ...record,
          peer: { ...record.peer, minor: 3 },
          args: record.command === 'mailbox status' ? ['messages', '--', 'INBOX'] : record.args,
        },
  );
}

await withBench(async (bench) => {
  const folder = bench.path('review');
  const audit = join(folder, 'audit');
  mkdirSync(audit, { recursive: true, mode: 0o700 });
  const day = 86_400_000;
  const made = makeJournal(audit, { records }, { exchange: judged, startedMs: Date.now() - day, stepMs: 2 });
  console.log(`${made.records} records, ${(made.bytes / 2 ** 20).toFixed(0)} MiB`);
  writeFileSync(join(folder, 'key.pub'), made.key.publicPem);
  writeFileSync(join(folder, 'password'), 'secret', { mode: 0o600 });
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(
    config,
    `version: 1
state: ${folder}/state
audit: { directory: ${audit} }
backends:
  mail1: { address: localhost:24245, tls: off, allow_plaintext: true, password_file: password, shared_namespaces: [] }
routes: [{ users: ["*"], backend: mail1 }]
listeners:
  support: { unix: ${folder}/support.sock, policy: support }
policies:
  support: { users: ["*@example.org"], allow: [quota get, mailbox status, search] }
`,
  );
  const jobs = {
    verify: ['audit', 'verify', '--key', join(folder, 'key.pub'), audit],
    suggest: ['suggest', '--config', config, '--policy', 'support'],
    replay: ['test', '--config', config, '--replay', audit],
  };
  type Job = keyof typeof jobs;
  const took: Record<Job, number[]> = { verify: [], suggest: [], replay: [] };
  const most: Record<Job, number> = { verify: 0, suggest: 0, replay: 0 };
  for (let round = 0; round < rounds; round += 1) {
    for (const job of ['verify', 'suggest', 'replay'] as const) {
      const startMs = performance.now();
      const timed = spawnSync('/usr/bin/time', ['-f', '%M', process.execPath, main, ...jobs[job]]);
      took[job].push(performance.now() - startMs);
      if (timed.status !== 0)
        throw new Error(`${job} ended with ${timed.status}: ${String(timed.stdout)}${String(timed.stderr)}`);
      most[job] = Math.max(most[job], Number(/(\d+)\s*$/.exec(String(timed.stderr))?.[1]));
    }
  }
  for (const job of ['verify', 'suggest', 'replay'] as const) {
    const { median, from, to } = spreadOf(took[job].map((ms) => ms / 1000));
    const ratio = spreadOf(took[job].map((ms, at) => ms / (took.verify[at] ?? 1)));
    console.log(
      `${job.padEnd(8)} ${median.toFixed(1)} s (${from.toFixed(1)} to ${to.toFixed(1)}), ${ratio.median.toFixed(2)} x of verify, ${Math.round(most[job] / 1024)} MiB`,
    );
  }
});
