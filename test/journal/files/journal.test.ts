// The journal with real files and a real thread (with kill -9: test/whole/scenario/kill-nine). What must not happen: a command that went
// on without its admission on disk, a number that is missing or comes twice, a wait without end.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { verifyTrail } from '../../../src/evidence/reading/search-trail.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import type { JournalOptions } from '../../../src/journal/files/journal.js';
import { reserveName } from '../../../src/journal/files/segments.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { createWriter } from '../../../src/journal/files/writer.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { admission, completion, openFor, type Watched } from './opening.js';
import { closeAll, eventsIn, pairedIds, readWhole, segmentFiles, temporaryDirectory } from './reading.js';
import { createSharedRing } from './shared-ring.js';

function faultOf(...codes: string[]) {
  return (error: unknown) => error instanceof JournalFault && codes.includes(error.code);
}

/** The machine's clocks, until somebody sets the one on the wall back by an hour. */
function hourBackClock(): Clock & { setBack(): void } {
  let setBackMs = 0;
  return {
    ...systemClock,
    wallMs: () => systemClock.wallMs() - setBackMs,
    setBack() {
      setBackMs = 3_600_000;
    },
  };
}

void test('a journal begins with a start record and ends with a stop record, in files of the owner only', async (t) => {
  const directory = join(temporaryDirectory(t), 'deep', 'audit');
  const { journal } = await openFor(t, directory);
  assert.equal(journal.state, 'writable');
  await journal.appendDurable(admission('A'));
  assert.deepEqual(eventsIn(directory), ['start', 'admission'], 'on disk when the promise resolves');
  journal.append(completion('A'));
  await journal.close();
  assert.equal(journal.state, 'failed');
  const records = readWhole(directory);
  assert.deepEqual(eventsIn(directory), ['start', 'admission', 'completion', 'stop']);
  const [first] = records;
  assert.match(String(first?.['journal']), /^[0-9a-f]{32}$/);
  const names = ['format', 'program', 'catalog'].map((key) => first?.[key]);
  assert.deepEqual(names, [1, 'dovegate test', 'c0ffee']);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const file of readdirSync(directory))
    assert.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
});

/** By then the next sync looks whether the files are in their place. */
const lookMs = 150;

void test('a closed journal takes nothing more, and closes once', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal } = await openFor(t, directory);
  await Promise.all([journal.close(), journal.close()]);
  await assert.rejects(journal.appendDurable(admission('A')), faultOf('closed'));
  assert.equal(journal.append(admission('A'))?.code, 'closed');
  assert.equal(journal.lost, 2);
  assert.deepEqual(eventsIn(directory), ['start', 'stop']);
});

void test('64 waiting clients share their syncs', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal, events: seen } = await openFor(t, directory);
  await Promise.all(
    Array.from({ length: 64 }, async (_, client) => {
      for (let count = 0; count < 50; count += 1) {
        await journal.appendDurable(admission(`${client}-${count}`));
        journal.append(completion(`${client}-${count}`));
      }
    }),
  );
  await journal.close();
  const syncs = seen.filter((event) => event.kind === 'synced').length;
  t.diagnostic(`${((syncs * 1000) / 3200).toFixed(1)} syncs for 1,000 exchanges of 64 clients`);
  assert.equal(pairedIds(readWhole(directory)).size, 3200);
  assert.ok(syncs * 10 < 3200, `${syncs} syncs`);
});

void test('a full segment is closed and the next one names it', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal } = await openFor(t, directory, { segmentBytes: 8192 });
  for (let count = 0; count < 20; count += 1) {
    const group = Array.from({ length: 5 }, (_, at) => journal.appendDurable(admission(`${count}-${at}`)));
    await Promise.all(group);
    for (let at = 0; at < 5; at += 1) journal.append(completion(`${count}-${at}`));
  }
  await journal.close();
  const files = segmentFiles(directory);
  assert.ok(files.length > 4);
  const records = readWhole(directory);
  assert.equal(pairedIds(records).size, 100);
  for (const file of files) assert.ok(statSync(join(directory, file)).size <= 8192, file);
  const firsts = records.filter((record) => record['segment'] !== undefined);
  assert.deepEqual(
    firsts.map((record) => record['segment']),
    files.slice(0, -1).map((file) => file.replace(/\.gz$/, '')),
  );
  for (const first of firsts) {
    assert.equal(first.event, 'checkpoint');
    assert.deepEqual([first['segment_hash'], first['head']], [first['prev'], first['prev']]);
    assert.deepEqual([first['journal'], first['format']], [records[0]?.['journal'], 1]);
  }
});

