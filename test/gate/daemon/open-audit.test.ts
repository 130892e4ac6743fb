// Goal: a disk that takes no records costs a line a second, however many records are lost. What must not happen: a line for each record;
// a number that is never logged.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLossLog, openRedactor } from '../../../src/gate/daemon/open-audit.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

function openLog() {
  const clock = createFakeClock();
  const lines: string[] = [];
  const losses = createLossLog(
    { report: ({ event, text, count }) => lines.push(`${event} ${count}: ${text}`) },
    clock,
  );
  return { clock, lines, losses };
}

void test('5,000 records that are lost at once, of which nobody waits for 4,400', async () => {
  const { clock, lines, losses } = openLog();
  for (let n = 0; n < 5_000; n += 1) {
    losses.lost(1);
    if (n < 4_400) losses.failed('too many records wait for the disk');
  }
  assert.equal(lines.length, 2);
  await clock.advance(1_000);
  assert.deepEqual(lines, [
    'audit-lost 1: 1 record was lost while the disk took none',
    'audit-failed 1: too many records wait for the disk',
    'audit-lost 4999: 4,999 records were lost while the disk took none',
    'audit-failed 4399: too many records wait for the disk (4,399 records)',
  ]);
  await clock.advance(10_000);
  assert.deepEqual([lines.length, clock.timers], [4, 0]);
});

void test('a second without a loss is a fresh start; the end leaves no number behind', async () => {
  const { clock, lines, losses } = openLog();
  losses.lost(1);
  await clock.advance(1_000);
  losses.lost(2);
  losses.lost(3);
  losses.flush();
  losses.flush();
  const words = lines.map((line) => line.split(':')[0]);
  assert.deepEqual(words, ['audit-lost 1', 'audit-lost 2', 'audit-lost 3']);
  assert.equal(clock.timers, 0);
});

// Goal: a digest can be found as long as its journal is there: the key of digests outlives a directory that was moved away.

void test('the key beside the segments is kept in state, too, and comes back with the next start', (t) => {
  const folder = openFolder(t);
  const [directory, state] = [join(folder, 'audit'), join(folder, 'state')];
  mkdirSync(directory);
  mkdirSync(state);
  const settings = { directory };
  const digest = (): string => openRedactor(settings, state).redact('secret').hmac;
  const first = digest();
  assert.equal(statSync(join(state, 'audit-hmac.key')).mode & 0o777, 0o600);
  renameSync(directory, `${directory}.gone`);
  mkdirSync(directory);
  assert.equal(digest(), first);
  // A key that an operator put there is the one that counts from then on.
  writeFileSync(join(directory, 'hmac.key'), 'another key of the operator');
  const second = digest();
  assert.notEqual(second, first);
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  assert.equal(digest(), second);
  assert.equal(readFileSync(join(directory, 'hmac.key'), 'utf8'), 'another key of the operator');
});
