// `npm run bench -- fleet-verify [RECORDS]`: how fast blocks of many gates are verified, without the network.
// It makes a signed journal of 1,000,000 records as a daemon would, cuts it into blocks of at most 64 KiB as a gate would, and gives
// them to the verifier as messages that lie in memory. It prints records a second of time and of processor time, the size of the saved
// state, and the heap that is left for a tenth of it and for all, to see whether memory is flat.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTrail } from '../../src/adapters/journal/trail.js';
import { readClaim } from '../../src/domain/audit/ledger.js';
import { formatHead, subjectOf } from '../../src/domain/fleet/block.js';
import { createFleet, type Fleet } from '../../src/domain/fleet/fleet.js';
import type { FleetMessage } from '../../src/domain/fleet/shapes.js';
import { journalStartedMs, type Made, makeJournal } from './load/journal.js';

const blockBytes = 64 << 10;
const host = 'gate1';
const journal = 'be'.repeat(16);

function say(what: string, figures: string): void {
  console.log(`${what.padEnd(44)} ${figures}`);
}

/** Whole lines of a piece, at most so many bytes. */
function* cut(piece: Buffer): Generator<Buffer> {
  for (let at = 0; at < piece.length; ) {
    const end = piece.lastIndexOf(0x0a, Math.min(at + blockBytes, piece.length) - 1) + 1;
    yield piece.subarray(at, end);
    at = end;
  }
}

function messageOf(bytes: Buffer, streamSeq: number): FleetMessage {
  const first = readClaim(bytes.subarray(0, bytes.indexOf(0x0a)));
  const last = readClaim(bytes.subarray(bytes.lastIndexOf(0x0a, bytes.length - 2) + 1, bytes.length - 1));
  if (first === undefined || last === undefined) throw new Error('a journal of lines that are none');
  const head = { kind: 'block', first: first.seq, last: last.seq, head: last.hash } as const;
  const headers = new Map(formatHead(journal, head));
  // Each exchange is 2 ms after the one before, and has two records.
  const storedMs = journalStartedMs + last.seq;
  return {
    streamSeq,
    storedMs,
    subject: subjectOf(host, journal),
    header: (name) => headers.get(name) ?? '',
    bytes,
  };
}

function measure({ directory, key, records, bytes }: Made): void {
  const hosts = new Map([[host, { key: key.key, silentMs: 60_000 }]]);
  const fleet: Fleet = createFleet({ stream: 'BENCH', hosts, openMs: 60_000, driftMs: 5000 });
  let streamSeq = 0;
  let ms = 0;
  let cpuMs = 0;
  for (const { path } of findTrail([directory]).files) {
    const messages = [...cut(readFileSync(path))].map((block) => messageOf(block, (streamSeq += 1)));
    const cpuBefore = process.cpuUsage();
    const began = performance.now();
    for (const message of messages) fleet.take(message);
    ms += performance.now() - began;
    const { user, system } = process.cpuUsage(cpuBefore);
    cpuMs += (user + system) / 1000;
  }
  const found = fleet.judge(journalStartedMs + records);
  if (found.length > 0 || fleet.records !== records)
    throw new Error(`not clean: ${JSON.stringify(found[0])}`);
  const saveBegan = performance.now();
  const saved = JSON.stringify(fleet.save()).length;
  const saveMs = performance.now() - saveBegan;
  globalThis.gc?.();
  const mib = (bytes / 1024 ** 2).toFixed(0);
  say(`${records} records, ${mib} MiB, ${streamSeq} blocks`, perSecond(records / ms));
  say('of processor time', perSecond(records / cpuMs));
  say('saved state of one chain', `${saved} bytes, ${saveMs.toFixed(1)} ms`);
  say('heap at the end', `${(process.memoryUsage().heapUsed / 1024 ** 2).toFixed(1)} MiB`);
}

function perSecond(perMs: number): string {
  return `${Math.round(perMs)}000 records/s`;
}

const records = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(tmpdir(), 'dovegate-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
say('Node, processors', `${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`);
for (const count of [records / 10, records])
  measure(makeJournal(mkdtempSync(join(folder, 'journal-')), { records: count }));