void test('the disk is not trusted: a removed segment is noticed, and what was not promised is written again', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal, events: seen } = await openFor(t, directory);
  await journal.appendDurable(admission('A'));
  rmSync(join(directory, '00000001.jsonl'));
  await sleep(lookMs);
  await assert.rejects(journal.appendDurable(admission('B')), faultOf('removed'));
  journal.append(completion('B'));
  while (journal.state === 'failed') await new Promise((resolve) => setTimeout(resolve, 5));
  await journal.appendDurable(completion('A'));
  await journal.close();
  assert.deepEqual(segmentFiles(directory), ['00000002.jsonl']);
  const lines = readFileSync(join(directory, '00000002.jsonl'), 'utf8').trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line));
  assert.equal(
    records.map(({ event, id = '-', seq }) => `${seq} ${event} ${id}`).join(', '),
    '4 checkpoint -, 5 admission B, 6 completion B, 7 completion A, 8 stop -, 9 checkpoint -',
  );
  assert.deepEqual([records[0].action, records[0].segment], ['recover', '00000001.jsonl']);
  assert.deepEqual(
    seen.map(({ kind }) => kind).filter((kind) => kind === 'failed' || kind === 'writable'),
    ['failed', 'writable'],
  );
});

void test('a start that takes longer than its deadline is an error, and the next one finds all as it was', async (t) => {
  const directory = temporaryDirectory(t);
  const { journal } = await openFor(t, directory);
  await journal.close();
  // Less than the journal's thread needs to start: its first answer is late, as that of a disk which does not answer.
  await assert.rejects(openFor(t, directory, { openDeadlineMs: 1 }), faultOf('deadline'));
  const again = await openFor(t, directory);
  assert.equal(again.journal.found.damage, undefined);
  await again.journal.close();
});

void test('a removed directory comes back with its lock', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit');
  const { journal, seen } = await openFor(t, directory);
  rmSync(directory, { recursive: true });
  await assert.rejects(journal.appendDurable(admission('A')), faultOf('removed'));
  await seen('writable');
  await journal.appendDurable(admission('B'));
  // The shares are written now and then, so also within these moments.
  const names = readdirSync(directory).filter((name) => name !== 'shares.json');
  assert.deepEqual(names, ['00000002.jsonl', 'checkpoint.json', 'lock', 'ring.json']);
  await assert.rejects(openFor(t, directory), faultOf('locked'));
});

void test('records whose directory was moved away are named until they are back, and by each later start', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit');
  const options = { lookIntervalMs: 20 };
  const { journal, seen } = await openFor(t, directory, options);
  await journal.appendDurable(admission('A'));
  assert.deepEqual({ ...journal.missing }, {});
  renameSync(directory, `${directory}-away`);
  await seen('writable');
  const { missing } = journal;
  assert.equal(missing?.seq, 3);
  assert.ok(Math.abs((missing.sinceMs ?? 0) - Date.now()) < 60_000);
  await journal.close();
  for (const _ of [1, 2]) {
    const again = await openFor(t, directory, options);
    assert.deepEqual(again.journal.missing, { seq: 3, sinceMs: undefined });
    await again.journal.close();
  }
  const last = await openFor(t, directory, options);
  copyFileSync(join(`${directory}-away`, '00000001.jsonl'), join(directory, '00000001.jsonl'));
  while (last.journal.missing !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  await last.journal.close();
});

void test('a journal that was moved away while records came is whole once it is put back, also after a start in between', async (t) => {
  for (const isRestarted of [false, true]) {
    const directory = join(temporaryDirectory(t), 'audit');
    const { journal, seen } = await openFor(t, directory);
    await journal.appendDurable(admission('A'));
    renameSync(directory, `${directory}-away`);
    let count = 0;
    // Some are promised before the thread looks again: they stay where they are.
    for (; journal.state !== 'failed'; count += 1)
      await journal.appendDurable(admission(`P${count}`)).catch(() => undefined);
    await seen('writable');
    await journal.appendDurable(admission('C'));
    await journal.close();
    const end = async (): Promise<void> => {
      if (isRestarted) await (await openFor(t, directory)).journal.close();
    };
    await end();
    for (const name of segmentFiles(`${directory}-away`))
      copyFileSync(join(`${directory}-away`, name), join(directory, name), constants.COPYFILE_EXCL);
    await end();
    const request = { trustedKeys: [], fromSeq: undefined, faultsMax: 9 };
    const { faults, returned } = await verifyTrail(findTrail([directory]), request);
    assert.deepEqual(faults, []);
    assert.equal(returned.length, isRestarted ? 1 : 0, 'a start tells what it did not find');

    const ids = readWhole(directory)
      .filter(({ event }) => event === 'admission')
      .map(({ id }) => id);
    assert.deepEqual(ids, ['A', ...Array.from({ length: count }, (_, index) => `P${index}`), 'C']);
  }
});

