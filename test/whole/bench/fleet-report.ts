// `npm run bench -- fleet-report [HOSTS] [RECORDS]`: what a report of one mailbox costs over the mirror of HOSTS (default 1,000) hosts with
// RECORDS (default 10,000,000) records of a year together, in segments as of a day each. Three journals are written, and each host has
// one of them; every hundredth host has the mailbox. Prints time and memory of two reports, which must be
// complete.

import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { mirrorIn } from '../../../src/evidence/cli/fleet-places.js';
import { packMember } from '../../../src/journal/files/compressed.js';
import { listSegments } from '../../../src/journal/files/segments.js';
import { diskPlace, openFolder, withOwner } from '../../kit/plain/folder.js';
import { runAudit } from './load/audit-run.js';
import { exchange, makeJournal } from './load/journal.js';
import { say } from './load/report.js';

const hosts = Number(process.argv[2] ?? 1_000);
const records = Math.ceil(Number(process.argv[3] ?? 10_000_000) / hosts);
const mailbox = 'alice@example.org';
const yearMs = 365 * 86_400_000;
/** Of a record of `exchange`, about. */
const recordBytes = 640;
process.env['TMPDIR'] = diskPlace();

const journal = 'be'.repeat(16);

/** A mirrored journal, and its key. */
function mirrorOne(state: string, host: string, isNamed: boolean): { directory: string; key: string } {
  const directory = join(mirrorIn(state), host, journal);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const told = {
    exchange: (count: number, time: number, id: string) =>
      exchange(count, time, id).map((record) =>
        isNamed && count % 1000 === 1 ? { ...record, user: mailbox, users: [mailbox] } : record,
      ),
    startedMs: Date.now() - yearMs,
    stepMs: Math.floor((yearMs / records) * 2),
    segmentBytes: (records / 365) * recordBytes,
  };
  const { key } = makeJournal(directory, { records }, told);
  rmSync(join(directory, 'checkpoint.json'));
  for (const { name } of listSegments(directory).slice(0, -1)) {
    writeFileSync(join(directory, `${name}.gz`), packMember(readFileSync(join(directory, name))));
    rmSync(join(directory, name));
  }
  return { directory, key: key.key };
}

/** The same files for another host. */
function linkAs(state: string, host: string, from: string): void {
  const directory = join(mirrorIn(state), host, journal);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(from)) linkSync(join(from, name), join(directory, name));
}

async function report(config: string): Promise<string> {
  const words = ['report', '--fleet', config, '--mailbox', mailbox, '--json'];
  const { exit, output, seconds, used, peakMiB } = await runAudit(words);
  const { verdict } = JSON.parse(output.split('\n', 1).join(''));
  if (exit !== 0) throw new Error(`exit ${exit}: ${JSON.stringify(verdict.sentences).slice(0, 1000)}`);
  return `${seconds.toFixed(1)} s, ${used.toFixed(1)} s of processor, ${peakMiB.toFixed(0)} MiB; ${verdict.commands} commands`;
}

await withOwner(async (owner) => {
  const state = openFolder(owner);
  say('Node, processors', `${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`);
  const first = ['host0', 'host1', 'host2'].map((host, at) => mirrorOne(state, host, at === 0));
  const listed = new Map<string, { key: string | undefined }>();
  for (let at = 0; at < hosts; at += 1) {
    const like = first[at % 100 === 0 ? 0 : 1 + (at % 2)];
    if (at >= first.length) linkAs(state, `host${at}`, like?.directory ?? '');
    listed.set(`host${at}`, { key: (first[at] ?? like)?.key });
  }
  const config = join(state, 'fleet.yaml');
  const settings = { store: 'file:///nowhere', hosts: Object.fromEntries(listed), state };
  writeFileSync(config, JSON.stringify(settings));
  const segments = listSegments(first[0]?.directory ?? '').length;
  say('hosts, records, segments of a host', `${hosts}, ${hosts * records}, ${segments}`);
  for (const which of ['report of one mailbox', 'again']) say(which, await report(config));
});
