// Goal: what is said of a journal is true where the disk stands still or is full, and is said in time.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { lookAtJournal } from '../../../src/evidence/cli/journal-look.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';

void test('a disk is slow when it is slow each time: once it may have been the processor', async (t) => {
  const audit = { directory: openFolder(t), reserveBytes: 0 };
  for (const [lateTries, status] of [
    [2, 'ok'],
    [3, 'warning'],
  ] as const) {
    let looks = 0;
    let nowMs = 0;
    // A try looks at the clock when it begins and when it is over.
    const now = (): number => {
      looks += 1;
      if (looks % 2 === 0 && looks <= 2 * lateTries) nowMs += 200;
      return nowMs;
    };
    const clock = { ...systemClock, now };
    const options = { clock, daemonUid: undefined, told: undefined, verifyCommand: 'x' };
    const [look] = await lookAtJournal({ audit }, options);
    assert.equal(look?.status, status, look?.text);
  }
});

void test('a disk that stands still is called bad in time, and nothing is left there', async () => {
  await withSmallDisk('ext4', async (directory) => {
    const audit = { directory, reserveBytes: 0 };
    const options = { clock: systemClock, daemonUid: undefined, told: undefined, verifyCommand: 'x' };
    const [good] = await lookAtJournal({ audit }, options);
    assert.match(good?.text ?? '', /is writable/);
    assert.equal(spawnSync('fsfreeze', ['-f', directory]).status, 0);
    const hasty = {
      ...systemClock,
      setTimer: (ms: number, run: () => void) => systemClock.setTimer(ms / 10, run),
    };
    const [still] = await lookAtJournal({ audit }, { ...options, clock: hasty });
    assert.equal(spawnSync('fsfreeze', ['-u', directory]).status, 0);
    assert.deepEqual([still?.status, /took no record within 5 s/.test(still?.text ?? '')], ['bad', true]);
    while (readdirSync(directory).some((name) => name.includes('doctor')))
      await new Promise((resolve) => setTimeout(resolve, 10));
  });
});

void test('records whose files were taken away are bad, although the last segment is whole', async (t) => {
  const audit = { directory: openFolder(t), reserveBytes: 0 };
  const told = { state: 'writable', missing_seq: 213, missing_since: '2026-11-23T00:00:00.000Z' };
  const options = { clock: systemClock, daemonUid: undefined, told, verifyCommand: 'VERIFY' };
  const look = (await lookAtJournal({ audit }, options)).find(({ name }) => name === 'journal records');
  assert.deepEqual([look?.status, look?.next], ['bad', 'VERIFY']);
  assert.match(look?.text ?? '', /up to seq 213 are missing from .* since 2026-11-23T00:00:00\.000Z/);
});

void test('a journal that the daemon cannot write: whose it is, and what is needed', async (t) => {
  const directory = openFolder(t);
  const options = { clock: systemClock, told: undefined, verifyCommand: 'x' };
  const [foreign] = await lookAtJournal(
    { audit: { directory, reserveBytes: 0 } },
    { ...options, daemonUid: 61234 },
  );
  assert.equal(foreign?.status, 'bad');
  assert.match(
    foreign.text,
    /\(mode 0700\), and the daemon runs as 61234: it needs the owner 61234 and the mode 0700$/,
  );
  assert.equal(foreign.next, `chown -R 61234 ${directory}`);
  chmodSync(directory, 0o500);
  for (const [group, mode] of [
    [undefined, '0700'],
    ['auditors', '0750'],
  ] as const) {
    const audit = { directory, reserveBytes: 0, ...(group === undefined ? {} : { group }) };
    const [closed] = await lookAtJournal({ audit }, { ...options, daemonUid: undefined });
    assert.equal(closed?.next, `chmod ${mode} ${directory}`);
  }
});
