// The writer without its thread: what a start makes of what a crash left, byte by byte.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { BellReport, Mark, Order, Report } from '../../../src/journal/files/handover.js';
import { readEndLine } from '../../../src/journal/files/kept-end.js';
import { cutAfterMark } from '../../../src/journal/files/recover.js';
import { createWriter, type Writer } from '../../../src/journal/files/writer.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { admission, completion, faultsIn } from './opening.js';
import {
  eventsIn,
  pairedIds,
  readWhole,
  type StoredRecord,
  segmentFiles,
  temporaryDirectory,
} from './reading.js';
import { createSharedRing, type SharedRing } from './shared-ring.js';

const wallMs = Date.UTC(2026, 10, 20);
const first = '00000001.jsonl';
const journal = 'ab'.repeat(16);
const step = Number(process.env['DOVEGATE_ROUNDS'] ?? 1) < 8 ? 8 : 1;

/** Where bytes are cut off: at every eighth place and about the ends of records; at every one with DOVEGATE_ROUNDS=8. */
function cutsBetween(from: number, to: number, middle = to): number[] {
  const all = Array.from({ length: to - from }, (_, at) => from + at);
  return all.filter((end) => (end - from) % step === 0 || Math.min(Math.abs(end - middle), to - end) <= 2);
}

interface RingedWriter extends Writer {
  readonly ring: SharedRing;
}

function writerIn(
  directory: string,
  segmentBytes = 1 << 20,
  ring = createSharedRing(),
  version?: string,
): RingedWriter {
  const names = { program: 'dovegate test', catalog: '', version, signKey: undefined };
  const memory = { path: undefined, bytes: 1 << 20 };
  const writer = createWriter({ directory, segmentBytes, reserveBytes: 0, memory, ...names }, journal);
  writer.attach(ring.reader());
  return { ...writer, ring };
}

function carry(writer: Writer, order: Order): Report {
  const report = writer.carryOut(order);
  if (report.kind !== 'lock' || !('lock' in order)) return report;
  return writer.carryOut({ ...order, lock: report.descriptor });
}

function opened(directory: string, segmentBytes?: number, atMs = wallMs): RingedWriter {
  const writer = writerIn(directory, segmentBytes);
  assert.equal(carry(writer, { do: 'open', lock: undefined, wallMs: atMs }).kind, 'opened');
  return writer;
}

function begun(t: TestContext, segmentBytes?: number): { directory: string; writer: RingedWriter } {
  const directory = temporaryDirectory(t);
  return { directory, writer: opened(directory, segmentBytes) };
}

/** More than a segment of 8 KiB takes. */
const manyBodies = Array.from({ length: 60 }, (_, count) => encodeBody(admission(`A${count}`)));

function publish({ ring }: RingedWriter, bodies: readonly string[]): void {
  for (const body of bodies) assert.ok(ring.writer.publish([body], ring.writer.dataBytes));
}

/** Published, and the bell rung. */
function flush(writer: RingedWriter, bodies: readonly string[]): Mark | BellReport | undefined {
  publish(writer, bodies);
  return writer.flush(writer.ring.writer.head, 0);
}

function isFailed(flushed: Mark | BellReport | undefined): boolean {
  return flushed !== undefined && 'kind' in flushed && flushed.kind === 'failed';
}

/** Published, and written by an order that syncs nothing. */
function writeUnsynced(writer: RingedWriter, bodies: readonly string[]): void {
  publish(writer, bodies);
  const order = { do: 'limit', behind: writer.ring.writer.head, isFull: false } as const;
  assert.equal(carry(writer, order).kind, 'kept');
}

function write(writer: RingedWriter, ...records: Parameters<typeof encodeBody>[0][]): void {
  const bodies = records.map((record) => encodeBody(record));
  const flushed = flush(writer, bodies);
  assert.ok(flushed !== undefined && !isFailed(flushed));
  const { tail } = writer.ring.reader();
  assert.equal(tail, writer.ring.writer.head);
  writer.ring.writer.tail = tail;
}

/** All that was written is on disk, up to here. */
function markOf(writer: RingedWriter): Mark {
  const looked = carry(writer, { do: 'look', behind: writer.ring.writer.head });
  assert.ok(looked.kind === 'written');
  return looked.mark;
}

function stop(writer: RingedWriter, atMs = wallMs): void {
  const report = carry(writer, { do: 'stop', behind: writer.ring.writer.head, wallMs: atMs });
  assert.equal(report.kind, 'stopped');
}

