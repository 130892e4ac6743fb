// Goal: a program ends in time whatever it does: hangs, has children that hang, prints without an end, or is not there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram } from '../../../src/host/machine/programs.js';
import { openFolder } from '../../kit/plain/folder.js';
import { isRunning } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';

const limits = { timeoutMs: 300, bytesMax: 1000 };
const sh = (script: string, more: Partial<typeof limits> = {}) =>
  runProgram('sh', ['-c', script], { ...limits, timeoutMs: 60_000, ...more });

void test('what it prints, and its exit code', async () => {
  assert.deepEqual(await sh('echo hello; exit 3'), { kind: 'ended', exitCode: 3, stdout: 'hello\n' });
  assert.deepEqual(await runProgram('no-such-program-here', [], limits), { kind: 'absent' });
});

void test('one that hangs is killed, with the child that holds its output', async (t) => {
  const folder = openFolder(t);
  for (const ended of await Promise.all(
    ['; sleep 1000', ''].map(async (rest, at) => {
      const pid = join(folder, `${at}`);
      const end = await sh(`sleep 1000 & echo $! > ${pid}${rest}`, { timeoutMs: 1500 });
      await until(() => !isRunning(Number(readFileSync(pid, 'utf8'))), 'its child ends');
      return end;
    }),
  ))
    assert.deepEqual(ended, { kind: 'failed', why: 'no end within 1.5 s' });
});

void test('one that prints without an end is killed', async () => {
  const ended = await sh('yes');
  assert.deepEqual(ended, { kind: 'failed', why: 'printed more than 1000 bytes' });
});

void test('one that a signal ends', async () => {
  const ended = await sh('kill -TERM $$');
  assert.deepEqual(ended, { kind: 'failed', why: 'ended by SIGTERM' });
});
