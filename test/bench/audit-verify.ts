// `npm run bench -- audit-verify [RECORDS]`: how fast a journal is verified and searched, and with how much memory.
// It makes a signed journal of 1,000,000 records as a daemon would (in segments of 64 MiB), reads it with the built program, and
// prints records a second, seconds per GiB and the peak of the memory, then again compressed; and all of it for a tenth, to see
// whether memory is flat.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { verifyTrail } from '../../src/adapters/journal/search-trail.js';
import { findTrail } from '../../src/adapters/journal/trail.js';
import { formatTime } from '../../src/domain/audit/record.js';
import { builtProgram } from '../kit/daemon.js';
import { journalStartedMs, type Made, makeJournal } from './load/journal.js';

interface Ran {
  readonly seconds: number;
  /** Of the processors, looked at every 20 ms. */
  readonly workSeconds: number;
  /** Peak of resident memory, looked at every 20 ms. */
  readonly peakMiB: number;
  readonly rows: number;
}

/** Runs `dovegate audit ...` and waits for its end; throws when it fails. */
async function runAudit(args: readonly string[]): Promise<Ran> {
  const began = performance.now();
  const child = spawn(process.execPath, [builtProgram, 'audit', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let rows = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 0x0a) rows += 1;
  });
  let peakKiB = 0;
  let workSeconds = 0;
  const timer = setInterval(() => {
    peakKiB = Math.max(peakKiB, peakOf(child.pid));
    workSeconds = Math.max(workSeconds, workOf(child.pid));
  }, 20);
  const code = await new Promise((resolve) => {
    child.once('close', resolve);
  });
  clearInterval(timer);
  if (code !== 0) throw new Error(`audit ${args.join(' ')} ended with ${String(code)}`);
  return { seconds: (performance.now() - began) / 1000, workSeconds, peakMiB: peakKiB / 1024, rows };
}

/** The kernel's word on the largest resident size so far; 0 when the process is gone. */
function peakOf(pid: number | undefined): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Seconds of processors that a process has used so far, by all its threads; 0 when it is gone. */
function workOf(pid: number | undefined): number {
  try {
    const fields =
      readFileSync(`/proc/${pid ?? 0}/stat`, 'utf8')
        .split(') ')[1]
        ?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

function say(what: string, figures: string): void {
  console.log(`${what.padEnd(44)} ${figures}`);
}

async function measure(made: Made): Promise<void> {
  const { directory, key, records, bytes } = made;
  const keyFile = join(folder, 'key.pem');
  writeFileSync(keyFile, key.publicPem);
  const gib = bytes / 1024 ** 3;
  const mib = (bytes / 1024 ** 2).toFixed(0);
  say('journal', `${records} records, ${mib} MiB, ${made.segments} segments, signed`);
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const request = { trustedKeys: [key.key], fromSeq: undefined, faultsMax: 1 };
  const verdict = await verifyTrail(findTrail([directory]), request);
  if (verdict.faultCount > 0 || verdict.records !== records) throw new Error('the journal does not verify');
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const perCpuSecond = records / ((user + system) / 1e6);
  say(
    'verify, within one process',
    `${perSecond(records / seconds)} (${perSecond(perCpuSecond)} of processor time)`,
  );
  const verified = await runAudit(['verify', '--key', keyFile, directory]);
  say('dovegate audit verify --key', `${perSecond(records / verified.seconds)}, ${describe(verified, gib)}`);
  const early = formatTime(journalStartedMs + Math.floor(records * 0.9));
  const searches: readonly (readonly string[])[] = [
    ['search', '--user', 'user4321@example.org'],
    ['search', '--user', 'user4321@*'],
    ['search', '--principal', 'agent7', '--user', 'user4327@example.org'],
    ['search', '--command', 'quota', '--user', 'user3@example.org'],
    ['search', '--since', early],
    ['search', '--outcome', 'failed'],
    ['search', '--backend', 'mail2'],
    ['search', '--text', 'no such text'],
    ['show', String(records >> 1)],
  ];
  for (const args of searches) {
    const ran = await runAudit([...args, '--json', directory]);
    say(`audit ${args.join(' ')}`, `${describe(ran, gib)}, ${ran.rows} lines`);
  }
  say('audit export --format csv', describe(await runAudit(['export', directory]), gib));
  compressAll(directory);
  const [first = []] = searches;
  say('compressed: audit search --user', describe(await runAudit([...first, '--json', directory]), gib));
  say('compressed: audit verify', describe(await runAudit(['verify', '--key', keyFile, directory]), gib));
}

/** As the journal compresses what it has closed: in pieces of 1 MiB, one behind the other. */
function compressAll(directory: string): void {
  for (const { path } of findTrail([directory]).files) {
    const bytes = readFileSync(path);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 1 << 20)
      pieces.push(gzipSync(bytes.subarray(at, at + (1 << 20))));
    writeFileSync(`${path}.gz`, Buffer.concat(pieces));
    rmSync(path);
  }
}

function perSecond(count: number): string {
  return `${Math.round(count / 1000)}000 records/s`;
}

/** A busy machine says little of the time, so the work is told too; per GiB without the start of the program. */
function describe({ seconds, workSeconds, peakMiB }: Ran, gib: number): string {
  const perGib = (all: number, start: number): string => (Math.max(all - start, 0) / gib).toFixed(2);
  const figures = `${perGib(seconds, start.seconds)} s per GiB (${perGib(workSeconds, start.workSeconds)} of processor time)`;
  return `${figures}, ${seconds.toFixed(2)} s with start, ${peakMiB.toFixed(0)} MiB at most`;
}

const records = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(tmpdir(), 'dovegate-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
say('Node, processors', `${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`);
const start = await runAudit(['verify', '--help']);
say(
  'start of the program',
  `${start.seconds.toFixed(2)} s (${start.workSeconds.toFixed(2)} of processor time)`,
);
for (const count of [records / 10, records])
  await measure(makeJournal(mkdtempSync(join(folder, 'journal-')), { records: count }));
