// Goal: the first process of a container takes what was left to it from the process table. What must not happen: a child that
// somebody of us waits for is taken away.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { loadNative } from '../../../src/adapters/host/native.js';
import { readDeadChildren, watchOrphans } from '../../../src/adapters/host/process.js';
import { createFakeClock } from '../../kit/fake-clock.js';

void test('what is dead at two looks is taken; what is seen once is not', async () => {
  const clock = createFakeClock();
  const taken: number[] = [];
  const looks = [[10], [11], [11, 12], [12], []];
  const native = { reap: (pid: number) => taken.push(pid) > 0 };
  const watch = watchOrphans(native, clock, 1, () => looks.shift() ?? []);
  await clock.advance(25_000);
  assert.deepEqual([looks.length, taken], [0, [11, 12]]);
  watch.end();
  assert.equal(clock.timers, 0);
});

void test('any other process does not look', () => {
  const clock = createFakeClock();
  watchOrphans({ reap: () => assert.fail() }, clock, 2, () => assert.fail()).end();
  assert.equal(clock.timers, 0);
});

void test('dead children of a process are found by their state, and taken', async (t) => {
  const native = await loadNative();
  // A shell whose child has ended and which then is something that never asks for it.
  const parent = spawn('sh', ['-c', 'true & exec sleep 60'], { stdio: 'ignore' });
  t.after(() => parent.kill('SIGKILL'));
  await once(parent, 'spawn');
  let dead = readDeadChildren(parent.pid ?? 0);
  while (dead.length === 0) {
    assert.equal(parent.exitCode, null);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    dead = readDeadChildren(parent.pid ?? 0);
  }
  assert.equal(dead.length, 1);
  assert.equal(native.reap(dead[0] ?? 0), false, 'a child of somebody else');
  assert.deepEqual(
    readDeadChildren(process.pid).filter((pid) => pid === parent.pid),
    [],
    'one that lives',
  );
});