/** The order that writes again all that the ring holds behind the mark. */
function healOrder({ ring }: RingedWriter, mark: Mark): Order {
  return { do: 'heal', lock: undefined, mark, behind: ring.writer.head, lost: 0, isFull: false, journal };
}

function restarted(directory: string, segmentBytes?: number): StoredRecord[] {
  stop(opened(directory, segmentBytes));
  return readWhole(directory);
}

function tornOf(records: readonly StoredRecord[]): unknown {
  return records.filter((record) => record.event === 'start').at(-1)?.['torn'];
}

void test('torn within the last two records: what is whole stays, what is torn lies beside', (t) => {
  const parent = temporaryDirectory(t);
  const whole = join(parent, 'whole');
  const writer = opened(whole);
  write(writer, admission('A'), completion('A'));
  const before = readFileSync(join(whole, first));
  write(writer, { ...admission('B'), reason: 'größe' }, completion('B'));
  const after = readFileSync(join(whole, first));
  const middle = after.indexOf(0x0a, before.length) + 1;
  for (const end of cutsBetween(before.length, after.length, middle)) {
    const directory = join(parent, `torn-${end}`);
    mkdirSync(directory);
    writeFileSync(join(directory, first), after.subarray(0, end));
    const records = restarted(directory);
    const kept = end >= middle ? middle : before.length;
    const ids = end >= middle ? ['A', 'B'] : ['A'];
    assert.deepEqual([...pairedIds(records)], ids, `cut at ${end}`);
    const torn = after.subarray(kept, end);
    if (torn.length === 0) {
      assert.equal(tornOf(records), undefined);
      assert.ok(!existsSync(join(directory, `${first}.torn`)));
      continue;
    }
    const sha256 = createHash('sha256').update(torn).digest('hex');
    assert.deepEqual(tornOf(records), { file: `${first}.torn`, bytes: torn.length, sha256 });
    assert.deepEqual(readFileSync(join(directory, `${first}.torn`)), torn);
  }
});

void test('torn within the very first record: the journal begins anew, with an id of its own', (t) => {
  const parent = temporaryDirectory(t);
  opened(join(parent, 'whole'));
  const whole = readFileSync(join(parent, 'whole', first));
  const bytes = whole.subarray(0, whole.indexOf(0x0a) + 1);
  for (const end of cutsBetween(0, bytes.length)) {
    const directory = join(parent, `torn-${end}`);
    mkdirSync(directory);
    writeFileSync(join(directory, first), bytes.subarray(0, end));
    restarted(directory);
    assert.deepEqual(eventsIn(directory), ['start', 'stop']);
  }
});

void test('a hole that never reached the disk is torn, with the records behind it', (t) => {
  const { directory, writer } = begun(t);
  write(writer, admission('A'), completion('A'));
  const before = readFileSync(join(directory, first)).length;
  write(writer, admission('B'), admission('C'), admission('D'));
  const bytes = readFileSync(join(directory, first));
  bytes.fill(0, before + 10, before + 200);
  writeFileSync(join(directory, first), bytes);
  const records = restarted(directory);
  assert.deepEqual([...pairedIds(records)], ['A']);
  assert.deepEqual(readFileSync(join(directory, `${first}.torn`)), bytes.subarray(before));
});

void test('damage before the last whole record is left where it is', (t) => {
  const { directory, writer } = begun(t);
  write(writer, admission('A'), completion('A'), admission('B'), completion('B'));
  const bytes = readFileSync(join(directory, first));
  bytes[bytes.indexOf('"id":"A"') + 6] = 0x58;
  writeFileSync(join(directory, first), bytes);
  stop(opened(directory));
  const after = readFileSync(join(directory, first));
  assert.deepEqual(after.subarray(0, bytes.length), bytes);
  assert.deepEqual(segmentFiles(directory), [first]);
  assert.throws(() => readWhole(directory));
  const seqs = String(after).match(/(?<="seq":)\d+/g) ?? [];
  assert.deepEqual(
    seqs.map(Number),
    seqs.map((_, at) => at + 1),
  );
});

void test('an exchange that outlived many segments is closed after a crash, with its names', (t) => {
  const { directory, writer } = begun(t, 4096);
  write(writer, admission('OLD'));
  for (let count = 0; segmentFiles(directory).length < 6; count += 1) {
    write(writer, admission(`E${count}`), completion(`E${count}`));
  }
  const principal = 'AD\\zoë "7"@support';
  write(writer, { ...admission('NEW'), principal });
  const records = restarted(directory, 4096);
  pairedIds(records);
  const unknown = records.filter((record) => record['outcome'] === 'unknown');
  assert.deepEqual(
    unknown.map(({ id, session, principal: by, command, backend }) => [id, session, by, command, backend]),
    ['OLD', 'NEW'].map((id) => [id, 'S1', id === 'NEW' ? principal : 'bob@support', 'quota get', 'mail1']),
  );
});