void test('a hole in the journal is named until it is closed, also by later starts', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit');
  const { journal, seen } = await openFor(t, directory);
  await journal.appendDurable(admission('A'));
  renameSync(directory, `${directory}-away`);
  await sleep(lookMs);
  await assert.rejects(journal.appendDurable(admission('B')), faultOf('removed'));
  await seen('writable');
  // The old files come back in the place of the new ones, and the records between are gone.
  renameSync(directory, `${directory}-between`);
  renameSync(`${directory}-away`, directory);
  await sleep(lookMs);
  await assert.rejects(journal.appendDurable(admission('C')), faultOf('removed'));
  while (journal.state === 'failed') await new Promise((resolve) => setTimeout(resolve, 5));
  await journal.appendDurable(admission('D'));
  await journal.close();
  const missing = readFileSync(join(directory, '00000003.jsonl'), 'utf8');
  const { seq } = JSON.parse(missing.slice(0, missing.indexOf('\n')));
  for (const _ of [1, 2]) {
    const again = await openFor(t, directory);
    assert.equal(again.journal.missing?.seq, seq - 1);
    await again.journal.close();
  }
  copyFileSync(join(`${directory}-between`, '00000002.jsonl'), join(directory, '00000002.jsonl'));
  const last = await openFor(t, directory);
  assert.equal(last.journal.missing, undefined);
  await last.journal.close();
});

void test('a segment or a lock that was replaced, cut or written to by somebody else is not trusted either', async (t) => {
  const tricks: ((directory: string, segment: string) => void)[] = [
    (_, segment) => {
      copyFileSync(segment, `${segment}.copy`);
      renameSync(`${segment}.copy`, segment);
    },
    (_, segment) => writeFileSync(segment, ''),
    (_, segment) => appendFileSync(segment, 'forged\n'),
    (directory) => rmSync(join(directory, 'lock')),
    (directory) => renameSync(directory, `${directory}-away`),
  ];
  for (const trick of tricks) {
    const directory = join(temporaryDirectory(t), 'audit');
    const { journal, seen } = await openFor(t, directory);
    await journal.appendDurable(admission('A'));
    trick(directory, join(directory, '00000001.jsonl'));
    await sleep(lookMs);
    await assert.rejects(journal.appendDurable(admission('B')), faultOf('removed'));
    await seen('writable');
    await journal.appendDurable(admission('C'));
    assert.equal(segmentFiles(directory).at(-1), '00000002.jsonl');
    const text = readFileSync(join(directory, '00000002.jsonl'), 'utf8');
    assert.deepEqual(text.match(/"id":"[A-Z]"/g), ['"id":"B"', '"id":"C"'], String(trick));
  }
});

void test('when the directory cannot be had, it stays failed, keeps what it can, and comes back', async (t) => {
  const parent = temporaryDirectory(t);
  const directory = join(parent, 'audit');
  const { journal, seen } = await openFor(t, directory);
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'in the way');
  await assert.rejects(journal.appendDurable(admission('A')));
  await assert.rejects(journal.appendDurable(admission('B')));
  journal.append(completion('A'));
  assert.equal(journal.state, 'failed');
  assert.ok(journal.fault instanceof JournalFault);
  rmSync(directory);
  await seen('writable');
  assert.equal(journal.fault, undefined);
  await journal.close();
  assert.equal(journal.lost, 0);
  const lines = readFileSync(join(directory, '00000002.jsonl'), 'utf8').trimEnd().split('\n');
  const records = lines.map((line) => JSON.parse(line));
  const events = 'checkpoint admission admission completion stop checkpoint';
  assert.equal(records.map(({ event }) => event).join(' '), events);
  assert.ok(records[0].count >= 1, 'records that are older than the checkpoint before them');
});

void test('what a broken disk cannot take is bounded and counted', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit');
  const memory = { path: `${directory}.ring`, bytes: 16_384 };
  const { journal, events: seen } = await openFor(t, directory, { memory, deadlineMs: 500 });
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'in the way');
  await assert.rejects(journal.appendDurable(admission('A')));
  for (let count = 0; count < 50; count += 1) {
    const before = journal.lost;
    await assert.rejects(journal.appendDurable(admission('B')), (fault) => {
      const isLost = fault instanceof JournalFault && fault.code === 'overflow';
      return isLost === journal.lost > before;
    });
  }
  const lostBefore = journal.lost;
  assert.ok(lostBefore > 20);
  journal.append(completion('A'));
  assert.equal(journal.lost, lostBefore, 'completions have room of their own');
  const many = Array.from({ length: 50 }, () => journal.append(completion('B')));
  assert.ok(many.some((fault) => fault?.code === 'overflow'));
  await assert.rejects(journal.close(), JournalFault);
  const sumOf = (kind: 'lost' | 'left'): number =>
    seen.reduce((sum, event) => sum + (event.kind === kind ? event.records : 0), 0);
  assert.equal(sumOf('lost') + sumOf('left'), 52 + 50, 'what is not on disk is counted');
  assert.equal(sumOf('lost'), journal.lost);
  assert.ok(sumOf('left') > 20, 'what the ring has is not lost');
});

