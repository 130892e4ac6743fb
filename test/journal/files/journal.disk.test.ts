// The journal on real file systems that really fail: a full one, a frozen one, one that went read-only. Needs root, since
// only root may mount; where that is not to be had, the tests say so and are skipped.
// What must not happen: a wait beyond the deadline, a record promised and not on disk, a service that needs a hand to return.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JournalFault } from '../../../src/host/ports/faults.js';
import type { JournalOptions } from '../../../src/journal/files/journal.js';
import { reserveName } from '../../../src/journal/files/segments.js';
import { createWriter } from '../../../src/journal/files/writer.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { admission, completion, openFor, type Watched } from './opening.js';
import { closeAll, pairedIds, readWhole, segmentFiles, temporaryDirectory } from './reading.js';
import { createSharedRing } from './shared-ring.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const appender = fileURLToPath(new URL('./appender.js', import.meta.url));

function run(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** A mounted file system that goes with the test; undefined, with the test skipped, where it cannot be had. */
function mounted(t: TestContext, kind: 'tmpfs' | 'ext4'): string | undefined {
  const parent = mkdtempSync(join(tmpdir(), 'dovegate-disk-'));
  const place = join(parent, 'disk');
  const image = join(parent, 'image');
  mkdirSync(place);
  t.after(async () => {
    run('fsfreeze', '-u', place);
    await closeAll(t);
    for (const mount of [place, join(parent, 'after')]) run('umount', '-l', mount);
    rmSync(parent, { recursive: true });
  });
  if (kind === 'ext4') {
    writeFileSync(image, '');
    truncateSync(image, 32 << 20);
  }
  const isThere =
    kind === 'tmpfs'
      ? run('mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', place)
      : run('mkfs.ext4', '-q', image) && run('mount', '-o', 'loop', image, place);
  if (isThere) return place;
  t.skip(`no ${kind} can be mounted here (needs root)`);
  return undefined;
}

/** With the ring in memory, not on the disk that fails: a thread that writes to a mapped page of a frozen one waits with it. */
function openOn(t: TestContext, directory: string, more: Partial<JournalOptions> = {}): Promise<Watched> {
  const path = `${temporaryDirectory(t, 'memory')}/ring`;
  return openFor(t, directory, { memory: { path, bytes: 1 << 20 }, ...more });
}

function faultOf(...codes: string[]) {
  return (error: unknown) => error instanceof JournalFault && codes.includes(error.code);
}

void test('every piece of the reserve that is given up is told, also for the first record of a segment', (t) => {
  const place = mounted(t, 'tmpfs');
  if (place === undefined) return;
  const directory = join(place, 'audit');
  const reserveBytes = 64 * 1024;
  const names = { program: 'p', catalog: '', signKey: undefined };
  const memory = { path: undefined, bytes: 1 << 20 };
  const ring = createSharedRing();
  const writer = createWriter(
    { directory, segmentBytes: 8192, reserveBytes, memory, ...names },
    'ab'.repeat(16),
  );
  const lock = writer.carryOut({ do: 'open', lock: undefined, wallMs: 0 });
  assert.ok(lock.kind === 'lock');
  assert.equal(writer.carryOut({ do: 'open', lock: lock.descriptor, wallMs: 0 }).kind, 'opened');
  writer.attach(ring.reader());
  const reserve = join(directory, reserveName);
  writeFileSync(reserve, Buffer.alloc(reserveBytes));
  assert.throws(() => writeFileSync(join(place, 'filler'), Buffer.alloc(256 * 1024)), { code: 'ENOSPC' });
  for (let used = 0; used < 12; ) {
    const before = statSync(reserve).size;
    for (const record of [admission('A'), completion('A')])
      assert.ok(ring.writer.publish([encodeBody(record)], ring.writer.dataBytes));
    const report = writer.flush(ring.writer.head, 0);
    assert.ok(report !== undefined && !('code' in report));
    const isUsed = statSync(reserve).size < before;
    assert.equal('kind' in report && report.isReserveUsed, isUsed);
    if (isUsed) used += 1;
  }
});

void test('a full disk refuses, keeps what was promised, and serves again when there is room', async (t) => {
  const place = mounted(t, 'tmpfs');
  if (place === undefined) return;
  const directory = join(place, 'audit');
  const { journal, seen } = await openOn(t, directory);
  await journal.appendDurable(admission('A'));
  const ids: string[] = [];
  const refused: string[] = [];
  for (let count = 0; refused.length === 0; count += 1) {
    const group = Array.from({ length: 20 }, (_, at) => `E${count}-${at}`);
    const settled = await Promise.allSettled(group.map((id) => journal.appendDurable(admission(id))));
    for (const [at, one] of settled.entries()) {
      (one.status === 'fulfilled' ? ids : refused).push(group[at] ?? '');
      if (one.status === 'rejected') assert.ok(faultOf('write-failed')(one.reason), String(one.reason));
    }
  }
  assert.equal(journal.state, 'failed');
  await assert.rejects(journal.appendDurable(admission('B')), faultOf('write-failed'));
  assert.ok(segmentFiles(directory).length < 5, 'attempts to heal leave nothing behind');
  run('mount', '-o', 'remount,size=8m', place);
  await seen('writable');
  for (const id of ['A', 'B', ...ids, ...refused]) journal.append(completion(id));
  await journal.close();
  const admitted = pairedIds(readWhole(directory));
  for (const id of ['A', 'B', ...ids, ...refused]) assert.ok(admitted.has(id), id);
  assert.equal(journal.lost, 0);
});

void test('a file system that went read-only is a failed disk until it is mounted again', async (t) => {
  const place = mounted(t, 'ext4');
  if (place === undefined) return;
  const directory = join(place, 'audit');
  const { journal, seen } = await openOn(t, directory);
  await journal.appendDurable(admission('A'));
  // What the kernel does itself when the journal of the file system breaks.
  run('mount', '-o', 'remount,abort', place);
  await assert.rejects(journal.appendDurable(admission('B')), faultOf('write-failed', 'removed'));
  assert.ok(run('umount', '-l', place));
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  assert.ok(run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', place));
  await seen('writable');
  await journal.appendDurable(completion('B'));
  await journal.close();
});

// bounds.journalReserveBytes
void test('a start on a full disk takes its room from the reserve', async (t) => {
  const place = mounted(t, 'tmpfs');
  if (place === undefined) return;
  run('mount', '-o', 'remount,size=2m', place);
  const directory = join(place, 'audit');
  const reserveBytes = 512 << 10;
  const first = await openOn(t, directory, { reserveBytes });
  await first.journal.appendDurable(admission('A'));
  const reserve = join(directory, 'reserve');
  while (statSync(reserve, { throwIfNoEntry: false })?.size !== reserveBytes)
    await new Promise((resolve) => setTimeout(resolve, 5));
  await first.journal.close();
  // What a crash leaves: half a record, that a start puts aside.
  appendFileSync(join(directory, '00000001.jsonl'), '{"seq":99,'.padEnd(5000, 'x'));
  const filler = openSync(join(place, 'filler'), 'w');
  const block = Buffer.alloc(4096);
  assert.throws(() => {
    for (;;) writeSync(filler, block);
  }, /ENOSPC/);
  closeSync(filler);
  const { journal } = await openOn(t, directory, { reserveBytes });
  assert.deepEqual([journal.state, journal.space], ['writable', 'reserve']);
  await journal.keepPolicy('ab'.repeat(32), 'x'.repeat(60_000));
  await journal.appendDurable(admission('B'));
  await journal.appendDurable(completion('B'));
  await journal.close();
  assert.ok(statSync(join(directory, 'reserve')).size < reserveBytes);
  assert.deepEqual([...pairedIds(readWhole(directory))], ['A', 'B']);
});

void test('a power cut at random instants: what was promised is there, in one chain', async (t) => {
  const place = mounted(t, 'ext4');
  if (place === undefined) return;
  const image = join(place, '..', 'image');
  const copy = join(place, '..', 'copy');
  const after = join(place, '..', 'after');
  mkdirSync(after);
  const count = 3 * rounds;
  let promised = 0;
  let torn = 0;
  for (let round = 0; round < count; round += 1) {
    const child = spawn(process.execPath, [appender, join(place, 'audit'), `P${round}`, '16'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let told = '';
    const linesMax = 1 + Math.floor(Math.random() * 800);
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        told += chunk.toString();
        if (told.split('\n').length > linesMax) resolve();
      });
    });
    // Nothing is written any more, and what is only in the page cache of the file system is not in its image: the image
    // as it is now is the disk after the plug was pulled.
    child.kill('SIGSTOP');
    const ids = told.split('\n').slice(1, -1);
    // Of one instant: what the kernel writes back meanwhile would be in one part of a copy and not in the other.
    do copyFileSync(image, copy);
    while (!readFileSync(image).equals(readFileSync(copy)));
    child.kill('SIGKILL');
    await once(child, 'close');
    assert.ok(run('mount', '-o', 'loop', copy, after), 'the file system survives it');
    // A power cut takes the ring along.
    rmSync(join(place, 'audit.ring'));
    const { journal } = await openOn(t, join(after, 'audit'));
    await journal.close();
    const records = readWhole(join(after, 'audit'));
    const admitted = pairedIds(records);
    assert.deepEqual(
      ids.filter((id) => !admitted.has(id)),
      [],
    );
    promised += ids.length;
    torn += journal.found.tornBytes;
    assert.ok(run('umount', after));
    rmSync(join(place, 'audit'), { recursive: true });
  }
  t.diagnostic(`${count} power cuts, ${promised} records promised and found, ${torn} torn bytes put aside`);
});