// bounds.segmentBytes
void test('restarts go on in the same segment until it is full', (t) => {
  const directory = temporaryDirectory(t);
  for (let count = 0; count < 5; count += 1) restarted(directory, 65_536);
  assert.deepEqual(segmentFiles(directory), [first]);
  restarted(directory, 1024);
  assert.deepEqual(segmentFiles(directory), [first, '00000002.jsonl']);
});

void test('a journal of a newer format is not touched', (t) => {
  const { directory, writer } = begun(t);
  write(writer, { time: wallMs, event: 'start', journal, format: 2, program: 'dovegate 9.0.0' });
  const bytes = readFileSync(join(directory, first));
  const report = carry(writerIn(directory), { do: 'open', lock: undefined, wallMs });
  assert.deepEqual([report.kind, report.kind === 'failed' && report.code], ['failed', 'newer-format']);
  assert.deepEqual(readFileSync(join(directory, first)), bytes);
});

void test('a crash between two steps of healing is healed by the next start', (t) => {
  const { directory, writer } = begun(t);
  write(writer, admission('A'));
  // The new segment exists, and nothing is in it yet; or only half of its first record.
  writeFileSync(join(directory, '00000002.jsonl'), '');
  writeFileSync(join(directory, '00000003.jsonl'), '{"seq":3,"time":"2026');
  const records = restarted(directory);
  assert.deepEqual([...pairedIds(records)], ['A']);
  assert.deepEqual(segmentFiles(directory), [first]);
  const files = [first, '00000003.jsonl.torn', 'checkpoint.json', 'lock'];
  assert.deepEqual(readdirSync(directory).toSorted(), files);
});

void test('each checkpoint names the configuration that the last start or reload took', (t) => {
  const directory = temporaryDirectory(t);
  const versionsOf = (): unknown[] =>
    readWhole(directory)
      .filter(({ event }) => event === 'start' || event === 'checkpoint')
      .map(({ version }) => version);
  const [served, reloaded] = ['aa'.repeat(32), 'bb'.repeat(32)];
  const checkpoint = (writer: RingedWriter): void => {
    const order = { do: 'checkpoint', behind: writer.ring.writer.head, wallMs } as const;
    assert.equal(carry(writer, order).kind, 'written');
  };
  const writer = writerIn(directory, 1 << 20, createSharedRing(), served);
  assert.equal(carry(writer, { do: 'open', lock: undefined, wallMs }).kind, 'opened');
  write(writer, { time: wallMs, event: 'reload', version: reloaded });
  // The version of a policy is not one of the configuration.
  write(writer, { ...admission('A'), version: 'cc'.repeat(32) }, completion('A'));
  checkpoint(writer);
  assert.deepEqual(versionsOf().slice(0, 2), [served, served]);
  assert.deepEqual(new Set(versionsOf().slice(2)), new Set([reloaded]));
  const beside = readFileSync(join(directory, 'checkpoint.json'), 'utf8').trimEnd();
  assert.equal(readEndLine(beside)?.version, reloaded);

  // The next thread reads it from the journal.
  const mark = markOf(writer);
  const next = writerIn(directory, 1 << 20, writer.ring, served);
  assert.equal(carry(next, healOrder(next, mark)).kind, 'written');
  checkpoint(next);
  assert.equal(versionsOf().at(-1), reloaded);
  assert.equal(versionsOf().includes(undefined), false);
});

void test('healing writes again what was behind the mark, once', (t) => {
  const { directory, writer } = begun(t);
  write(writer, admission('A'));
  const mark = markOf(writer);
  writeUnsynced(writer, [encodeBody(admission('B')), encodeBody(completion('A'))]);
  const heal = healOrder(writer, mark);
  assert.equal(carry(writer, heal).kind, 'written');
  // A second attempt with the same mark, as after an answer that came too late to be believed.
  assert.equal(carry(writer, heal).kind, 'written');
  write(writer, completion('B'));
  stop(writer);
  pairedIds(readWhole(directory));
});

