// The file of a position: what was kept is what is there, whole or not at all, and nothing else counts.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createPositionFile } from '../../../src/adapters/shipping/position.js';
import { temporaryDirectory } from '../journal/reading.js';

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
