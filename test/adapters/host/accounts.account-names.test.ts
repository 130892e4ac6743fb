// Goal: names of uids come without anybody waiting on the event loop, are remembered, and a directory that is mute costs a name.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  askLater,
  createAccountNames,
  gidOf,
  hasUser,
  uidOf,
  userNameOf,
} from '../../../src/adapters/host/accounts.js';
import { bounds } from '../../../src/bounds/bounds.js';
import { createFakeClock } from '../../kit/fake-clock.js';
import { openFolder } from '../../kit/folder.js';

const own = userInfo();
/** No machine has it in its file. */
const strange = 4_294_000_001;

void test('the own name, from the file; a uid without a name has none', async () => {
  const names = createAccountNames(createFakeClock(), () => Promise.resolve([]));
  assert.equal(await names.userName(own.uid), own.username);
  assert.equal(await names.userName(strange), undefined);
});

void test('a directory is asked once for all who wait, and again after a minute', async () => {
  const clock = createFakeClock();
  let asked = 0;
  const names = createAccountNames(clock, (uid) => {
    asked += 1;
    return Promise.resolve([`dora${asked}:x:${uid}:100::/:`]);
  });
  assert.deepEqual(await Promise.all([names.userName(strange), names.userName(strange)]), ['dora1', 'dora1']);
  assert.equal(await names.userName(strange), 'dora1');
  await clock.advance(60_000);
  assert.equal(await names.userName(strange), 'dora2');
});

// bounds.accountNames
void test('more uids than are remembered: the oldest is asked for again', async () => {
  let asked = 0;
  const names = createAccountNames(createFakeClock(), () => {
    asked += 1;
    return Promise.resolve([]);
  });
  for (let n = 0; n < 1_001; n += 1) await names.userName(strange + n);
  await names.userName(strange + 1_000);
  assert.equal(asked, 1_001);
  await names.userName(strange);
  assert.equal(asked, 1_002);
});

void test('uids by the thousand: only so many questions at once, and a uid without a turn is asked again later', async () => {
  const waiting: (() => void)[] = [];
  const names = createAccountNames(createFakeClock(), (uid) => {
    return new Promise((resolve) => waiting.push(() => resolve([`dora:x:${uid}:100::/:`])));
  });
  const asked = Array.from({ length: 2_000 }, (_, n) => names.userName(strange + n));
  assert.equal(waiting.length, bounds.accountQuestions);
  assert.equal(await asked.at(-1), undefined);
  for (const answer of waiting.splice(0)) answer();
  assert.equal(await asked[0], 'dora');
  const again = names.userName(strange + 1_999);
  for (const answer of waiting.splice(0)) answer();
  assert.equal(await again, 'dora');
});

// bounds.directoryAnswerMs
void test('a directory that never answers is ended', { timeout: 60_000 }, async (t) => {
  const folder = openFolder(t);
  const pidFile = join(folder, 'pid');
  // In the place of the system's program, which asks the directory.
  writeFileSync(join(folder, 'getent'), `#!/bin/sh\necho $$ > ${pidFile}\nexec sleep 600\n`, { mode: 0o755 });
  const before = process.env['PATH'];
  process.env['PATH'] = `${folder}:${before}`;
  t.after(() => {
    process.env['PATH'] = before;
  });
  assert.deepEqual(await askLater('passwd', String(strange)), []);
  assert.equal(existsSync(`/proc/${readFileSync(pidFile, 'utf8').trim()}`), false);
});

void test('whether a name is that of a user: no, yes, or no answer; only so many questions at once', async (t) => {
  const folder = openFolder(t);
  const program = join(folder, 'getent');
  const before = process.env['PATH'];
  t.after(() => {
    process.env['PATH'] = before;
  });
  assert.equal(await hasUser(own.username), true);
  assert.equal(await hasUser('no-such-name-here'), false);
  process.env['PATH'] = `${folder}:${before}`;
  const answers: readonly [string, boolean | undefined][] = [
    ['echo "$3:x:4711:100::/:"', true],
    ['echo "dora:x:4711:100::/:"', false],
    ['exit 2', false],
    ['exit 1', undefined],
    ['kill -9 $$', undefined],
  ];
  for (const [script, found] of answers) {
    writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    assert.equal(await hasUser('Dora'), found, script);
  }
  process.env['PATH'] = folder;
  rmSync(program);
  assert.equal(await hasUser('Dora'), undefined, 'no such program');
  process.env['PATH'] = before;
  const asked = Array.from({ length: bounds.accountQuestions + 1 }, () => hasUser('no-such-name-here'));
  const all = await Promise.all(asked);
  assert.deepEqual(all, [...all.slice(1).map(() => false), undefined]);
  assert.equal(await hasUser('no-such-name-here'), false);
});

void test('names of the system, and their numbers', () => {
  assert.equal(uidOf('root'), 0);
  assert.equal(gidOf('root'), 0);
  assert.equal(uidOf(own.username), own.uid);
  assert.equal(userNameOf(0), 'root');
  assert.equal(userNameOf(own.uid), own.username);
});

void test('a number is itself, as far as the kernel has such a user', () => {
  for (const of of [uidOf, gidOf]) {
    assert.equal(of('0'), 0);
    assert.equal(of('4711'), 4711);
    assert.equal(of('4294967294'), 4_294_967_294);
    // To the kernel this one means "leave it as it is", and there is nothing above it.
    assert.equal(of('4294967295'), undefined);
    assert.equal(of('9999999999'), undefined);
  }
});

void test('nobody has such a name', () => {
  for (const name of [
    '',
    'no-such-name-here',
    'root:x',
    '-1',
    '0x0',
    ' root',
    'root\n',
    '--help',
    '99999999999',
  ]) {
    assert.equal(uidOf(name), undefined, JSON.stringify(name));
    assert.equal(gidOf(name), undefined, JSON.stringify(name));
  }
  assert.equal(userNameOf(4_294_967_294), undefined);
});
