// The file of a position: what was kept is what is there, whole or not at all, and nothing else counts.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { beginning, type Position } from '../../../src/ship/shipping/follow.js';
import { createOverlap, createPositionFile } from '../../../src/ship/shipping/position.js';
import { temporaryDirectory } from '../../journal/files/reading.js';

const position = { segment: 12, bytes: 4711, seq: 90_210, hash: 'ab'.repeat(32) };
const kept = { journal: 'cd'.repeat(16), position };

function fileIn(t: TestContext, sink = 'logs.example.com:6514') {
  const directory = join(temporaryDirectory(t), 'state', 'deeper');
  return { directory, file: createPositionFile(directory, sink) };
}

void test('nothing at first, then what was kept last', async (t) => {
  const { directory, file } = fileIn(t);
  assert.equal(await file.load(), undefined);
  await file.save({ ...kept, position: { ...position, seq: 1 } });
  await file.save(kept);
  assert.deepEqual(await file.load(), kept);
  assert.deepEqual(readdirSync(directory), ['ship-logs.example.com_6514.json']);
  assert.equal(statSync(join(directory, 'ship-logs.example.com_6514.json')).mode & 0o777, 0o600);
});

void test('each receiver has a file of its own, with a name that is one', async (t) => {
  const { directory, file } = fileIn(t, '[2001:db8::1]:6514');
  await file.save(kept);
  assert.deepEqual(readdirSync(directory), ['ship-_2001_db8__1__6514.json']);
});

void test('files whose paths look alike have positions of their own, and long paths have one, too', async (t) => {
  const directory = join(temporaryDirectory(t), 'state');
  const long = `/${'long/'.repeat(200)}`;
  const paths = ['/srv/a/b.jsonl', '/srv/a_b.jsonl', '/srv/a/b_jsonl', `${long}a`, `${long.slice(0, -5)}/a`];
  for (const [seq, path] of paths.entries())
    await createPositionFile(directory, path).save({ ...kept, position: { ...position, seq } });
  for (const [seq, path] of paths.entries())
    assert.equal((await createPositionFile(directory, path).load())?.position.seq, seq, path);
  assert.equal(readdirSync(directory).length, paths.length);
});

void test('what is not ours is told, not taken for a position', async (t) => {
  const { directory, file } = fileIn(t);
  const path = join(directory, 'ship-logs.example.com_6514.json');
  await file.save(kept);
  const good = readFileSync(path, 'utf8');
  for (const text of [
    '',
    good.slice(0, -10),
    good.replace('4711', '-1'),
    good.replace('4711', '"4711"'),
    good.replace(/[ab]{64}/, 'ab'),
    good.replace('logs.example.com', 'logs2.example.com'),
    'null',
  ]) {
    writeFileSync(path, text);
    await assert.rejects(file.load(), /holds no position of logs\.example\.com:6514/);
  }
});

void test('what the system says comes out', async (t) => {
  const { directory, file } = fileIn(t);
  mkdirSync(join(directory, '..'));
  writeFileSync(directory, 'in the way');
  await assert.rejects(file.save(kept), { code: 'EEXIST' });
  await assert.rejects(file.load(), { code: 'ENOTDIR' });
});

void test('a link in the way of a new file is replaced, not followed', async (t) => {
  const { directory, file } = fileIn(t);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'victim'), 'precious');
  symlinkSync(join(directory, 'victim'), join(directory, 'ship-logs.example.com_6514.json.new'));
  await file.save(kept);
  assert.deepEqual(await file.load(), kept);
  assert.equal(readFileSync(join(directory, 'victim'), 'utf8'), 'precious');
});

void test('nothing is certainly there any more: the next start begins anew', async (t) => {
  const { file } = fileIn(t);
  await file.clear();
  await file.save(kept);
  await file.clear();
  assert.equal(await file.load(), undefined);
});

// What is sent again: the last minute or the last MiB, whichever reaches further back.

const limits = { ms: 60_000, bytes: 1000 };

function behind(seq: number): Position {
  return { segment: 1, bytes: seq * 100, seq, hash: String(seq) };
}

void test('few bytes: older than a minute is not enough', () => {
  const overlap = createOverlap(limits, beginning);
  for (let seq = 1; seq <= 30; seq += 1) overlap.note(behind(seq), 100, seq * 10_000);
  assert.equal(overlap.sentSeq, 30);
  assert.equal(overlap.safe(300_000).seq, 20, 'ten records are 1000 bytes');
  assert.equal(overlap.safe(10_000_000).seq, 20, 'time alone makes nothing safe');
});

void test('many bytes: the last minute counts', () => {
  const overlap = createOverlap(limits, beginning);
  for (let seq = 1; seq <= 100; seq += 1) overlap.note(behind(seq), 5000, seq * 1000);
  assert.equal(overlap.safe(100_000).seq, 40);
  assert.equal(overlap.safe(130_000).seq, 70);
});

void test('nothing is safe at first but where it began; it never goes back', () => {
  const from = behind(7);
  const overlap = createOverlap(limits, from);
  assert.equal(overlap.safe(0), from);
  overlap.note(behind(8), 5000, 0);
  assert.equal(overlap.safe(59_999), from);
  overlap.note(behind(9), 5000, 59_999);
  let last = 0;
  for (let ms = 59_999; ms < 200_000; ms += 500) {
    const { seq } = overlap.safe(ms);
    assert.ok(seq >= last);
    last = seq;
  }
  assert.equal(last, 8);
});

void test('what is sent a second time is as old as it was the first time', () => {
  const overlap = createOverlap(limits, beginning);
  overlap.note(behind(1), 5000, 0);
  overlap.note(behind(2), 5000, 1000);
  // Every transport ends after 20 s, and everything is sent again each time: it gets on all the same.
  for (const ms of [20_000, 40_000, 60_000]) {
    overlap.note(behind(1), 5000, ms);
    overlap.note(behind(2), 5000, ms);
  }
  assert.equal(overlap.safe(60_000).seq, 1);
  assert.equal(overlap.sentSeq, 2);
});

void test('batches within a second share a place', () => {
  const overlap = createOverlap(limits, beginning);
  for (let seq = 1; seq <= 1000; seq += 1) overlap.note(behind(seq), 5000, seq * 10);
  // 1 to 100 left within one second, the last of them at 1000 ms.
  assert.deepEqual([overlap.safe(60_995).seq, overlap.safe(61_005).seq], [0, 100]);
});

void test('the last one becomes safe, too, where nothing comes behind it', () => {
  const overlap = createOverlap({ ms: 500, bytes: 0 }, beginning);
  overlap.note(behind(1), 5000, 0);
  overlap.note(behind(2), 5000, 900);
  assert.deepEqual([overlap.safe(1399).seq, overlap.safe(1400).seq], [0, 2]);
  const none = createOverlap({ ms: 0, bytes: 0 }, beginning);
  none.note(behind(1), 5000, 7);
  assert.equal(none.safe(7).seq, 1);
});