void test('a crash within healing leaves no admission of before without its completion', (t) => {
  const { directory, writer } = begun(t);
  write(writer, admission('A'));
  const mark = markOf(writer);
  writeUnsynced(writer, [encodeBody(completion('A'))]);
  assert.equal(carry(writer, healOrder(writer, mark)).kind, 'written');
  // Of the new segment only its first record had reached the disk.
  const second = join(directory, '00000002.jsonl');
  truncateSync(second, readFileSync(second).indexOf(0x0a) + 1);
  const records = restarted(directory);
  assert.deepEqual([...pairedIds(records)], ['A']);
  const outcomes = records.flatMap(({ event, outcome }) => (event === 'completion' ? [outcome] : []));
  assert.deepEqual(outcomes, ['unknown']);
});

void test('a new thread heals by the mark alone', (t) => {
  const { directory, writer } = begun(t);
  write(writer, admission('A'));
  const mark = markOf(writer);
  writeUnsynced(writer, [encodeBody(admission('B'))]);
  truncateSync(join(directory, first), readFileSync(join(directory, first)).length - 7);
  const second = writerIn(directory, undefined, writer.ring);
  assert.equal(carry(second, healOrder(writer, mark)).kind, 'written');
  write(second, completion('A'), completion('B'));
  stop(second);
  pairedIds(readWhole(directory));
});

/** A group that begins one segment, and cannot make the next. */
function flushAgainst(writer: RingedWriter, directory: string): void {
  const obstacle = join(directory, '00000003.jsonl');
  mkdirSync(obstacle);
  assert.ok(isFailed(flush(writer, manyBodies)));
  rmSync(obstacle, { recursive: true });
}

void test('what healing cuts off was vouched for nowhere: a crash right then is no damage', (t) => {
  const { directory, writer } = begun(t, 8192);
  const mark = markOf(writer);
  flushAgainst(writer, directory);
  assert.ok(existsSync(join(directory, '00000002.jsonl')));
  cutAfterMark(directory, mark);
  const errors = restarted(directory).flatMap(({ event, error }) => (event === 'start' ? [error] : []));
  assert.deepEqual(errors, [undefined, undefined]);
});

void test('a checkpoint that is told is behind the mark', (t) => {
  const writer = opened(temporaryDirectory(t), 8192);
  const report = flush(writer, manyBodies);
  assert.ok(report !== undefined && 'checkpoint' in report && report.checkpoint !== undefined);
  const { seq }: { seq: number } = JSON.parse(report.checkpoint);
  assert.ok(seq <= report.mark.seq);
});

void test('what another daemon wrote behind the mark is not cut off', (t) => {
  const { directory, writer } = begun(t);
  write(writer, admission('A'));
  const mark = markOf(writer);
  // The first one's thread died, and its lock with it; another daemon came and went.
  restarted(directory);
  const bytes = readFileSync(join(directory, first));
  publish(writer, [encodeBody(admission('B'))]);
  const report = carry(writerIn(directory, undefined, writer.ring), healOrder(writer, mark));
  assert.deepEqual([report.kind, report.kind === 'failed' && report.code], ['failed', 'locked']);
  assert.deepEqual(readFileSync(join(directory, first)), bytes);
  assert.deepEqual(segmentFiles(directory), [first]);
});

void test('behind a mark whose segment somebody took away nothing is cut off, and verify says what is missing', async (t) => {
  const { directory, writer } = begun(t, 8192);
  write(writer, admission('A'));
  const mark = markOf(writer);
  flushAgainst(writer, directory);
  rmSync(join(directory, first));
  const second = readFileSync(join(directory, '00000002.jsonl'));
  assert.equal(carry(writer, healOrder(writer, mark)).kind, 'written');
  assert.deepEqual(readFileSync(join(directory, '00000002.jsonl')), second);
  const written = segmentFiles(directory)
    .slice(1)
    .map((file) => readFileSync(join(directory, file), 'utf8'))
    .join('');
  assert.equal(written.match(/"event":"admission"/g)?.length, manyBodies.length);
  const faults = (await faultsIn(directory)).map(({ kind, file }) => `${kind} ${file}`);
  assert.deepEqual(faults, [`segment-missing ${first}`, 'reordered 00000003.jsonl']);
});

void test('after the stop no order writes: the directory may be the one of another daemon', (t) => {
  const { directory, writer } = begun(t);
  assert.equal(writer.carryOut({ do: 'stop', behind: 0, wallMs }).kind, 'stopped');
  const order = { do: 'keep-policy', behind: 0, version: 'ab'.repeat(32), text: 'x' } as const;
  assert.equal(writer.carryOut(order).kind, 'failed');
  assert.ok(!existsSync(join(directory, 'policies')));
});