void test('two daemons with one memory: the first one notices, and leaves the other its file', async (t) => {
  const place = temporaryDirectory(t);
  const memory = { path: join(place, 'audit.ring'), bytes: 65_536 };
  const first = await openFor(t, join(place, 'first'), { memory, lookIntervalMs: 10 });
  const second = await openFor(t, join(place, 'second'), { memory });
  await first.seen('memory-gone');
  await first.journal.close();
  assert.ok(second.journal.isCrashProof);
  assert.ok(existsSync(memory.path), 'the memory of the second is at its place');
  await second.journal.close();
  assert.ok(!existsSync(memory.path));
});

void test('a step of the wall clock is a record of its own', async (t) => {
  const directory = temporaryDirectory(t);
  const clock = hourBackClock();
  const { journal } = await openFor(t, directory, { clock });
  await journal.appendDurable(admission('A'));
  clock.setBack();
  journal.append({ ...completion('A'), time: clock.wallMs() });
  await journal.close();
  const records = readWhole(directory).filter(({ event }) => event === 'clock');
  assert.deepEqual(eventsIn(directory), ['start', 'admission', 'clock', 'completion', 'stop']);
  assert.equal(Math.round(Number(records[0]?.['step_ms']) / 1000), -3600);
});

void test('a step of the wall clock that finds the memory full is recorded as soon as there is room', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit');
  const clock = hourBackClock();
  const memory = { path: `${directory}.ring`, bytes: 16_384 };
  const { journal, seen } = await openFor(t, directory, { clock, memory });
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'in the way');
  await assert.rejects(journal.appendDurable(admission('A')));
  for (let count = 0; count < 80; count += 1) journal.append(completion('A'));
  const lostBefore = journal.lost;
  assert.ok(lostBefore > 0);
  clock.setBack();
  assert.equal(journal.append({ ...completion('B'), time: clock.wallMs() })?.code, 'overflow');
  assert.equal(journal.lost, lostBefore + 1, 'the record of the step is not lost, only late');
  rmSync(directory);
  await seen('writable');
  // What is held is written by the order after that.
  const later = (): Promise<void> => journal.appendDurable({ ...completion('A'), time: clock.wallMs() });
  while ((await Promise.allSettled([later()]))[0]?.status === 'rejected') await sleep(5);
  await journal.close();
  const lines = readFileSync(join(directory, '00000002.jsonl'), 'utf8').trimEnd().split('\n');
  const steps = lines.flatMap((line) => (line.includes('"event":"clock"') ? [JSON.parse(line).step_ms] : []));
  assert.deepEqual(
    steps.map((ms) => Math.round(ms / 1000)),
    [-3600],
  );
});

void test('an unsafe or unreadable place is refused with a word', async (t) => {
  const parent = temporaryDirectory(t);
  writeFileSync(join(parent, 'file'), '');
  await assert.rejects(openFor(t, join(parent, 'file')), JournalFault);
  const directory = join(parent, 'audit');
  mkdirSync(directory, { mode: 0o777 });
  chmodSync(directory, 0o777);
  const { journal } = await openFor(t, directory);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  await journal.close();
  rmSync(join(directory, 'lock'));
  mkdirSync(join(directory, 'lock'));
  await assert.rejects(openFor(t, directory), JournalFault);
  assert.ok(existsSync(join(directory, '00000001.jsonl')));
});

void test('the start record has the time at which the lock was taken, not that at which its thread began to start', async (t) => {
  const directory = temporaryDirectory(t);
  let passedMs = 0;
  const now = () => systemClock.now() + passedMs;
  const clock: Clock = { ...systemClock, now, wallMs: () => systemClock.wallMs() + passedMs };
  const before = systemClock.wallMs();
  // The daemon before had it for so long, and wrote its stop record then.
  const lock = (): boolean => {
    passedMs = 1500;
    return true;
  };
  const { journal } = await openFor(t, directory, { clock, lock });
  await journal.close();
  const [start] = readWhole(directory);
  assert.ok(Date.parse(String(start?.['time'])) >= before + 1500);
});

// The journal on real file systems that really fail: a full one, a frozen one, one that went read-only. Needs root, since
// only root may mount; where that is not to be had, the tests say so and are skipped.
// What must not happen: a wait beyond the deadline, a record promised and not on disk, a service that needs a hand to return.

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
    truncateSync(image, 12 << 20);
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
  const path = `${temporaryDirectory(t)}/ring`;
  return openFor(t, directory, { memory: { path, bytes: 1 << 20 }, ...more });
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
  const count = rounds;
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
